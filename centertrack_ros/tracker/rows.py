"""State of the robust tracker: one row per track, changed only by making new arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from centertrack_ros.datatypes import BoolArray, Detections, FloatArray, IntArray
from centertrack_ros.tracker.motion import (
    Motion,
    boxes_from_values,
    correct,
    start,
    values_from_boxes,
)

# Sum of scores: about ten sure detections in a row make a track change its class.
MOST_VOTES = np.float32(5)


@dataclass(frozen=True)
class Rows:
    """State of N tracks, oldest first; names as in `Tracks`.

    Attributes:
        lost_time: (N,) float32, seconds since the last detection.
        weak_time: (N,) float32, seconds since the last detection with a good score.
        seen_at: (N, 2) float32, filtered centre when last seen, in pixels of the latest image.
        class_votes: (N,) float32, scores for the track's class less those for others; when it
            would fall below zero, the class gives way to the one seen (majority vote in
            constant memory, Boyer and Moore 1981).
        confirmed: (N,) bool, False until a new track may be reported.
        boxes: (N, 4) float32, what is published.
    """

    ids: IntArray
    classes: IntArray
    class_votes: FloatArray
    scores: FloatArray
    hits: IntArray
    misses: IntArray
    lost_time: FloatArray
    weak_time: FloatArray
    seen_at: FloatArray
    confirmed: BoolArray
    boxes: FloatArray
    centers: FloatArray
    detection_indices: IntArray
    motion: Motion

    def __getitem__(self, index: IntArray | BoolArray | slice) -> Rows:
        """Rows chosen by an index array, a mask or a slice."""
        return Rows(**{name: array[index] for name, array in vars(self).items()})


@dataclass(frozen=True)
class Measurements:
    """Boxes of N detections, and how far they are believed.

    Attributes:
        values: (N, 4) float32, centre x, centre y, width, height, image pixels.
        noise: (N,) float32, factor for the standard deviation of each.
        smoothing: (N,) float32, 0 = the centre is published as measured, 1 = as filtered.
        strong: (N,) bool, detections of the first round.
        good: (N,) bool, those whose scores show that the object is still there.
    """

    values: FloatArray
    noise: FloatArray
    smoothing: FloatArray
    strong: BoolArray
    good: BoolArray


def with_detections(
    rows: Rows, matches: IntArray, detections: Detections, measured: Measurements
) -> Rows:
    """The matched tracks take their detections; `rows` are all tracks, advanced to this image."""
    tracks, seen = matches[:, 0], matches[:, 1]
    values = measured.values[seen]
    corrected = correct(rows.motion[tracks], values, measured.noise[seen])
    # Centres of sure boxes are published as measured, sizes filtered: sizes change slowly and
    # are measured worse, while a filtered centre lags behind a shaking camera.
    published = corrected.values.copy()
    published[:, :2] -= values[:, :2]
    published[:, :2] *= measured.smoothing[seen, None]
    published[:, :2] += values[:, :2]
    scores, hits = detections.scores[seen], rows.hits[tracks] + 1
    classes, votes = _vote(
        rows.classes[tracks], rows.class_votes[tracks], detections.classes[seen], scores
    )
    motion = Motion(
        _put(rows.motion.values, tracks, corrected.values),
        _put(rows.motion.rates, tracks, corrected.rates),
        _put(rows.motion.covariances, tracks, corrected.covariances),
    )
    return replace(
        rows,
        classes=_put(rows.classes, tracks, classes),
        class_votes=_put(rows.class_votes, tracks, votes),
        scores=_put(rows.scores, tracks, scores),
        hits=_put(rows.hits, tracks, hits),
        misses=_put(rows.misses, tracks, 0),
        lost_time=_put(rows.lost_time, tracks, 0.0),
        weak_time=_put(rows.weak_time, tracks[measured.good[seen]], 0.0),
        seen_at=_put(rows.seen_at, tracks, corrected.values[:, :2]),
        confirmed=_put(rows.confirmed, tracks, True),
        boxes=_put(rows.boxes, tracks, boxes_from_values(published)),
        centers=_put(rows.centers, tracks, detections.centers[seen]),
        detection_indices=_put(rows.detection_indices, tracks, seen),
        motion=motion,
    )


def born_rows(
    detections: Detections, chosen: IntArray, ids: IntArray, *, confirmed: BoolArray
) -> Rows:
    """New tracks from the chosen detections."""
    boxes = detections.boxes[chosen]
    values = values_from_boxes(boxes)
    count = len(ids)
    return Rows(
        ids=ids,
        classes=detections.classes[chosen],
        class_votes=detections.scores[chosen],
        scores=detections.scores[chosen],
        hits=np.ones(count, np.int64),
        misses=np.zeros(count, np.int64),
        lost_time=np.zeros(count, np.float32),
        weak_time=np.zeros(count, np.float32),
        seen_at=values[:, :2],
        confirmed=confirmed,
        boxes=boxes,
        centers=detections.centers[chosen],
        detection_indices=chosen,
        motion=start(values),
    )


def _vote(
    classes: IntArray, votes: FloatArray, seen: IntArray, scores: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Classes and votes (N,) of tracks after they have seen classes (N,) with scores (N,)."""
    votes = votes + np.where(classes == seen, scores, -scores)
    # Bounded, so that a long life does not make a class unchangeable.
    return np.where(votes < 0, seen, classes), np.minimum(np.abs(votes), MOST_VOTES)


def _put(array: Any, index: IntArray, values: Any) -> Any:
    """A copy of `array` with `values` at the rows `index`."""
    copy = array.copy()
    copy[index] = values
    return copy


def concatenate(first: Rows, second: Rows | None) -> Rows:
    """The rows of `first`, then those of `second` if there are any."""
    if second is None or len(second.ids) == 0:
        return first
    columns: dict[str, Any] = {
        name: np.concatenate((array, vars(second)[name]))
        for name, array in vars(first).items()
        if name != 'motion'
    }
    columns['motion'] = Motion(
        *(
            np.concatenate((array, vars(second.motion)[name]))
            for name, array in vars(first.motion).items()
        )
    )
    return Rows(**columns)
