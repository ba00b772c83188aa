"""Targets of instance segmentation: the shape of each object on the output map."""

from __future__ import annotations

import numpy as np

from centertrack_ros.datatypes import FloatArray
from training.data.labels import Outline
from training.targets.objects import PlacedObjects


def object_masks(objects: PlacedObjects) -> dict[str, FloatArray]:
    """Masks of the learnt objects.

    Returns:
        `masks` (M, h, w) float32: 1 in the cells whose middle belongs to the object;
        `masks_mask` (M,) float32: 1 where the shape is known.
    """
    settings = objects.settings
    masks = np.zeros((settings.max_objects, *settings.output_shape), np.float32)
    known = np.zeros(settings.max_objects, np.float32)
    outlines = objects.labels.outlines
    for index in np.flatnonzero(objects.learnt):
        if outlines is not None and outlines[index]:
            row = objects.rows[index]
            masks[row] = fill_outline(
                outlines[index], settings.output_shape, settings.rules.pixel_middle
            )
            known[row] = 1
    return {'masks': masks, 'masks_mask': known}


def fill_outline(
    outline: Outline, shape: tuple[int, int], pixel_middle: float = 0.5
) -> FloatArray:
    """Map of `shape` (rows, columns) that is 1 in the cells whose middle is inside an outline.

    Args:
        outline: polygons (P, 2) in cells.
        shape: of the map.
        pixel_middle: coordinate of the middle of the first cell.
    """
    height, width = shape
    starts = np.concatenate(outline).astype(np.float64)
    ends = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in outline])
    middles = np.arange(height) + pixel_middle
    crossing = (starts[:, 1] <= middles[:, None]) != (ends[:, 1] <= middles[:, None])
    rows, edges = np.nonzero(crossing)
    (x, y), (dx, dy) = starts[edges].T, (ends - starts)[edges].T
    columns = np.ceil(x + (middles[rows] - y) * dx / dy - pixel_middle)
    # Every line crossed on the way from the left edge leads in, or out again.
    crossings = np.zeros((height, width + 1), np.int64)
    np.add.at(crossings, (rows, np.clip(columns, 0, width).astype(np.int64)), 1)
    return (crossings.cumsum(axis=1)[:, :width] % 2).astype(np.float32)
