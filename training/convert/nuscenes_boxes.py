"""Boxes in the frame of a map, seen by a camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.camera_geometry import CORNER_SIGNS, alpha_from_yaw, project_points
from training.convert.nuscenes_rows import Floats
from training.convert.nuscenes_tables import CameraImage, GlobalBox

# Metres: objects that come nearer with a corner are no objects to be learnt, and one corner at
# least has to be seen from further away than `_NEAREST_SEEN`; as in nuScenes' `box_in_image`.
_NEAREST_CORNER = 0.1
_NEAREST_SEEN = 1.0
# Corners of `CORNER_SIGNS` around each side of the box.
_FACES = np.array([(0, 1, 2, 3), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6),
                   (3, 0, 4, 7)])  # fmt: skip


@dataclass(frozen=True)
class SeenBoxes:
    """Boxes that reach into a picture; camera frame of `camera_geometry`, metres, radians.

    Attributes:
        rows: (N,) which of the boxes they are.
        boxes: (N, 4) xyxy, pixels, hull of what is before the camera, cut at the picture.
        whole: (N,) whether all of the box is before the camera and a corner in the picture.
        locations: (N, 3) middle of the bottom.
        dimensions: (N, 3) height, width, length.
        yaws, alphas: (N,), alpha for the column in which the middle is seen.
        centers: (N, 2) pixels in which the middle is seen; only for those that are `whole`.
        velocities: (N, 3) metres per second.
    """

    rows: NDArray[np.int64]
    boxes: Floats
    whole: NDArray[np.bool_]
    locations: Floats
    dimensions: Floats
    yaws: Floats
    alphas: Floats
    centers: Floats
    velocities: Floats

    def hidden(self) -> NDArray[np.bool_]:
        """(N,): wholly before the camera, but inside the outline of something nearer.

        CenterTrack leaves these out; nearer by half its longest side and half the shortest one
        of what it hides.
        """
        depths = self.locations[:, 2]
        far_end = np.where(self.whole, depths + self.dimensions.max(axis=1) / 2, np.inf)
        nearer = far_end[None] < (depths - self.dimensions.min(axis=1) / 2)[:, None]
        inside = (self.boxes[:, None, :2] > self.boxes[None, :, :2]).all(axis=2)
        inside &= (self.boxes[:, None, 2:] < self.boxes[None, :, 2:]).all(axis=2)
        return self.whole & (nearer & inside).any(axis=1)


def see_boxes(boxes: Sequence[GlobalBox], image: CameraImage) -> SeenBoxes:
    """Those of `boxes` that reach into the picture.

    The yaw is the direction of the front as seen from above the camera, and the height counts
    along the camera's y, so a camera that is not level makes both inexact, as in CenterTrack.
    """
    size = np.array([box.size for box in boxes]).reshape(-1, 3)
    middles = np.array([box.middle for box in boxes]).reshape(-1, 3)
    rotations = np.array([box.rotation for box in boxes]).reshape(-1, 3, 3)
    velocities = np.array([box.velocity for box in boxes]).reshape(-1, 3)

    turn, place = image.global_from_camera[:3, :3], image.global_from_camera[:3, 3]
    middles, velocities = (middles - place) @ turn, velocities @ turn
    rotations = turn.T @ rotations
    dimensions = size[:, [2, 0, 1]]
    corners = middles[:, None] + _own_corners(size) @ rotations.transpose(0, 2, 1)

    camera_matrix = np.hstack([image.camera_matrix, np.zeros((3, 1))])
    hulls = _hulls(corners, camera_matrix, image.size[1])
    limits = np.array([image.size[1], image.size[0]] * 2, np.float64)
    clipped = np.clip(hulls, 0, limits)
    rows = np.flatnonzero((clipped[:, 2:] > clipped[:, :2]).all(axis=1))
    with np.errstate(divide='ignore', invalid='ignore'):
        centers = project_points(middles, camera_matrix)
        seen = project_points(corners, camera_matrix)
    in_picture = ((seen > 0) & (seen < limits[:2])).all(axis=2) & (corners[..., 2] > _NEAREST_SEEN)
    whole = in_picture.any(axis=1) & (corners[..., 2] > _NEAREST_CORNER).all(axis=1)
    yaws = -np.arctan2(rotations[:, 2, 0], rotations[:, 0, 0])
    locations = middles + dimensions[:, :1] / 2 * [0, 1, 0]
    return SeenBoxes(
        rows=rows,
        boxes=clipped[rows],
        whole=whole[rows],
        locations=locations[rows],
        dimensions=dimensions[rows],
        yaws=yaws[rows],
        alphas=alpha_from_yaw(yaws, centers[:, 0], camera_matrix)[rows],
        centers=centers[rows],
        velocities=velocities[rows],
    )


def _own_corners(size: Floats) -> Floats:
    """Corners (N, 8, 3) from the middle of boxes of width, length, height (N, 3).

    In the frame of nuScenes' boxes: x to the front, y to the left, z up.
    """
    along, above, aside = np.array(CORNER_SIGNS, np.float64).T
    width, length, height = size.T[:, :, None] / 2
    # CORNER_SIGNS has 0 for the bottom and -1 for the top, because y points down there.
    return np.stack([along * length, aside * width, (-2 * above - 1) * height], axis=2)


def _hulls(corners: Floats, camera_matrix: Floats, width: int) -> Floats:
    """Boxes (N, 4) xyxy around what of the corners (N, 8, 3) is before the camera.

    Of a box that reaches behind the camera only what lies between the left and the right edge of
    the picture counts, because the rest grows without limit. Empty where nothing is left.
    """
    before = corners[..., 2] > _NEAREST_CORNER
    hulls = np.zeros((len(corners), 4))
    whole = before.all(axis=1)
    pixels = project_points(corners[whole], camera_matrix)
    hulls[whole] = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
    x, _, z = camera_matrix[:, :3]
    planes = ((z, -_NEAREST_CORNER), (x, 0.0), (width * z - x, 0.0))
    for row in np.flatnonzero(before.any(axis=1) & ~whole):
        faces = list(corners[row][_FACES])
        for normal, offset in planes:
            faces = [_cut(face, normal, offset) for face in faces]
        points = np.concatenate(faces)
        if len(points):
            cut = project_points(points, camera_matrix)
            hulls[row] = [*cut.min(axis=0), *cut.max(axis=0)]
    return hulls


def _cut(polygon: Floats, normal: Floats, offset: float) -> Floats:
    """The part of a flat polygon (P, 3) where `normal @ point + offset` is not below 0."""
    values = polygon @ normal + offset
    following, next_values = np.roll(polygon, -1, axis=0), np.roll(values, -1)
    crosses = (values < 0) != (next_values < 0)
    shares = (values / np.where(crosses, values - next_values, 1))[:, None]
    crossings = polygon + shares * (following - polygon)
    # Corner, crossing, corner, crossing, ...: those that count, in their order.
    points = np.stack([polygon, crossings], axis=1).reshape(-1, 3)
    return points[np.stack([values >= 0, crosses], axis=1).ravel()]
