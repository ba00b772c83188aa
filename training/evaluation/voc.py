"""Pascal VOC's mean average precision, and result files for its development kit.

The kit counts pixels from 1 and includes the last one, so a box is `xmax - xmin + 1` wide. A box
of ours, `x1, y1, x2, y2`, is its `xmin = x1 + 1, ymin = y1 + 1, xmax = x2, ymax = y2` (see
`training.convert.voc`): with these the kit's overlaps are exactly the plain ones of our boxes,
which are what is computed here. The rules are those of `VOCevaldet.m`:

- detections take part in the order of their scores, each compares itself with the object of its
  class that it overlaps most, at least 0.5;
- the first one at an object is right, further ones are wrong;
- those at a `difficult` object are neither, and difficult objects need not be found.

`training.convert voc` stores difficult objects as ignored regions, so every ignored region of a
class counts as one; a region for all classes is one of each class. Results as XML files are
written by `python -m training.convert voc --to-xml ... --results`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import BoolArray, Detections
from centertrack_ros.files import write_atomically
from centertrack_ros.replay.metrics import overlaps
from training.data.labels import ALL_CLASSES, FrameLabels
from training.evaluation.runner import FrameResult
from training.evaluation.scores import Scores
from training.evaluation.sets import EvaluationSet

LEAST_OVERLAP = 0.5
# What a detection is near to: none of the objects, or a difficult one.
NOTHING, DIFFICULT = -1, -2


@dataclass(frozen=True)
class ClassHits:
    """The detections of one class over all images, best score first.

    Attributes:
        right: (N,) bool, whether each is right; those at difficult objects are left out.
        positives: number of objects to be found.
    """

    right: BoolArray
    positives: int


def voc_map(evaluation_set: EvaluationSet, results: Sequence[FrameResult]) -> Scores:
    """Average precision of all detections, whatever their score.

    Args:
        evaluation_set: the truth.
        results: one per record of it.

    Returns:
        `VOC_mAP` (all points, VOC2010 and later) and `VOC2007_mAP` (eleven points), means over
        the classes that have an object to be found, and for each of these classes `VOC_AP` and
        `VOC2007_AP`; from 0 to 1.

    Raises:
        ValueError: there is no object to be found.
    """
    classes: dict[str, dict[str, float]] = {}
    for index in evaluation_set.class_indices:
        hits = class_hits(evaluation_set, results, index)
        if hits.positives:
            classes[evaluation_set.class_names[index]] = {
                'VOC_AP': average_precision(hits),
                'VOC2007_AP': eleven_point_precision(hits),
            }
    if not classes:
        raise ValueError(f'{evaluation_set.name}: the ground truth has no object to compare with')
    overall = {
        mean: float(np.mean([values[name] for values in classes.values()]))
        for mean, name in (('VOC_mAP', 'VOC_AP'), ('VOC2007_mAP', 'VOC2007_AP'))
    }
    return Scores(overall, classes)


def average_precision(hits: ClassHits) -> float:
    """Area under the curve of precision over recall, made to fall (VOC2010 and later)."""
    recall, precision = _curve(hits)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * best_from_here))


def eleven_point_precision(hits: ClassHits) -> float:
    """Mean over the recalls 0, 0.1, ... 1 of the best precision at them or beyond (VOC2007).

    Recalls are compared as whole numbers, where the kit's `0:0.1:1` has rounding errors.
    """
    found = np.cumsum(hits.right)
    _, precision = _curve(hits)
    best = [precision[10 * found >= step * hits.positives].max(initial=0.0) for step in range(11)]
    return float(np.mean(best))


def class_hits(
    evaluation_set: EvaluationSet, results: Sequence[FrameResult], class_index: int
) -> ClassHits:
    """Which detections of a class are right.

    Images whose annotator did not look for the class are left out.
    """
    positives = 0
    scores, nearest = [np.zeros(0)], [np.zeros(0, np.int64)]
    for record, result in zip(evaluation_set.records, results, strict=True):
        if class_index in record.labels.unlabelled_classes:
            continue
        chosen = np.flatnonzero(result.detections.classes == class_index)
        objects, difficult = _truth(record.labels, class_index)
        if len(chosen):
            boxes = result.detections.boxes[chosen].astype(np.float64)
            scores.append(result.detections.scores[chosen].astype(np.float64))
            nearest.append(_nearest(boxes, objects, difficult, first=positives))
        positives += len(objects)
    order = np.argsort(-np.concatenate(scores), kind='stable')
    taken = np.concatenate(nearest)[order]
    taken = taken[taken != DIFFICULT]
    right = np.zeros(len(taken), np.bool_)
    _, firsts = np.unique(taken, return_index=True)
    right[firsts] = True
    right[taken == NOTHING] = False
    return ClassHits(right, positives)


def write_voc_results(
    folder: Path, evaluation_set: EvaluationSet, results: Sequence[FrameResult]
) -> list[Path]:
    """Files `comp4_det_test_<class>.txt` as the development kit reads them.

    A line is the name of the image without its ending, the score, and xmin, ymin, xmax, ymax
    counted from 1; every class of the model that the set has gets a file, even an empty one.

    Raises:
        ValueError: two images have one name, or a class has a name that no file can have.
    """
    names = [record.path.stem for record in evaluation_set.records]
    if len(set(names)) < len(names):
        raise ValueError(
            f'{evaluation_set.name}: expected images with different names, as VOC knows them by '
            f'their name alone; received {len(names)} images with {len(set(names))} names'
        )
    paths = []
    for index in evaluation_set.class_indices:
        class_name = evaluation_set.class_names[index]
        if '/' in class_name:
            raise ValueError(f'class {class_name!r}: expected a name without /, for its file')
        lines = [
            line
            for name, result in zip(names, results, strict=True)
            for line in _lines(name, result.detections, index)
        ]
        paths.append(folder / f'comp4_det_test_{class_name}.txt')
        write_atomically(paths[-1], ''.join(lines))
    return paths


def _lines(name: str, detections: Detections, class_index: int) -> Iterator[str]:
    chosen = detections[detections.classes == class_index]
    corners = chosen.boxes + np.array([1, 1, 0, 0], np.float32)
    for score, box in zip(chosen.scores, corners, strict=True):
        yield f'{name} {score:.6f} {" ".join(f"{value:.3f}" for value in box)}\n'


def _truth(
    labels: FrameLabels, class_index: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Boxes of the objects of a class, and of its difficult ones."""
    ignored = np.isin(labels.ignore_classes, (class_index, ALL_CLASSES))
    objects = labels.boxes[labels.classes == class_index]
    return objects.astype(np.float64), labels.ignore_boxes[ignored].astype(np.float64)


def _nearest(
    boxes: NDArray[np.float64],
    objects: NDArray[np.float64],
    difficult: NDArray[np.float64],
    first: int,
) -> NDArray[np.int64]:
    """For each box the number of its object, counted from `first`, or what else it is at."""
    truth = np.concatenate((objects, difficult))
    if not len(truth):
        return np.full(len(boxes), NOTHING)
    shares = overlaps(boxes, truth)
    best = shares.argmax(axis=1)
    numbers = np.where(best < len(objects), first + best, DIFFICULT)
    return np.where(shares.max(axis=1) >= LEAST_OVERLAP, numbers, NOTHING)


def _curve(hits: ClassHits) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall and precision (N,) after each detection."""
    found = np.cumsum(hits.right)
    return found / hits.positives, found / np.arange(1, len(found) + 1)
