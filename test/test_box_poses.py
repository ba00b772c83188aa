"""Boxes as messages state them are the boxes of `camera_geometry`."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from centertrack_ros.box_poses import (
    covariances_of,
    dimensions_of,
    pose_covariances_of,
    quaternions_of,
    sizes_of,
    yaws_of,
)
from centertrack_ros.camera_geometry import box_corners, heading_lines
from centertrack_ros.datatypes import TrackedBoxes3D


@pytest.fixture
def boxes():
    generator = np.random.default_rng(3)
    factors = generator.normal(size=(40, 4, 4))
    return TrackedBoxes3D(
        middles=generator.uniform(-20, 20, (40, 3)).astype(np.float32),
        dimensions=generator.uniform(0.5, 5, (40, 3)).astype(np.float32),
        yaws=np.linspace(-np.pi, np.pi, 40, dtype=np.float32),
        velocities=np.zeros((40, 3), np.float32),
        covariances=(factors @ factors.transpose(0, 2, 1)).astype(np.float32),
        known=np.ones(40, np.bool_),
    )


def test_pose_and_size_give_the_corners_of_the_geometry(boxes):
    bottoms = boxes.middles.copy()
    bottoms[:, 1] += boxes.dimensions[:, 0] / 2
    expected = box_corners(boxes.dimensions, bottoms, boxes.yaws)
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    turns = Rotation.from_quat(quaternions_of(boxes.yaws))
    for row, size in enumerate(sizes_of(boxes)):
        corners = turns[row].apply(signs * size / 2) + boxes.middles[row]
        distances = np.linalg.norm(corners[:, None] - expected[row], axis=2)
        # Each corner is one of the eight, and another one each.
        assert sorted(distances.argmin(axis=1)) == list(range(8))
        assert distances.min(axis=1).max() < 1e-4


def test_axes_lead_forward_to_the_left_and_up(boxes):
    turns = Rotation.from_quat(quaternions_of(boxes.yaws))
    forward, left, up = (turns.apply(axis) for axis in np.eye(3))
    lines = heading_lines(boxes.dimensions, boxes.middles, boxes.yaws)
    headings = (lines[:, 1] - lines[:, 0]) / boxes.dimensions[:, 2:]
    np.testing.assert_allclose(forward, headings, atol=1e-5)
    # Down is y of an optical frame.
    np.testing.assert_allclose(up, np.tile([0.0, -1.0, 0.0], (40, 1)), atol=1e-12)
    np.testing.assert_allclose(np.cross(up, forward), left, atol=1e-12)


def test_in_a_frame_of_a_robot_the_heading_is_a_turn_about_z():
    """A box that goes away from the camera is one that goes ahead of the robot."""
    to_robot = Rotation.from_euler('ZYX', [-np.pi / 2, 0, -np.pi / 2])
    away = Rotation.from_quat(quaternions_of(np.array([-np.pi / 2], np.float32))[0])
    np.testing.assert_allclose((to_robot * away).as_matrix(), np.eye(3), atol=1e-6)


def test_round_trips(boxes):
    # Both ends of the range are the same direction.
    difference = yaws_of(quaternions_of(boxes.yaws)) - boxes.yaws
    np.testing.assert_allclose(np.sin(difference), 0, atol=1e-6)
    np.testing.assert_allclose(np.cos(difference), 1, atol=1e-6)
    np.testing.assert_array_equal(dimensions_of(sizes_of(boxes)), boxes.dimensions)
    full = pose_covariances_of(boxes.covariances)
    np.testing.assert_array_equal(covariances_of(full), boxes.covariances)


def test_yaw_is_a_turn_about_y_of_the_frame(boxes):
    full = pose_covariances_of(boxes.covariances).reshape(-1, 6, 6)
    np.testing.assert_array_equal(full[:, 4, 4], boxes.covariances[:, 3, 3])
    np.testing.assert_array_equal(full[:, 4, :3], boxes.covariances[:, 3, :3])
    assert not full[:, [3, 5]].any()
    assert not full[:, :, [3, 5]].any()


def test_no_boxes(boxes):
    none = boxes[np.zeros(40, np.bool_)]
    assert sizes_of(none).shape == (0, 3)
    assert quaternions_of(none.yaws).shape == (0, 4)
    assert yaws_of(np.zeros((0, 4))).shape == (0,)
    assert pose_covariances_of(none.covariances).shape == (0, 36)
    assert covariances_of(np.zeros((0, 36))).shape == (0, 4, 4)
