"""HOTA, MOTA, IDF1 and their parts of the tracks of videos, by TrackEval.

Tracks at ignored regions count neither as right nor as wrong, by the rule of MOTChallenge and
KITTI: in each image the tracks of a class are matched with its objects and its regions around one
thing (with a track id in the file) at an overlap (IoU) of 0.5 or more, as many and as well as
possible. Tracks matched with such a region are left out, and of the unmatched ones those with half
of their area or more in one region around several things (a crowd).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from centertrack_ros.datatypes import BoolArray, IntArray, Tracks
from centertrack_ros.replay.metrics import (
    COUNTS,
    SequenceData,
    overlaps,
    score_sequences,
    sequence_data,
)
from centertrack_ros.replay.mot_files import FrameBoxes
from training.data.coco_records import FrameRecord
from training.data.labels import ALL_CLASSES
from training.evaluation.runner import FrameResult
from training.evaluation.scores import Scores
from training.evaluation.sets import EvaluationSet

MATCHING_OVERLAP = 0.5
SHARE_IN_CROWD = 0.5
Boxes = NDArray[np.float64]


def tracking_scores(evaluation_set: EvaluationSet, results: Sequence[FrameResult]) -> Scores:
    """Metrics of each class over all videos, and of all classes over all boxes.

    Stills are left out. A track of a class whose objects a video does not have is false; classes
    without any object have only counts.

    Args:
        evaluation_set: the truth.
        results: one per record.

    Returns:
        HOTA, DetA, AssA, MOTA, IDF1 in percent; IDSW, Frag, FP, FN.

    Raises:
        ValueError: the set has no video of more than one image, or no object in them.
    """
    videos = [video for video in evaluation_set.videos if not video.still]
    if not evaluation_set.has_motion:
        raise ValueError(
            f'{evaluation_set.name}: tracking needs videos of more than one image; images need '
            'video_id and frame_id'
        )
    overall: dict[str, SequenceData] = {}
    classes: dict[str, Mapping[str, float]] = {}
    for index in evaluation_set.class_indices:
        name = evaluation_set.class_names[index]
        sequences = {}
        for number, video in enumerate(videos):
            frames = [
                compared_boxes(
                    evaluation_set.records[row],
                    evaluation_set.annotations[row],
                    results[row].tracks,
                    index,
                )
                for row in video.rows
            ]
            # Names of videos may repeat, their numbers cannot.
            sequences[f'{name} {number}'] = sequence_data(*map(list, zip(*frames, strict=True)))
        overall |= sequences
        if any(data['num_gt_dets'] for data in sequences.values()):
            classes[name] = score_sequences(sequences)
        else:
            false = sum(data['num_tracker_dets'] for data in sequences.values())
            classes[name] = {**dict.fromkeys(COUNTS, 0), 'FP': false}
    return Scores(score_sequences(overall), classes)


def compared_boxes(
    record: FrameRecord,
    annotations: Sequence[Mapping[str, Any]],
    tracks: Tracks,
    class_index: int,
) -> tuple[FrameBoxes, FrameBoxes]:
    """Objects of a class in one image, and the tracks of it that are compared with them.

    Args:
        record: the image.
        annotations: of the image, as in the file.
        tracks: reported ones, of all classes.
        class_index: the class.
    """
    labels = record.labels
    own = labels.classes == class_index
    truth_boxes = labels.boxes[own].astype(np.float64)
    truth = FrameBoxes(labels.track_ids[own], truth_boxes, np.ones(len(truth_boxes)))
    tracks = tracks[tracks.classes == class_index]
    # The precision of MOT files, and so of the replay's metrics.
    found = FrameBoxes(tracks.ids, tracks.boxes.astype(np.float64).round(3), tracks.scores)
    applies = np.isin(labels.ignore_classes, (class_index, ALL_CLASSES))
    if not applies.any() or not len(found):
        return truth, found
    single = np.array(
        [_is_one_thing(annotations, place) for place in _places(labels.ignore_rows)], np.bool_
    )
    regions = labels.ignore_boxes.astype(np.float64)
    kept = ~tracks_at_regions(
        found.boxes, truth_boxes, regions[applies & single], regions[applies & ~single]
    )
    return truth, FrameBoxes(found.ids[kept], found.boxes[kept], found.scores[kept])


def tracks_at_regions(tracks: Boxes, objects: Boxes, things: Boxes, crowds: Boxes) -> BoolArray:
    """Which tracks (N,) are left out, see the module; all boxes (., 4) xyxy."""
    left_out: BoolArray = np.zeros(len(tracks), np.bool_)
    matched = np.zeros(len(tracks), np.bool_)
    scores = overlaps(np.concatenate((objects, things)), tracks)
    scores[scores < MATCHING_OVERLAP - np.finfo(np.float64).eps] = 0.0
    rows, columns = linear_sum_assignment(scores, maximize=True)
    good = scores[rows, columns] > 0
    matched[columns[good]] = True
    left_out[columns[good & (rows >= len(objects))]] = True
    if len(crowds):
        left_out |= ~matched & (_shares_inside(tracks, crowds).max(axis=1) >= SHARE_IN_CROWD)
    return left_out


def _shares_inside(boxes: Boxes, regions: Boxes) -> NDArray[np.float64]:
    """Share (N, M) of the area of boxes (N, 4) that lies in regions (M, 4)."""
    first = np.maximum(boxes[:, None, :2], regions[None, :, :2])
    last = np.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    common = np.maximum(last - first, 0.0).prod(axis=2)
    areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0).prod(axis=1)[:, None]
    return np.divide(common, areas, out=np.zeros_like(common), where=areas > 0)


def _places(rows: IntArray | None) -> list[int]:
    return [] if rows is None else rows.tolist()


def _is_one_thing(annotations: Sequence[Mapping[str, Any]], place: int) -> bool:
    return annotations[place].get('track_id') is not None
