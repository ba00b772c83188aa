"""Image to network input, and the transform that undoes it. Training prepares images here too.

Sizes are (height, width) in pixels unless a name says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from centertrack_ros.affine import affine_matrix
from centertrack_ros.datatypes import FloatArray, FrameTransform, Image
from centertrack_ros.model_spec import ModelSpec

Size = tuple[int, int]

# What the sides of an adaptive input are multiples of.
SIZE_MULTIPLE = 32
# Pixels that an adaptive input may have, as a share of those the model asks for.
LARGEST_SHARE = 1.05


@dataclass(frozen=True)
class Placement:
    """What of an image a network of the originals sees: a window of it, in its own proportions.

    Attributes:
        center: x, y in image pixels, in the middle of the input (the originals' `c`).
        window: width and height in image pixels (their `s`). The width fills that of the input;
            the height has no effect, as the input's decides what is cut off or left black.
        image_size: of the image, after the scaling for a test at several scales.
        input_size: of the network input.
    """

    center: tuple[float, float]
    window: tuple[float, float]
    image_size: Size
    input_size: Size

    @property
    def transform(self) -> FrameTransform:
        """Between the (scaled) image and the network input."""
        return centertrack_transform(self.center, self.window, self.image_size, self.input_size)

    def matrix(self, stride: int = 1) -> NDArray[np.float64]:
        """Map (2, 3) to network input pixels, or to cells of a map with `stride`."""
        height, width = self.input_size
        return affine_matrix(self.center, self.window, 0.0, (width // stride, height // stride))


def fixed_placement(image_size: Size, input_size: Size, *, test_scale: float = 1.0) -> Placement:
    """The longer side of the image over the width of an input of one size (`fix_res`).

    An image less wide than the input in proportion loses its top and bottom. As in the original,
    the window of a scaled test is that of the unscaled image.
    """
    height, width = _scaled_size(image_size, test_scale)
    side = float(max(image_size))
    return Placement((width / 2, height / 2), (side, side), (height, width), input_size)


def padded_placement(
    image_size: Size, *, multiple: int = 32, test_scale: float = 1.0
) -> Placement:
    """The image unscaled in the next larger input, at least one pixel more (`keep_res`).

    Args:
        image_size: of the image.
        multiple: of which the input's sides are; the originals' `pad` + 1.
        test_scale: by which the image is scaled before.
    """
    height, width = _scaled_size(image_size, test_scale)
    input_size = (height // multiple + 1) * multiple, (width // multiple + 1) * multiple
    window = (float(input_size[1]), float(input_size[0]))
    return Placement((width // 2, height // 2), window, (height, width), input_size)


def short_side_placement(image_size: Size, short_side: int, *, multiple: int = 64) -> Placement:
    """The shorter side at a fixed length, the longer one rounded up (`fix_short`)."""
    height, width = image_size
    if height < width:
        long_side = _rounded_up(int(width / height * short_side), multiple)
        input_size = (short_side, long_side)
    else:
        long_side = _rounded_up(int(height / width * short_side), multiple)
        input_size = (long_side, short_side)
    window = (float(width), float(height))
    return Placement((width / 2, height / 2), window, image_size, input_size)


def centertrack_transform(
    center: tuple[float, float],
    window: tuple[float, float],
    image_size: Size,
    input_size: Size,
) -> FrameTransform:
    """The map of an original that was given `c` and `s`; arguments as in `Placement`."""
    matrix = affine_matrix(center, window, 0.0, input_size[::-1])
    return FrameTransform(
        scale_x=float(matrix[0, 0]),
        scale_y=float(matrix[1, 1]),
        offset_x=float(matrix[0, 2]),
        offset_y=float(matrix[1, 2]),
        image_width=image_size[1],
        image_height=image_size[0],
        input_width=input_size[1],
        input_height=input_size[0],
        half_pixel_centers=False,
    )


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


def input_size(image_size: tuple[int, ...], spec: ModelSpec) -> Size:
    """Size of the network input for an image of (height, width) pixels.

    That of the model, or for `adaptive` models the one in which the image is largest: of all sizes
    in multiples of 32 that have at most 5 % more pixels than the model asks for, those with the
    largest scale, of these the smallest.
    """
    if spec.resize != 'adaptive':
        return spec.input_height, spec.input_width
    height, width = image_size
    cells = int(LARGEST_SHARE * spec.input_height * spec.input_width) // SIZE_MULTIPLE**2
    best = (0.0, 0, (0, 0))
    for rows in range(1, cells + 1):
        scale = SIZE_MULTIPLE * min(rows / height, cells // rows / width)
        # The smallest sides that hold the scaled image.
        size = (_side(height * scale), _side(width * scale))
        best = max(best, (scale, -size[0] * size[1], size))
    return best[2]


def fit_transform(image_size: tuple[int, ...], spec: ModelSpec) -> FrameTransform:
    """How an image of (height, width) pixels is placed in the input of the model `spec`.

    `letterbox` and `adaptive` scale by one factor and centre the image between black bars, so
    that nothing is cropped. `stretch` fills the input. `centertrack` is `fixed_placement`.
    """
    height, width = image_size
    input_height, input_width = input_size(image_size, spec)
    if spec.resize == 'centertrack':
        return fixed_placement((height, width), (input_height, input_width)).transform
    resized = input_height, input_width
    if spec.resize != 'stretch':
        resized = _letterboxed((height, width), resized)
    return _centred((height, width), resized, (input_height, input_width))


def letterbox_transform(image_size: Size, input_size: Size) -> FrameTransform:
    """How `fit_transform` places an image of (height, width) in an input with `letterbox`."""
    return _centred(image_size, _letterboxed(image_size, input_size), input_size)


def to_input(image: Image, transform: FrameTransform, out: Image | None = None) -> Image:
    """Resize `image` (H, W, 3) into an (input_height, input_width, 3) array.

    Normalisation is part of the network's graph. Bilinear; what the image does not cover is
    black.

    Args:
        image: uint8 BGR of the size that `transform` is for.
        transform: where it is placed.
        out: C-contiguous array to write to, such as a row of a batch; None makes a new one.
    """
    if out is None:
        out = np.empty((transform.input_height, transform.input_width, 3), np.uint8)
    if not transform.half_pixel_centers:
        matrix = np.array(
            [
                [transform.scale_x, 0.0, transform.offset_x],
                [0.0, transform.scale_y, transform.offset_y],
            ]
        )
        input_size = (transform.input_width, transform.input_height)
        cv2.warpAffine(image, matrix, input_size, dst=out, flags=cv2.INTER_LINEAR)
        return out
    width = round(transform.image_width * transform.scale_x)
    height = round(transform.image_height * transform.scale_y)
    left, top = round(transform.offset_x), round(transform.offset_y)
    for bar in (out[:top], out[top + height :], out[:, :left], out[:, left + width :]):
        bar.fill(0)
    # A view: OpenCV writes the pixels in place, which saves one copy of the image.
    inner = out[top : top + height, left : left + width]
    cv2.resize(image, (width, height), dst=inner, interpolation=cv2.INTER_LINEAR)
    return out


def scaled_image(image: Image, size: Size) -> Image:
    """`image` (H, W, 3) at `size`, for tests at several scales; itself if it has that size."""
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR))


def with_mirrored(batch: NDArray[Any], width_axis: int) -> NDArray[Any]:
    """B images or maps, then their mirror images (2 B, ...): the batch of a flip test."""
    return np.concatenate((batch, np.flip(batch, width_axis)))


def normalised(
    images: Image, channel_mean: tuple[float, ...], channel_std: tuple[float, ...]
) -> FloatArray:
    """Images (B, H, W, 3) as the first layer sees them: (B, 3, H, W), as the exported graph.

    Mean and standard deviation are grey levels, in the order of the channels.
    """
    mean, std = np.asarray(channel_mean, np.float32), np.asarray(channel_std, np.float32)
    values: FloatArray = (images.astype(np.float32) - mean) / std
    return values.transpose(0, 3, 1, 2)


def _letterboxed(image_size: Size, input_size: Size) -> Size:
    scale = min(input_size[1] / image_size[1], input_size[0] / image_size[0])
    return max(1, round(image_size[0] * scale)), max(1, round(image_size[1] * scale))


def _centred(image_size: Size, resized: Size, input_size: Size) -> FrameTransform:
    return FrameTransform(
        # From the rounded size, so that the map describes the pixels exactly.
        scale_x=resized[1] / image_size[1],
        scale_y=resized[0] / image_size[0],
        offset_x=float((input_size[1] - resized[1]) // 2),
        offset_y=float((input_size[0] - resized[0]) // 2),
        image_width=image_size[1],
        image_height=image_size[0],
        input_width=input_size[1],
        input_height=input_size[0],
    )


def _scaled_size(image_size: Size, test_scale: float) -> Size:
    return int(image_size[0] * test_scale), int(image_size[1] * test_scale)


def _side(length: float) -> int:
    # Less than a thousandth of a pixel is rounding.
    return max(1, math.ceil((length - 1e-3) / SIZE_MULTIPLE)) * SIZE_MULTIPLE


def _rounded_up(value: int, multiple: int) -> int:
    return (value + multiple - 1) // multiple * multiple
