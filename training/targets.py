"""From labels to what the network is to say: heatmap, boxes, sub-pixel and tracking offsets.

Follows `generic_dataset.py` of CenterTrack; differences on purpose are named where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import FloatArray, IntArray
from centertrack_ros.model_spec import RadiusRule
from centertrack_ros.rendering import peak_radii, render_peaks
from training.data.labels import ALL_CLASSES, FrameLabels, box_centers, clip_boxes

Targets = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class TargetSettings:
    """Shape of the targets, and what counts as an object.

    Attributes:
        input_height, input_width: pixels of the network input.
        class_count: C, channels of the heatmap.
        stride: input pixels per output cell.
        prior_heatmap_stride: input pixels per cell of the prior heatmap.
        max_objects: M, rows of the per-object arrays.
        radius_rule: see `rendering.gaussian_radius`.
        min_visibility: objects of which less is visible are no targets, but not background.
        min_inside: the same for objects of which less than this share of the box is inside.
        min_side: the same for objects narrower or lower than this many input pixels.
    """

    input_height: int
    input_width: int
    class_count: int
    stride: int = 4
    prior_heatmap_stride: int = 4
    max_objects: int = 128
    radius_rule: RadiusRule = 'centertrack'
    min_visibility: float = 0.25
    min_inside: float = 0.15
    min_side: float = 4.0


@dataclass(frozen=True)
class PriorNoise:
    """What goes wrong in the prior heatmap, so that the network learns not to trust it blindly.

    Attributes:
        jitter: standard deviation of a peak's place, in widths and heights of its box.
        lost: chance that a fully visible object has no peak.
        false_near: chance that an object has a second peak beside it.
        false_anywhere: mean number of peaks where no object is.
        empty: chance that there is no peak at all, as in the first frame.
    """

    jitter: float = 0.05
    lost: float = 0.3
    false_near: float = 0.1
    false_anywhere: float = 0.3
    empty: float = 0.05


def build_targets(
    current: FrameLabels, previous: FrameLabels, settings: TargetSettings
) -> Targets:
    """Targets of one frame.

    The peak of an object lies in the cell of the centre of its box, clipped to the input; `ltrb`
    is measured from that whole cell, without a half cell added. Objects that are hidden or
    cut off too much keep their peak in the heatmap, which makes their surroundings cheap, but
    are no positives. When two objects share a cell, the more visible one owns it: a cell can
    say only one box.

    Args:
        current: objects of the frame, in input pixels.
        previous: objects of the previous frame, in pixels of its input.
        settings: shapes.

    Returns:
        `heatmap` (C, H/s, W/s) float32 with ignored regions painted 1; per object, with M rows:
        `indices` int64 cell number y * W/s + x, `classes` int64, `mask` float32, `ltrb` (M, 4),
        `reg` (M, 2) and `tracking` (M, 2) float32 in cells, `tracking_mask` float32.
    """
    boxes = clip_boxes(current.boxes, settings.input_width, settings.input_height)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    labels, boxes = current.select(inside), boxes[inside]
    boxes_out = boxes / np.float32(settings.stride)
    centers = box_centers(boxes_out)
    cells = np.minimum(centers.astype(np.int64), np.array(_output_shape(settings)[::-1]) - 1)
    heatmap = _heatmap(labels, boxes_out, cells, settings)
    rows = _positive_rows(labels, boxes, cells, settings)
    previous_centers, known = _previous_centers(labels.track_ids[rows], previous, settings)
    places = cells[rows].astype(np.float32)
    edges = boxes_out[rows]
    values = {
        'indices': cells[rows, 1] * heatmap.shape[2] + cells[rows, 0],
        'classes': labels.classes[rows],
        'mask': np.ones(len(rows), np.float32),
        'ltrb': np.concatenate([places - edges[:, :2], edges[:, 2:] - places], axis=1),
        'reg': centers[rows] - places,
        'tracking': (previous_centers - places) * known[:, None],
        'tracking_mask': known.astype(np.float32),
    }
    padded = {name: _padded(array, settings.max_objects) for name, array in values.items()}
    return {'heatmap': heatmap, **padded}


def build_prior_heatmap(
    previous: FrameLabels,
    settings: TargetSettings,
    noise: PriorNoise,
    generator: np.random.Generator,
) -> FloatArray:
    """The prior heatmap (1, H/p, W/p) float32 that a tracker with some faults would draw.

    Hidden objects are lost more often; a peak that is lost keeps its true place as the target of
    the offset (the original takes the jittered one, questioned in CenterTrack#218), and a false
    peak appears whether or not the object is lost (in the original both vanish together).
    """
    shape = (
        settings.input_height // settings.prior_heatmap_stride,
        settings.input_width // settings.prior_heatmap_stride,
    )
    boxes = _prior_boxes(previous.boxes, settings)
    drawn = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes, visibilities = boxes[drawn], previous.visibilities[drawn]
    if not len(boxes) or generator.random() < noise.empty:
        return np.zeros((1, *shape), np.float32)
    sizes = boxes[:, 2:] - boxes[:, :2]
    centers = box_centers(boxes)
    radii = peak_radii(sizes[:, 1], sizes[:, 0], settings.radius_rule)
    keep = (1 - noise.lost) * np.minimum(visibilities / 0.5, 1.0)
    kept = generator.random(len(boxes)) < keep
    moved = centers + generator.normal(0, noise.jitter, centers.shape) * sizes
    near = generator.random(len(boxes)) < noise.false_near
    beside = centers + generator.normal(0, 0.25, centers.shape) * sizes
    anywhere = generator.uniform(0, 1, (generator.poisson(noise.false_anywhere), 2))
    like = generator.integers(len(boxes), size=len(anywhere))
    peaks = np.concatenate([moved[kept], beside[near], anywhere * shape[::-1]])
    all_radii = np.concatenate([radii[kept], radii[near], radii[like]])
    return render_peaks(peaks, all_radii, np.ones(len(peaks)), shape)[None]


def _output_shape(settings: TargetSettings) -> tuple[int, int]:
    return settings.input_height // settings.stride, settings.input_width // settings.stride


def _prior_boxes(boxes: FloatArray, settings: TargetSettings) -> FloatArray:
    """Boxes in cells of the prior heatmap, clipped as `rendering.render_prior_heatmap` does."""
    clipped = clip_boxes(boxes, settings.input_width - 1, settings.input_height - 1)
    return clipped / np.float32(settings.prior_heatmap_stride)


def _heatmap(
    labels: FrameLabels, boxes_out: FloatArray, cells: IntArray, settings: TargetSettings
) -> FloatArray:
    """One peak per object in the channel of its class; 1 where nothing is to be learnt."""
    shape = _output_shape(settings)
    heatmap = np.zeros((settings.class_count, *shape), np.float32)
    sizes = boxes_out[:, 2:] - boxes_out[:, :2]
    radii = peak_radii(sizes[:, 1], sizes[:, 0], settings.radius_rule)
    for index in np.unique(labels.classes):
        rows = labels.classes == index
        heatmap[index] = render_peaks(cells[rows], radii[rows], np.ones(rows.sum()), shape)
    for area in _ignored_areas(labels, settings):
        heatmap[area] = 1.0
    heatmap[labels.unlabelled_classes] = 1.0
    return heatmap


def _ignored_areas(
    labels: FrameLabels, settings: TargetSettings
) -> Iterator[tuple[slice, slice, slice]]:
    """Channels, rows and columns of the heatmap in which the loss is to be zero."""
    boxes = clip_boxes(labels.ignore_boxes, settings.input_width, settings.input_height)
    boxes = boxes / np.float32(settings.stride)
    for (left, top, right, bottom), index in zip(boxes, labels.ignore_classes, strict=True):
        yield (
            slice(None) if index == ALL_CLASSES else slice(index, index + 1),
            slice(int(np.floor(top)), int(np.ceil(bottom))),
            slice(int(np.floor(left)), int(np.ceil(right))),
        )


def _positive_rows(
    labels: FrameLabels, boxes: FloatArray, cells: IntArray, settings: TargetSettings
) -> IntArray:
    """Rows of the objects to learn, the most visible first, one per cell, at most M."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    whole = np.maximum(labels.boxes[:, 2:] - labels.boxes[:, :2], 1e-6)
    good = (
        (labels.visibilities >= settings.min_visibility)
        & (sizes.prod(axis=1) / whole.prod(axis=1) >= settings.min_inside)
        & (sizes.min(axis=1, initial=np.inf) >= settings.min_side)
    )
    order = np.argsort(-labels.visibilities, kind='stable')
    order = order[good[order]]
    _, first = np.unique(cells[order], axis=0, return_index=True)
    rows: IntArray = order[np.sort(first)][: settings.max_objects]
    return rows


def _previous_centers(
    track_ids: IntArray, previous: FrameLabels, settings: TargetSettings
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Old centres (N, 2) in output cells of the objects with `track_ids`, and which are known."""
    boxes = clip_boxes(previous.boxes, settings.input_width, settings.input_height)
    usable = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (previous.visibilities > 0.05)
    centers = box_centers(boxes) / np.float32(settings.stride)
    row_of = {int(previous.track_ids[row]): row for row in np.flatnonzero(usable)}
    rows = np.array([row_of.get(int(number), -1) for number in track_ids], np.int64)
    known = rows >= 0
    found = np.zeros((len(rows), 2), np.float32)
    found[known] = centers[rows[known]]
    return found, known


def _padded(array: NDArray[Any], length: int) -> NDArray[Any]:
    result = np.zeros((length, *array.shape[1:]), array.dtype)
    result[: len(array)] = array
    return result
