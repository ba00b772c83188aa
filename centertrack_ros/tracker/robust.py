"""The default tracker: learned offsets, motion, coasting and recovery by low scores.

Built on the idea of CenterTrack (a detection's offset points to where the object was), with what
the original lacks: a motion model in real time, so that occluded objects are found again; a cost
that weighs offset and motion by their uncertainty; optimal assignment; a second round in which
detections with low scores continue tracks but start none (after ByteTrack, arXiv 2110.06864).
All tracks live in arrays; no loop runs over them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from centertrack_ros.association import (
    box_costs,
    from_pairs,
    intersection_over_union,
    match_optimal,
)
from centertrack_ros.datatypes import BoolArray, Detections, FloatArray, IntArray, Tracks
from centertrack_ros.tracker.base import TrackerParameters
from centertrack_ros.tracker.motion import (
    MEASUREMENT,
    Motion,
    boxes_from_values,
    predict,
    values_from_boxes,
)
from centertrack_ros.tracker.rows import Rows, born_rows, concatenate, with_detections

# Shortest time by which a lost track ages per image: without it a source whose stamps stand
# still would keep lost tracks for ever.
SHORTEST_STEP = 0.01


@dataclass(frozen=True)
class Tuning:
    """Constants of the method, chosen on several sequences together; not meant for users.

    Attributes:
        cost_limit: dearest match of the first round; `association.box_costs` and what is added.
        low_cost_limit: the same for low scores; tighter, as more of them are false.
        offset_noise: standard deviation of learned offsets in sizes of the object; weighs them
            against the motion model.
        offset_drift: how much that grows per second between the images: networks learn short
            gaps and say too little about long ones.
        height_ratio: least ratio of two heights that may belong to one object; half a person
            is visible behind a car.
        score_cost: what a difference of 1 between the scores of track and detection adds to a
            cost: of two people passing each other the hidden one keeps the low score.
        class_cost: what another class adds to a cost: detectors take a car for a truck now and
            then, and in exactly the same place.
        duplicate_overlap: IoU with an object already tracked in this image above which a
            detection starts no track, as it is a second one of the same object.
        same_box_overlap: the same for another class: one peak under two names.
        sure_margin: a new track is reported at once if its score is that much above the birth
            threshold, else after its second detection; this drops one-image flicker.
        use_offsets, use_low_scores, coast: switches for measuring what each part is worth.
    """

    cost_limit: float = 1.0
    low_cost_limit: float = 0.7
    offset_noise: float = 0.2
    offset_drift: float = 1.0
    height_ratio: float = 0.5
    score_cost: float = 0.5
    class_cost: float = 0.4
    duplicate_overlap: float = 0.5
    same_box_overlap: float = 0.8
    sure_margin: float = 0.1
    use_offsets: bool = True
    use_low_scores: bool = True
    coast: bool = True


class RobustTracker:
    """See the module; parameters in `TrackerParameters`, of which `max_age` is in seconds."""

    def __init__(self, parameters: TrackerParameters, tuning: Tuning | None = None) -> None:
        """Start with no tracks."""
        self.parameters = parameters
        self._tuning = tuning or Tuning()
        self.reset()

    def reset(self) -> None:
        """Forget all tracks; ids start at 1 again."""
        none = np.zeros(0, np.int64)
        self._rows = born_rows(Detections.empty(), none, none, confirmed=np.zeros(0, np.bool_))
        self._next_id = 1

    def update(self, detections: Detections, dt: float) -> Tracks:
        """Take the detections of one image.

        Args:
            detections: objects of the image, those below the track threshold included.
            dt: seconds since the image before; 0 is allowed at any time.

        Returns:
            All tracks, oldest first. Lost ones carry their predicted box and are not reported.
        """
        dt = max(dt, 0.0)
        rows = self._rows
        predicted = predict(rows.motion, dt, rows.misses > 0)
        measured = values_from_boxes(detections.boxes)
        costs = self._costs(predicted, measured, detections, dt)
        matches = self._associate(costs, detections)
        rows = self._advance(predicted, dt)
        rows = with_detections(rows, matches, detections, measured)
        born = self._births(matches[:, 1], detections)
        rows = replace(rows, confirmed=rows.confirmed | (rows.hits > 1))
        self._rows = concatenate(rows[self._alive(rows)], born)
        return self._tracks()

    def _costs(
        self, predicted: Motion, measured: FloatArray, detections: Detections, dt: float
    ) -> FloatArray:
        """Costs (M, N): boxes, scores and classes; infinite for too different heights.

        The motion model compares boxes in this image, the learned offset compares them in the
        image before. Each cost is weighted by the variance of the other: a new track has no
        velocity yet and is led by the offset, a long seen one by its motion.
        """
        rows, tuning = self._rows, self._tuning
        costs = box_costs(boxes_from_values(predicted.values), detections.boxes)
        # A model without a tracking head gives zeros, which say nothing.
        if tuning.use_offsets and detections.offsets.any():
            before = measured.copy()
            before[:, :2] = detections.centers + detections.offsets
            learned = box_costs(boxes_from_values(rows.motion.values), boxes_from_values(before))
            offset_noise = tuning.offset_noise + tuning.offset_drift * dt
            motion_variance = predicted.covariances[:, 0, 0] + MEASUREMENT[0] ** 2
            offset_variance = rows.motion.covariances[:, 0, 0] + offset_noise**2
            share = (motion_variance / (motion_variance + offset_variance))[:, None]
            learned -= costs
            learned *= share
            costs += learned
        heights, seen = predicted.values[:, 3, None], measured[None, :, 3]
        forbidden = np.minimum(heights, seen) < tuning.height_ratio * np.maximum(heights, seen)
        contrast: FloatArray = rows.scores[:, None] - detections.scores[None, :]
        np.abs(contrast, out=contrast)
        contrast *= np.float32(tuning.score_cost)
        costs += contrast
        other_class = rows.classes[:, None] != detections.classes[None, :]
        costs += other_class * np.float32(tuning.class_cost)
        np.putmask(costs, forbidden, np.inf)
        return costs

    def _associate(self, costs: FloatArray, detections: Detections) -> IntArray:
        """Matches (P, 2): first all tracks with high scores, then what is left with low ones."""
        tuning = self._tuning
        high = detections.scores >= self.parameters.track_threshold
        columns = np.flatnonzero(high)
        matches = match_optimal(costs[:, columns], tuning.cost_limit).matches
        matches[:, 1] = columns[matches[:, 1]]
        if not tuning.use_low_scores or high.all():
            return matches
        left = from_pairs(matches, *costs.shape)
        # A track that has been seen once may be a false one: low scores do not prolong it.
        rows = left.unmatched_tracks[self._rows.confirmed[left.unmatched_tracks]]
        columns = np.flatnonzero(~high)
        recovered = match_optimal(costs[np.ix_(rows, columns)], tuning.low_cost_limit).matches
        second = np.stack((rows[recovered[:, 0]], columns[recovered[:, 1]]), axis=1)
        return np.concatenate((matches, second))

    def _advance(self, predicted: Motion, dt: float) -> Rows:
        """All tracks as they are if none is seen in this image."""
        rows = self._rows
        return replace(
            rows,
            misses=rows.misses + 1,
            lost_time=rows.lost_time + max(dt, SHORTEST_STEP),
            boxes=boxes_from_values(predicted.values),
            centers=rows.centers + predicted.values[:, :2] - rows.motion.values[:, :2],
            detection_indices=np.full(len(rows.ids), -1, np.int64),
            motion=predicted,
        )

    def _births(self, taken: IntArray, detections: Detections) -> Rows:
        """New tracks from detections that are not `taken`, sure enough and no duplicates."""
        tuning, birth_threshold = self._tuning, self.parameters.birth_threshold
        free = detections.scores > max(birth_threshold, self.parameters.track_threshold)
        free[taken] = False
        candidates = np.flatnonzero(free)
        if len(candidates):
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
        repeated: BoolArray = intersection_over_union(boxes[others], boxes[candidates]) > limits
        return repeated

    def _alive(self, rows: Rows) -> BoolArray:
        """Seen tracks, and lost ones that were confirmed and are not too old."""
        max_age = self.parameters.max_age if self._tuning.coast else 0.0
        kept: BoolArray = (rows.misses == 0) | (rows.confirmed & (rows.lost_time <= max_age))
        return kept

    def _tracks(self) -> Tracks:
        rows = self._rows
        return Tracks(
            ids=rows.ids,
            boxes=rows.boxes,
            scores=rows.scores,
            classes=rows.classes,
            centers=rows.centers,
            velocities=rows.motion.rates[:, :2],
            hits=rows.hits,
            misses=rows.misses,
            reported=rows.confirmed & (rows.misses == 0),
            detection_indices=rows.detection_indices,
            prior_weights=self._prior_weights(rows),
        )

    def _prior_weights(self, rows: Rows) -> FloatArray:
        """Full height for sure tracks; less for weak ones, fading to zero while they are lost."""
        threshold = self.parameters.prior_threshold
        weights: FloatArray = np.minimum(rows.scores / np.float32(max(threshold, 1e-6)), 1)
        weights[~rows.confirmed & (rows.scores < threshold)] = 0
        faded = rows.lost_time / np.float32(max(self.parameters.max_age, 1e-6))
        weights *= 1 - np.minimum(faded, 1)
        return weights
