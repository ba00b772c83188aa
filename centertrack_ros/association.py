"""Costs between tracks and detections, and two ways of matching them.

Costs are computed element by element with numpy's broadcasting: boxes (P, 4) and (P, 4) give
those of P pairs, (M, 1, 4) and (1, N, 4) a matrix with one row per track and one column per
detection. No function writes to its arguments, and each accepts zero tracks or zero detections.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from centertrack_ros.datatypes import BoolArray, FloatArray, IntArray

# Keeps quotients of empty boxes finite, px^2.
TINY_AREA = np.float32(1e-6)

Costs = NDArray[np.floating[Any]]


class Matching(NamedTuple):
    """Who belongs to whom.

    Attributes:
        matches: (P, 2) int64, rows of track index and detection index.
        unmatched_tracks: (M - P,) int64.
        unmatched_detections: (N - P,) int64.
    """

    matches: IntArray
    unmatched_tracks: IntArray
    unmatched_detections: IntArray


class Pairs(NamedTuple):
    """P pairs of a track and a detection, in ascending order of the tracks.

    Attributes:
        tracks: (P,) int64.
        detections: (P,) int64.
    """

    tracks: IntArray
    detections: IntArray

    def chosen(self, mask: BoolArray) -> Pairs:
        """Those for which `mask` (P,) holds."""
        return Pairs(self.tracks[mask], self.detections[mask])


def box_areas(boxes: FloatArray) -> FloatArray:
    """Areas (...,) of boxes (..., 4) xyxy."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def box_centers(boxes: FloatArray) -> FloatArray:
    """Centres (..., 2) of boxes (..., 4) xyxy."""
    return (boxes[..., :2] + boxes[..., 2:]) * np.float32(0.5)


def squared_distances(points_a: FloatArray, points_b: FloatArray) -> FloatArray:
    """Squared distances (...,) between points (..., 2) and (..., 2), in their unit squared."""
    x: FloatArray = points_a[..., 0] - points_b[..., 0]
    y: FloatArray = points_a[..., 1] - points_b[..., 1]
    x *= x
    y *= y
    x += y
    return x


def intersections(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Common areas (...,) of boxes (..., 4) and (..., 4) xyxy."""
    width: FloatArray = np.minimum(boxes_a[..., 2], boxes_b[..., 2])
    width -= np.maximum(boxes_a[..., 0], boxes_b[..., 0])
    height: FloatArray = np.minimum(boxes_a[..., 3], boxes_b[..., 3])
    height -= np.maximum(boxes_a[..., 1], boxes_b[..., 1])
    # In place: both are our own, and matrices are what matching spends its time on.
    np.maximum(width, 0, out=width)
    np.maximum(height, 0, out=height)
    width *= height
    return width


def intersection_over_union(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """IoU (...,) of boxes (..., 4) and (..., 4) xyxy; 0 where both have no area."""
    common = intersections(boxes_a, boxes_b)
    return _divided_by_union(common, box_areas(boxes_a), box_areas(boxes_b))


def box_costs(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Costs (...,) between boxes (..., 4) and (..., 4) xyxy: 0 = same box, above 0.5 = apart.

    Half overlap, half distance: the mean of `1 - IoU` and the distance of the centres in units
    of the smaller box's size (square root of its area). Overlap tells neighbours in a crowd
    apart; distance still orders those that fast motion or few images per second keep from
    overlapping. CenterTrack gates by the same distance.
    """
    areas_a, areas_b = box_areas(boxes_a), box_areas(boxes_b)
    areas = np.minimum(areas_a, areas_b)
    costs = squared_distances(box_centers(boxes_a), box_centers(boxes_b))
    costs /= np.maximum(areas, np.float32(1), out=areas)
    np.sqrt(costs, out=costs)
    costs -= _divided_by_union(intersections(boxes_a, boxes_b), areas_a, areas_b)
    costs += np.float32(1)
    costs *= np.float32(0.5)
    return costs


def near_pairs(boxes_a: FloatArray, boxes_b: FloatArray, limit: float) -> Pairs:
    """All pairs that can cost less than `limit` by `box_costs`, and few others.

    Each object has only so many neighbours: costs and matching of these take time in proportion
    to the number of objects, those of all pairs to its square.

    Args:
        boxes_a: (K, M, 4) xyxy, the tracks in K views, as in two images.
        boxes_b: (K, N, 4) xyxy, the detections in these.
        limit: pairs that cost more in all views need not be found.
    """
    # A cost is at least half the distance in sizes of the smaller box, and so of the second.
    # The last factor is for rounding.
    sizes = np.sqrt(np.maximum(box_areas(boxes_b), np.float32(1)))
    reaches = sizes * np.float32(2 * limit * 1.001)
    near = np.zeros((boxes_a.shape[1], boxes_b.shape[1]), np.bool_)
    for a, b, reach in zip(box_centers(boxes_a), box_centers(boxes_b), reaches, strict=True):
        tracks, detections = points_in_intervals(a[:, 0], b[:, 0] - reach, b[:, 0] + reach)
        close = np.abs(a[tracks, 1] - b[detections, 1]) < reach[detections]
        near[tracks[close], detections[close]] = True
    # Each pair once, sorted. The matrix has a byte per pair and nothing is computed with it;
    # flat, its search takes a fifth of the time.
    indices = near.ravel().nonzero()[0]
    tracks = indices // max(near.shape[1], 1)
    return Pairs(tracks, indices - tracks * near.shape[1])


def points_in_intervals(
    points: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[IntArray, IntArray]:
    """All pairs of a point (M,) and an interval (N,) from `low` to `high` that holds it.

    By sorting, so that it takes time in proportion to what it finds.

    Returns:
        Indices (P,) of the points and of the intervals; the latter ascend.
    """
    order = points.argsort()
    ascending = points[order]
    first = ascending.searchsorted(low)
    # An interval that ends before it starts holds nothing.
    counts = np.maximum(ascending.searchsorted(high, side='right') - first, 0)
    # Place within its interval's run, then in the order of all points.
    places = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts - first, counts)
    return order[places], np.repeat(np.arange(len(low)), counts)


def _divided_by_union(common: FloatArray, areas_a: FloatArray, areas_b: FloatArray) -> FloatArray:
    """IoU of boxes with the common areas `common`, which becomes the result."""
    union = areas_a + areas_b
    union -= common
    common /= np.maximum(union, TINY_AREA, out=union)
    return common


def match_greedy(costs: Costs, valid: BoolArray) -> Matching:
    """Give each detection in turn the cheapest track that is still free.

    Args:
        costs: (M, N), any finite numbers.
        valid: (M, N), False where a pair must not be matched.

    Returns:
        Matches in the order of the detections; both unmatched lists ascend.
    """
    number_of_tracks, number_of_detections = costs.shape
    remaining = np.where(valid, costs, np.inf)
    pairs = []
    # In sequence by nature: what a detection may take depends on those before it.
    for detection in np.flatnonzero(valid.any(axis=0)).tolist():
        track = int(remaining[:, detection].argmin())
        if np.isfinite(remaining[track, detection]):
            pairs.append((track, detection))
            remaining[track] = np.inf
    matches = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return from_pairs(matches, number_of_tracks, number_of_detections)


def match_optimal(pairs: Pairs, costs: Costs, limit: float) -> IntArray:
    """Match so that the sum of costs is least, where leaving a pair alone costs `limit`.

    Args:
        pairs: those P that may be matched.
        costs: (P,) of each; infinite where it must not be matched.
        limit: pairs that cost as much or more stay unmatched. A finite price for staying alone
            keeps one bad pair from pushing a good one aside.

    Returns:
        (Q, 2) int64, rows of track index and detection index, in ascending order of the tracks.
    """
    good = costs < limit
    costs = costs[good]
    matches = np.array((pairs.tracks[good], pairs.detections[good]))
    # Pairs of which neither has another partner need no search. What is left is few.
    rival = np.zeros(len(costs), np.bool_)
    for column in matches:
        rival |= np.bincount(column)[column] > 1
    if np.count_nonzero(rival):
        tracks, detections = (_ranks(column) for column in matches[:, rival])
        table = np.full((tracks.max() + 1, detections.max() + 1), limit)
        table[tracks, detections] = costs[rival]
        chosen = np.zeros(table.shape, np.bool_)
        chosen[linear_sum_assignment(table)] = True
        kept = ~rival
        kept[rival] = chosen[tracks, detections]
        matches = matches[:, kept]
    return matches.T


def _ranks(values: IntArray) -> IntArray:
    """Ranks (P,), from 0, of small natural numbers (P,) among those that occur."""
    ranks: IntArray = ((np.bincount(values) > 0).cumsum() - 1)[values]
    return ranks


def from_pairs(matches: IntArray, number_of_tracks: int, number_of_detections: int) -> Matching:
    """Complete matched pairs (P, 2) with the ascending lists of those that are in none."""
    free_tracks = np.ones(number_of_tracks, np.bool_)
    free_tracks[matches[:, 0]] = False
    free_detections = np.ones(number_of_detections, np.bool_)
    free_detections[matches[:, 1]] = False
    return Matching(matches, np.flatnonzero(free_tracks), np.flatnonzero(free_detections))
