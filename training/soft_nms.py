"""Suppression of double detections, for tests at several scales.

Follows `src/lib/external/nms.pyx` of CenterNet and CenterTrack, with its arithmetic and order:
sizes are a pixel larger than the difference of the edges, values are float32, what is computed
of sizes is rounded from float64.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import BoolArray, FloatArray, IntArray

SoftRule = Literal['hard', 'linear', 'gaussian']


class SoftSuppression(NamedTuple):
    """What `soft_nms` makes of N rows.

    Attributes:
        rows: (N, F) float32. First those that are kept, with their new scores; behind them what
            the original leaves there, copies of rows that have moved or were dropped. CenterNet
            merges these too (its detectors ignore how many were kept).
        kept: how many rows are kept.
    """

    rows: FloatArray
    kept: int


def soft_nms(
    rows: FloatArray,
    rule: SoftRule,
    *,
    sigma: float = 0.5,
    overlap_threshold: float = 0.5,
    score_threshold: float = 0.001,
) -> SoftSuppression:
    """Lower the scores of boxes that overlap better ones (Bodla et al. 2017), best row first.

    Both `soft_nms` and `soft_nms_39` of the original.

    Args:
        rows: (N, 5 or more) float32: x1, y1, x2, y2 in pixels, score, and what belongs to them.
        rule: factor for the score of a box with an overlap (IoU) o with a better one: `hard`: 0
            where o is above the threshold, else 1; `linear`: 1 - o there; `gaussian`:
            exp(-o^2 / sigma) everywhere.
        sigma: of the gaussian rule.
        overlap_threshold: of the two others.
        score_threshold: boxes that overlap another one and come below this score are dropped.
    """
    rows = np.asarray(rows, np.float32)
    boxes, scores = rows[:, :4], rows[:, 4].copy()
    # Which box and which further columns lie at each position: a drop moves them differently.
    places, extras = np.arange(len(rows)), np.arange(len(rows))
    limits = np.float32(overlap_threshold), np.float32(score_threshold)
    count, first = len(rows), 0
    while first < count:
        best = first + int(scores[first:count].argmax())
        for column in (scores, places, extras):
            column[[first, best]] = column[[best, first]]
        first += 1
        rest = slice(first, count)
        overlap, touching = _overlaps(boxes[places[first - 1]], boxes[places[rest]])
        weights = _weights(overlap, rule, np.float32(sigma), limits[0])
        lowered = np.where(touching, weights * scores[rest], scores[rest])
        dropped = touching & (lowered < limits[1])
        left = _compact(scores[rest], places[rest], extras[rest], lowered, dropped)
        count = first + left
    result = rows[extras]
    result[:, :4], result[:, 4] = boxes[places], scores
    return SoftSuppression(result, count)


def nms(rows: FloatArray, overlap_threshold: float) -> IntArray:
    """Rows (K,) to keep, best first: those that overlap no better kept one.

    Args:
        rows: (N, 5 or more) float32: x1, y1, x2, y2 in pixels, score.
        overlap_threshold: overlap (IoU) from which the lower of two boxes goes.
    """
    remaining = rows[:, 4].argsort()[::-1]
    kept = []
    while len(remaining):
        best, remaining = remaining[0], remaining[1:]
        kept.append(best)
        overlap, touching = _overlaps(rows[best, :4], rows[remaining, :4])
        remaining = remaining[~touching | (overlap < np.float32(overlap_threshold))]
    return np.array(kept, np.int64)


def _compact(
    scores: FloatArray,
    places: IntArray,
    extras: IntArray,
    lowered: FloatArray,
    dropped: BoolArray,
) -> int:
    """Write `lowered` into `scores` and fill each dropped row's place with the last row.

    The arrays are changed: rows that the last one fills move, `extras` change places, and what
    lies behind the rows that are left stays there.

    Returns:
        Number of rows left.
    """
    if not dropped.any():
        scores[:] = lowered
        return len(scores)
    # In sequence by nature, and only in rounds in which something is dropped.
    content, position, count = list(range(len(scores))), 0, len(scores)
    while position < count:
        row = content[position]
        scores[position] = lowered[row]
        if dropped[row]:
            count -= 1
            content[position], scores[position] = content[count], scores[count]
            extras[[position, count]] = extras[[count, position]]
        else:
            position += 1
    places[:] = places[content]
    return count


def _overlaps(box: FloatArray, others: FloatArray) -> tuple[FloatArray, BoolArray]:
    """IoU (N,) of a box (4,) with others (N, 4), and which of them it touches at all (N,)."""
    first, second = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = _sizes(first, second).astype(np.float32)
    touching: BoolArray = (common > 0).all(axis=1)
    areas = _sizes(others[:, :2], others[:, 2:]).prod(axis=1).astype(np.float32)
    own = _sizes(box[:2], box[2:]).prod()
    shared = common[:, 0] * common[:, 1]
    union = (own + areas - shared).astype(np.float32)
    overlap = np.divide(shared, union, out=np.zeros_like(shared), where=touching)
    return overlap, touching


def _sizes(first: FloatArray, second: FloatArray) -> NDArray[np.float64]:
    """Widths and heights (..., 2) between corners, both pixels at the ends included."""
    return (second - first).astype(np.float64) + 1


def _weights(
    overlap: FloatArray, rule: SoftRule, sigma: np.float32, threshold: np.float32
) -> FloatArray:
    """Factors (N,) for the scores of boxes with these overlaps."""
    if rule == 'gaussian':
        return np.exp(np.float64(-(overlap * overlap) / sigma)).astype(np.float32)
    low = 1 - overlap if rule == 'linear' else np.zeros_like(overlap)
    return np.where(overlap > threshold, low, np.float32(1))
