from __future__ import annotations

import numpy as np
import pytest
from format_scenes import make_detections, make_result, make_set

from training.classes import KITTI_CLASSES
from training.evaluation.kitti import kitti_scores, write_kitti

CAMERA = np.array([[700, 0, 600, 45], [0, 700, 180, 0], [0, 0, 1, 0.005]], np.float32)
LABEL = '{} {} {} 0 {} -1.5 {} {} {} {} 1.5 1.6 3.9 1 2 20 -1.4\n'


def _read_ciwt(root, names, keep=lambda number, length: True):
    """The results of the tracker CIWT as if our model had given them."""
    lengths = {}
    for line in (root / 'gt/kitti/kitti_2d_box_train').glob('*.seqmap.training'):
        rows = [row.split() for row in line.read_text().splitlines()]
        lengths = {row[0]: int(row[3]) for row in rows}
    pictures, results, videos = [], [], {}
    for name in names or lengths:
        path = root / 'trackers/kitti/kitti_2d_box_train/CIWT/data' / f'{name}.txt'
        by_image: list[list[list[str]]] = [[] for _ in range(lengths[name])]
        for line in path.read_text().splitlines():
            by_image[int(line.split()[0])].append(line.split())
        numbers = [n for n in range(lengths[name]) if keep(n, lengths[name])]
        videos[name] = list(range(len(results), len(results) + len(numbers)))
        pictures += [f'{name}/{number:06d}.png' for number in numbers]
        results += [_result(by_image[number]) for number in numbers]
    return make_set(pictures, class_names=KITTI_CLASSES, videos=videos), results


def _result(rows):
    detections = make_detections(
        [[float(value) for value in row[6:10]] for row in rows],
        [float(row[17]) for row in rows],
        [KITTI_CLASSES.index(row[2].lower()) for row in rows],
    )
    # Tracks count from 1 here.
    return make_result(detections, [int(row[1]) + 1 for row in rows])


def _truth(folder, *labels):
    path = folder / 'label_02' / '0000.txt'
    path.parent.mkdir(parents=True)
    path.write_text(''.join(labels))
    return folder


def _car(frame, track, box, kind='Car', occluded=0):
    return LABEL.format(frame, track, kind, occluded, *box)


def _video(count=1, first=0):
    names = [f'0000/{number:06d}.png' for number in range(first, first + count)]
    return make_set(names, class_names=KITTI_CLASSES, videos={'0000': list(range(count))})


def test_published_scores_of_ciwt(shared_folder, tmp_path):
    root = shared_folder / 'data' / 'metrics' / 'kitti_ciwt'
    truth = root / 'gt/kitti/kitti_2d_box_train'
    evaluation_set, results = _read_ciwt(root, ())
    assert len(evaluation_set.videos) == 21
    scores = kitti_scores(truth, evaluation_set, results).classes
    expected = {'HOTA': 66.306, 'DetA': 63.111, 'AssA': 70.562, 'MOTA': 76.327, 'IDF1': 83.100}
    found = {name: scores['car'][f'KITTI_{name}'] for name in expected}
    assert found == pytest.approx(expected, abs=1e-3)
    assert scores['car']['KITTI_IDSW'] == 110
    assert set(scores) == {'car', 'pedestrian'}


def test_a_half_is_compared_with_its_own_images(shared_folder, tmp_path):
    root = shared_folder / 'data' / 'metrics' / 'kitti_ciwt'
    truth = root / 'gt/kitti/kitti_2d_box_train'
    # What is missing in the first half would cost MOTA.
    half = _read_ciwt(root, ['0011'], keep=lambda number, length: number >= length // 2)
    whole = _read_ciwt(root, ['0011'])
    halves = kitti_scores(truth, *half).classes['car']
    assert halves['KITTI_FN'] < kitti_scores(truth, *whole).classes['car']['KITTI_FN']
    assert halves['KITTI_MOTA'] > 50
    (path,) = write_kitti(tmp_path, *half)
    assert int(path.read_text().split()[0]) >= 373 // 2


def test_a_line_as_the_benchmark_reads_it(tmp_path):
    space = {
        'depth': np.float32([20]),
        'dimensions': np.float32([[1.5, 1.6, 3.9]]),
        'alpha': np.float32([-1.5]),
        'amodal_centers': np.float32([[600, 180]]),
    }
    detections = make_detections([[10, 20, 110.5, 90]], classes=[1], **space)
    evaluation_set = make_set(
        ['0000/000007.png'],
        class_names=KITTI_CLASSES,
        videos={'0000': [0]},
        camera_matrix=CAMERA,
    )
    (path,) = write_kitti(tmp_path / 'new', evaluation_set, [make_result(detections)])
    columns = path.read_text().split()
    assert path.name == '0000.txt'
    assert columns[:5] == ['7', '1', 'Car', '-1', '-1']
    # The pixel of the principal point, less what the second camera is shifted by.
    place = [-45 / 700, 1.5 / 2, 20 - 0.005]
    place[0] += (600 * 20 - 600 * (20 - 0.005)) / 700
    place[1] += (180 * 20 - 180 * (20 - 0.005)) / 700
    # Angles as the benchmark says them: seen from the camera that the location is relative to.
    alpha = -1.5 - np.arctan2(place[0], place[2])
    expected = [alpha, 10, 20, 110.5, 90, 1.5, 1.6, 3.9, *place, -1.5, 0.9]
    assert [float(value) for value in columns[5:]] == pytest.approx(expected, abs=1e-4)


def test_placeholders_of_what_is_not_said(tmp_path):
    result = make_result(make_detections([[10, 20, 110, 90]]))
    (path,) = write_kitti(tmp_path, _video(), [result])
    values = [float(value) for value in path.read_text().split()[3:]]
    assert len(values) == 15
    assert values[:3] == [-1, -1, -10]
    assert values[7:14] == [-1, -1, -1, -1000, -1000, -1000, -10]


def test_rules_of_the_benchmark(tmp_path):
    """Nothing at a van, an occluded car or in DontCare is wrong, and small boxes are not."""
    boxes = [[100 * n, 100, 100 * n + 60, 150] for n in range(5)]
    small = [600, 100, 630, 124]
    truth = _truth(
        tmp_path,
        _car(0, 0, boxes[0]),
        _car(0, 1, boxes[1], kind='Van'),
        _car(0, 2, boxes[2], occluded=3),
        _car(0, -1, boxes[3], kind='DontCare'),
    )
    everything = make_detections([*boxes, small], classes=[1] * 6)
    scores = kitti_scores(truth, _video(), [make_result(everything)]).classes
    # The fifth is at nothing.
    assert (scores['car']['KITTI_FP'], scores['car']['KITTI_FN']) == (1, 0)
    assert 'pedestrian' not in scores


def test_labels_of_other_images_are_left_out(tmp_path):
    box = [0, 100, 60, 150]
    truth = _truth(tmp_path, _car(3, 0, box), _car(4, 0, box), _car(5, 0, box))
    result = make_result(make_detections([box], classes=[1]))
    scores = kitti_scores(truth / 'label_02', _video(2, first=4), [result] * 2).classes
    assert (scores['car']['KITTI_FN'], scores['car']['KITTI_MOTA']) == (0, 100)


def test_what_cannot_be_compared(tmp_path):
    other = make_set(['a.png'], class_names=('dog', 'car'), videos={'0000': [0]})
    with pytest.raises(ValueError, match=r"received \['dog'\]"):
        write_kitti(tmp_path, other, [make_result()])
    with pytest.raises(FileNotFoundError, match='labels of a sequence'):
        kitti_scores(tmp_path, _video(), [make_result()])
    truth = _truth(tmp_path, _car(0, -1, [0, 0, 9, 9], kind='DontCare'))
    with pytest.raises(ValueError, match='expected objects of the classes'):
        kitti_scores(truth, _video(), [make_result()])
    (truth / 'label_02' / '0000.txt').write_text('0 1 Car\n')
    with pytest.raises(ValueError, match=r'0000\.txt, line 1: expected 17 columns'):
        kitti_scores(truth, _video(), [make_result()])
    (truth / 'label_02' / '0000.txt').write_text(_car(0, 1, [0, 0, 9, 9], kind='Bus'))
    with pytest.raises(ValueError, match='TrackEval refuses the ground truth'):
        kitti_scores(truth, _video(), [make_result()])
