"""Image to network input, and the transform that undoes it. Training prepares images here too."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from centertrack_ros.datatypes import FrameTransform, Image
from centertrack_ros.model_spec import ModelSpec


def check_image(image: Any) -> None:
    """Make sure that `image` is (H, W, 3) uint8 with at least one pixel.

    Raises:
        TypeError: not a numpy array of uint8.
        ValueError: another shape.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        received = getattr(image, 'dtype', type(image).__name__)
        raise TypeError(f'image: expected a numpy array of uint8, received {received}')
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f'image: expected shape (H, W, 3) BGR, received {image.shape}')


def fit_transform(image_size: tuple[int, ...], spec: ModelSpec) -> FrameTransform:
    """How an image of (height, width) pixels is placed in the input of the model `spec`.

    `letterbox` scales by one factor and centres the image between black bars, so that nothing
    is cropped (the original maps the longer side to the input width and cuts off what is above
    and below when the image is taller than the input). `stretch` fills the input.
    """
    height, width = image_size
    if spec.resize == 'stretch':
        resized_width, resized_height = spec.input_width, spec.input_height
    else:
        scale = min(spec.input_width / width, spec.input_height / height)
        resized_width = max(1, round(width * scale))
        resized_height = max(1, round(height * scale))
    return FrameTransform(
        # From the rounded size, so that the map describes the pixels exactly.
        scale_x=resized_width / width,
        scale_y=resized_height / height,
        offset_x=float((spec.input_width - resized_width) // 2),
        offset_y=float((spec.input_height - resized_height) // 2),
        image_width=width,
        image_height=height,
        input_width=spec.input_width,
        input_height=spec.input_height,
    )


def to_input(image: Image, transform: FrameTransform) -> Image:
    """Resize `image` (H, W, 3) into a new (input_height, input_width, 3) array.

    Normalisation is part of the network's graph. Bilinear; the bars of a letterbox are black,
    as the border of the original's warp.
    """
    size = (
        round(transform.image_width * transform.scale_x),
        round(transform.image_height * transform.scale_y),
    )
    if size == (transform.input_width, transform.input_height):
        return np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR))
    result = np.zeros((transform.input_height, transform.input_width, 3), np.uint8)
    left, top = round(transform.offset_x), round(transform.offset_y)
    inner = result[top : top + size[1], left : left + size[0]]
    # `inner` is a view: OpenCV writes the pixels in place, which saves one copy of the image.
    cv2.resize(image, size, dst=inner, interpolation=cv2.INTER_LINEAR)
    return result
