"""The original rule of CenterTrack, decision for decision.

Follows `Tracker` in `src/lib/utils/tracker.py` of xingyizhou/CenterTrack (commit e4e7534):
a detection's centre plus its learned offset points to where the object was in the previous image;
there the nearest track within the size of the smaller box takes it. Nothing is filtered, lost
tracks stand still. The order of the rows and of new ids is the original's too.

One difference: the original zeroes `active` in results that it has handed out before, because it
keeps and returns the same objects. Here every update returns new arrays.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from centertrack_ros.association import (
    Matching,
    box_areas,
    from_pairs,
    match_greedy,
    squared_distances,
)
from centertrack_ros.datatypes import BoolArray, Detections, FloatArray, IntArray, Tracks
from centertrack_ros.tracker.base import TrackerParameters

# The original's cost of a forbidden pair. It is so large that float64 cannot tell costs closer
# than 128 px^2 apart beside it, so another value gives other matches with `hungarian`.
FORBIDDEN_COST = 1e18


class CenterTrackTracker:
    """Greedy (`hungarian=False`) or optimal association by learned offsets."""

    def __init__(self, parameters: TrackerParameters, *, hungarian: bool = False) -> None:
        """Start with no tracks."""
        self.parameters = parameters
        self._match = _match_hungarian if hungarian else match_greedy
        self.reset()

    def reset(self) -> None:
        """Forget all tracks; ids start at 1 again."""
        self._tracks = Tracks.empty()
        self._next_id = 1

    def initialise(self, detections: Detections) -> Tracks:
        """Start anew with one track for each detection above the birth threshold.

        The original begins a video so when public detections are given for its first image;
        the first `update` then matches against them.
        """
        self.reset()
        born = np.flatnonzero(detections.scores > self._birth_threshold)
        self._tracks = self._with_prior(self._births(detections, born))
        return self._tracks

    def update(
        self,
        detections: Detections,
        dt: float,
        public: Detections | None = None,
        *,
        camera: FloatArray | None = None,
    ) -> Tracks:
        """Take the detections of one image.

        Args:
            detections: objects of the image; greedy matching serves them in this order.
            dt: not used, the original counts images.
            public: detections of another detector. If given, tracks start only at the
                detections nearest to them.
            camera: not used, as in the original.

        Returns:
            Matched tracks in the order of matching, then new ones, then lost ones that are kept.
        """
        kept = np.flatnonzero(detections.scores > self.parameters.track_threshold)
        chosen = detections[kept]
        predicted = chosen.centers + chosen.offsets
        costs, valid = _costs(self._tracks, chosen, predicted)
        matching = self._match(costs, valid)
        if public is None:
            born = matching.unmatched_detections
        else:
            born = _public_births(predicted, chosen, matching.matches[:, 1], public)
        born = born[chosen.scores[born] > self._birth_threshold]
        parts = (
            self._continued(detections, kept, matching.matches),
            self._births(detections, kept[born]),
            self._lost(matching.unmatched_tracks),
        )
        self._tracks = self._with_prior(_concatenate(parts))
        return self._tracks

    @property
    def follows_camera(self) -> bool:
        """The original knows nothing of the camera."""
        return False

    @property
    def _birth_threshold(self) -> float:
        # The original raises this and the prior threshold to the track threshold.
        return max(self.parameters.birth_threshold, self.parameters.track_threshold)

    def _continued(self, detections: Detections, kept: IntArray, matches: IntArray) -> Tracks:
        previous = self._tracks[matches[:, 0]]
        return _from_detections(detections, kept[matches[:, 1]], previous.ids, previous.hits + 1)

    def _births(self, detections: Detections, rows: IntArray) -> Tracks:
        ids = np.arange(self._next_id, self._next_id + len(rows), dtype=np.int64)
        self._next_id += len(rows)
        return _from_detections(detections, rows, ids, np.ones(len(rows), np.int64))

    def _lost(self, unmatched: IntArray) -> Tracks:
        tracks = self._tracks[unmatched]
        tracks = tracks[tracks.misses + 1 < self.parameters.max_age_frames]
        return replace(
            tracks,
            misses=tracks.misses + 1,
            reported=np.zeros(len(tracks), np.bool_),
            detection_indices=np.full(len(tracks), -1, np.int64),
            prior_weights=np.zeros(len(tracks), np.float32),
        )

    def _with_prior(self, tracks: Tracks) -> Tracks:
        threshold = max(self.parameters.prior_threshold, self.parameters.track_threshold)
        drawn = (tracks.scores >= threshold) & (tracks.misses == 0)
        return replace(tracks, prior_weights=drawn.astype(np.float32))


def _costs(
    tracks: Tracks, detections: Detections, predicted: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """Squared distances (M, N) in px^2 and which pairs are near enough and of one class."""
    distances = squared_distances(tracks.centers[:, None], predicted)
    valid = (
        (distances <= box_areas(tracks.boxes)[:, None])
        & (distances <= box_areas(detections.boxes)[None, :])
        & (tracks.classes[:, None] == detections.classes[None, :])
    )
    return distances, valid


def _match_hungarian(costs: FloatArray, valid: BoolArray) -> Matching:
    """The original's optimal matching, with its rounding and its order of unmatched rows."""
    number_of_tracks, number_of_detections = costs.shape
    table = np.where(valid, costs.astype(np.float64), FORBIDDEN_COST)
    # Detections are the rows, as in the original: where rounding makes pairs equal in cost, the
    # transposed table gives other matches.
    detections, tracks = linear_sum_assignment(table.T)
    matched = valid[tracks, detections]
    pairs = np.stack((tracks, detections), axis=1).astype(np.int64, copy=False)
    free = from_pairs(pairs, number_of_tracks, number_of_detections)
    # Forbidden pairs that were assigned come after the rows without any partner; new ids and
    # the rows of lost tracks follow this order.
    return Matching(
        pairs[matched],
        np.concatenate((free.unmatched_tracks, pairs[~matched, 0])),
        np.concatenate((free.unmatched_detections, pairs[~matched, 1])),
    )


def _public_births(
    predicted: FloatArray, detections: Detections, matched: IntArray, public: Detections
) -> IntArray:
    """Detections (rows) that the public ones, each in turn, choose as the nearest."""
    if len(detections) == 0:
        return np.zeros(0, np.int64)
    distances = squared_distances(public.centers[:, None], predicted).astype(np.float64)
    distances[:, matched] = FORBIDDEN_COST
    areas = box_areas(detections.boxes)
    born = []
    for row in distances:
        nearest = int(row.argmin())
        if row[nearest] < areas[nearest]:
            distances[:, nearest] = FORBIDDEN_COST
            born.append(nearest)
    return np.array(born, dtype=np.int64)


def _from_detections(
    detections: Detections, rows: IntArray, ids: IntArray, hits: IntArray
) -> Tracks:
    """Tracks that carry what their detections say, unfiltered."""
    chosen = detections[rows]
    return Tracks(
        ids=ids,
        boxes=chosen.boxes,
        scores=chosen.scores,
        classes=chosen.classes,
        centers=chosen.centers,
        velocities=np.zeros((len(rows), 2), np.float32),
        hits=hits,
        misses=np.zeros(len(rows), np.int64),
        reported=np.ones(len(rows), np.bool_),
        detection_indices=rows,
        prior_weights=np.zeros(len(rows), np.float32),
    )


def _concatenate(parts: tuple[Tracks, ...]) -> Tracks:
    return Tracks(
        **{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])}
    )
