from __future__ import annotations

import numpy as np
import pytest

from centertrack_ros.replay.metrics import (
    evaluate,
    overlaps,
    score_sequences,
    sequence_data,
)
from centertrack_ros.replay.mot_files import FrameBoxes, read_mot

# As the MOTChallenge development kit prints them.
TUD = {
    'TUD-Campus': {'MOTA': 52.6, 'IDF1': 55.8, 'FP': 13, 'FN': 150, 'IDSW': 7},
    'TUD-Stadtmitte': {'MOTA': 56.4, 'IDF1': 64.5, 'FP': 45, 'FN': 452, 'IDSW': 7},
}


def _tud(data_folder, name):
    folder = data_folder / 'metrics'
    truth = read_mot(folder / 'gt' / name / 'gt' / 'gt.txt', ground_truth=True)
    return truth, read_mot(folder / 'results' / f'{name}.txt')


def _frame(ids, boxes):
    return FrameBoxes(np.array(ids, np.int64), np.array(boxes, float), np.ones(len(ids)))


@pytest.mark.parametrize('name', TUD)
def test_tud_sequences_as_the_development_kit(data_folder, name):
    scores = evaluate(*_tud(data_folder, name))
    assert {key: round(scores[key], 1) for key in TUD[name]} == TUD[name]


def test_tud_together(data_folder):
    scores = score_sequences({name: sequence_data(*_tud(data_folder, name)) for name in TUD})
    assert round(scores['MOTA'], 1) == 55.5
    assert round(scores['IDF1'], 1) == 62.4
    assert scores['IDSW'] == 14


def test_kitti_ciwt_as_trackeval(shared_folder, tmp_path):
    from trackeval.datasets import Kitti2DBox

    root = shared_folder / 'data' / 'metrics' / 'kitti_ciwt'
    dataset = Kitti2DBox(
        {
            'GT_FOLDER': str(root / 'gt/kitti/kitti_2d_box_train'),
            'TRACKERS_FOLDER': str(root / 'trackers/kitti/kitti_2d_box_train'),
            'TRACKERS_TO_EVAL': ['CIWT'],
            'CLASSES_TO_EVAL': ['car'],
            'OUTPUT_FOLDER': str(tmp_path),
            'PRINT_CONFIG': False,
        }
    )
    sequences = {
        name: dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data('CIWT', name), 'car')
        for name in dataset.seq_list
    }
    assert len(sequences) == 21
    scores = score_sequences(sequences)
    expected = {'HOTA': 66.306, 'DetA': 63.111, 'AssA': 70.562, 'MOTA': 76.327, 'IDF1': 83.100}
    assert {key: scores[key] for key in expected} == pytest.approx(expected, abs=1e-3)
    assert scores['IDSW'] == 110


def test_perfect_and_empty_results(data_folder):
    truth, _ = _tud(data_folder, 'TUD-Campus')
    perfect = evaluate(truth, truth)
    assert [perfect[name] for name in ('HOTA', 'DetA', 'AssA', 'MOTA', 'IDF1')] == [100.0] * 5
    assert [perfect[name] for name in ('IDSW', 'FP', 'FN')] == [0, 0, 0]
    nothing = evaluate(truth, [])
    assert nothing['MOTA'] == nothing['HOTA'] == 0.0
    assert nothing['FN'] == sum(map(len, truth))


def test_ids_need_no_order_and_images_may_differ_in_number():
    truth = [_frame([7], [[0, 0, 10, 10]]), _frame([7], [[0, 0, 10, 10]])]
    result = [
        _frame([900], [[0, 0, 10, 10]]),
        _frame([3], [[0, 0, 10, 10]]),
        _frame([3], [[0, 0, 10, 10]]),
    ]
    scores = evaluate(truth, result)
    assert (scores['IDSW'], scores['FP'], scores['FN']) == (1, 1, 0)


def test_ground_truth_without_objects():
    with pytest.raises(ValueError, match='no object'):
        evaluate([FrameBoxes.empty()], [_frame([1], [[0, 0, 1, 1]])])


def test_overlaps():
    boxes = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [3, 3, 3, 9]])
    assert overlaps(boxes, boxes)[0] == pytest.approx([1.0, 1 / 3, 0.0])
    assert overlaps(boxes, boxes)[2, 2] == 0.0
    assert overlaps(boxes, np.zeros((0, 4))).shape == (3, 0)
