"""Costs and matching against definitions and exhaustive search."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from centertrack_ros.association import (
    box_areas,
    box_centers,
    box_costs,
    from_pairs,
    intersection_over_union,
    intersections,
    match_greedy,
    match_optimal,
    squared_distances,
)
from centertrack_ros.datatypes import FloatArray

NO_BOXES = np.zeros((0, 4), np.float32)


def random_boxes(count: int, seed: int) -> FloatArray:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 60, (count, 2))
    return np.concatenate((corners, corners + random.uniform(5, 50, (count, 2))), axis=1).astype(
        np.float32
    )


def test_overlaps_equal_the_definition() -> None:
    boxes_a, boxes_b = random_boxes(7, 1), random_boxes(5, 2)
    for row, a in enumerate(boxes_a):
        for column, b in enumerate(boxes_b):
            width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
            area_a = (a[2] - a[0]) * (a[3] - a[1])
            area_b = (b[2] - b[0]) * (b[3] - b[1])
            common = width * height
            assert intersections(boxes_a, boxes_b)[row, column] == pytest.approx(common, rel=1e-5)
            overlap = intersection_over_union(boxes_a, boxes_b)[row, column]
            assert overlap == pytest.approx(common / (area_a + area_b - common), abs=1e-6)


def test_overlap_of_equal_disjoint_touching_and_empty_boxes() -> None:
    box = np.array([[0, 0, 10, 20]], np.float32)
    others = np.array(
        [[0, 0, 10, 20], [50, 50, 60, 60], [10, 0, 20, 20], [5, 5, 5, 5]], np.float32
    )
    assert intersection_over_union(box, others).tolist() == [[1, 0, 0, 0]]
    assert intersection_over_union(others[3:], others[3:]).tolist() == [[0]]


def test_areas_centres_and_distances() -> None:
    boxes = np.array([[0, 0, 10, 20], [10, 10, 14, 16]], np.float32)
    assert box_areas(boxes).tolist() == [200, 24]
    assert box_centers(boxes).tolist() == [[5, 10], [12, 13]]
    assert squared_distances(box_centers(boxes), box_centers(boxes)).tolist() == [[0, 58], [58, 0]]


def test_box_costs_grow_from_the_same_box_to_distant_ones() -> None:
    box = np.array([[0, 0, 40, 100]], np.float32)
    shifted = box + np.array([[0, 0, 0, 0], [10, 0, 10, 0], [30, 0, 30, 0], [200, 0, 200, 0]])
    costs = box_costs(box, shifted.astype(np.float32))[0]
    assert costs[0] == 0
    assert (np.diff(costs) > 0).all()
    assert costs[2] < 0.8 < costs[3]
    # Scale does not matter.
    np.testing.assert_allclose(box_costs(box * 3, shifted.astype(np.float32) * 3)[0], costs, 1e-5)


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
        matching = match_optimal(costs, limit)
        size = min(tracks, detections)
        found = costs[matching.matches[:, 0], matching.matches[:, 1]]
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
    assert match_optimal(costs, 0.5).matches.tolist() == [[0, 0]]


@pytest.mark.parametrize('shape', [(0, 0), (3, 0), (0, 2)])
def test_nothing_to_match(shape: tuple[int, int]) -> None:
    costs = np.zeros(shape, np.float32)
    for matching in (match_greedy(costs, costs == 0), match_optimal(costs, 1.0)):
        assert matching.matches.shape == (0, 2)
        assert matching.unmatched_tracks.tolist() == list(range(shape[0]))
        assert matching.unmatched_detections.tolist() == list(range(shape[1]))
    assert box_costs(random_boxes(shape[0], 0), random_boxes(shape[1], 0)).shape == shape
    assert intersection_over_union(NO_BOXES, NO_BOXES).shape == (0, 0)


def test_rest_of_pairs() -> None:
    matching = from_pairs(np.array([[2, 0], [0, 3]]), 4, 4)
    assert matching.unmatched_tracks.tolist() == [1, 3]
    assert matching.unmatched_detections.tolist() == [1, 2]


def test_arguments_stay_as_they_are() -> None:
    boxes_a, boxes_b = random_boxes(4, 5), random_boxes(6, 6)
    kept_a, kept_b = boxes_a.copy(), boxes_b.copy()
    costs = box_costs(boxes_a, boxes_b)
    kept_costs = costs.copy()
    match_greedy(costs, costs < 0.8)
    match_optimal(costs, 0.8)
    np.testing.assert_array_equal(boxes_a, kept_a)
    np.testing.assert_array_equal(boxes_b, kept_b)
    np.testing.assert_array_equal(costs, kept_costs)
