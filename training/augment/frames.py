"""Geometry of one frame: picture and labels together."""

from __future__ import annotations

import cv2

from centertrack_ros.datatypes import Image
from training.data.labels import LabelledFrame, Reals, opencv_matrix


def warp_frame(
    frame: LabelledFrame,
    matrix: Reals,
    size: tuple[int, int],
    *,
    pixel_middle: float = 0.5,
    hulls: bool = True,
) -> LabelledFrame:
    """The frame after an affine map (2, 3), cut to `size` (height, width); black outside.

    Args:
        frame: not changed.
        matrix: of coordinates, see `pixel_middle`.
        size: of the result.
        pixel_middle: coordinate of the middle of the first pixel; 0 in the originals.
        hulls: see `FrameLabels.warped`.
    """
    image = warp_image(frame.image, matrix, size, pixel_middle=pixel_middle)
    return LabelledFrame(image, frame.labels.warped(matrix, hulls=hulls))


def warp_image(
    image: Image, matrix: Reals, size: tuple[int, int], *, pixel_middle: float = 0.5
) -> Image:
    """The image (h, w, 3) after an affine map, see `warp_frame`.

    The same to the bit as `cv2.warpAffine`, which takes twice as long with three channels.
    """
    four = cv2.warpAffine(
        cv2.cvtColor(image, cv2.COLOR_BGR2BGRA),
        opencv_matrix(matrix, pixel_middle),
        (size[1], size[0]),
        flags=cv2.INTER_LINEAR,
    )
    return cv2.cvtColor(four, cv2.COLOR_BGRA2BGR)


def flip_frame(frame: LabelledFrame, *, pixel_middle: float = 0.5) -> LabelledFrame:
    """The frame turned left to right; `pixel_middle` as in `warp_frame`."""
    width = frame.image.shape[1]
    return LabelledFrame(
        cv2.flip(frame.image, 1), frame.labels.flipped(width, pixel_middle=pixel_middle)
    )
