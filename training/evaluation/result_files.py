"""Files with the results on a set, in the forms of the benchmarks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.files import write_atomically
from training.evaluation.kitti import write_kitti
from training.evaluation.mot import write_mot
from training.evaluation.nuscenes import (
    nuscenes_detection_results,
    nuscenes_tracking_results,
    write_nuscenes,
)
from training.evaluation.runner import FrameResult
from training.evaluation.sets import EvaluationSet
from training.evaluation.voc import write_voc_results

# Of tracks, which tests at several scales do not give.
TRACK_FILES = frozenset({'mot', 'kitti', 'nuscenes'})

Writer = Callable[[Path, EvaluationSet, Sequence[FrameResult]], object]


def write_coco(
    folder: Path, evaluation_set: EvaluationSet, results: Sequence[FrameResult]
) -> None:
    """`results.json`: a list of all detections, with the file's ids of images and categories.

    Boxes are left, top, width, height; key points x, y, score; masks run-length codes.
    """
    # Text of each image: as objects, those of 5,000 images of a pose model fill gigabytes.
    texts: list[str] = []
    for record, result in zip(evaluation_set.records, results, strict=True):
        entries: list[dict[str, Any]] = []
        found = result.detections
        boxes = found.boxes.astype(np.float64)
        for place, index in enumerate(found.classes.tolist()):
            category = evaluation_set.category_ids[index]
            if category is None:
                continue
            left, top, right, bottom = boxes[place].tolist()
            entry: dict[str, Any] = {
                'image_id': record.image_id,
                'category_id': category,
                'bbox': [round(value, 2) for value in (left, top, right - left, bottom - top)],
                'score': round(float(found.scores[place]), 5),
            }
            if found.keypoints is not None:
                joints = found.keypoints[place].astype(np.float64)
                entry['keypoints'] = joints.ravel().round(3).tolist()
            if result.mask_codes is not None:
                code = result.mask_codes[place]
                entry['segmentation'] = {**code, 'counts': code['counts'].decode('ascii')}
            entries.append(entry)
        if entries:
            texts.append(json.dumps(entries, allow_nan=False)[1:-1])
    write_atomically(folder / 'results.json', f'[{", ".join(texts)}]')


def _write_nuscenes(
    folder: Path, evaluation_set: EvaluationSet, results: Sequence[FrameResult]
) -> None:
    """`detection.json` and `tracking.json`."""
    write_nuscenes(folder / 'detection.json', nuscenes_detection_results(evaluation_set, results))
    write_nuscenes(folder / 'tracking.json', nuscenes_tracking_results(evaluation_set, results))


RESULT_FILES: dict[str, Writer] = {
    'coco': write_coco,
    'voc': write_voc_results,
    'mot': write_mot,
    'kitti': write_kitti,
    'nuscenes': _write_nuscenes,
}
