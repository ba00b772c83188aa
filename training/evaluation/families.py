"""All metrics by name, and which of them a set and a model allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.replay.metrics import COUNTS
from training.evaluation.boxes3d import METRICS_3D, boxes3d_scores, has_boxes3d
from training.evaluation.boxes3d_tracking import METRICS_TRACKED_3D, boxes3d_tracking_scores
from training.evaluation.detection import (
    detection_scores,
    has_joints,
    has_shapes,
    metric_names,
)
from training.evaluation.pose_tracking import (
    JOINT_METRICS,
    has_joint_tracks,
    pose_tracking_scores,
)
from training.evaluation.runner import FrameResult
from training.evaluation.scores import Scores, merged_scores
from training.evaluation.sets import EvaluationSet
from training.evaluation.tracking import tracking_scores
from training.evaluation.voc import voc_map

_HEADS_3D = frozenset({'dep', 'dim', 'rot'})


@dataclass(frozen=True)
class Family:
    """Metrics that are computed together.

    Attributes:
        score: computes them.
        metrics: names of those over all classes; without what they need some may be absent.
        applies: whether a set has what they need, and a model says it.
        needs: that in words.
        needs_tracks: whether they are of tracks.
    """

    score: Callable[[EvaluationSet, Sequence[FrameResult]], Scores]
    metrics: tuple[str, ...]
    applies: Callable[[EvaluationSet, ModelSpec], bool]
    needs: str = ''
    needs_tracks: bool = False


def _has_objects(evaluation_set: EvaluationSet, _: ModelSpec) -> bool:
    return evaluation_set.has_objects


_OBJECTS = 'a labelled object of a class of the model'
FAMILIES: dict[str, Family] = {
    'detection': Family(detection_scores, metric_names('bbox'), _has_objects, _OBJECTS),
    'voc': Family(voc_map, ('VOC_mAP', 'VOC2007_mAP'), _has_objects, _OBJECTS),
    'keypoints': Family(
        partial(detection_scores, kind='keypoints'),
        metric_names('keypoints'),
        lambda evaluation_set, spec: 'hps' in spec.heads and has_joints(evaluation_set),
        'a pose model, and objects with labelled key points',
    ),
    'masks': Family(
        partial(detection_scores, kind='segm'),
        metric_names('segm'),
        lambda evaluation_set, spec: 'conv_weight' in spec.heads and has_shapes(evaluation_set),
        'a model with masks, and the segmentation of every object',
    ),
    'boxes3d': Family(
        boxes3d_scores,
        METRICS_3D,
        lambda evaluation_set, spec: (
            spec.heads.keys() >= _HEADS_3D and has_boxes3d(evaluation_set)
        ),
        'a model with depth, dimensions and rotation, and objects with boxes in space',
        # Not of tracks, but of what the tracker was given.
        needs_tracks=True,
    ),
    'boxes3d_tracking': Family(
        boxes3d_tracking_scores,
        METRICS_TRACKED_3D,
        lambda evaluation_set, spec: (
            spec.heads.keys() >= {*_HEADS_3D, 'tracking'}
            and has_boxes3d(evaluation_set)
            and evaluation_set.has_tracks
        ),
        'a tracker with depth, dimensions and rotation, and videos of boxes in space',
        needs_tracks=True,
    ),
    'tracking': Family(
        tracking_scores,
        ('HOTA', 'DetA', 'AssA', 'MOTA', 'IDF1', *COUNTS),
        lambda evaluation_set, _: evaluation_set.has_tracks,
        'videos of more than one image (video_id and frame_id) with an object',
        needs_tracks=True,
    ),
    'pose_tracking': Family(
        pose_tracking_scores,
        JOINT_METRICS,
        lambda evaluation_set, spec: 'hps' in spec.heads and has_joint_tracks(evaluation_set),
        'a pose model, and videos of more than one image with joints that are visible',
        needs_tracks=True,
    ),
}


def applicable_families(
    evaluation_set: EvaluationSet, spec: ModelSpec, *, tracked: bool = True
) -> tuple[str, ...]:
    """Names of the families that set and model allow; `voc` is for stills unless asked for.

    Args:
        evaluation_set: the truth.
        spec: of the model.
        tracked: whether the tracker ran.

    Returns:
        None for a set without objects, such as the test part of a benchmark.
    """
    return tuple(
        name
        for name, family in FAMILIES.items()
        if family.applies(evaluation_set, spec)
        and (tracked or not family.needs_tracks)
        and not (name == 'voc' and evaluation_set.has_motion)
    )


def check_families(
    names: Sequence[str], evaluation_set: EvaluationSet, spec: ModelSpec
) -> tuple[str, ...]:
    """The names, all of them allowed.

    Raises:
        ValueError: set or model do not have what one of them needs.
    """
    for name in names:
        family = FAMILIES[name]
        if not family.applies(evaluation_set, spec):
            raise ValueError(
                f'metrics {name}: expected {family.needs}, which {spec.name} and '
                f'{evaluation_set.name} do not have'
            )
    return tuple(names)


def score_families(
    names: Sequence[str], evaluation_set: EvaluationSet, results: Sequence[FrameResult]
) -> Scores:
    """The metrics of some families together.

    Raises:
        ValueError: set or results do not have what one of them needs.
    """
    return merged_scores([FAMILIES[name].score(evaluation_set, results) for name in names])
