"""Scores of tracks and of the detections that they were made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.comparison.recordings import Recording
from benchmarks.comparison.sequences import LabelledSequence
from centertrack_ros.datatypes import Detections, Tracks
from centertrack_ros.replay.metrics import SequenceData, sequence_data
from centertrack_ros.replay.mot_files import FrameBoxes
from training.evaluation.detection import Row, coco_precision
from training.evaluation.tracking import tracks_at_regions

METRICS = ('HOTA', 'DetA', 'AssA', 'MOTA', 'IDF1', 'IDSW', 'Frag')
_NO_BOXES = np.zeros((0, 4))


def frames_of_class(recording: Recording, class_index: int) -> list[FrameBoxes]:
    """Our own tracks of one class, with the precision of a MOT file."""
    return [_frame(tracks[tracks.classes == class_index]) for tracks in recording.tracks]


@dataclass(frozen=True)
class Comparison:
    """Tracks of one sequence beside its truth.

    Attributes:
        data: what the metrics read.
        found: tracks of each image that are compared.
    """

    data: SequenceData
    found: Sequence[FrameBoxes]


def compared(sequence: LabelledSequence, found: Sequence[FrameBoxes]) -> Comparison:
    """Compare tracks with the truth; those at distractors are left out, by MOTChallenge's rule."""
    truth = _padded(sequence.truth, len(found))
    distractors = _padded(sequence.distractors, len(found))
    kept = [_without_distracted(*frame) for frame in zip(found, truth, distractors, strict=True)]
    return Comparison(sequence_data(truth, kept), kept)


def detection_precision(
    sequences: Sequence[LabelledSequence],
    recordings: Sequence[Recording],
    class_index: int,
) -> dict[str, float]:
    """Average precision of one class over all images of the sequences, in percent.

    Distractors count as COCO's crowds: detections in them are neither right nor wrong.

    Args:
        sequences: the truth.
        recordings: of them in the same order; their detections are measured.
        class_index: class of the detections.

    Returns:
        AP50 (overlap 0.5) and AP (mean over 0.5 to 0.95).
    """
    images: list[Row] = []
    truth: list[Row] = []
    found: list[Row] = []
    for sequence, recording in zip(sequences, recordings, strict=True):
        expected = _padded(sequence.truth, len(recording))
        distractors = _padded(sequence.distractors, len(recording))
        for objects, ignored, detections in zip(
            expected, distractors, recording.detections, strict=True
        ):
            image = len(images)
            images.append({'id': image})
            _add_rows(truth, image, objects.boxes, iscrowd=0)
            _add_rows(truth, image, ignored.boxes, iscrowd=1)
            _add_detections(found, image, detections[detections.classes == class_index])
    precision, areas = coco_precision(images, truth, found, [0])
    values = precision[:, :, 0, areas.index('all'), -1].clip(0)
    return {
        'AP50': round(100.0 * float(values[0].mean()), 3),
        'AP': round(100.0 * float(values.mean()), 3),
    }


def _frame(tracks: Tracks) -> FrameBoxes:
    return FrameBoxes(
        tracks.ids,
        tracks.boxes.astype(np.float64).round(3),
        tracks.scores.astype(np.float64).round(4),
    )


def _padded(frames: Sequence[FrameBoxes], count: int) -> list[FrameBoxes]:
    return [*frames, *[FrameBoxes.empty()] * (count - len(frames))]


def _without_distracted(
    found: FrameBoxes, truth: FrameBoxes, distractors: FrameBoxes
) -> FrameBoxes:
    if not len(distractors) or not len(found):
        return found
    kept = ~tracks_at_regions(found.boxes, truth.boxes, distractors.boxes, _NO_BOXES)
    return FrameBoxes(found.ids[kept], found.boxes[kept], found.scores[kept])


def _add_rows(rows: list[Row], image: int, boxes: NDArray[np.float64], *, iscrowd: int) -> None:
    for left, top, right, bottom in boxes.tolist():
        rows.append(
            {
                'id': len(rows) + 1,
                'image_id': image,
                'category_id': 0,
                'bbox': [left, top, right - left, bottom - top],
                'area': (right - left) * (bottom - top),
                'iscrowd': iscrowd,
            }
        )


def _add_detections(rows: list[Row], image: int, detections: Detections) -> None:
    first = len(rows)
    _add_rows(rows, image, detections.boxes.astype(np.float64), iscrowd=0)
    for row, score in zip(rows[first:], detections.scores.tolist(), strict=True):
        row['score'] = score
