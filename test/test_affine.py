from __future__ import annotations

import numpy as np
import pytest

from centertrack_ros.affine import affine_matrix, transform_points


def test_width_of_the_window_fills_the_output():
    matrix = affine_matrix((320, 240), 640, 0, (160, 96))
    corners = transform_points(np.array([[0.0, 240.0], [640.0, 240.0], [320.0, 48.0]]), matrix)
    np.testing.assert_allclose(corners, [[0, 48], [160, 48], [80, 0]], atol=1e-9)


def test_only_the_width_of_a_pair_counts():
    for pair in ((640.0, 480.0), (640.0, 9.0)):
        np.testing.assert_array_equal(
            affine_matrix((300, 200), pair, 30, (160, 96)),
            affine_matrix((300, 200), 640.0, 30, (160, 96)),
        )


def test_shift_is_in_units_of_both_sides():
    matrix = affine_matrix((100, 100), (40, 20), 0, (80, 80), shift=(0.5, -0.5))
    np.testing.assert_allclose(transform_points(np.array([[120.0, 90.0]]), matrix), [[40, 40]])


def test_positive_angles_turn_the_image_counterclockwise():
    matrix = affine_matrix((50, 50), 100, 90, (100, 100))
    # What was right of the middle comes to lie above it.
    np.testing.assert_allclose(
        transform_points(np.array([[80.0, 50.0]]), matrix), [[50, 20]], atol=1e-4
    )


@pytest.mark.parametrize('angle', [0.0, 17.0, -120.0])
def test_inverse_leads_back(angle):
    options = ((611.3, 207.9), (733.1, 300.0), angle, (160, 96))
    there = affine_matrix(*options, shift=(0.1, -0.2))
    back = affine_matrix(*options, shift=(0.1, -0.2), inverse=True)
    points = np.random.default_rng(0).random((20, 2)) * 600
    np.testing.assert_allclose(
        transform_points(transform_points(points, there), back), points, atol=1e-3
    )


def test_precision_and_shape_follow_the_arguments():
    matrix = affine_matrix((3, 4), 10, 5, (8, 8))
    assert matrix.dtype == np.float64
    points = np.zeros((2, 3, 2), np.float32)
    assert transform_points(points, matrix).dtype == np.float64
    assert transform_points(points, matrix.astype(np.float32)).dtype == np.float32
    assert transform_points(points, matrix).shape == (2, 3, 2)
    assert transform_points(np.zeros((0, 2)), matrix).shape == (0, 2)
