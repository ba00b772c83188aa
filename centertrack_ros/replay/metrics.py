"""Tracking metrics by TrackEval, in memory and without its preprocessing of benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from trackeval.metrics import CLEAR, HOTA, Identity

from centertrack_ros.datatypes import IntArray
from centertrack_ros.replay.mot_files import FrameBoxes

PERCENTAGES = ('HOTA', 'DetA', 'AssA', 'MOTA', 'IDF1')
COUNTS = ('IDSW', 'Frag', 'FP', 'FN')
# Name here -> name in TrackEval, where they differ.
TRACKEVAL_NAMES = {'FP': 'CLR_FP', 'FN': 'CLR_FN'}

SequenceData = dict[str, Any]


def evaluate(truth: Sequence[FrameBoxes], result: Sequence[FrameBoxes]) -> dict[str, float]:
    """Compare the tracks of one recording with its ground truth.

    A match needs an overlap (intersection over union) of 0.5 for MOTA and IDF1; HOTA is the
    mean over 0.05 to 0.95.

    Args:
        truth: objects of each image; images beyond its end have none.
        result: tracks of each image; images beyond its end have none.

    Returns:
        HOTA, DetA, AssA, MOTA, IDF1 in percent; IDSW, Frag, FP, FN as counts.

    Raises:
        ValueError: the ground truth has no object.
    """
    return score_sequences({'recording': sequence_data(truth, result)})


def score_sequences(sequences: Mapping[str, SequenceData]) -> dict[str, float]:
    """Metrics over all boxes of several recordings together.

    Args:
        sequences: by name, what `sequence_data` or a TrackEval dataset's
            `get_preprocessed_seq_data` returns.

    Raises:
        ValueError: the ground truth has no object, so that no metric is defined.
    """
    if not any(data['num_gt_dets'] for data in sequences.values()):
        raise ValueError('the ground truth has no object to compare with')
    combined: dict[str, Any] = {}
    for metric in (HOTA(), CLEAR({'PRINT_CONFIG': False}), Identity({'PRINT_CONFIG': False})):
        parts = {name: metric.eval_sequence(data) for name, data in sequences.items()}
        combined.update(metric.combine_sequences(parts))
    # HOTA, DetA and AssA come once per overlap threshold.
    scores: dict[str, float] = {
        name: round(100.0 * float(np.mean(combined[name])), 3) for name in PERCENTAGES
    }
    for name in COUNTS:
        scores[name] = int(combined[TRACKEVAL_NAMES.get(name, name)])
    return scores


def sequence_data(truth: Sequence[FrameBoxes], result: Sequence[FrameBoxes]) -> SequenceData:
    """What TrackEval's metrics read: ids without gaps from 0, and the overlaps per image."""
    count = max(len(truth), len(result))
    truth = [*truth, *[FrameBoxes.empty()] * (count - len(truth))]
    result = [*result, *[FrameBoxes.empty()] * (count - len(result))]
    return numbered_sequence(
        [frame.ids for frame in truth],
        [frame.ids for frame in result],
        [
            overlaps(expected.boxes, found.boxes)
            for expected, found in zip(truth, result, strict=True)
        ],
    )


def numbered_sequence(
    truth_ids: Sequence[IntArray],
    result_ids: Sequence[IntArray],
    similarities: Sequence[NDArray[np.float64]],
) -> SequenceData:
    """The same from how alike objects (N,) and tracks (M,) of each image are.

    Args:
        truth_ids, result_ids: per image.
        similarities: (N, M) per image, from 0 to 1; from 0.5 on two can be a pair.
    """
    renumbered_truth, truth_id_count = _renumber(truth_ids)
    renumbered_result, result_id_count = _renumber(result_ids)
    return {
        'num_timesteps': len(similarities),
        'num_gt_ids': truth_id_count,
        'num_tracker_ids': result_id_count,
        'num_gt_dets': sum(map(len, truth_ids)),
        'num_tracker_dets': sum(map(len, result_ids)),
        'gt_ids': renumbered_truth,
        'tracker_ids': renumbered_result,
        'similarity_scores': list(similarities),
    }


def overlaps(boxes_a: NDArray[np.float64], boxes_b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union (N, M) of boxes (N, 4) and (M, 4) xyxy; 0 for empty boxes."""
    top_left = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    bottom_right = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    intersection = np.prod(np.maximum(bottom_right - top_left, 0.0), axis=2)
    areas_a = np.prod(np.maximum(boxes_a[:, 2:] - boxes_a[:, :2], 0.0), axis=1)
    areas_b = np.prod(np.maximum(boxes_b[:, 2:] - boxes_b[:, :2], 0.0), axis=1)
    union = areas_a[:, None] + areas_b[None, :] - intersection
    result: NDArray[np.float64] = np.zeros(union.shape)
    np.divide(intersection, union, out=result, where=union > 0)
    return result


def _renumber(ids: Sequence[IntArray]) -> tuple[list[IntArray], int]:
    """Ids per image as indices into the sorted distinct ids, and how many there are."""
    if not ids:
        return [], 0
    distinct = np.unique(np.concatenate(ids))
    return [np.searchsorted(distinct, of_image) for of_image in ids], len(distinct)
