"""Boxes in space drawn into the image that their camera took."""

from __future__ import annotations

import cv2
import numpy as np

from centertrack_ros.camera_geometry import Reals, box_corners
from centertrack_ros.datatypes import FloatArray, Image, IntArray, TrackedBoxes3D
from centertrack_ros.drawing import REFERENCE_HEIGHT_PX, Color, track_color

# Metres before the camera up to which edges are drawn: behind it they would come out mirrored.
NEAR = 0.1
# Pairs of corners of `box_corners`: bottom, top, uprights.
EDGES = np.array([(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4),
                  (0, 4), (1, 5), (2, 6), (3, 7)])  # fmt: skip
# Of the front: what is drawn across it, and its corners in turn.
CROSS = np.array([(0, 5), (1, 4)])
FRONT = np.array([0, 1, 5, 4])
FRONT_OPACITY = 0.25
# OpenCV draws with 32 bits, and slowly what lies far outside.
FARTHEST_PX = 1 << 20


def draw_boxes_3d(
    image: Image, boxes_3d: TrackedBoxes3D, camera_matrix: FloatArray, ids: IntArray
) -> Image:
    """Draw wire boxes on a copy of an image, in the colours of their ids.

    The front face is tinted and crossed, so that the heading can be seen. Farther boxes come
    first. What lies behind the camera is cut off.

    Args:
        image: (H, W, 3) uint8 BGR; it is not written to.
        boxes_3d: N boxes in the camera's optical frame; unknown ones are not drawn.
        camera_matrix: (3, 4), pixels of this image.
        ids: (N,) of their tracks.

    Returns:
        (H, W, 3) uint8 BGR, a new array.
    """
    canvas = np.array(image, order='C')
    width = max(1, round(1.5 * canvas.shape[0] / REFERENCE_HEIGHT_PX))
    matrix = np.asarray(camera_matrix, np.float64)
    rows = np.flatnonzero(boxes_3d.known)
    rows = rows[np.argsort(-boxes_3d.middles[rows, 2], kind='stable')]
    corners = _corners(boxes_3d)
    for row in rows.tolist():
        color = track_color(int(ids[row]))
        # Homogeneous pixels; the third is the depth.
        projected = np.column_stack((corners[row], np.ones(8))) @ matrix.T
        _tint(canvas, projected[FRONT], color)
        _draw_lines(canvas, projected[EDGES], color, width)
        _draw_lines(canvas, projected[CROSS], color, max(1, width // 2))
    return canvas


def _corners(boxes_3d: TrackedBoxes3D) -> Reals:
    """(N, 8, 3) metres."""
    dimensions = boxes_3d.dimensions.astype(np.float64)
    bottoms = boxes_3d.middles.astype(np.float64)
    bottoms[:, 1] += dimensions[:, 0] / 2
    return box_corners(dimensions, bottoms, boxes_3d.yaws.astype(np.float64))


def _draw_lines(canvas: Image, lines: Reals, color: Color, width: int) -> None:
    """Draw lines (L, 2, 3) between homogeneous pixels, cut at the near plane."""
    lines = lines[(lines[..., 2] >= NEAR).any(axis=1)]
    for line in lines:
        first, second = _pixels(_clipped(line)).tolist()
        cv2.line(canvas, first, second, color, width, lineType=cv2.LINE_AA)


def _tint(canvas: Image, face: Reals, color: Color) -> None:
    """Tint a face (4, 3) of homogeneous pixels if all of it is before the camera."""
    if (face[:, 2] < NEAR).any():
        return
    points = _pixels(face)
    left, top = np.maximum(points.min(axis=0), 0).tolist()
    right, bottom = (np.minimum(points.max(axis=0) + 1, canvas.shape[1::-1])).tolist()
    if left >= right or top >= bottom:
        return
    part = canvas[top:bottom, left:right]
    filled = part.copy()
    cv2.fillConvexPoly(filled, (points - (left, top)).astype(np.int32), color)
    cv2.addWeighted(filled, FRONT_OPACITY, part, 1 - FRONT_OPACITY, 0, dst=part)


def _clipped(line: Reals) -> Reals:
    """The part of a line (2, 3) before the near plane; one of its ends lies there."""
    depths = line[:, 2]
    if depths.min() >= NEAR:
        return line
    near, far = int(depths.argmin()), int(depths.argmax())
    share = (NEAR - depths[near]) / (depths[far] - depths[near])
    cut = line.copy()
    cut[near] += share * (line[far] - line[near])
    # Rounding must not leave it a little behind.
    cut[near, 2] = NEAR
    return cut


def _pixels(points: Reals) -> IntArray:
    """Whole pixels (P, 2) of homogeneous ones (P, 3)."""
    pixels = points[:, :2] / points[:, 2:]
    whole: IntArray = np.rint(pixels.clip(-FARTHEST_PX, FARTHEST_PX)).astype(np.int64)
    return whole
