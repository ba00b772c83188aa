from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from centertrack_ros.camera_geometry import alpha_from_yaw, project_points
from centertrack_ros.datatypes import Detections
from centertrack_ros.lifting import lift_detections

CAMERA = np.array(
    [[700, 0, 320, 30], [0, 710, 240, -4], [0, 0, 1, 0.01]], np.float32
)  # with the fourth column of a second camera
LOCATIONS = np.array([[1, 1.5, 8], [-4, 1.7, 20], [0, 0, 3]], np.float32)
DIMENSIONS = np.array([[1.5, 1.6, 4], [1.8, 0.6, 0.7], [0.2, 0.3, 0.4]], np.float32)
YAWS = np.array([0.3, -3.1, 3.0], np.float32)


def _detections() -> Detections:
    """What a perfect model sees of three objects."""
    middles = LOCATIONS - np.array([0, 0.5, 0], np.float32) * DIMENSIONS[:, :1]
    centers = project_points(middles, CAMERA).astype(np.float32)
    return Detections(
        boxes=np.zeros((3, 4), np.float32),
        scores=np.ones(3, np.float32),
        classes=np.zeros(3, np.int64),
        centers=centers,
        offsets=np.zeros((3, 2), np.float32),
        depth=middles[:, 2] + CAMERA[2, 3],
        dimensions=DIMENSIONS,
        alpha=alpha_from_yaw(YAWS, centers[:, 0], CAMERA).astype(np.float32),
        amodal_centers=centers,
    )


def test_objects_come_back_where_they_are():
    boxes = lift_detections(_detections(), CAMERA)
    assert len(boxes) == 3
    np.testing.assert_allclose(boxes.locations, LOCATIONS, atol=1e-4)
    np.testing.assert_allclose(boxes.dimensions, DIMENSIONS)
    np.testing.assert_allclose(boxes.yaws, YAWS, atol=1e-5)
    np.testing.assert_allclose(boxes.middles[:, 1], [0.75, 0.8, -0.1], atol=1e-4)
    assert boxes.locations.dtype == boxes.yaws.dtype == boxes.middles.dtype == np.float32


def test_no_objects():
    boxes = lift_detections(_detections()[:0], CAMERA)
    assert boxes.locations.shape == (0, 3)
    assert len(boxes) == 0


def test_a_model_without_depth():
    with pytest.raises(ValueError, match=r"\['depth', 'alpha'\] are missing"):
        lift_detections(replace(_detections(), depth=None, alpha=None), CAMERA)


def test_not_a_camera_matrix():
    with pytest.raises(ValueError, match=r'camera_matrix: expected \(3, 4\), received \(3, 3\)'):
        lift_detections(_detections(), CAMERA[:, :3])
