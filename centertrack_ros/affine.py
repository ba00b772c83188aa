"""The affine maps of CenterTrack and CenterNet: made of a centre, a size and an angle.

Training on their targets and weights that come from them need these maps to the last digit;
everything else uses `FrameTransform`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Reals = NDArray[np.floating[Any]]


def affine_matrix(
    center: ArrayLike,
    scale: ArrayLike,
    rotation_degrees: float,
    output_size: ArrayLike,
    *,
    shift: ArrayLike = (0.0, 0.0),
    inverse: bool = False,
) -> NDArray[np.float64]:
    """Map (2, 3) that puts a square of the image, turned, over the width of the output.

    Follows `get_affine_transform` in `utils/image.py` of CenterTrack and CenterNet. A pixel's
    coordinate is that of its middle; there is no half-pixel shift.

    Args:
        center: x, y in image pixels; lands in the middle of the output.
        scale: side of the square in image pixels. Of a pair only the width counts, but for
            `shift`.
        rotation_degrees: angle by which the image turns, counterclockwise as one sees it.
        output_size: width and height of the output in its pixels or cells.
        shift: x, y by which `center` moves, in units of `scale`.
        inverse: map the output to the image instead.
    """
    sizes = np.broadcast_to(np.asarray(scale, np.float32), 2)
    width, height = (float(value) for value in np.asarray(output_size))
    angle = np.pi * rotation_degrees / 180
    up = 0.5 * sizes[0] * np.array([np.sin(angle), -np.cos(angle)], np.float64)
    middle = np.asarray(center, np.float32)
    moved = sizes * np.asarray(shift, np.float32)
    # In this order: the sum is rounded once.
    source = _similar_points(middle + moved, middle + up + moved)
    target_middle = np.array([width / 2, height / 2])
    target = _similar_points(target_middle, target_middle - [0.0, width / 2])
    pair = (target, source) if inverse else (source, target)
    return np.asarray(cv2.getAffineTransform(*pair), np.float64)


def transform_points(points: Reals, matrix: Reals) -> Reals:
    """Points (..., 2) after the affine map (2, 3); float32 if both are, otherwise float64."""
    moved: Reals = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def _similar_points(first: Reals, second: Reals) -> NDArray[np.float32]:
    """Two points and the one at a right angle to them at `second`: (3, 2).

    The rounding to float32 moves mapped points by up to 2e-3 px where the scales are large; it
    is part of the map, as recorded targets and results carry it.
    """
    corners = np.stack((first, second)).astype(np.float32)
    along = corners[0] - corners[1]
    third = corners[1] + np.array([-along[1], along[0]], np.float32)
    return np.concatenate((corners, third[None]))
