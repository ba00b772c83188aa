"""The Kalman filter of the robust tracker."""

from __future__ import annotations

import numpy as np
import pytest

from centertrack_ros.tracker.motion import (
    MEASUREMENT,
    boxes_from_values,
    correct,
    predict,
    start,
    through_camera,
    values_from_boxes,
)

SEEN = np.array([False])


def person(x: float, y: float) -> np.ndarray:
    return np.array([[x, y, 40.0, 100.0]], np.float32)


def test_boxes_and_values_are_inverse() -> None:
    boxes = np.array([[10, 20, 50, 120], [0, 0, 1, 1]], np.float32)
    values = values_from_boxes(boxes)
    assert values.tolist() == [[30, 70, 40, 100], [0.5, 0.5, 1, 1]]
    np.testing.assert_array_equal(boxes_from_values(values), boxes)
    assert boxes_from_values(values_from_boxes(boxes[:0])).shape == (0, 4)


@pytest.mark.parametrize('fps', [1.0, 5.0, 30.0, 60.0])
def test_constant_velocity_is_learned_at_any_frame_rate(fps: float) -> None:
    velocity = np.array([50.0, -20.0], np.float32)
    motion = start(person(0, 0))
    for step in range(1, int(3 * fps) + 3):
        position = velocity * np.float32(step / fps)
        motion = correct(predict(motion, 1 / fps, SEEN), person(*position))
    np.testing.assert_allclose(motion.rates[0, :2], velocity, atol=3)
    later = predict(motion, 1.0, SEEN)
    np.testing.assert_allclose(later.values[0, :2], position + velocity, atol=4)
    np.testing.assert_allclose(later.values[0, 2:], [40, 100], atol=1e-3)


def test_covariance_equals_the_matrix_filter() -> None:
    """The three numbers per group are the 2 x 2 covariance of the textbook equations."""
    motion = start(person(0, 0))
    dt = 0.13
    transition = np.array([[1, dt], [0, 1]])
    drift = 0.35**2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
    covariance = np.diag([MEASUREMENT[0] ** 2, 1.0])
    state = np.zeros(2)
    for measured in (8.0, 15.0, 26.0):
        motion = correct(predict(motion, dt, SEEN), person(measured, 0))
        state = transition @ state
        covariance = transition @ covariance @ transition.T + drift
        gain = covariance[:, 0] / (covariance[0, 0] + MEASUREMENT[0] ** 2)
        state = state + gain * (measured - state[0])
        covariance = covariance - np.outer(gain, covariance[0])
    np.testing.assert_allclose([motion.values[0, 0], motion.rates[0, 0]], state, rtol=1e-4)
    np.testing.assert_allclose(
        motion.covariances[0, 0], covariance[[0, 0, 1], [0, 1, 1]], rtol=1e-4
    )


def test_uncertainty_grows_while_lost_and_shrinks_when_seen() -> None:
    motion = start(person(0, 0))
    lost = predict(predict(motion, 0.5, SEEN), 0.5, ~SEEN)
    assert (lost.covariances[..., 0] > motion.covariances[..., 0]).all()
    found = correct(lost, person(3, 3))
    assert (found.covariances[..., 0] < lost.covariances[..., 0]).all()
    assert (found.covariances[..., 0] > 0).all()


def test_noisy_measurements_count_less() -> None:
    motion = predict(start(person(0, 0)), 0.1, SEEN)
    shifts = [
        correct(motion, person(20, 0), np.array([noise], np.float32)).values[0, 0]
        for noise in (1, 2, 6)
    ]
    assert shifts[0] == correct(motion, person(20, 0)).values[0, 0]
    assert 20 > shifts[0] > shifts[1] > shifts[2] > 0
    assert shifts[2] < 0.25 * 20


def test_the_camera_moves_turns_and_zooms_what_is_known() -> None:
    motion = start(person(10, 20))
    motion = correct(predict(motion, 0.1, SEEN), person(14, 20))
    camera = np.array([[0, -1.5, 100], [1.5, 0, 7]], np.float32)
    moved = through_camera(motion, camera)
    x, y = motion.values[0, :2]
    np.testing.assert_allclose(moved.values[0, :2], [100 - 1.5 * y, 7 + 1.5 * x], rtol=1e-5)
    np.testing.assert_allclose(moved.values[0, 2:], 1.5 * motion.values[0, 2:], rtol=1e-5)
    vx, vy = motion.rates[0, :2]
    np.testing.assert_allclose(moved.rates[0, :2], [-1.5 * vy, 1.5 * vx], rtol=1e-5, atol=1e-4)
    still = through_camera(motion, np.eye(2, 3, dtype=np.float32))
    np.testing.assert_array_equal(still.values, motion.values)
    np.testing.assert_array_equal(still.rates, motion.rates)
    assert moved.values.dtype == moved.rates.dtype == np.float32


def test_standing_time_changes_nothing() -> None:
    motion = correct(predict(start(person(0, 0)), 0.1, SEEN), person(5, 5))
    again = predict(motion, 0.0, ~SEEN)
    np.testing.assert_array_equal(again.values, motion.values)
    np.testing.assert_array_equal(again.covariances, motion.covariances)


def test_size_neither_explodes_nor_turns_inside_out() -> None:
    motion = start(person(0, 0))
    for height in (80, 60, 40, 20):
        measured = np.array([[0, 0, 0.4 * height, height]], np.float32)
        motion = correct(predict(motion, 0.1, SEEN), measured)
    for _ in range(100):
        motion = predict(motion, 0.1, ~SEEN)
    assert (motion.values[0, 2:] > 0).all()
    fast = predict(motion, 100.0, SEEN)
    assert np.isfinite(fast.values).all()
    assert (fast.values[0, 2:] > 0).all()


def test_no_objects() -> None:
    motion = start(np.zeros((0, 4), np.float32))
    motion = correct(predict(motion, 0.1, np.zeros(0, np.bool_)), np.zeros((0, 4), np.float32))
    assert motion.values.shape == (0, 4)
    assert motion.covariances.shape == (0, 2, 3)


def test_arguments_stay_as_they_are_and_all_is_float32() -> None:
    motion = start(person(1, 2))
    kept = [array.copy() for array in vars(motion).values()]
    later = correct(predict(motion, 0.1, ~SEEN), person(2, 2))
    for array, copy in zip(vars(motion).values(), kept, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert all(array.dtype == np.float32 for array in vars(later).values())
