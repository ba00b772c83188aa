from __future__ import annotations

import numpy as np
import pytest

from centertrack_ros.datatypes import Detections
from training.merging import merge_scales, rows_by_class


def _detections(**optional) -> Detections:
    return Detections(
        boxes=np.array([[0, 0, 10, 20], [4, 4, 8, 8], [2, 2, 6, 6]], np.float32),
        scores=np.array([0.9, 0.8, 0.7], np.float32),
        classes=np.array([2, 0, 2]),
        centers=np.zeros((3, 2), np.float32),
        offsets=np.zeros((3, 2), np.float32),
        **optional,
    )


def test_rows_in_pixels_of_the_original_image():
    rows = rows_by_class(_detections(), 3, scale=0.5)
    np.testing.assert_allclose(rows[0], [[8, 8, 16, 16, 0.8]])
    assert rows[1].shape == (0, 5)
    np.testing.assert_allclose(rows[2], [[0, 0, 20, 40, 0.9], [4, 4, 12, 12, 0.7]])


def test_rows_with_joints():
    keypoints = np.tile(np.array([[1, 2, 0.3], [3, 4, 0.3]], np.float32), (3, 1, 1))
    rows = rows_by_class(_detections(keypoints=keypoints), 3, scale=2)
    np.testing.assert_allclose(rows[0], [[2, 2, 4, 4, 0.8, 0.5, 1, 1.5, 2]])


def test_rows_where_nothing_was_detected():
    keypoints = np.zeros((3, 4, 3), np.float32)
    for optional, columns in (({}, 5), ({'keypoints': keypoints}, 13)):
        rows = rows_by_class(_detections(**optional)[:0], 2)
        assert [array.shape for array in rows] == [(0, columns)] * 2
        assert [array.shape for array in merge_scales([rows, rows])] == [(0, columns)] * 2


def _row(left, score):
    return [left, 0, left + 9, 9, score]


def test_doubles_at_two_scales_lose_their_score():
    first = [np.array([_row(0, 0.6), _row(50, 0.5)], np.float32), np.zeros((0, 5), np.float32)]
    second = [np.array([_row(0, 0.9)], np.float32), np.array([_row(0, 0.4)], np.float32)]
    rows, others = merge_scales([first, second])
    # the same box: overlap 1, so a factor of exp(-1 / 0.5)
    assert sorted(rows[:, 4].tolist()) == pytest.approx([0.6 * np.exp(-2), 0.5, 0.9])
    np.testing.assert_allclose(others, second[1])
    rows, _ = merge_scales([first, second], suppress=False)
    np.testing.assert_allclose(rows, np.concatenate([first[0], second[0]]))


def test_the_best_of_all_classes_are_kept():
    scores = np.linspace(0.1, 0.9, 9, dtype=np.float32)
    classes = [
        np.array([_row(100 * index, score) for index, score in enumerate(part)], np.float32)
        for part in (scores[::2], scores[1::2])
    ]
    first, second = merge_scales([classes], suppress=False, limit=4)
    assert first[:, 4].tolist() == scores[[6, 8]].tolist()
    assert second[:, 4].tolist() == scores[[5, 7]].tolist()
    everything = merge_scales([classes], suppress=False, limit=None)
    assert sum(len(rows) for rows in everything) == 9


def test_no_scale_and_unequal_classes():
    with pytest.raises(ValueError, match=r'received \[\]'):
        merge_scales([])
    empty = np.zeros((0, 5), np.float32)
    with pytest.raises(ValueError, match=r'received \[1, 2\]'):
        merge_scales([[empty], [empty, empty]])
    assert [len(rows) for rows in merge_scales([[empty, empty]])] == [0, 0]
