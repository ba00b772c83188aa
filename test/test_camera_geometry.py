from __future__ import annotations

import numpy as np
import pytest

from centertrack_ros.camera_geometry import (
    alpha_from_bins,
    alpha_from_yaw,
    box_corners,
    default_camera_matrix,
    heading_lines,
    lift_points,
    object_locations,
    project_points,
    yaw_from_alpha,
)

CAMERA = np.array([[700.0, 0, 300, 40], [0, 710, 200, -3], [0, 0, 1, 0.005]])
POINTS = np.array([[1.0, 2.0, 10.0], [-3.0, 0.5, 25.0], [0.0, 0.0, 4.0]])


def test_lifting_undoes_projecting():
    depths = POINTS[:, 2] + CAMERA[2, 3]
    lifted = lift_points(project_points(POINTS, CAMERA), depths, CAMERA)
    np.testing.assert_allclose(lifted, POINTS, atol=1e-9)


def test_projection_without_calibration_is_a_pinhole():
    camera = default_camera_matrix((480, 640))
    pixels = project_points(np.array([[0.0, 0.0, 5.0], [1.0, -2.0, 10.0]]), camera)
    np.testing.assert_allclose(pixels, [[320, 240], [440, 0]])
    assert camera.dtype == np.float32
    assert camera.shape == (3, 4)
    assert default_camera_matrix((480, 640), 500.0)[0, 0] == 500


def test_locations_are_the_bottom_of_the_object():
    heights = np.array([2.0, 1.0, 3.0])
    centers = project_points(POINTS, CAMERA)
    locations = object_locations(centers, POINTS[:, 2] + CAMERA[2, 3], heights, CAMERA)
    np.testing.assert_allclose(
        locations - POINTS, [[0, 1, 0], [0, 0.5, 0], [0, 1.5, 0]], atol=1e-9
    )


def test_yaw_and_alpha_differ_by_the_angle_of_the_ray():
    columns = np.array([300.0, 1000.0, -400.0])
    alpha = np.array([0.3, 3.0, -3.0])
    yaw = yaw_from_alpha(alpha, columns, CAMERA)
    # The ray to column 1000 leaves at 45 degrees; sums beyond half a turn are wrapped.
    expected = [0.3, 3.0 + np.pi / 4 - 2 * np.pi, -3.0 - np.pi / 4 + 2 * np.pi]
    np.testing.assert_allclose(yaw, expected)
    np.testing.assert_allclose(alpha_from_yaw(yaw, columns, CAMERA), alpha)


@pytest.mark.parametrize('alpha', np.linspace(-3.1, 3.1, 9))
def test_bins_say_the_angle(alpha):
    rotation = np.zeros((1, 8))
    for index, center in enumerate((-np.pi / 2, np.pi / 2)):
        nearest = np.cos(alpha - center)
        rotation[0, 4 * index : 4 * index + 4] = (
            -nearest, nearest, np.sin(alpha - center), np.cos(alpha - center)
        )  # fmt: skip
    received = alpha_from_bins(rotation)
    assert received.shape == (1,)
    assert np.sin(received[0]) == pytest.approx(np.sin(alpha))
    assert np.cos(received[0]) == pytest.approx(np.cos(alpha))


def test_only_the_logit_of_being_in_a_bin_decides():
    rotation = np.array([[9.0, 1.0, 0.0, 1.0, -9.0, 0.5, 0.0, 1.0]], np.float32)
    received = alpha_from_bins(rotation)
    assert received.dtype == np.float32
    assert received[0] == pytest.approx(-np.pi / 2)


def test_corners_of_a_box_that_looks_along_x():
    size, place = np.array([[1.5, 2.0, 4.0]]), np.array([[10.0, 1.0, 20.0]])
    corners = box_corners(size, place, np.zeros(1))[0]
    np.testing.assert_allclose(corners.min(axis=0), [8, -0.5, 19])
    np.testing.assert_allclose(corners.max(axis=0), [12, 1, 21])
    np.testing.assert_allclose(corners[:4, 1], 1)
    np.testing.assert_allclose(corners[[0, 1, 4, 5], 0], 12)
    np.testing.assert_allclose(corners[0], [12, 1, 21])


def test_boxes_turn_about_the_vertical_axis():
    size, place = np.array([[1.5, 2.0, 4.0]]), np.array([[10.0, 1.0, 20.0]])
    quarter = np.array([np.pi / 2])
    line = heading_lines(size, place, quarter)[0]
    # A quarter turn from x looks at the camera.
    np.testing.assert_allclose(line, [[10, 1, 20], [10, 1, 16]], atol=1e-9)
    corners = box_corners(size, place, quarter)[0]
    np.testing.assert_allclose(corners.max(axis=0) - corners.min(axis=0), [2, 1.5, 4])


def test_no_objects():
    none, angles = np.zeros((0, 3)), np.zeros(0)
    assert box_corners(none, none, angles).shape == (0, 8, 3)
    assert heading_lines(none, none, angles).shape == (0, 2, 3)
    assert lift_points(np.zeros((0, 2)), angles, CAMERA).shape == (0, 3)
    assert alpha_from_bins(np.zeros((0, 8))).shape == (0,)
    assert yaw_from_alpha(angles, angles, CAMERA).shape == (0,)
