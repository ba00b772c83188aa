"""Costs and matching against definitions and exhaustive search."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from centertrack_ros.association import (
    Pairs,
    box_areas,
    box_centers,
    box_costs,
    from_pairs,
    intersection_over_union,
    intersections,
    match_greedy,
    match_optimal,
    near_pairs,
    points_in_intervals,
    squared_distances,
)
from centertrack_ros.datatypes import FloatArray, IntArray

NO_BOXES = np.zeros((0, 4), np.float32)


def random_boxes(count: int, seed: int) -> FloatArray:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 60, (count, 2))
    return np.concatenate((corners, corners + random.uniform(5, 50, (count, 2))), axis=1).astype(
        np.float32
    )


def matched(costs: np.ndarray, limit: float) -> IntArray:
    """Optimal matches of a whole matrix of costs."""
    tracks, detections = np.indices(costs.shape).reshape(2, -1)
    return match_optimal(Pairs(tracks, detections), costs.ravel(), limit)


def test_overlaps_equal_the_definition() -> None:
    boxes_a, boxes_b = random_boxes(7, 1), random_boxes(5, 2)
    common_areas = intersections(boxes_a[:, None], boxes_b)
    overlaps = intersection_over_union(boxes_a[:, None], boxes_b)
    for row, a in enumerate(boxes_a):
        for column, b in enumerate(boxes_b):
            width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
            area_a = (a[2] - a[0]) * (a[3] - a[1])
            area_b = (b[2] - b[0]) * (b[3] - b[1])
            common = width * height
            assert common_areas[row, column] == pytest.approx(common, rel=1e-5)
            expected = common / (area_a + area_b - common)
            assert overlaps[row, column] == pytest.approx(expected, abs=1e-6)


def test_overlap_of_equal_disjoint_touching_and_empty_boxes() -> None:
    box = np.array([[0, 0, 10, 20]], np.float32)
    others = np.array(
        [[0, 0, 10, 20], [50, 50, 60, 60], [10, 0, 20, 20], [5, 5, 5, 5]], np.float32
    )
    assert intersection_over_union(box, others).tolist() == [1, 0, 0, 0]
    assert intersection_over_union(others[3:], others[3:]).tolist() == [0]


def test_areas_centres_and_distances() -> None:
    boxes = np.array([[0, 0, 10, 20], [10, 10, 14, 16]], np.float32)
    assert box_areas(boxes).tolist() == [200, 24]
    assert box_centers(boxes).tolist() == [[5, 10], [12, 13]]
    centers = box_centers(boxes)
    assert squared_distances(centers[:, None], centers).tolist() == [[0, 58], [58, 0]]


def test_box_costs_grow_from_the_same_box_to_distant_ones() -> None:
    box = np.array([[0, 0, 40, 100]], np.float32)
    shifted = box + np.array([[0, 0, 0, 0], [10, 0, 10, 0], [30, 0, 30, 0], [200, 0, 200, 0]])
    costs = box_costs(box, shifted.astype(np.float32))
    assert costs[0] == 0
    assert (np.diff(costs) > 0).all()
    assert costs[2] < 0.8 < costs[3]
    # Scale does not matter.
    np.testing.assert_allclose(box_costs(box * 3, shifted.astype(np.float32) * 3), costs, 1e-5)


def test_greedy_serves_detections_in_order() -> None:
    costs = np.array([[1.0, 0.5], [2.0, 9.0]])
    everything = np.ones((2, 2), np.bool_)
    matching = match_greedy(costs, everything)
    # The first detection takes the track that would have suited the second one better.
    assert matching.matches.tolist() == [[0, 0], [1, 1]]
    valid = np.array([[False, True], [True, False]])
    assert match_greedy(costs, valid).matches.tolist() == [[1, 0], [0, 1]]
    nothing = match_greedy(costs, np.zeros((2, 2), np.bool_))
    assert nothing.matches.shape == (0, 2)
    assert nothing.unmatched_tracks.tolist() == [0, 1]
    assert nothing.unmatched_detections.tolist() == [0, 1]


@pytest.mark.parametrize(('tracks', 'detections'), [(3, 3), (4, 2), (2, 4), (1, 1)])
def test_optimal_equals_exhaustive_search(tracks: int, detections: int) -> None:
    random = np.random.default_rng(tracks * 10 + detections)
    limit = 0.6
    for _ in range(50):
        costs = random.uniform(0, 1, (tracks, detections))
        costs[random.random(costs.shape) < 0.2] = np.inf
        matches = matched(costs, limit)
        size = min(tracks, detections)
        found = costs[matches[:, 0], matches[:, 1]]
        assert (np.diff(matches[:, 0]) > 0).all()
        assert len(set(matches[:, 1].tolist())) == len(matches)
        assert (found < limit).all()
        capped = np.minimum(costs, limit)
        if tracks <= detections:
            choices = (
                capped[range(tracks), order] for order in permutations(range(detections), size)
            )
        else:
            choices = (
                capped[order, range(detections)] for order in permutations(range(tracks), size)
            )
        best = min(choice.sum() for choice in choices)
        assert found.sum() + limit * (size - len(found)) == pytest.approx(best)


def test_optimal_leaves_a_bad_pair_alone() -> None:
    costs = np.array([[0.1, 0.7], [0.2, np.inf]])
    assert matched(costs, 0.5).tolist() == [[0, 0]]


@pytest.mark.parametrize(('count', 'area'), [(40, 300), (40, 2000), (120, 900)])
def test_optimal_equals_the_assignment_of_the_whole_matrix(count: int, area: float) -> None:
    """In crowds and where most have one neighbour or none."""
    random = np.random.default_rng(count)
    for limit in (0.4, 1.0):
        corners = random.uniform(0, area, (count, 2))
        boxes = np.concatenate((corners, corners + np.array([40, 100])), axis=1).astype(np.float32)
        moved = random.permutation(boxes + random.normal(0, 15, (count, 1)).astype(np.float32))
        costs = box_costs(boxes[:, None], moved[5:])
        tracks, detections = linear_sum_assignment(np.minimum(costs, limit))
        kept = costs[tracks, detections] < limit
        expected = np.stack((tracks[kept], detections[kept]), axis=1)
        np.testing.assert_array_equal(matched(costs, limit), expected)
        pairs = near_pairs(boxes[None], moved[None, 5:], limit)
        found = match_optimal(pairs, costs[pairs.tracks, pairs.detections], limit)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('limit', [0.3, 1.0])
def test_near_pairs_are_all_that_cost_less_than_the_limit_and_few_more(limit: float) -> None:
    random = np.random.default_rng(7)
    corners = random.uniform(0, 1500, (2, 80, 2))
    # Thin and flat ones too: they overlap most at a given distance.
    sizes = np.exp(random.uniform(0, np.log(200), (2, 80, 2)))
    boxes_a = np.concatenate((corners, corners + sizes), axis=-1).astype(np.float32)
    scales = random.uniform(0.7, 1.4, (2, 80, 2))
    corners = corners + random.normal(0, 0.3, (2, 80, 2)) * sizes
    boxes_b = np.concatenate((corners, corners + sizes * scales), axis=-1).astype(np.float32)
    costs = box_costs(boxes_a[:, :, None], boxes_b[:, None])
    near = np.zeros((80, 80), np.bool_)
    pairs = near_pairs(boxes_a, boxes_b, limit)
    near[pairs.tracks, pairs.detections] = True
    wanted = (costs < limit).any(axis=0)
    assert np.count_nonzero(wanted) > 20
    assert near[wanted].all()
    assert np.count_nonzero(near) < near.size / 10
    # Each once, sorted.
    assert (np.diff(pairs.tracks * 80 + pairs.detections) > 0).all()


def test_points_in_intervals_equal_all_comparisons() -> None:
    random = np.random.default_rng(2)
    for count, others in ((0, 3), (3, 0), (1, 1), (60, 40)):
        points = random.integers(0, 50, count).astype(np.float32)
        low = random.integers(0, 50, others).astype(np.float32)
        # Some end before they start.
        high = low + random.integers(-3, 12, others).astype(np.float32)
        found = np.zeros((count, others), np.int64)
        np.add.at(found, points_in_intervals(points, low, high), 1)
        inside = (points[:, None] >= low) & (points[:, None] <= high)
        np.testing.assert_array_equal(found, inside)


def test_pairs_cost_what_the_matrix_says() -> None:
    boxes_a, boxes_b = random_boxes(7, 1), random_boxes(5, 2)
    tracks, detections = np.indices((7, 5)).reshape(2, -1)
    for function in (box_costs, intersection_over_union):
        matrix = function(boxes_a[:, None], boxes_b)
        np.testing.assert_array_equal(
            function(boxes_a[tracks], boxes_b[detections]), matrix.ravel()
        )


@pytest.mark.parametrize('shape', [(0, 0), (3, 0), (0, 2)])
def test_nothing_to_match(shape: tuple[int, int]) -> None:
    costs = np.zeros(shape, np.float32)
    matching = match_greedy(costs, costs == 0)
    assert matching.matches.shape == (0, 2)
    assert matching.unmatched_tracks.tolist() == list(range(shape[0]))
    assert matching.unmatched_detections.tolist() == list(range(shape[1]))
    assert matched(costs, 1.0).shape == (0, 2)
    boxes_a, boxes_b = random_boxes(shape[0], 0), random_boxes(shape[1], 0)
    assert box_costs(boxes_a[:, None], boxes_b).shape == shape
    pairs = near_pairs(boxes_a[None], boxes_b[None], 1.0)
    assert len(pairs.tracks) == len(pairs.detections) == 0
    assert intersection_over_union(NO_BOXES, NO_BOXES).shape == (0,)


def test_rest_of_pairs() -> None:
    matching = from_pairs(np.array([[2, 0], [0, 3]]), 4, 4)
    assert matching.unmatched_tracks.tolist() == [1, 3]
    assert matching.unmatched_detections.tolist() == [1, 2]


def test_arguments_stay_as_they_are() -> None:
    boxes_a, boxes_b = random_boxes(4, 5), random_boxes(6, 6)
    kept_a, kept_b = boxes_a.copy(), boxes_b.copy()
    costs = box_costs(boxes_a[:, None], boxes_b)
    near_pairs(boxes_a[None], boxes_b[None], 1.0)
    kept_costs = costs.copy()
    match_greedy(costs, costs < 0.8)
    matched(costs, 0.8)
    np.testing.assert_array_equal(boxes_a, kept_a)
    np.testing.assert_array_equal(boxes_b, kept_b)
    np.testing.assert_array_equal(costs, kept_costs)
