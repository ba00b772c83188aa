"""From pixels, depths and angles to boxes in space, and back.

Everything is in the camera's optical frame: x right, y down, z forward, metres. A camera matrix
(3, 4) maps homogeneous points of that frame to pixels; its fourth column is not zero for the
second camera of a stereo pair. As in KITTI, the location of an object is the middle of its
bottom, its dimensions are height, width, length, `yaw` turns about y (0 = the object's front
points along x), and `alpha` is the yaw as the camera sees it: less the angle of the ray that
leads to the object. Angles are radians.

Results have the precision of what comes in: float32 if everything is float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.floating[Any]]

# Middle of the two bins of `alpha_from_bins`; each is active for the angles of its half circle
# and pi / 6 beyond both ends.
BIN_CENTERS = (-np.pi / 2, np.pi / 2)
# Signs of half a length and half a width, and shares of the height, of the eight corners.
CORNER_SIGNS = ((1, 0, 1), (1, 0, -1), (-1, 0, -1), (-1, 0, 1),
                (1, -1, 1), (1, -1, -1), (-1, -1, -1), (-1, -1, 1))  # fmt: skip


def default_camera_matrix(
    image_size: tuple[int, ...], focal_length: float = 1200.0
) -> NDArray[np.float32]:
    """Camera matrix (3, 4) for images of (height, width) pixels from an unknown camera.

    CenterTrack's assumption for images without calibration (`_get_default_calib` in
    `detector.py`): its `rest_focal_length` and the principal point in the middle.
    """
    height, width = image_size[:2]
    return np.array(
        [[focal_length, 0, width / 2, 0], [0, focal_length, height / 2, 0], [0, 0, 1, 0]],
        np.float32,
    )


def project_points(points: Reals, camera_matrix: Reals) -> Reals:
    """Pixels (..., 2) of points (..., 3); as `project_to_image` in CenterTrack's `ddd_utils.py`.

    A point in the plane of the camera gives no finite pixel, one behind it a mirrored one.
    """
    ones = np.ones_like(points[..., :1])
    projected = np.concatenate((points, ones), axis=-1) @ camera_matrix.T
    pixels: Reals = projected[..., :2] / projected[..., 2:]
    return pixels


def lift_points(points_px: Reals, depths: Reals, camera_matrix: Reals) -> Reals:
    """Points (N, 3) that are seen at pixels (N, 2) with depths (N,).

    A depth is the third row of the camera matrix times the point, so it differs from the point's
    z where the matrix has an entry in its last corner; `unproject_2d_to_3d` in `ddd_utils.py`.
    """
    z = depths - camera_matrix[2, 3]
    focal_lengths = np.stack((camera_matrix[0, 0], camera_matrix[1, 1]))
    shifted = points_px * depths[:, None] - camera_matrix[:2, 3]
    across = (shifted - camera_matrix[:2, 2] * z[:, None]) / focal_lengths
    return np.concatenate((across, z[:, None]), axis=1)


def object_locations(
    centers_px: Reals, depths: Reals, heights: Reals, camera_matrix: Reals
) -> Reals:
    """Middle of the bottom (N, 3) of objects whose middle is seen at `centers_px` (N, 2).

    `ddd2locrot` in `ddd_utils.py`; `heights` (N,) are metres.
    """
    locations = lift_points(centers_px, depths, camera_matrix)
    locations[:, 1] += heights / 2
    return locations


def yaw_from_alpha(alpha: Reals, columns_px: Reals, camera_matrix: Reals) -> Reals:
    """Yaw (N,) of objects seen with angle `alpha` (N,) at image columns (N,), from -pi to pi."""
    return _wrapped(alpha + _ray_angles(columns_px, camera_matrix))


def alpha_from_yaw(yaw: Reals, columns_px: Reals, camera_matrix: Reals) -> Reals:
    """Angle (N,) at which objects with `yaw` (N,) are seen, from -pi to pi."""
    return _wrapped(yaw - _ray_angles(columns_px, camera_matrix))


def alpha_from_bins(rotation: Reals) -> Reals:
    """Angle `alpha` (N,) that the eight channels (N, 8) of the head `rot` say.

    Two bins of four: logits of not being and of being in the bin, sine and cosine of the angle
    from the middle of the bin. The bin with the larger logit of being in it decides, as in
    `get_alpha` in CenterTrack's `post_process.py`; not wrapped, so from -3/2 pi to 3/2 pi.
    """
    bins = rotation.reshape(-1, 2, 4)
    # The second wins a tie.
    chosen = np.where(bins[:, 0, 1] > bins[:, 1, 1], 0, 1)
    values = bins[np.arange(len(bins)), chosen]
    centers = np.asarray(BIN_CENTERS, rotation.dtype)
    alpha: Reals = np.arctan2(values[:, 2], values[:, 3]) + centers[chosen]
    return alpha


def box_corners(dimensions: Reals, locations: Reals, yaw: Reals) -> Reals:
    """Corners (N, 8, 3) of boxes; `compute_box_3d` in `ddd_utils.py`.

    The bottom first, each face from the front, on the side where z grows when yaw is 0, and
    round by way of the other front corner.

    Args:
        dimensions: (N, 3) height, width, length.
        locations: (N, 3) middle of the bottom.
        yaw: (N,).
    """
    height, width, length = dimensions[:, 0], dimensions[:, 1], dimensions[:, 2]
    sizes = np.stack((length / 2, height, width / 2), axis=1)
    signs = np.asarray(CORNER_SIGNS, dimensions.dtype)
    return _placed(signs * sizes[:, None], locations, yaw)


def heading_lines(dimensions: Reals, locations: Reals, yaw: Reals) -> Reals:
    """Lines (N, 2, 3) from the middle of the bottom forward, one length long.

    `compute_orientation_3d` in `ddd_utils.py`; arguments as those of `box_corners`.
    """
    ends = np.zeros((len(dimensions), 2, 3), dimensions.dtype)
    ends[:, 1, 0] = dimensions[:, 2]
    return _placed(ends, locations, yaw)


def _placed(points: Reals, locations: Reals, yaw: Reals) -> Reals:
    """Points (N, P, 3) turned about y by `yaw` (N,) and moved to `locations` (N, 3)."""
    sine, cosine = np.sin(yaw).astype(points.dtype), np.cos(yaw).astype(points.dtype)
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    turned = np.stack(
        (cosine[:, None] * x + sine[:, None] * z, y, cosine[:, None] * z - sine[:, None] * x),
        axis=-1,
    )
    return turned + locations[:, None]


def _ray_angles(columns_px: Reals, camera_matrix: Reals) -> Reals:
    angles: Reals = np.arctan2(columns_px - camera_matrix[0, 2], camera_matrix[0, 0])
    return angles


def _wrapped(angles: Reals) -> Reals:
    """Sums and differences of angles moved by at most one turn, to within -pi and pi."""
    turn = np.asarray(2 * np.pi, angles.dtype)
    wrapped: Reals = angles - turn * (angles > np.pi) + turn * (angles < -np.pi)
    return wrapped
