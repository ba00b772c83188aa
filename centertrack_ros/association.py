"""Costs between tracks and detections, and two ways of matching them.

Matrices have one row per track and one column per detection. No function writes to its
arguments, and each accepts zero tracks or zero detections.
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


def box_areas(boxes: FloatArray) -> FloatArray:
    """Areas (N,) of boxes (N, 4) xyxy."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_centers(boxes: FloatArray) -> FloatArray:
    """Centres (N, 2) of boxes (N, 4) xyxy."""
    return (boxes[:, :2] + boxes[:, 2:]) * np.float32(0.5)


def squared_distances(track_points: FloatArray, detection_points: FloatArray) -> FloatArray:
    """Squared distances (M, N) between points (M, 2) and (N, 2), in their unit squared."""
    x: FloatArray = track_points[:, 0, None] - detection_points[None, :, 0]
    y: FloatArray = track_points[:, 1, None] - detection_points[None, :, 1]
    x *= x
    y *= y
    x += y
    return x


def intersections(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """Common areas (M, N) of boxes (M, 4) and (N, 4) xyxy."""
    width: FloatArray = np.minimum(boxes_a[:, 2, None], boxes_b[None, :, 2]) - np.maximum(
        boxes_a[:, 0, None], boxes_b[None, :, 0]
    )
    height: FloatArray = np.minimum(boxes_a[:, 3, None], boxes_b[None, :, 3]) - np.maximum(
        boxes_a[:, 1, None], boxes_b[None, :, 1]
    )
    # In place: both are our own, and these matrices are what matching spends its time on.
    np.maximum(width, 0, out=width)
    np.maximum(height, 0, out=height)
    width *= height
    return width


def intersection_over_union(boxes_a: FloatArray, boxes_b: FloatArray) -> FloatArray:
    """IoU (M, N) of boxes (M, 4) and (N, 4) xyxy; 0 where both have no area."""
    common = intersections(boxes_a, boxes_b)
    union: FloatArray = box_areas(boxes_a)[:, None] + box_areas(boxes_b)[None, :] - common
    common /= np.maximum(union, TINY_AREA, out=union)
    return common


def box_costs(track_boxes: FloatArray, detection_boxes: FloatArray) -> FloatArray:
    """Costs (M, N) between boxes (M, 4) and (N, 4) xyxy: 0 = same box, above 0.5 = apart.

    Half overlap, half distance: the mean of `1 - IoU` and the distance of the centres in units
    of the smaller box's size (square root of its area). Overlap tells neighbours in a crowd
    apart; distance still orders those that fast motion or few images per second keep from
    overlapping. CenterTrack gates by the same distance.
    """
    areas = np.minimum(box_areas(track_boxes)[:, None], box_areas(detection_boxes)[None, :])
    costs = squared_distances(box_centers(track_boxes), box_centers(detection_boxes))
    costs /= np.maximum(areas, np.float32(1), out=areas)
    np.sqrt(costs, out=costs)
    costs -= intersection_over_union(track_boxes, detection_boxes)
    costs += np.float32(1)
    costs *= np.float32(0.5)
    return costs


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


def match_optimal(costs: Costs, limit: float) -> Matching:
    """Match so that the sum of costs is least, where leaving a pair alone costs `limit`.

    Args:
        costs: (M, N); infinite where a pair must not be matched.
        limit: pairs that cost as much or more stay unmatched. A finite price for staying alone
            keeps one bad pair from pushing a good one aside.

    Returns:
        Matches in ascending order of the tracks; both unmatched lists ascend.
    """
    number_of_tracks, number_of_detections = costs.shape
    if number_of_tracks == 0 or number_of_detections == 0:
        return from_pairs(np.zeros((0, 2), np.int64), number_of_tracks, number_of_detections)
    tracks, detections = linear_sum_assignment(np.minimum(costs, limit))
    kept = costs[tracks, detections] < limit
    matches = np.stack((tracks[kept], detections[kept]), axis=1).astype(np.int64, copy=False)
    return from_pairs(matches, number_of_tracks, number_of_detections)


def from_pairs(matches: IntArray, number_of_tracks: int, number_of_detections: int) -> Matching:
    """Complete matched pairs (P, 2) with the ascending lists of those that are in none."""
    free_tracks = np.ones(number_of_tracks, np.bool_)
    free_tracks[matches[:, 0]] = False
    free_detections = np.ones(number_of_detections, np.bool_)
    free_detections[matches[:, 1]] = False
    return Matching(matches, np.flatnonzero(free_tracks), np.flatnonzero(free_detections))
