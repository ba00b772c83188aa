"""AMOTA of tracked boxes in space, and how near they are to the truth.

As in the tracking benchmark of nuScenes (https://www.nuscenes.org/tracking, `eval/tracking` of its
development kit; AMOTA is of Weng and Kitani 2019, MOTAR of nuScenes): an object and a track are a
pair where the middles of their boxes are less than 2 m apart on the ground; a pair of the image
before stays one as long as it can, the rest is matched optimally. Tracks are as good as their mean
score. Forty thresholds on it lead to recalls from 0.1 to 1, and at each

    MOTAR = 1 - (false positives + misses + switches - (1 - recall) P) / (recall P), at least 0,

of P objects; it is 0 at recalls that are never reached. AMOTA is the mean of that, AMOTP the mean
distance of pairs over all recalls (2 m where none is reached). On purpose: positions are compared
in the frame of the camera, where x and z are the ground, as far as the camera looks level; and
what is not to be found is told by the regions of the image (`tracking.compared_boxes`), not by
distance and points of a lidar.

A crossing: the box of the object in the image touches another object or region, or a tenth of it
is hidden. Switches of objects that nothing crossed since they were last seen with their track, nor
within `CROSSING` images before, are counted on their own: a tracker has no excuse for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from centertrack_ros.datatypes import BoolArray, IntArray
from centertrack_ros.lifting import lift_detections
from centertrack_ros.replay.metrics import overlaps
from training.data.labels import FrameLabels
from training.evaluation.boxes3d import NEAR, as_detections, known_boxes
from training.evaluation.runner import FrameResult
from training.evaluation.scores import Scores
from training.evaluation.sets import EvaluationSet
from training.evaluation.tracking import compared_boxes

# Metres; thresholds; recall of the first one.
REACH, STEPS, LEAST_RECALL = 2.0, 40, 0.1
# Images; share of the box that is hidden; overlap from which boxes touch.
CROSSING, HIDDEN, TOUCHING = 5, 0.1, 0.02
METRICS_TRACKED_3D = (
    'AMOTA', 'AMOTP', 'tracked_center_error_share', 'switches_3d', 'switches_3d_uncrossed',
)  # fmt: skip
COUNTS_3D = METRICS_TRACKED_3D[3:]
_Reals = NDArray[np.float64]


@dataclass(frozen=True)
class SpaceFrame:
    """Objects and tracks of one class in one image.

    Attributes:
        truth_ids: (N,).
        truth: (N, 3) metres, middles in the optical frame of the camera.
        crossed: (N,) see the module.
        ids: (M,) of tracks.
        middles: (M, 3) metres.
        scores: (M,).
    """

    truth_ids: IntArray
    truth: _Reals
    crossed: BoolArray
    ids: IntArray
    middles: _Reals
    scores: _Reals


@dataclass(frozen=True)
class Pairing:
    """Objects and tracks of a class, paired over all sequences.

    Attributes:
        distances: (P,) metres on the ground, of the pairs.
        scores: (P,) of their tracks.
        shares: (P,) distances in space over depths.
        objects: all there were.
        false: tracks without an object, image by image.
        switches: pairs whose object was with another track before.
        uncrossed: those of them without a crossing.
    """

    distances: _Reals
    scores: _Reals
    shares: _Reals
    objects: int
    false: int
    switches: int
    uncrossed: int

    @property
    def motar(self) -> float:
        """See the module; 0 without pairs."""
        found = len(self.distances)
        if not found:
            return 0.0
        wrong = self.false + self.objects - found + self.switches
        return max(0.0, 1 - (wrong - (self.objects - found)) / found)


def boxes3d_tracking_scores(
    evaluation_set: EvaluationSet, results: Sequence[FrameResult]
) -> Scores:
    """Metrics of each class with objects, and their mean over these classes.

    Args:
        evaluation_set: the truth; its images have camera matrices.
        results: one per record, of a model with boxes in space.

    Returns:
        `AMOTA` from 0 to 1; `AMOTP`, metres. Of all tracks, whatever their score:
        `tracked_center_error_share`: share of the pairs whose middle is less than 5 % of its
        depth away; `switches_3d` and `switches_3d_uncrossed`, counts, which are sums over the
        classes.

    Raises:
        ValueError: no object has a box in space, or an image or the model lacks something.
    """
    classes = {}
    for index in evaluation_set.class_indices:
        sequences = _sequences(evaluation_set, results, index)
        if any(len(frame.truth) for frames in sequences for frame in frames):
            classes[evaluation_set.class_names[index]] = amota(sequences)
    if not classes:
        raise ValueError(
            f'{evaluation_set.name}: expected objects with boxes in space in its videos, '
            'received none'
        )
    values = {name: [x[name] for x in classes.values()] for name in METRICS_TRACKED_3D}
    overall = {
        name: float(np.sum(x) if name in COUNTS_3D else np.mean(x)) for name, x in values.items()
    }
    return Scores(overall, classes)


def amota(sequences: Sequence[Sequence[SpaceFrame]]) -> dict[str, float]:
    """`METRICS_TRACKED_3D` of one class; at least one object is there."""
    sequences = [_with_mean_scores(frames) for frames in sequences]
    whole = pair_sequences(sequences, 0.0)
    ranked = np.sort(whole.scores)[::-1]
    motars, distances = [], []
    for recall in np.linspace(LEAST_RECALL, 1, STEPS):
        needed = int(np.ceil(recall * whole.objects - 1e-9))
        if needed > len(ranked):
            motars.append(0.0)
            distances.append(REACH)
            continue
        pairing = pair_sequences(sequences, float(ranked[needed - 1]))
        motars.append(pairing.motar)
        distances.append(float(pairing.distances.mean()) if len(pairing.distances) else REACH)
    near = float((whole.shares < NEAR).mean()) if len(whole.shares) else 0.0
    values = (float(np.mean(motars)), float(np.mean(distances)), near)
    values += (float(whole.switches), float(whole.uncrossed))
    return dict(zip(METRICS_TRACKED_3D, values, strict=True))


def pair_sequences(sequences: Sequence[Sequence[SpaceFrame]], threshold: float) -> Pairing:
    """Objects and the tracks with at least this score, of several sequences."""
    distances, scores, shares = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    objects = false = switches = uncrossed = 0
    for frames in sequences:
        before: dict[int, int] = {}
        last_crossed: dict[int, int] = {}
        last_seen: dict[int, int] = {}
        for number, frame in enumerate(frames):
            last_crossed |= dict.fromkeys(frame.truth_ids[frame.crossed].tolist(), number)
            kept = np.flatnonzero(frame.scores >= threshold)
            away = frame.truth[:, None] - frame.middles[None, kept]
            flat = np.hypot(away[..., 0], away[..., 2])
            rows, columns = _matched(flat, frame.truth_ids, frame.ids[kept], before)
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
                known, seen = int(frame.truth_ids[row]), int(frame.ids[kept[column]])
                if before.get(known, seen) != seen:
                    switches += 1
                    since = last_seen[known] - CROSSING
                    uncrossed += last_crossed.get(known, since - 1) < since
                before[known], last_seen[known] = seen, number
            distances.append(flat[rows, columns])
            scores.append(frame.scores[kept[columns]])
            shares.append(np.linalg.norm(away[rows, columns], axis=1) / frame.truth[rows, 2])
            objects += len(frame.truth_ids)
            false += len(kept) - len(rows)
    return Pairing(
        *(np.concatenate(parts) for parts in (distances, scores, shares)),
        objects=objects,
        false=false,
        switches=switches,
        uncrossed=uncrossed,
    )


def _matched(
    distances: _Reals, truth_ids: IntArray, ids: IntArray, before: dict[int, int]
) -> tuple[IntArray, IntArray]:
    """Rows and columns of pairs nearer than `REACH`; those of the image before come first."""
    costs = np.where(distances < REACH, distances, 1e3)
    earlier = np.array([before.get(int(number), -1) for number in truth_ids], np.int64)
    same = (earlier[:, None] == ids[None, :]) & (distances < REACH)
    rows, columns = linear_sum_assignment(costs - 100 * same)
    close = costs[rows, columns] < REACH
    return rows[close], columns[close]


def _with_mean_scores(frames: Sequence[SpaceFrame]) -> list[SpaceFrame]:
    """The score of each track is the mean over its images."""
    ids = np.concatenate([np.zeros(0, np.int64), *(frame.ids for frame in frames)])
    scores = np.concatenate([np.zeros(0), *(frame.scores for frame in frames)])
    distinct, rows = np.unique(ids, return_inverse=True)
    means = np.bincount(rows, scores) / np.maximum(np.bincount(rows), 1)
    return [
        SpaceFrame(
            frame.truth_ids,
            frame.truth,
            frame.crossed,
            frame.ids,
            frame.middles,
            means[np.searchsorted(distinct, frame.ids)],
        )
        for frame in frames
    ]


def _sequences(
    evaluation_set: EvaluationSet, results: Sequence[FrameResult], class_index: int
) -> list[list[SpaceFrame]]:
    videos = [video for video in evaluation_set.videos if not video.still]
    return [
        [_frame(evaluation_set, row, results[row], class_index) for row in video.rows]
        for video in videos
    ]


def _frame(
    evaluation_set: EvaluationSet, row: int, result: FrameResult, class_index: int
) -> SpaceFrame:
    record = evaluation_set.records[row]
    if record.camera_matrix is None or result.boxes_3d is None:
        raise ValueError(
            f'{record.path}: expected a camera matrix (calib of the image) and a model with boxes '
            'in space'
        )
    labels = record.labels
    own = known_boxes(labels) & (labels.classes == class_index)
    truth = labels.select(np.flatnonzero(own))
    _, compared = compared_boxes(
        record, evaluation_set.annotations[row], result.tracks, class_index
    )
    kept = np.isin(result.tracks.ids, compared.ids) & result.boxes_3d.known
    middles = np.zeros((0, 3))
    if len(truth):
        middles = lift_detections(as_detections(truth), record.camera_matrix).middles
    return SpaceFrame(
        truth_ids=truth.track_ids,
        truth=middles.astype(np.float64),
        crossed=_crossed(labels)[own],
        ids=result.tracks.ids[kept],
        middles=result.boxes_3d.middles[kept].astype(np.float64),
        scores=result.tracks.scores[kept].astype(np.float64),
    )


def _crossed(labels: FrameLabels) -> BoolArray:
    """(N,) which objects something crosses."""
    boxes = labels.boxes.astype(np.float64)
    others = np.concatenate([boxes, labels.ignore_boxes.astype(np.float64)])
    shares = overlaps(boxes, others)
    np.fill_diagonal(shares, 0.0)
    crossed: BoolArray = (shares > TOUCHING).any(axis=1) | (labels.visibilities < 1 - HIDDEN)
    return crossed
