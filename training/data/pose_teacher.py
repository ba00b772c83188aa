"""MoveNet multipose as a teacher: it looks at a picture several times and is sure where it agrees.

One look of a network says little of how sure it is: looked at larger, or in a mirror, the same
person may have other joints. What the looks agree on is the nearest to a truth that there is
without an annotator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from centertrack_ros.datatypes import Detections, FloatArray, Image, IntArray
from centertrack_ros.decoding import decode
from centertrack_ros.model_spec import DecodeRules, ModelSpec, Thresholds
from centertrack_ros.preprocessing import fit_transform, to_input
from centertrack_ros.replay.metrics import overlaps
from training.classes import COCO_JOINTS
from training.data.labels import mirrored_joints
from training.evaluation.engines import TorchEngine
from training.models.graph import TrackerGraph
from training.models.movenet_multipose import (
    CHANNEL_MEAN,
    CHANNEL_STD,
    HEADS,
    load_movenet_multipose,
)

WEIGHTS = Path('../shared/weights/movenet_multipose')
# (height, width) of the looks: as many pixels as these, in the proportions of the picture. The
# network knows people up to 250 of its pixels high, so large ones are seen in the small looks.
LOOK_SIZES = ((192, 256), (288, 384), (384, 512))
# Of so many looks, those that see a person best, is made what is said of it.
BEST_SHARE = 2 / 3
LEAST_SCORE = 0.05
SAME_PERSON = 0.5


@dataclass(frozen=True)
class TeacherPoses:
    """Persons that at least one look saw, best score first.

    All is of the looks that see the person best, `BEST_SHARE` of all.

    Attributes:
        boxes: (N, 4) float32 xyxy, image pixels, median of the looks.
        scores: (N,) float32, mean of the looks; 0 in one that did not see the person.
        joints: (N, J, 2) float32, image pixels, median of the looks.
        joint_scores: (N, J) float32, mean of the looks, as for the person.
        spreads: (N, J) float32, pixels: median distance of the looks from `joints`.
    """

    boxes: FloatArray
    scores: FloatArray
    joints: FloatArray
    joint_scores: FloatArray
    spreads: FloatArray

    def __len__(self) -> int:
        return len(self.scores)


class PoseTeacher:
    """Looks at pictures.

    Args:
        weights: folder of MoveNet multipose.
        sizes: of the looks; each is taken of the picture and of its mirror image.

    Raises:
        FileNotFoundError, ValueError: see `load_movenet_multipose`.
    """

    def __init__(
        self, weights: Path = WEIGHTS, sizes: Sequence[tuple[int, int]] = LOOK_SIZES
    ) -> None:
        network = load_movenet_multipose(weights)
        self._specs = [_spec(size) for size in sizes]
        self._engine = TorchEngine(TrackerGraph(network, self._specs[0]))
        self._order = np.arange(len(COCO_JOINTS))
        for left, right in mirrored_joints(COCO_JOINTS):
            self._order[[left, right]] = right, left

    def poses(self, image: Image) -> TeacherPoses:
        """What all looks together say of a picture (H, W, 3) uint8 BGR."""
        looks = []
        for spec in self._specs:
            looks.append(self._look(image, spec))
            turned = self._look(np.ascontiguousarray(image[:, ::-1]), spec)
            looks.append(self._mirrored(turned, image.shape[1]))
        return agreed_poses(looks)

    def _look(self, image: Image, spec: ModelSpec) -> Detections:
        transform = fit_transform(image.shape[:2], spec)
        batch = to_input(image, transform)[None]
        # Not used by the network, which sees one image alone.
        unused = np.zeros((1, 1, *batch.shape[1:3]), np.float32)
        return decode(
            self._engine.run(batch, batch, unused),
            transform,
            stride=spec.stride,
            threshold=LEAST_SCORE,
            duplicate_overlap=spec.decode.duplicate_overlap,
        )

    def _mirrored(self, found: Detections, width: int) -> Detections:
        boxes = found.boxes.copy()
        boxes[:, [0, 2]] = width - found.boxes[:, [2, 0]]
        assert found.keypoints is not None
        joints = found.keypoints[:, self._order]
        joints[..., 0] = width - joints[..., 0]
        return replace(found, boxes=boxes, keypoints=joints)


def agreed_poses(looks: Sequence[Detections]) -> TeacherPoses:
    """Persons of several looks at one picture; those of two looks that overlap are the same.

    Args:
        looks: with key points, in pixels of the picture.
    """
    boxes = np.concatenate([look.boxes for look in looks])
    scores = np.concatenate([look.scores for look in looks])
    joints = np.concatenate([look.keypoints for look in looks if look.keypoints is not None])
    sources = np.repeat(np.arange(len(looks)), [len(look) for look in looks])
    persons = [
        _agreed(boxes[rows], scores[rows], joints[rows], len(looks))
        for rows in _grouped(boxes, scores, sources)
    ]
    order = np.argsort([-person[1] for person in persons], kind='stable')
    count = len(COCO_JOINTS) if not len(joints) else joints.shape[1]
    shapes = ((4,), (), (count, 2), (count,), (count,))
    columns = [
        np.array([persons[row][field] for row in order], np.float32).reshape(-1, *shape)
        for field, shape in enumerate(shapes)
    ]
    return TeacherPoses(*columns)


def _grouped(boxes: FloatArray, scores: FloatArray, sources: IntArray) -> list[IntArray]:
    """Rows of the same person, at most one of each look; the best seen one chooses first."""
    shares = overlaps(boxes.astype(np.float64), boxes.astype(np.float64))
    free = np.ones(len(boxes), np.bool_)
    groups = []
    for row in np.argsort(-scores, kind='stable'):
        if not free[row]:
            continue
        members = [int(row)]
        for source in np.unique(sources[sources != sources[row]]):
            rows = np.flatnonzero(free & (sources == source))
            if len(rows) and shares[row, rows].max() >= SAME_PERSON:
                members.append(int(rows[shares[row, rows].argmax()]))
        free[members] = False
        groups.append(np.array(members, np.int64))
    return groups


def _agreed(
    boxes: FloatArray, scores: FloatArray, joints: FloatArray, looks: int
) -> tuple[FloatArray, float, FloatArray, FloatArray, FloatArray]:
    """One row of `TeacherPoses` from those of the looks that saw the person."""
    counted = max(1, round(BEST_SHARE * looks))
    best = np.argsort(-scores, kind='stable')[:counted]
    boxes, scores, joints = boxes[best], scores[best], joints[best]
    places = np.median(joints[..., :2], axis=0)
    away = np.linalg.norm(joints[..., :2] - places, axis=2)
    return (
        np.median(boxes, axis=0),
        float(scores.sum() / counted),
        places,
        joints[..., 2].sum(axis=0) / counted,
        np.median(away, axis=0),
    )


def _spec(size: tuple[int, int]) -> ModelSpec:
    return ModelSpec(
        name='movenet_multipose',
        architecture='movenet',
        input_height=size[0],
        input_width=size[1],
        resize='adaptive',
        stride=4,
        max_candidates=50,
        classes=('person',),
        heads=dict(HEADS),
        box='wh',
        radius_rule='exact',
        prior_heatmap_stride=4,
        thresholds=Thresholds(detection=0.1, track=0.3, birth=0.4, prior=0.3),
        licence='Apache-2.0',
        joints=COCO_JOINTS,
        previous_image=False,
        prior_heatmap=False,
        channel_mean=CHANNEL_MEAN,
        channel_std=CHANNEL_STD,
        decode=DecodeRules(joints='movenet', duplicate_overlap=0.7),
    )
