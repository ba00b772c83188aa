"""Boxes in space as messages state them: position, quaternion, sizes along the box's own axes.

Shared by the messages of ROS and those that bags are written with.

The axes of a box are those of a body in REP 103: x forward along its length, y to its left along
its width, z up along its height. Positions and quaternions are in the camera's optical frame (x
right, y down, z forward), so a box whose yaw is 0 faces along the image's x.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import FloatArray, TrackedBoxes3D

Doubles = NDArray[np.float64]

# Fixed axes of the frame, order x, y, z, and turns about them: a yaw turns about y.
_OF_POSE = np.array([0, 1, 2, 4])


def sizes_of(boxes: TrackedBoxes3D) -> Doubles:
    """Sizes (N, 3) along x, y, z of the boxes: length, width, height, metres."""
    return boxes.dimensions[:, ::-1].astype(np.float64)


def dimensions_of(sizes: Doubles) -> FloatArray:
    """Height, width, length (N, 3) of sizes along the axes; undoes `sizes_of`."""
    return sizes[:, ::-1].astype(np.float32)


def quaternions_of(yaws: FloatArray) -> Doubles:
    """Orientations (N, 4) as x, y, z, w of boxes with yaws (N,).

    The turn by yaw about the camera's y, after one of a quarter about x that makes the box stand:
    its z leads up, against the camera's y.
    """
    half = np.asarray(yaws, np.float64) / 2
    share = np.sqrt(0.5)
    sine, cosine = share * np.sin(half), share * np.cos(half)
    return np.stack((cosine, sine, -sine, cosine), axis=1)


def yaws_of(quaternions: Doubles) -> FloatArray:
    """Yaws (N,) from -pi to pi of orientations (N, 4); undoes `quaternions_of`."""
    x, y, z, w = quaternions.T
    # Where the box's x lies in the camera's frame: its first and third part.
    forward_x, backward_z = 1 - 2 * (y * y + z * z), 2 * (y * w - x * z)
    yaws: FloatArray = np.arctan2(backward_z, forward_x).astype(np.float32)
    return yaws


def pose_covariances_of(covariances: FloatArray) -> Doubles:
    """Covariances (N, 36), row-major 6x6, of geometry_msgs/PoseWithCovariance.

    Order x, y, z, turns about the frame's x, y, z. A box stands upright to the camera by
    definition: the variances of the two other turns are 0.

    Args:
        covariances: (N, 4, 4) of x, y, z and yaw.
    """
    full = np.zeros((len(covariances), 6, 6))
    full[:, _OF_POSE[:, None], _OF_POSE] = covariances
    return full.reshape(-1, 36)


def covariances_of(pose_covariances: Doubles) -> FloatArray:
    """Covariances (N, 4, 4) of x, y, z and yaw; undoes `pose_covariances_of`."""
    full = pose_covariances.reshape(-1, 6, 6)
    return full[:, _OF_POSE[:, None], _OF_POSE].astype(np.float32)
