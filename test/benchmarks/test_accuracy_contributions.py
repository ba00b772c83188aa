"""The sums per object make TrackEval's scores again."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.comparison.bootstrap import BOOTSTRAP_METRICS, resampled_metrics
from benchmarks.comparison.contributions import (
    clear_pairs,
    contributions,
    owning_identities,
    shared_false_objects,
)
from centertrack_ros.replay.metrics import score_sequences, sequence_data
from centertrack_ros.replay.mot_files import FrameBoxes, read_mot


def _frame(ids, boxes):
    boxes = np.array(boxes, float).reshape(-1, 4)
    return FrameBoxes(np.array(ids, np.int64), boxes, np.ones(len(boxes)))


def _walk(image, lane=0.0):
    return [10.0 * image, lane, 10.0 * image + 40, lane + 100]


def _assert_as_trackeval(data):
    units = contributions(data)
    whole = resampled_metrics(units, np.ones((1, len(units.boxes))))
    expected = score_sequences({'recording': data})
    for name in BOOTSTRAP_METRICS:
        assert whole[name][0] == pytest.approx(expected[name], abs=6e-4), name
    assert units.switches.sum() == expected['IDSW']
    assert units.fragments.sum() == expected['Frag']
    assert units.clear_false.sum() == expected['FP']


@pytest.mark.parametrize('name', ['TUD-Campus', 'TUD-Stadtmitte'])
def test_real_tracks(data_folder, name):
    folder = data_folder / 'metrics'
    truth = read_mot(folder / 'gt' / name / 'gt' / 'gt.txt', ground_truth=True)
    _assert_as_trackeval(sequence_data(truth, read_mot(folder / 'results' / f'{name}.txt')))


@pytest.mark.parametrize('seed', range(12))
def test_random_tracks_with_gaps_switches_and_empty_images(seed):
    generator = np.random.default_rng(seed)
    truth, found = [], []
    ids = np.arange(6)
    for image in range(40):
        boxes = np.array([_walk(image, 60.0 * row) for row in range(6)])
        if generator.random() < 0.15:
            ids = generator.permutation(10)[:6]
        shift = generator.normal(0, 6, (6, 4))
        seen, present = generator.random(6) < 0.7, generator.random(6) < 0.9
        empty = generator.random(2) < 0.15
        truth.append(_frame(*((), ()) if empty[0] else (np.arange(6)[present], boxes[present])))
        found.append(_frame(*((), ()) if empty[1] else (ids[seen], (boxes + shift)[seen])))
    data = sequence_data(truth, found)
    assert score_sequences({'recording': data})['Frag'] > 0
    _assert_as_trackeval(data)


def test_nothing_found_and_nothing_true():
    truth = [_frame([1], [_walk(0)])]
    _assert_as_trackeval(sequence_data(truth, []))
    units = contributions(sequence_data([], truth))
    assert len(units.boxes) == 1
    assert units.false[:, 0].tolist() == units.clear_false.tolist() == [1.0]


def test_false_boxes_go_with_the_person_that_the_track_follows():
    truth = [_frame([1, 2], [_walk(image), _walk(image, 300)]) for image in range(10)]
    lanes = [300.0] * 7 + [600.0] * 3  # leaves person 2 for nobody
    found = [_frame([5, 9], [_walk(i, lanes[i]), _walk(i, 900)]) for i in range(10)]
    data = sequence_data(truth, found)
    assert owning_identities(clear_pairs(data), 2, 2).tolist() == [1, -1]
    units = contributions(data)
    assert units.clear_false.tolist() == [0.0, 3.0, 10.0]
    assert units.boxes.tolist() == [10.0, 10.0, 0.0]
    assert units.id_matched.tolist() == [0.0, 7.0, 0.0]


def test_false_objects_are_shared_where_trackers_see_the_same():
    truth = [_frame([1], [_walk(image)]) for image in range(6)]
    there, elsewhere = [_walk(0, 500), _walk(0, 900)]
    one = [_frame([1, 2], [_walk(i), there]) for i in range(6)]
    other = [_frame([1, 2, 3], [_walk(i), elsewhere, there]) for i in range(6)]
    pair = [(sequence_data(truth, found), found) for found in (one, other)]
    first, second = shared_false_objects(pair)
    assert first[0] == second[0] == -1
    assert first[1] == second[2] != second[1]
    units = [
        contributions(data, numbers)
        for (data, _), numbers in zip(pair, (first, second), strict=True)
    ]
    assert units[0].clear_false[1 + first[1]] == units[1].clear_false[1 + first[1]] == 6
    assert units[1].clear_false.sum() == 12
