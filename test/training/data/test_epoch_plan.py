"""Epoch plans: exact shares, no frame twice before all were shown, nothing but seed and epoch."""

from __future__ import annotations

import time

import numpy as np
import pytest

from training.data.epoch_plan import EpochPlan, item_counts


@pytest.mark.parametrize(
    ('weights', 'length', 'expected'),
    [
        ([1, 1, 2], 8, [2, 2, 4]),
        ([0.1, 0.2, 0.7], 10, [1, 2, 7]),
        ([1, 1, 1], 10, [4, 3, 3]),
        ([118287, 0, 15000], 133287, [118287, 0, 15000]),
        ([1, 1000], 100, [0, 100]),
    ],
)
def test_items_are_shared_by_weight(
    weights: list[float], length: int, expected: list[int]
) -> None:
    assert item_counts(weights, length).tolist() == expected


@pytest.mark.parametrize(
    ('counts', 'weights', 'length', 'complaint'),
    [
        ([5], [1, 2], 4, 'as many of one'),
        ([5], [-1], 4, 'weights'),
        ([5], [0], 4, 'weights'),
        ([5], [float('nan')], 4, 'weights'),
        ([5, 0], [1, 1], 4, 'frames in each'),
        ([5], [1], 0, 'length'),
    ],
)
def test_wrong_plans(counts: list[int], weights: list[float], length: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        EpochPlan(counts, weights, length, seed=1)


def test_shares_of_every_epoch() -> None:
    plan = EpochPlan([40, None, 7], [5, 3, 2], 20, seed=1)
    for epoch in range(5):
        sources, frames = plan.epoch(epoch)
        assert np.bincount(sources).tolist() == [10, 6, 4]
        assert (frames[sources == 1] == -1).all()
        assert (frames[sources != 1] >= 0).all()
        assert frames[sources == 2].max() < 7


@pytest.mark.parametrize(('count', 'length'), [(10, 10), (10, 4), (10, 7), (3, 10), (10, 25)])
def test_all_frames_are_shown_before_any_again(count: int, length: int) -> None:
    """Also where epochs are shorter or longer than the set."""
    plan = EpochPlan([count], [1], length, seed=5)
    seen = np.zeros(count, int)
    for epoch in range(30):
        _, frames = plan.epoch(epoch)
        np.add.at(seen, frames, 1)
        assert seen.max() - seen.min() <= 1
        assert np.bincount(frames, minlength=count).max() <= -(-length // count) + 1
    assert seen.sum() == 30 * length


def test_plan_is_a_function_of_seed_and_epoch() -> None:
    plans = [EpochPlan([50, None], [1, 1], 30, seed=seed) for seed in (1, 1, 2)]
    forward = [plans[0].item(index) for index in range(90)]
    backward = [plans[1].item(index) for index in reversed(range(90))][::-1]
    assert forward == backward
    assert forward != [plans[2].item(index) for index in range(90)]
    assert forward[:30] != forward[30:60]


def test_a_plan_for_the_size_of_coco_is_cheap() -> None:
    plan = EpochPlan([118_287, 118_287, None], [2, 1, 1], 118_287, seed=1)
    start = time.process_time()
    plan.item(3 * 118_287)
    first = time.process_time() - start
    start = time.process_time()
    for index in range(1000):
        plan.item(3 * 118_287 + index)
    assert first < 1.0
    assert time.process_time() - start < 0.1
