"""Sets and results made by hand, or read from the files of benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.datatypes import Detections, Tracks
from training.data.coco_records import FrameRecord
from training.data.labels import FrameLabels
from training.evaluation.runner import FrameResult
from training.evaluation.sets import EvaluationSet, EvaluationVideo


def make_detections(boxes=(), scores=None, classes=None, **fields: Any) -> Detections:
    """Detections with boxes xyxy, of class 0 and score 0.9 unless said."""
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    count = len(boxes)
    return Detections(
        boxes=boxes,
        scores=np.full(count, 0.9, np.float32) if scores is None else np.float32(scores),
        classes=np.array([0] * count if classes is None else classes, np.int64),
        centers=(boxes[:, :2] + boxes[:, 2:]) / 2,
        offsets=np.zeros((count, 2), np.float32),
        **fields,
    )


def make_result(detections: Detections | None = None, ids=None) -> FrameResult:
    """A result in which every detection is a reported track."""
    detections = make_detections() if detections is None else detections
    count = len(detections)
    tracks = Tracks(
        ids=np.arange(1, count + 1) if ids is None else np.array(ids, np.int64),
        boxes=detections.boxes,
        scores=detections.scores,
        classes=detections.classes,
        centers=detections.centers,
        velocities=np.zeros((count, 2), np.float32),
        hits=np.ones(count, np.int64),
        misses=np.zeros(count, np.int64),
        reported=np.ones(count, np.bool_),
        detection_indices=np.arange(count),
        prior_weights=np.ones(count, np.float32),
    )
    return FrameResult(tracks=tracks, seen=detections, detections=detections)


def make_set(
    names: list[str],
    *,
    labels: list[FrameLabels] | None = None,
    class_names: tuple[str, ...] = ('person',),
    videos: dict[str, list[int]] | None = None,
    images: list[dict[str, Any]] | None = None,
    camera_matrix=None,
) -> EvaluationSet:
    """A set of pictures with these names: stills, or videos of rows whose frames count from 1."""
    places: dict[int, tuple[str, int]] = {
        row: (video, frame)
        for video, rows in (videos or {}).items()
        for frame, row in enumerate(rows, start=1)
    }
    records = tuple(
        FrameRecord(
            path=Path(name),
            video=(places[row][0], 1) if places else ('still', row),
            frame=places[row][1] if places else 1,
            labels=FrameLabels.from_rows() if labels is None else labels[row],
            image_id=row + 1,
            row=row,
            camera_matrix=camera_matrix,
        )
        for row, name in enumerate(names)
    )
    listed = [
        EvaluationVideo(name, tuple(rows), tuple(map(float, range(len(rows)))), still=False)
        for name, rows in (videos or {}).items()
    ] or [
        EvaluationVideo(Path(name).stem, (row,), (0.0,), still=True)
        for row, name in enumerate(names)
    ]
    return EvaluationSet(
        name='scene',
        source='scene.json',
        class_names=class_names,
        category_ids=tuple(range(1, len(class_names) + 1)),
        joint_names=(),
        records=records,
        videos=tuple(listed),
        annotations=tuple(() for _ in names),
        content={'images': images or [{} for _ in names]},
    )
