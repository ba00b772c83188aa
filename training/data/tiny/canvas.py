"""Drawing with fractions of a pixel: everything is drawn finely and averaged in the end.

Coordinates are continuous, pixel `i` covers `[i, i + 1)`; sizes are (height, width) in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import BoolArray, FloatArray, Image, IntArray

# Fine pixels along the side of a pixel.
FINENESS = 4

Size = tuple[int, int]
Points = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Layer:
    """One object as it would be seen alone.

    Attributes:
        colours: (FINENESS H, FINENESS W, 3) uint8 BGR.
        mask: (FINENESS H, FINENESS W) which of them belong to the object.
    """

    colours: Image
    mask: BoolArray


@dataclass(frozen=True)
class Picture:
    """Layers on top of each other.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        owners: (FINENESS H, FINENESS W) int64, number of the layer that is seen, -1 for none.
        visibilities: per layer the share of its part inside the picture that nothing covers; 0
            where no part is inside.
    """

    image: Image
    owners: IntArray
    visibilities: tuple[float, ...]


def fine_size(size: Size) -> Size:
    """(rows, columns) of fine pixels."""
    return size[0] * FINENESS, size[1] * FINENESS


def polygon_mask(corners: Points, size: Size) -> BoolArray:
    """Fine pixels whose middles are inside a convex polygon with `corners` (P, 2) in order."""
    mask, window, middles = _window(corners.min(axis=0), corners.max(axis=0), size)
    inside = np.ones(middles.shape[:2], bool)
    sides = np.roll(corners, -1, axis=0) - corners
    # To the right of every side, or to the left of every side.
    turn = np.sign(sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0])
    for corner, (x, y) in zip(corners, turn * sides, strict=True):
        away = middles - corner
        inside &= x * away[..., 1] - y * away[..., 0] >= 0
    mask[window] = inside
    return mask


def capsule_mask(start: Points, end: Points, radius: float, size: Size) -> BoolArray:
    """Fine pixels nearer than `radius` to the line from `start` (2,) to `end` (2,)."""
    low, high = np.minimum(start, end) - radius, np.maximum(start, end) + radius
    mask, window, middles = _window(low, high, size)
    step = end - start
    along = ((middles - start) @ step) / max(float(step @ step), 1e-9)
    nearest = start + np.clip(along, 0, 1)[..., None] * step
    mask[window] = np.square(middles - nearest).sum(axis=2) <= radius * radius
    return mask


def fine_texture(
    size: Size, cell: float, contrast: float, generator: np.random.Generator
) -> FloatArray:
    """Soft random pattern around 1 on fine pixels (FINENESS H, FINENESS W).

    Args:
        size: in pixels.
        cell: size of its blobs in pixels.
        contrast: standard deviation.
        generator: source of randomness.
    """
    rows, columns = (max(2, round(length / cell)) for length in size)
    coarse = generator.normal(0, contrast, (rows, columns)).astype(np.float32)
    height, width = fine_size(size)
    return 1 + cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def background(size: Size, generator: np.random.Generator) -> Image:
    """Coloured texture on fine pixels (FINENESS H, FINENESS W, 3) uint8."""
    colour = generator.uniform(60, 130, 3)
    tones = [
        fine_texture(size, 12, 0.25, generator) * fine_texture(size, 3, 0.08, generator)
        for _ in range(3)
    ]
    return shaded(colour, np.stack(tones, axis=2))


def shaded(colour: Points, tone: Points) -> Image:
    """A colour (3,) times tones (..., 3) as uint8."""
    return np.clip(colour * tone, 0, 255).astype(np.uint8)


def overlaid(behind: Image, layers: Sequence[Layer]) -> Picture:
    """The picture of layers over a background on fine pixels, the last layer in front."""
    canvas = behind.copy()
    owners = np.full(behind.shape[:2], -1, np.int64)
    for number, layer in enumerate(layers):
        canvas[layer.mask] = layer.colours[layer.mask]
        owners[layer.mask] = number
    visibilities = tuple(
        float((owners == number).sum() / max(1, layer.mask.sum()))
        for number, layer in enumerate(layers)
    )
    width, height = canvas.shape[1] // FINENESS, canvas.shape[0] // FINENESS
    image = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    return Picture(image, owners, visibilities)


def fine_coordinates(points: Points) -> Points:
    """Points (..., 2) in fine pixels, whose middles are whole numbers as in OpenCV."""
    return points * FINENESS - 0.5


def _window(
    low: Points, high: Points, size: Size
) -> tuple[BoolArray, tuple[slice, slice], Points]:
    """An empty mask, its part between two points, and the middles (h, w, 2) of that part.

    Over the whole picture, drawing would take ten times as long.
    """
    mask = np.zeros(fine_size(size), bool)
    left, top = np.maximum(np.floor(low * FINENESS), 0).astype(int)
    right, bottom = np.maximum(np.ceil(high * FINENESS), 0).astype(int)
    window = slice(top, bottom), slice(left, right)
    y, x = np.indices(mask[window].shape)
    return mask, window, (np.stack([x + left, y + top], axis=2) + 0.5) / FINENESS
