from __future__ import annotations

import numpy as np

from centertrack_ros.datatypes import Candidates, FrameTransform
from centertrack_ros.decoding import decode

TRANSFORM = FrameTransform(0.5, 0.25, 8.0, 16.0, 400, 300, 216, 91)


def _candidates() -> Candidates:
    return Candidates(
        scores=np.array([[0.9, 0.5, 0.1]], np.float32),
        classes=np.array([[1, 0, 1]]),
        cells=np.array([[[10, 8], [20, 9], [1, 1]]], np.float32),
        boxes=np.array([[[5, 6, 15, 10], [18, 8, 500, 12], [0, 0, 1, 1]]], np.float32),
        tracking=np.array([[[1, -2], [0, 0], [3, 3]]], np.float32),
    )


def test_cells_become_image_pixels():
    detections = decode(_candidates(), TRANSFORM, stride=4, threshold=0.4)
    assert len(detections) == 2
    # x = (cell * 4 - 8) / 0.5, y = (cell * 4 - 16) / 0.25
    np.testing.assert_allclose(detections.boxes[0], [24, 32, 104, 96])
    np.testing.assert_allclose(detections.centers[0], [64, 64])
    np.testing.assert_allclose(detections.offsets[0], [8, -32])
    assert detections.boxes[1, 2] == 400  # clipped to the image
    np.testing.assert_array_equal(detections.classes, [1, 0])


def test_threshold_is_inclusive():
    detections = decode(_candidates(), TRANSFORM, stride=4, threshold=np.float32(0.1))
    assert len(detections) == 3


def test_class_filter():
    detections = decode(
        _candidates(), TRANSFORM, stride=4, threshold=0.0, class_indices=np.array([0])
    )
    np.testing.assert_allclose(detections.scores, [0.5])


def test_nothing_above_the_threshold():
    detections = decode(_candidates(), TRANSFORM, stride=4, threshold=0.95)
    assert len(detections) == 0
    assert detections.boxes.shape == (0, 4)
