"""MOTA of joints, as PoseTrack measures it, by TrackEval.

Andriluka et al., "PoseTrack: A Benchmark for Human Pose Estimation and Tracking", CVPR 2018,
section 4, and its tool poseval: each joint of the list is tracked by itself. In each image the
joints of one name that were found are matched with the true ones, one to one, at distances up to
half a head; pairs of the image before are kept, the rest is matched as closely as possible. A
person takes part only through the number that its joints share. Of each name, over all videos:

    MOTA = 1 - (missed + false + switches) / true joints
    MOTP = 1 - mean distance of the pairs in heads

and precision and recall of the pairs; what is reported are the means over the names that have a
true joint. Half a head is half of 0.6 times the diagonal of `bbox_head` (left, top, width,
height), which PoseTrack's files of 2018 have; without it a head is a tenth of the longer side of
the person's box, which is what it is of someone who stands.

On purpose different from poseval:

- the joints are those of the model (COCO's 17, where PoseTrack has 15);
- a true joint that is labelled as hidden (visibility 1) need not be found, and is not false when
  it is: poseval knows no hidden joints;
- joints in ignored regions, and in boxes of persons without labelled joints, are left out unless
  they belong to a true joint; poseval leaves out all joints in ignored regions;
- joints found outside of the image are left out, as no true one is labelled there;
- all images count, also the last one of each video, which poseval leaves out;
- pairs are kept from the image before alone, as in TrackEval; motmetrics looks further back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from trackeval.metrics import CLEAR

from centertrack_ros.datatypes import BoolArray, IntArray
from centertrack_ros.replay.metrics import numbered_sequence
from training.data.coco_records import FrameRecord
from training.evaluation.runner import FrameResult
from training.evaluation.scores import Scores
from training.evaluation.sets import EvaluationSet, EvaluationVideo

MATCHING_DISTANCE = 0.5
HEAD_OF_DIAGONAL = 0.6
HEAD_OF_BOX = 0.1
HIDDEN, VISIBLE = 1, 2
# Metric -> name in TrackEval; percent.
JOINT_PERCENTAGES = {
    'joint_MOTA': 'MOTA',
    'joint_MOTP': 'MOTP',
    'joint_precision': 'CLR_Pr',
    'joint_recall': 'CLR_Re',
}
JOINT_COUNTS = {'joint_IDSW': 'IDSW'}
JOINT_METRICS = (*JOINT_PERCENTAGES, *JOINT_COUNTS)

Reals = NDArray[np.float64]


@dataclass(frozen=True)
class ComparedJoints:
    """True and found joints of one image, of all names.

    Attributes:
        truth_ids: (N,) int64, tracks of the true persons.
        found_ids: (M,) int64, tracks that were found.
        wanted: (N, J) bool, which true joints have to be found.
        counted: (M, J) bool, which joints that were found count.
        closeness: (N, M, J) float64, 1 - distance in heads, at least 0; 0 between classes.
    """

    truth_ids: IntArray
    found_ids: IntArray
    wanted: BoolArray
    counted: BoolArray
    closeness: Reals


def pose_tracking_scores(evaluation_set: EvaluationSet, results: Sequence[FrameResult]) -> Scores:
    """PoseTrack's metrics over all videos, see the module; stills are left out.

    Args:
        evaluation_set: the truth, loaded with joint names; `iscrowd` rows are ignored regions.
        results: one per record, with joints of the tracks; those that are `visible` count.

    Returns:
        `joint_MOTA`, `joint_MOTP`, `joint_precision`, `joint_recall` in percent, means over the
        names of joints (precision only of those that were found at all); `joint_IDSW`, switches
        of all joints. The same of each name, where others have classes.

    Raises:
        ValueError: the set has no video with a visible joint, or the results have no joints.
    """
    videos = [video for video in evaluation_set.videos if not video.still]
    per_video = [_compared(evaluation_set, results, video) for video in videos]
    metric = CLEAR({'PRINT_CONFIG': False})
    names: dict[str, dict[str, float]] = {}
    for joint, name in enumerate(evaluation_set.joint_names):
        parts = {
            str(number): metric.eval_sequence(_sequence(frames, joint))
            for number, frames in enumerate(per_video)
        }
        combined = metric.combine_sequences(parts)
        if combined['CLR_TP'] + combined['CLR_FN'] > 0:
            names[name] = _of_joint(combined)
    if not names:
        raise ValueError(
            f'{evaluation_set.name}: expected videos with joints that are visible, received none'
        )
    return Scores(_means(names), names)


def has_joint_tracks(evaluation_set: EvaluationSet) -> bool:
    """Whether a video of more than one image has a visible joint."""
    rows = (row for video in evaluation_set.videos if len(video) > 1 for row in video.rows)
    joints = (evaluation_set.records[row].labels.joints for row in rows)
    return any(array is not None and bool((array[..., 2] == VISIBLE).any()) for array in joints)


def compared_joints(
    record: FrameRecord, annotations: Sequence[Mapping[str, Any]], result: FrameResult
) -> ComparedJoints:
    """What is compared in one image.

    Args:
        record: the image, with its labels.
        annotations: of the image, as in the file.
        result: of the image.

    Raises:
        ValueError: the result has no joints.
    """
    labels, found = record.labels, result.joints
    if found is None or labels.joints is None:
        raise ValueError(
            f'{record.path}: expected joints of the tracks and of the truth, received none of '
            'one of them; they need a pose model and a file with keypoints'
        )
    truth = labels.joints.astype(np.float64)
    places = found.positions.astype(np.float64)
    heads = head_sizes(record, annotations)
    away = np.linalg.norm(truth[:, None, :, :2] - places[None], axis=3) / heads[:, None, None]
    closeness = np.maximum(1 - away, 0.0)
    closeness[labels.classes[:, None] != result.tracks.classes[None]] = 0.0
    states = truth[..., 2]
    bare = labels.boxes[~(states > 0).any(axis=1)]
    regions = np.concatenate([labels.ignore_boxes, bare]).astype(np.float64)
    visible = found.visible & _in_image(places, record.size)
    counted = visible & ~_left_out(closeness, states, visible, places, regions)
    return ComparedJoints(
        labels.track_ids, result.tracks.ids, states == VISIBLE, counted, closeness
    )


def head_sizes(record: FrameRecord, annotations: Sequence[Mapping[str, Any]]) -> Reals:
    """Pixels (N,) that count as a head of each object, see the module."""
    boxes = record.labels.boxes.astype(np.float64)
    sizes: Reals = HEAD_OF_BOX * (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0.0)
    rows = record.labels.rows
    for place, row in enumerate(() if rows is None else rows.tolist()):
        head = annotations[row].get('bbox_head')
        if head is not None:
            sizes[place] = HEAD_OF_DIAGONAL * float(np.hypot(*head[2:]))
    # A head without size would divide by zero; nothing is nearer than half of none.
    return np.maximum(sizes, np.finfo(np.float64).eps)


def _in_image(places: Reals, size: tuple[int, int] | None) -> BoolArray:
    """Which joints (M, J, 2) lie in an image of (height, width); all where that is not known."""
    if size is None:
        return np.ones(places.shape[:2], np.bool_)
    inside: BoolArray = ((places >= 0) & (places < np.array(size[::-1]))).all(axis=2)
    return inside


def _left_out(
    closeness: Reals, states: Reals, visible: BoolArray, places: Reals, regions: Reals
) -> BoolArray:
    """Which joints found (M, J) are neither right nor wrong.

    Those that belong to a hidden joint, where no visible one is as near as it must be, and those
    in a region that belong to none.
    """
    left_out = np.zeros(visible.shape, np.bool_)
    if not visible.any():
        return left_out
    inside = np.zeros(visible.shape, np.bool_)
    for left, top, right, bottom in regions:
        x, y = places[..., 0], places[..., 1]
        inside |= (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    for joint in np.flatnonzero((states == HIDDEN).any(axis=0) | inside.any(axis=0)):
        near = closeness[:, :, joint] >= 1 - MATCHING_DISTANCE
        near &= (states[:, joint] > 0)[:, None] & visible[None, :, joint]
        # Visible joints first: to miss one because a hidden one is nearer would be no fault.
        wanted = closeness[:, :, joint] + (states[:, joint] == VISIBLE)[:, None]
        rows, columns = linear_sum_assignment(np.where(near, wanted, 0.0), maximize=True)
        paired = near[rows, columns]
        rows, columns = rows[paired], columns[paired]
        left_out[:, joint] = inside[:, joint]
        left_out[columns, joint] = states[rows, joint] == HIDDEN
    return left_out


def _compared(
    evaluation_set: EvaluationSet, results: Sequence[FrameResult], video: EvaluationVideo
) -> list[ComparedJoints]:
    return [
        compared_joints(evaluation_set.records[row], evaluation_set.annotations[row], results[row])
        for row in video.rows
    ]


def _sequence(frames: Sequence[ComparedJoints], joint: int) -> dict[str, Any]:
    """One name of joints in one video, for TrackEval."""
    return numbered_sequence(
        [frame.truth_ids[frame.wanted[:, joint]] for frame in frames],
        [frame.found_ids[frame.counted[:, joint]] for frame in frames],
        [
            frame.closeness[:, :, joint][frame.wanted[:, joint]][:, frame.counted[:, joint]]
            for frame in frames
        ],
    )


def _of_joint(combined: Mapping[str, float]) -> dict[str, float]:
    values = {
        name: round(100.0 * float(combined[field]), 3) for name, field in JOINT_PERCENTAGES.items()
    }
    if combined['CLR_TP'] + combined['CLR_FP'] == 0:
        del values['joint_precision']
    return values | {name: int(combined[field]) for name, field in JOINT_COUNTS.items()}


def _means(names: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    means: dict[str, float] = {}
    for metric in JOINT_PERCENTAGES:
        known = [values[metric] for values in names.values() if metric in values]
        if known:
            means[metric] = round(float(np.mean(known)), 3)
    for metric in JOINT_COUNTS:
        means[metric] = sum(int(values[metric]) for values in names.values())
    return means
