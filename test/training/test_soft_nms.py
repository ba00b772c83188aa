from __future__ import annotations

import numpy as np
import pytest

from training.soft_nms import nms, soft_nms

# Two boxes with an IoU of 0.6 (pixels at both ends count), one far away.
BOXES = [[0, 0, 9, 7], [0, 2, 9, 9], [50, 50, 59, 59]]


def rows(*scores: float, extra: int = 0) -> np.ndarray:
    table = np.zeros((len(scores), 5 + extra), np.float32)
    table[:, :4] = BOXES[: len(scores)]
    table[:, 4] = scores
    table[:, 5:] = np.arange(len(scores))[:, None]
    return table


@pytest.mark.parametrize(
    ('rule', 'factor'), [('linear', 0.4), ('gaussian', np.exp(-0.36 / 0.5)), ('hard', 0.0)]
)
def test_scores_of_overlapping_boxes_fall(rule, factor):
    received = soft_nms(rows(0.5, 0.9, 0.8), rule, score_threshold=-1.0)
    assert received.kept == 3
    np.testing.assert_allclose(received.rows[:, 4], [0.9, 0.8, 0.5 * factor], atol=1e-7)
    np.testing.assert_array_equal(received.rows[0, :4], BOXES[1])


def test_overlaps_up_to_the_threshold_are_free():
    received = soft_nms(rows(0.9, 0.5), 'linear', overlap_threshold=0.7)
    np.testing.assert_allclose(received.rows[:, 4], [0.9, 0.5])


def test_dropped_rows_leave_the_last_one_in_their_place():
    given = rows(0.9, 0.5, 0.8, extra=2)
    kept = given.copy()
    received = soft_nms(given, 'hard')
    assert received.kept == 2
    np.testing.assert_array_equal(received.rows[:2], given[[0, 2]])
    np.testing.assert_array_equal(given, kept)


def test_far_boxes_stay_however_low_their_score():
    received = soft_nms(rows(0.9, 0.5, 1e-6), 'hard')
    assert received.kept == 2
    assert received.rows[1, 4] == np.float32(1e-6)


def test_further_columns_stay_with_their_box():
    generator = np.random.default_rng(1)
    table = np.zeros((60, 7), np.float32)
    table[:, :2] = generator.random((60, 2)) * 100
    table[:, 2:4] = table[:, :2] + 20 + generator.random((60, 2)) * 40
    table[:, 4] = generator.random(60)
    table[:, 5] = table[:, 0]
    received = soft_nms(table, 'gaussian', score_threshold=0.2)
    assert 0 < received.kept < 60
    kept = received.rows[: received.kept]
    np.testing.assert_array_equal(kept[:, 5], kept[:, 0])
    assert (kept[:-1, 4] >= kept[1:, 4]).all()


def test_hard_suppression_returns_the_best_of_each_pile():
    assert nms(rows(0.5, 0.9, 0.1), 0.5).tolist() == [1, 2]
    assert nms(rows(0.5, 0.9, 0.95), 0.65).tolist() == [2, 1, 0]


def test_no_rows():
    received = soft_nms(np.zeros((0, 5), np.float32), 'gaussian')
    assert received.rows.shape == (0, 5)
    assert received.kept == 0
    assert nms(np.zeros((0, 5), np.float32), 0.5).tolist() == []
