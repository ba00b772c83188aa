"""COCO's average precision of boxes, key points and masks, by pycocotools.

Crowds and other ignored regions count as COCO's crowds: detections in them are neither right nor
wrong, and nobody has to find them. Of each class and image the 100 best detections count, of key
points the 20 best.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from training.classes import COCO_JOINTS
from training.evaluation.runner import FrameResult
from training.evaluation.scores import Scores
from training.evaluation.sets import EvaluationSet

Kind = Literal['bbox', 'keypoints', 'segm']

# Name of a metric -> overlap threshold, or the mean over all; range of areas.
_METRICS: dict[str, tuple[float | None, str]] = {
    'AP': (None, 'all'),
    'AP50': (0.5, 'all'),
    'AP75': (0.75, 'all'),
    'AP_small': (None, 'small'),
    'AP_medium': (None, 'medium'),
    'AP_large': (None, 'large'),
}
_PREFIXES: dict[Kind, str] = {'bbox': '', 'keypoints': 'keypoint_', 'segm': 'mask_'}
# Of a class in an image. pycocotools drops the rest too, but only from hundreds of megabytes.
_MOST_DETECTIONS: dict[Kind, int] = {'bbox': 100, 'keypoints': 20, 'segm': 100}
# Tolerance of joints against the size of the object (OKS), where COCO gives none: between that
# of its eyes (0.025) and of its hips (0.107).
OTHER_JOINTS_SIGMA = 0.05

Row = dict[str, Any]


def metric_names(kind: Kind) -> tuple[str, ...]:
    """Names of the metrics of `detection_scores`."""
    # COCO has no small persons with joints.
    left_out = 'AP_small' if kind == 'keypoints' else ''
    return tuple(_PREFIXES[kind] + name for name in _METRICS if name != left_out)


def detection_scores(
    evaluation_set: EvaluationSet, results: Sequence[FrameResult], kind: Kind = 'bbox'
) -> Scores:
    """AP, AP50, AP75 and those of small, medium and large objects, in [0, 1].

    The names begin with `keypoint_` or `mask_` for those kinds. Key points are measured of the
    classes that have some in the file. Scores are those of the detections, as in CenterNet.

    Args:
        evaluation_set: the truth; loaded with joint names for `keypoints`.
        results: one per record.
        kind: what overlaps: boxes, key points (by OKS), masks.

    Raises:
        ValueError: the set or the results do not have what `kind` needs, or the set has no
            object of the classes measured.
    """
    classes = evaluation_set.class_indices
    truth = _truth_rows(evaluation_set, kind)
    if kind == 'keypoints':
        labelled = {row['category_id'] for row in truth if row['num_keypoints']}
        classes = tuple(index for index in classes if index in labelled)
    if not any(not row['iscrowd'] and row['category_id'] in classes for row in truth):
        raise ValueError(f'{evaluation_set.name}: no {kind} of an object to compare with')
    found = _result_rows(evaluation_set, results, kind)
    precision, area_names = _precision(evaluation_set, truth, found, classes, kind)
    prefix = _PREFIXES[kind]
    overall, per_class = {}, {index: {} for index in classes}
    for name, (threshold, area) in _METRICS.items():
        if kind == 'keypoints' and area == 'small':
            continue  # COCO labels no key points of small people
        values = precision[:, :, :, area_names.index(area), -1]
        if threshold is not None:
            values = values[[round((threshold - 0.5) / 0.05)]]
        _put(overall, prefix + name, values)
        for place, index in enumerate(classes):
            _put(per_class[index], prefix + name, values[:, :, place])
    names = evaluation_set.class_names
    return Scores(overall, {names[index]: scores for index, scores in per_class.items()})


def joint_sigmas(names: Sequence[str]) -> NDArray[np.float64]:
    """Tolerance (J,) of each joint: COCO's own of its joints, `OTHER_JOINTS_SIGMA` of others."""
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCOeval(iouType='keypoints').params.kpt_oks_sigmas
    of_coco = dict(zip(COCO_JOINTS, known, strict=True))
    return np.array([of_coco.get(name, OTHER_JOINTS_SIGMA) for name in names])


def has_shapes(evaluation_set: EvaluationSet) -> bool:
    """Whether the file has the shape of every object, so that masks can be measured."""
    shapes = [
        bool(annotation.get('segmentation'))
        for annotation, crowd, _, _ in _annotations(evaluation_set)
        if not crowd
    ]
    return bool(shapes) and all(shapes)


def has_joints(evaluation_set: EvaluationSet) -> bool:
    """Whether an object of the set has a labelled joint."""
    joints = (record.labels.joints for record in evaluation_set.records)
    return any(array is not None and bool((array[..., 2] > 0).any()) for array in joints)


def _put(scores: dict[str, float], name: str, precision: NDArray[np.float64]) -> None:
    """The mean where it is defined; -1 marks classes without an object of that size."""
    known = precision[precision > -1]
    if known.size:
        scores[name] = round(float(known.mean()), 5)


def _annotations(
    evaluation_set: EvaluationSet,
) -> list[tuple[Mapping[str, Any], bool, int, int]]:
    """Annotation, whether it is an ignored region, class index, row of its image."""
    index_of = {evaluation_set.category_ids[i]: i for i in evaluation_set.class_indices}
    rows = []
    for row, (record, listed) in enumerate(
        zip(evaluation_set.records, evaluation_set.annotations, strict=True)
    ):
        for places, crowd in ((record.labels.rows, False), (record.labels.ignore_rows, True)):
            for place in () if places is None else places.tolist():
                index = index_of.get(listed[place]['category_id'])
                if index is not None:
                    rows.append((listed[place], crowd, index, row))
    return rows


def _truth_rows(evaluation_set: EvaluationSet, kind: Kind) -> list[Row]:
    """What pycocotools reads; images are numbered by row and classes by index."""
    joint_count = len(evaluation_set.joint_names)
    truth = []
    for annotation, crowd, index, row in _annotations(evaluation_set):
        left, top, width, height = annotation['bbox']
        entry: Row = {
            'id': len(truth) + 1,  # 0 means unmatched to pycocotools
            'image_id': row,
            'category_id': index,
            'bbox': [left, top, width, height],
            'area': annotation.get('area', width * height),
            'iscrowd': int(crowd),
        }
        if kind == 'segm':
            entry['segmentation'] = annotation.get('segmentation')
            if not entry['segmentation']:
                if not crowd:
                    raise ValueError(
                        f'{evaluation_set.name}: mask AP needs the segmentation of every object, '
                        f'that of annotation {annotation.get("id")} of '
                        f'{evaluation_set.records[row].path.name} is missing'
                    )
                right, bottom = left + width, top + height
                entry['segmentation'] = [[left, top, right, top, right, bottom, left, bottom]]
        if kind == 'keypoints':
            joints = annotation.get('keypoints') or [0] * (3 * joint_count)
            entry['keypoints'] = joints
            entry['num_keypoints'] = sum(value > 0 for value in joints[2::3])
        truth.append(entry)
    return truth


def _result_rows(
    evaluation_set: EvaluationSet, results: Sequence[FrameResult], kind: Kind
) -> list[Row]:
    found: list[Row] = []
    measured = set(evaluation_set.class_indices)
    most = _MOST_DETECTIONS[kind]
    for row, result in enumerate(results):
        detections = result.detections
        if kind == 'keypoints' and detections.keypoints is None:
            raise ValueError('key points: expected those of a pose model, the model has none')
        if kind == 'segm' and result.mask_codes is None:
            raise ValueError('masks: expected those of a model with masks, the model has none')
        boxes = detections.boxes.astype(np.float64)
        left = dict.fromkeys(measured, most)
        for place, index in enumerate(detections.classes.tolist()):
            if not left.get(index):
                continue
            left[index] -= 1
            entry: Row = {
                'id': len(found) + 1,
                'image_id': row,
                'category_id': index,
                'score': float(detections.scores[place]),
                'iscrowd': 0,
            }
            corners = boxes[place]
            if kind == 'keypoints' and detections.keypoints is not None:
                joints = detections.keypoints[place].astype(np.float64)
                entry['keypoints'] = joints.ravel().tolist()
                # As pycocotools does: an instance is as large as what its joints span.
                corners = np.concatenate((joints[:, :2].min(axis=0), joints[:, :2].max(axis=0)))
            if kind == 'segm' and result.mask_codes is not None:
                entry['segmentation'] = result.mask_codes[place]
            width, height = (corners[2:] - corners[:2]).tolist()
            entry['bbox'] = [*corners[:2].tolist(), width, height]
            entry['area'] = width * height
            if kind == 'segm':
                entry['area'] = float(coco_mask.area(entry['segmentation']))
            found.append(entry)
    return found


def _precision(
    evaluation_set: EvaluationSet,
    truth: list[Row],
    found: list[Row],
    classes: Sequence[int],
    kind: Kind,
) -> tuple[NDArray[np.float64], list[str]]:
    """COCOeval's precision (T, R, K, A, M), and the names of its ranges of areas."""
    sizes = [record.size for record in evaluation_set.records]
    if kind == 'segm' and None in sizes:
        raise ValueError(f'{evaluation_set.name}: mask AP needs height and width of all images')
    images = [
        {'id': row} if size is None else {'id': row, 'height': size[0], 'width': size[1]}
        for row, size in enumerate(sizes)
    ]
    sigmas = joint_sigmas(evaluation_set.joint_names) if kind == 'keypoints' else None
    return coco_precision(images, truth, found, classes, kind, sigmas)


def coco_precision(
    images: list[Row],
    truth: list[Row],
    found: list[Row],
    classes: Sequence[int],
    kind: Kind = 'bbox',
    sigmas: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], list[str]]:
    """COCOeval's precision (T, R, K, A, M), and the names of its ranges of areas.

    Args:
        images: entries as in COCO's files; ids as in the rows.
        truth, found: annotations as in COCO's files, those of `found` with a `score`; ids from 1.
        classes: category ids.
        kind: what overlaps.
        sigmas: tolerance (J,) of each joint for `keypoints`.
    """
    # pycocotools reports its progress with print.
    with contextlib.redirect_stdout(io.StringIO()):
        sides = []
        for annotations in (truth, found):
            side = COCO()
            side.dataset = {
                'images': images,
                'categories': [{'id': index} for index in classes],
                'annotations': annotations,
            }
            side.createIndex()
            sides.append(side)
        evaluation = COCOeval(*sides, kind)
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = sigmas
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval['precision'], evaluation.params.areaRngLbl
