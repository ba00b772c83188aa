"""Masks of objects, from cells of the network's output to pixels of the image."""

from __future__ import annotations

import cv2
import numpy as np

from centertrack_ros.datatypes import BoolArray, FloatArray, FrameTransform

# Share of a pixel from which on it belongs to the object.
MASK_THRESHOLD = 0.5


def masks_to_image(masks: FloatArray, transform: FrameTransform, *, stride: int) -> BoolArray:
    """Pixels of each object: (N, H, W) of the image that `transform` belongs to.

    Bicubic between the middles of cells, as `ctseg_post_process` of CenterNet-CondInst. Outside
    the network's input nothing belongs to an object.

    Args:
        masks: (N, h, w) float32 in [0, 1], share of each output cell.
        transform: between the image and the network input. Without its `half_pixel_centers`, the
            whole numbers of cells are mapped to those of pixels, as the original does.
        stride: network input pixels per output cell.
    """
    size = (transform.image_width, transform.image_height)
    middle = 0.5 if transform.half_pixel_centers else 0.0
    cell_size = transform.vectors_to_image(np.full(2, stride, np.float32))
    first = transform.points_to_image(np.full(2, middle * stride, np.float32)) - middle
    matrix = np.column_stack([np.diag(cell_size), first]).astype(np.float64)
    result = np.zeros((len(masks), size[1], size[0]), np.bool_)
    for mask, pixels in zip(masks, result, strict=True):
        shares = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_CUBIC)
        np.greater(shares, MASK_THRESHOLD, out=pixels)
    return result
