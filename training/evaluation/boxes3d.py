"""How well boxes in space fit, for models with a depth.

Detections are paired with the truth in the image: those of one class, best score first, each
with the box that it overlaps most of those that are left, at least 0.5. Pairs are compared in
space: both sides are lifted with the camera matrix of the image, see `centertrack_ros.lifting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import BoolArray, Detections, FloatArray, IntArray
from centertrack_ros.lifting import Boxes3D, lift_detections
from centertrack_ros.replay.metrics import overlaps
from training.data.coco_records import FrameRecord
from training.data.labels import FrameLabels, box_centers
from training.evaluation.runner import FrameResult
from training.evaluation.scores import Scores
from training.evaluation.sets import EvaluationSet

LEAST_OVERLAP = 0.5
# Share of its depth by which the middle of a box may be wrong to count as found.
NEAR = 0.05
# What is measured; of the errors the lowest is the best.
ERRORS_3D = (
    'center_error_m',
    'center_error_of_depth',
    'yaw_error_deg',
    'dimension_error_m',
    'dimension_error_relative',
)
METRICS_3D = ('boxes3d_recall', 'center_error_share', *ERRORS_3D)


@dataclass(frozen=True)
class PairErrors:
    """Differences of N pairs.

    Attributes:
        centers: (N,) metres between the middles.
        depths: (N,) metres, true depths.
        yaws: (N,) radians from 0 to pi.
        dimensions: (N, 3) metres, absolute, height, width, length.
        true_dimensions: (N, 3) metres.
    """

    centers: NDArray[np.float64]
    depths: NDArray[np.float64]
    yaws: NDArray[np.float64]
    dimensions: NDArray[np.float64]
    true_dimensions: NDArray[np.float64]


def boxes3d_scores(evaluation_set: EvaluationSet, results: Sequence[FrameResult]) -> Scores:
    """Errors of the boxes in space that the tracker was given.

    Those are the detections above the model's threshold: the ones below are mostly false and
    would be paired all the same. Of the truth those objects count whose box in space is known.

    Args:
        evaluation_set: the truth; its images have camera matrices.
        results: one per record of it.

    Returns:
        `boxes3d_recall`: share of the true boxes with a partner in the image;
        `center_error_share`: share of those whose middle is less than 5 % of its depth away;
        medians over the pairs: `center_error_m`, `center_error_of_depth` (a share),
        `yaw_error_deg`, `dimension_error_m` (mean of the three) and `dimension_error_relative`.
        Without pairs only the first two are there, and 0.

    Raises:
        ValueError: no object has a box in space or no image of one a camera matrix, or the
            model has no depth, dimensions or rotation.
    """
    errors, total = [], 0
    measured = evaluation_set.class_indices
    for record, result in zip(evaluation_set.records, results, strict=True):
        known = known_boxes(record.labels) & np.isin(record.labels.classes, measured)
        if not known.any():
            continue
        total += int(known.sum())
        found = _frame_errors(record, result.seen, known)
        if found is not None:
            errors.append(found)
    if not total:
        raise ValueError(
            f'{evaluation_set.name}: expected objects with depth, dim, alpha and amodel_center, '
            'received none'
        )
    if not errors:
        return Scores({'boxes3d_recall': 0.0, 'center_error_share': 0.0})
    names = vars(errors[0])
    together = PairErrors(
        **{name: np.concatenate([getattr(part, name) for part in errors]) for name in names}
    )
    return Scores(_summary(together, total))


def has_boxes3d(evaluation_set: EvaluationSet) -> bool:
    """Whether an object of the set has a box in space."""
    return any(known_boxes(record.labels).any() for record in evaluation_set.records)


def pair_boxes(detections: Detections, boxes: FloatArray, classes: IntArray) -> IntArray:
    """Pairs (P, 2) of rows of detections and of true boxes (M, 4), see the module.

    Args:
        detections: best score first.
        boxes: (M, 4) xyxy, image pixels.
        classes: (M,).
    """
    shares = overlaps(detections.boxes.astype(np.float64), boxes.astype(np.float64))
    shares[detections.classes[:, None] != classes[None, :]] = 0.0
    pairs = []
    for row in range(len(shares)) if len(boxes) else ():
        column = int(shares[row].argmax())
        if shares[row, column] >= LEAST_OVERLAP:
            pairs.append((row, column))
            shares[:, column] = 0.0
    return np.array(pairs, np.int64).reshape(-1, 2)


def known_boxes(labels: FrameLabels) -> BoolArray:
    """(N,) which objects have a box in space."""
    fields = (labels.depth, labels.dimensions, labels.alpha, labels.amodal_centers)
    known = np.ones(len(labels), np.bool_)
    for values in fields:
        if values is None:
            return np.zeros(len(labels), np.bool_)
        known &= np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    return known


def _frame_errors(record: FrameRecord, seen: Detections, known: BoolArray) -> PairErrors | None:
    """Errors of one image, None without pairs."""
    if record.camera_matrix is None:
        raise ValueError(
            f'{record.path}: expected a camera matrix (calib of the image), as it has boxes in '
            'space, received none'
        )
    # Paired with all objects, so that none is taken for its neighbour that is not known.
    pairs = pair_boxes(seen, record.labels.boxes, record.labels.classes)
    pairs = pairs[known[pairs[:, 1]]]
    if not len(pairs):
        return None
    truth = record.labels.select(pairs[:, 1])
    expected = lift_detections(as_detections(truth), record.camera_matrix)
    received = lift_detections(seen[pairs[:, 0]], record.camera_matrix)
    return _errors(expected, received, truth)


def as_detections(labels: FrameLabels) -> Detections:
    """The objects as an infallible detector would see them."""
    count = len(labels)
    return Detections(
        boxes=labels.boxes,
        scores=np.ones(count, np.float32),
        classes=labels.classes,
        centers=box_centers(labels.boxes),
        offsets=np.zeros((count, 2), np.float32),
        depth=labels.depth,
        dimensions=labels.dimensions,
        alpha=None if labels.alpha is None else labels.alpha.astype(np.float32),
        amodal_centers=labels.amodal_centers,
    )


def _errors(expected: Boxes3D, received: Boxes3D, truth: FrameLabels) -> PairErrors:
    away = received.middles.astype(np.float64) - expected.middles
    turned = received.yaws.astype(np.float64) - expected.yaws
    return PairErrors(
        centers=np.linalg.norm(away, axis=1),
        depths=np.asarray(truth.depth, np.float64),
        yaws=np.abs(np.angle(np.exp(1j * turned))),
        dimensions=np.abs(received.dimensions.astype(np.float64) - expected.dimensions),
        true_dimensions=expected.dimensions.astype(np.float64),
    )


def _summary(errors: PairErrors, total: int) -> dict[str, float]:
    shares = errors.centers / errors.depths
    scores = {
        'boxes3d_recall': len(shares) / total,
        'center_error_share': np.mean(shares < NEAR),
        'center_error_m': np.median(errors.centers),
        'center_error_of_depth': np.median(shares),
        'yaw_error_deg': np.median(np.degrees(errors.yaws)),
        'dimension_error_m': np.median(errors.dimensions.mean(axis=1)),
        'dimension_error_relative': np.median(
            (errors.dimensions / errors.true_dimensions).mean(axis=1)
        ),
    }
    return {name: float(value) for name, value in scores.items()}
