"""The prior heatmap, and where objects were in the previous frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from centertrack_ros.datatypes import BoolArray, FloatArray, IntArray
from centertrack_ros.rendering import peak_radii, render_peaks
from training.data.labels import FrameLabels, box_centers, clip_boxes
from training.targets.settings import PriorNoise, TargetSettings

# Less of an object than this is not enough to say where its middle was.
_LEAST_VISIBILITY = 0.05


@dataclass(frozen=True)
class PriorObjects:
    """The objects of a previous frame that a tracker may know of.

    Attributes:
        boxes: (N, 4) float32, pixels of the previous input, clipped to it; never empty.
        track_ids: (N,) int64.
        visibilities: (N,) float32.
    """

    boxes: FloatArray
    track_ids: IntArray
    visibilities: FloatArray

    @property
    def centers(self) -> FloatArray:
        """Middles (N, 2) of the boxes, pixels of the previous input."""
        return box_centers(self.boxes)


def prior_objects(
    previous: FrameLabels, settings: TargetSettings, *, margin: float = 1.0
) -> PriorObjects:
    """Objects with a box in the previous input, in the order of their annotations.

    Args:
        previous: labels in pixels of the previous input.
        settings: shapes and rules.
        margin: boxes end this far before the right and the lower edge of the input.
    """
    boxes, ids = previous.boxes, previous.track_ids
    visibilities = previous.visibilities
    if settings.rules.every_object:
        visibilities = np.ones_like(visibilities)
    if settings.rules.prior_of_ignored and previous.ignore_track_ids is not None:
        single = previous.ignore_track_ids != 0
        boxes = np.concatenate([boxes, previous.ignore_boxes[single]])
        ids = np.concatenate([ids, previous.ignore_track_ids[single]])
        visibilities = np.concatenate([visibilities, np.ones(single.sum(), np.float32)])
        if previous.rows is not None and previous.ignore_rows is not None:
            order = np.argsort(np.concatenate([previous.rows, previous.ignore_rows[single]]))
            boxes, ids, visibilities = boxes[order], ids[order], visibilities[order]
    boxes = clip_boxes(boxes, settings.input_width - margin, settings.input_height - margin)
    drawn = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return PriorObjects(boxes[drawn], ids[drawn], visibilities[drawn])


def previous_centers(
    track_ids: IntArray, previous: FrameLabels, settings: TargetSettings
) -> tuple[FloatArray, BoolArray]:
    """Old centres (N, 2) in output cells of the objects with `track_ids`, and which are known.

    Of tracks that are there more than once the first counts.
    """
    # To the same edge as the boxes of the current frame.
    margin = 1 - 2 * settings.rules.pixel_middle
    objects = prior_objects(previous, settings, margin=margin)
    centers = objects.centers / np.float32(settings.stride)
    usable = np.flatnonzero(objects.visibilities > _LEAST_VISIBILITY)
    row_of = {int(objects.track_ids[row]): row for row in usable[::-1]}
    rows = np.array([row_of.get(int(number), -1) for number in track_ids], np.int64)
    known = rows >= 0
    found = np.zeros((len(rows), 2), np.float32)
    found[known] = centers[rows[known]]
    return found, known


def build_prior_heatmap(
    previous: FrameLabels,
    settings: TargetSettings,
    noise: PriorNoise,
    generator: np.random.Generator,
) -> FloatArray:
    """The prior heatmap (1, H/p, W/p) float32 that a tracker with some faults would draw.

    Hidden objects are lost more often; a peak that is lost keeps its true place as the target of
    the offset (the original takes the jittered one, questioned in CenterTrack#218).
    """
    shape = settings.prior_shape
    # One pixel less, as `rendering.render_prior_heatmap` and the original.
    objects = prior_objects(previous, settings)
    if not len(objects.boxes) or generator.random() < noise.empty:
        return np.zeros((1, *shape), np.float32)
    boxes = objects.boxes / np.float32(settings.prior_heatmap_stride)
    sizes = boxes[:, 2:] - boxes[:, :2]
    centers = box_centers(boxes)
    radii = peak_radii(sizes[:, 1], sizes[:, 0], settings.radius_rule)
    keep = (1 - noise.lost) * np.minimum(objects.visibilities / 0.5, 1.0)
    kept = generator.random(len(boxes)) < keep
    moved = centers + generator.normal(0, noise.jitter, centers.shape) * sizes
    near = generator.random(len(boxes)) < noise.false_near
    if not noise.false_of_lost:
        near &= kept
    beside = centers + generator.normal(0, noise.false_spread, centers.shape) * sizes
    anywhere = generator.uniform(0, 1, (generator.poisson(noise.false_anywhere), 2))
    like = generator.integers(len(boxes), size=len(anywhere))
    peaks = np.concatenate([moved[kept], beside[near], anywhere * shape[::-1]])
    all_radii = np.concatenate([radii[kept], radii[near], radii[like]])
    heights = np.ones(len(peaks))
    if noise.faded > 0:
        faded = generator.random(len(peaks)) < noise.faded
        heights[faded] = generator.uniform(0, 1, int(faded.sum()))
    return render_peaks(peaks, all_radii, heights, shape)[None]
