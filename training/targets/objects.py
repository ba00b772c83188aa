"""Where the objects of a frame lie on the output map, which of them are learnt, in which row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import BoolArray, FloatArray, IntArray
from centertrack_ros.rendering import peak_radii
from training.data.labels import ALL_CLASSES, FrameLabels, Reals, box_centers, clip_boxes
from training.targets.settings import TargetRules, TargetSettings

# Rows, columns of a part of a map.
Area = tuple[slice, slice]


@dataclass(frozen=True)
class PlacedObjects:
    """The N objects of a frame on the output map; everything in cells.

    Attributes:
        settings: shapes and rules.
        labels: the labels, warped to cells.
        boxes: (N, 4) float32 xyxy, clipped to the map.
        centers: (N, 2) float32, of the clipped boxes.
        cells: (N, 2) int64 x, y, the cell of the centre.
        radii: (N,) int64, of the peaks.
        present: (N,) whether there is a box on the map.
        learnt: (N,) whether the object is a positive.
        rows: (N,) int64, row in the targets; M or more, or -1, where there is none.
    """

    settings: TargetSettings
    labels: FrameLabels
    boxes: FloatArray
    centers: FloatArray
    cells: IntArray
    radii: IntArray
    present: BoolArray
    learnt: BoolArray
    rows: IntArray

    def __len__(self) -> int:
        return len(self.rows)

    def in_rows(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values (N, ...) of the learnt objects in their rows of (M, ...), 0 elsewhere."""
        result = np.zeros((self.settings.max_objects, *values.shape[1:]), values.dtype)
        result[self.rows[self.learnt]] = values[self.learnt]
        return result


def place_objects(
    current: FrameLabels, settings: TargetSettings, to_cells: Reals
) -> PlacedObjects:
    """Objects of a frame on the output map.

    Args:
        current: the labels.
        settings: shapes and rules.
        to_cells: affine map (2, 3) from the pixels of `current` to cells of the output map.
    """
    labels = current.warped(to_cells)
    height, width = settings.output_shape
    boxes = clip_to_map(labels.boxes, (height, width), settings.rules)
    sizes = boxes[:, 2:] - boxes[:, :2]
    centers = box_centers(boxes)
    cells = np.minimum(centers.astype(np.int64), np.array([width - 1, height - 1]))
    present = np.asarray((sizes > 0).all(axis=1))
    if settings.rules.annotation_rows:
        rows = np.arange(len(labels)) if labels.rows is None else labels.rows
        present &= rows < settings.max_objects
        order = _learnable(labels, boxes, cells, present, settings)
    else:
        order = _learnable(labels, boxes, cells, present, settings)[: settings.max_objects]
        rows = _rows(order, len(labels), settings.max_objects)
    learnt = np.zeros(len(labels), bool)
    learnt[order] = True
    return PlacedObjects(
        settings=settings,
        labels=labels,
        boxes=boxes,
        centers=centers,
        cells=cells,
        radii=peak_radii(sizes[:, 1], sizes[:, 0], settings.radius_rule),
        present=present,
        learnt=learnt,
        rows=rows,
    )


def ignored_areas(objects: PlacedObjects) -> Iterator[tuple[int, bool, Area]]:
    """Ignored regions: class or `ALL_CLASSES`, whether it is a crowd, part of the map."""
    labels, settings = objects.labels, objects.settings
    boxes = clip_to_map(labels.ignore_boxes, settings.output_shape, settings.rules)
    ids = labels.ignore_track_ids
    crowds = np.ones(len(boxes), bool) if ids is None else ids == 0
    kept = np.ones(len(boxes), bool)
    if settings.rules.annotation_rows:
        rows = labels.ignore_rows
        rows = np.arange(len(labels), len(labels) + len(boxes)) if rows is None else rows
        kept = rows < settings.max_objects
    for row in np.flatnonzero(kept):
        area = covered_area(boxes[row], settings.rules)
        yield int(labels.ignore_classes[row]), bool(crowds[row]), area


def clip_to_map(boxes: FloatArray, shape: tuple[int, int], rules: TargetRules) -> FloatArray:
    """Boxes (N, 4) in cells cut at the edges of a map of `shape` (rows, columns)."""
    beyond = 2 * rules.pixel_middle - 1
    return clip_boxes(boxes, shape[1] + beyond, shape[0] + beyond)


def covered_area(box: FloatArray, rules: TargetRules) -> Area:
    """Rows and columns of the cells that a clipped box (4,) covers."""
    left, top, right, bottom = box.tolist()
    if rules.ignore_touched:
        return slice(int(top), int(bottom) + 1), slice(int(left), int(right) + 1)
    return slice(int(top), int(np.ceil(bottom))), slice(int(left), int(np.ceil(right)))


def class_channels(class_index: int) -> slice:
    """Channels of the heatmap that a region of `class_index` stands for."""
    every = class_index == ALL_CLASSES
    return slice(None) if every else slice(class_index, class_index + 1)


def _learnable(
    labels: FrameLabels,
    boxes: FloatArray,
    cells: IntArray,
    present: BoolArray,
    settings: TargetSettings,
) -> IntArray:
    """Objects to learn, the most visible first, one per cell unless all are wanted."""
    if settings.rules.every_object:
        every: IntArray = np.flatnonzero(present)
        return every
    sizes = boxes[:, 2:] - boxes[:, :2]
    whole = np.maximum(labels.boxes[:, 2:] - labels.boxes[:, :2], 1e-6)
    good = (
        present
        & (labels.visibilities >= settings.min_visibility)
        & (sizes.prod(axis=1) / whole.prod(axis=1) >= settings.min_inside)
        & (sizes.min(axis=1, initial=np.inf) * settings.stride >= settings.min_side)
    )
    order = np.argsort(-labels.visibilities, kind='stable')
    order = order[good[order]]
    _, first = np.unique(cells[order], axis=0, return_index=True)
    chosen: IntArray = order[np.sort(first)]
    return chosen


def _rows(order: IntArray, count: int, max_objects: int) -> IntArray:
    """Row of each object: its own number, or its place in `order` where there are too many."""
    if count <= max_objects:
        return np.arange(count)
    rows = np.full(count, -1)
    rows[order] = np.arange(len(order))
    return rows
