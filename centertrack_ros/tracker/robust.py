"""The default tracker: learned offsets, motion, coasting and recovery by low scores.

Built on the idea of CenterTrack (a detection's offset points to where the object was), with what
the original lacks: a motion model in real time, so that occluded objects are found again; a cost
that weighs offset and motion by their uncertainty; optimal assignment; a second round in which
detections with low scores continue tracks but start none (after ByteTrack, arXiv 2110.06864).
All tracks live in arrays; no loop runs over them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from centertrack_ros.association import Pairs, intersection_over_union, match_optimal
from centertrack_ros.datatypes import BoolArray, Detections, FloatArray, IntArray, Tracks
from centertrack_ros.tracker.base import TrackerParameters
from centertrack_ros.tracker.costs import pair_costs
from centertrack_ros.tracker.motion import (
    boxes_from_values,
    predict,
    through_camera,
    values_from_boxes,
)
from centertrack_ros.tracker.rows import (
    Measurements,
    Rows,
    born_rows,
    concatenate,
    with_detections,
)
from centertrack_ros.tracker.tuning import Tuning

# Shortest time by which a lost track ages per image: without it a source whose stamps stand
# still would keep lost tracks for ever.
SHORTEST_STEP = 0.01


class RobustTracker:
    """See the module; parameters in `TrackerParameters`, of which `max_age` is in seconds."""

    def __init__(self, parameters: TrackerParameters, tuning: Tuning | None = None) -> None:
        """Start with no tracks."""
        self.parameters = parameters
        self._tuning = tuning or Tuning()
        self.reset()

    @property
    def follows_camera(self) -> bool:
        """Whether `update` makes use of the motion of the camera."""
        return self.parameters.camera_motion and self._tuning.use_camera

    def reset(self) -> None:
        """Forget all tracks; ids start at 1 again."""
        none = np.zeros(0, np.int64)
        self._rows = born_rows(Detections.empty(), none, none, confirmed=np.zeros(0, np.bool_))
        self._next_id = 1

    def update(
        self, detections: Detections, dt: float, *, camera: FloatArray | None = None
    ) -> Tracks:
        """Take the detections of one image.

        Args:
            detections: objects of the image, those below the track threshold included.
            dt: seconds since the image before; 0 is allowed at any time.
            camera: (2, 3) float32, affine map from the image before to this one, image pixels;
                None = the camera stands still.

        Returns:
            All tracks, oldest first. Lost ones carry their predicted box; they are reported only
            for the moment in which a seen object hides them.
        """
        dt = max(dt, 0.0)
        before = self._rows
        rows = _advanced(before, dt, camera if self.follows_camera else None)
        measured = self._measurements(detections)
        pairs, costs = pair_costs(
            rows, before.motion, detections, measured.values, dt=dt, tuning=self._tuning
        )
        matches = self._associate(pairs, costs, measured.strong)
        rows = with_detections(rows, matches, detections, measured)
        alive = self._alive(rows)
        if not alive.all():
            rows = rows[alive]
        self._rows = concatenate(rows, self._births(matches[:, 1], detections))
        return self._tracks()

    def _measurements(self, detections: Detections) -> Measurements:
        """Weak boxes (low scores) are believed less and smoothed more."""
        tuning, scores = self._tuning, detections.scores
        weakness = np.maximum(1 - scores / np.float32(tuning.sure_score), 0)
        return Measurements(
            values=values_from_boxes(detections.boxes),
            noise=1 + np.float32(tuning.weak_noise) * weakness,
            smoothing=np.minimum(np.float32(tuning.weak_smoothing) * weakness, 1),
            strong=scores >= self.parameters.track_threshold,
            good=scores >= self.parameters.track_threshold + tuning.good_margin,
        )

    def _associate(self, pairs: Pairs, costs: FloatArray, strong: BoolArray) -> IntArray:
        """Matches (Q, 2): first all tracks with high scores, then what is left with low ones."""
        tuning = self._tuning
        first = strong[pairs.detections]
        matches = match_optimal(pairs.chosen(first), costs[first], tuning.cost_limit)
        if not tuning.use_low_scores or first.all():
            return matches
        # A track that has been seen once may be a false one: low scores do not prolong it.
        free = self._rows.confirmed & (self._rows.weak_time <= tuning.low_score_life)
        free[matches[:, 0]] = False
        second = ~first & free[pairs.tracks]
        if not second.any():
            return matches
        recovered = match_optimal(pairs.chosen(second), costs[second], tuning.low_cost_limit)
        return np.concatenate((matches, recovered))

    def _births(self, taken: IntArray, detections: Detections) -> Rows | None:
        """New tracks from detections that are not `taken`, sure enough and no duplicates."""
        tuning, birth_threshold = self._tuning, self.parameters.birth_threshold
        free = detections.scores > max(birth_threshold, self.parameters.track_threshold)
        free[taken] = False
        candidates = np.flatnonzero(free)
        if not len(candidates):
            return None
        # Compared with the objects tracked in this image and with better candidates.
        others = np.concatenate((taken, candidates))
        repeated = self._same_object(detections, others, candidates)
        better = np.arange(len(others))[:, None] < len(taken) + np.arange(len(candidates))
        candidates = candidates[~(repeated & better).any(axis=0)]
        ids = np.arange(self._next_id, self._next_id + len(candidates), dtype=np.int64)
        self._next_id += len(candidates)
        sure = detections.scores[candidates] >= birth_threshold + tuning.sure_margin
        return born_rows(detections, candidates, ids, confirmed=sure)

    def _same_object(
        self, detections: Detections, others: IntArray, candidates: IntArray
    ) -> BoolArray:
        """Whether (O, C) the detections `others` (O,) and `candidates` (C,) show one object."""
        boxes, classes = detections.boxes, detections.classes
        same_class = classes[others][:, None] == classes[candidates]
        limits = np.where(
            same_class, self._tuning.duplicate_overlap, self._tuning.same_box_overlap
        )
        overlaps = intersection_over_union(boxes[others][:, None], boxes[candidates])
        repeated: BoolArray = overlaps > limits
        return repeated

    def _alive(self, rows: Rows) -> BoolArray:
        """Seen tracks, and lost ones that were confirmed and are not too old."""
        max_age = self.parameters.max_age if self._tuning.coast else 0.0
        kept: BoolArray = (rows.misses == 0) | (rows.confirmed & (rows.lost_time <= max_age))
        return kept

    def _tracks(self) -> Tracks:
        rows = self._rows
        fresh = rows.confirmed & (rows.weak_time - rows.lost_time <= self._tuning.low_score_life)
        seen = fresh & (rows.misses == 0)
        return Tracks(
            ids=rows.ids,
            boxes=rows.boxes,
            scores=rows.scores,
            classes=rows.classes,
            centers=rows.centers,
            velocities=rows.motion.rates[:, :2],
            hits=rows.hits,
            misses=rows.misses,
            reported=seen | self._hidden(seen, fresh & (rows.misses > 0)),
            detection_indices=rows.detection_indices,
            prior_weights=self._prior_weights(rows),
        )

    def _hidden(self, seen: BoolArray, lost: BoolArray) -> BoolArray:
        """Those of the tracks `lost` (N,) that one of those `seen` (N,) has just covered."""
        rows = self._rows
        hidden: BoolArray = lost & (rows.lost_time <= self._tuning.hidden_time)
        candidates = hidden.nonzero()[0]
        if len(candidates):
            overlaps = intersection_over_union(rows.boxes[candidates][:, None], rows.boxes[seen])
            hidden[candidates] = (overlaps > self._tuning.hidden_overlap).any(axis=1)
        return hidden

    def _prior_weights(self, rows: Rows) -> FloatArray:
        """Full height for sure tracks; less for weak ones, fading to zero while they are lost."""
        threshold = self.parameters.prior_threshold
        weights: FloatArray = np.minimum(rows.scores / np.float32(max(threshold, 1e-6)), 1)
        weights[(rows.scores < threshold) & ~rows.confirmed] = 0
        faded = rows.lost_time / np.float32(max(self.parameters.max_age, 1e-6))
        weights *= 1 - np.minimum(faded, 1)
        return weights


def _advanced(rows: Rows, dt: float, camera: FloatArray | None) -> Rows:
    """All tracks as they are, `dt` seconds later, if none is seen in this image."""
    elapsed = max(dt, SHORTEST_STEP)
    predicted, seen_at = predict(rows.motion, dt, rows.misses > 0), rows.seen_at
    if camera is not None:
        predicted = through_camera(predicted, camera)
        seen_at = seen_at @ camera[:, :2].T + camera[:, 2]
    return replace(
        rows,
        misses=rows.misses + 1,
        lost_time=rows.lost_time + elapsed,
        weak_time=rows.weak_time + elapsed,
        seen_at=seen_at,
        boxes=boxes_from_values(predicted.values),
        centers=rows.centers + predicted.values[:, :2] - rows.motion.values[:, :2],
        detection_indices=np.full(len(rows.ids), -1, np.int64),
        motion=predicted,
    )
