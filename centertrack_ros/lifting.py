"""Detections with depth and dimensions to boxes in space."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from centertrack_ros.camera_geometry import object_locations, yaw_from_alpha
from centertrack_ros.datatypes import Detections, FloatArray, FrameTransform


@dataclass(frozen=True)
class Boxes3D:
    """Boxes in the camera's optical frame: x right, y down, z forward; see `camera_geometry`.

    Attributes:
        locations: (N, 3) float32 metres, middle of the bottom, as in KITTI.
        dimensions: (N, 3) float32 height, width, length, metres.
        yaws: (N,) float32 radians about y, from -pi to pi.
    """

    locations: FloatArray
    dimensions: FloatArray
    yaws: FloatArray

    def __len__(self) -> int:
        return len(self.yaws)

    @property
    def middles(self) -> FloatArray:
        """(N, 3) float32 metres, middle of the boxes."""
        middles = self.locations.copy()
        middles[:, 1] -= self.dimensions[:, 0] / 2
        return middles


def depth_scale(
    trained_focal_length: float | None,
    camera_matrix: FloatArray | None,
    transform: FrameTransform,
) -> float:
    """Factor for the depths of a network that looks through another camera than it learnt with.

    A network tells depth by how large things are in its input, and that is their size over their
    depth times the focal length in pixels of the input. CenterTrack has it as `depth_scale`.

    Args:
        trained_focal_length: see `ModelSpec`; None = no correction.
        camera_matrix: (3, 4), pixels of the image; None = unknown, no correction.
        transform: between image and network input. Where it stretches, the mean (geometric) of
            both axes counts.
    """
    if trained_focal_length is None or camera_matrix is None:
        return 1.0
    across = float(camera_matrix[0, 0]) * transform.scale_x
    down = float(camera_matrix[1, 1]) * transform.scale_y
    return math.sqrt(across * down) / trained_focal_length


def lift_detections(detections: Detections, camera_matrix: FloatArray) -> Boxes3D:
    """Boxes in space of objects seen in an image.

    Section 6.1 of CenterTrack's paper, `generic_post_process` and `ddd2locrot` of its code.

    Args:
        detections: with depth (of this camera, see `depth_scale`), dimensions, alpha and amodal
            centres.
        camera_matrix: (3, 4), pixels of the image that the detections are in; of a rectified
            image (`p` of sensor_msgs/CameraInfo).

    Raises:
        ValueError: the model does not say one of them, or not such a matrix.
    """
    if camera_matrix.shape != (3, 4):
        raise ValueError(f'camera_matrix: expected (3, 4), received {camera_matrix.shape}')
    depth, dimensions = detections.depth, detections.dimensions
    alpha, centers = detections.alpha, detections.amodal_centers
    if depth is None or dimensions is None or alpha is None or centers is None:
        needed = ('depth', 'dimensions', 'alpha', 'amodal_centers')
        missing = [name for name in needed if getattr(detections, name) is None]
        raise ValueError(f'detections: expected those of a 3D model, {missing} are missing')
    locations = object_locations(centers, depth, dimensions[:, 0], camera_matrix)
    yaws = yaw_from_alpha(alpha, centers[:, 0], camera_matrix)
    return Boxes3D(locations.astype(np.float32), dimensions, yaws.astype(np.float32))
