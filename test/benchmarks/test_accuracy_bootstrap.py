"""Intervals mean what they say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.comparison.bootstrap import Bootstrap, draw_weights, resampled_metrics
from benchmarks.comparison.contributions import HOTA_OVERLAPS, Contributions


def _population(generator, identities, quality=0.8, false_objects=4):
    """Units of a simulated sequence; `quality` is the mean share of boxes found."""
    boxes = generator.integers(20, 60, identities).astype(float)
    share = generator.beta(8 * quality, 8 * (1 - quality), identities)
    falls = np.linspace(1.0, 0.2, len(HOTA_OVERLAPS))
    matched = np.rint(boxes[:, None] * share[:, None] * falls)
    switches = generator.poisson(0.5, identities).astype(float)
    wrong = np.rint(boxes * (1 - share) / 3)
    count = generator.poisson(false_objects)
    false = generator.integers(3, 20, count).astype(float)
    none = np.zeros(count)

    def column(of_identities, of_false):
        return np.concatenate((of_identities, of_false))

    return Contributions(
        boxes=column(boxes, none),
        matched=np.concatenate((matched, np.zeros((count, len(HOTA_OVERLAPS))))),
        false=np.concatenate((boxes[:, None] - matched, np.tile(false[:, None], 19))),
        association=np.concatenate((matched**2 / boxes[:, None], np.zeros((count, 19)))),
        clear_matched=column(matched[:, 9], none),
        clear_false=column(wrong, false),
        switches=column(switches, none),
        fragments=column(switches, none),
        id_matched=column(np.rint(matched[:, 9] * 0.9), none),
        tracked=column(matched[:, 9] + wrong, false),
    )


def test_a_tracker_does_not_differ_from_itself():
    units = [_population(np.random.default_rng(seed), 12) for seed in range(3)]
    bootstrap = Bootstrap({'one': units, 'again': units}, [12] * 3, seed=0)
    for metric in ('HOTA', 'MOTA', 'IDF1'):
        difference = bootstrap.difference('one', 'again', metric)
        assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)
        assert not difference.excludes_zero
        interval = bootstrap.interval('one', metric)
        assert interval.low < interval.value < interval.high


def test_a_clearly_better_tracker_excludes_zero():
    good = [_population(np.random.default_rng(seed), 12, 0.9) for seed in range(3)]
    bad = [_population(np.random.default_rng(seed), 12, 0.5) for seed in range(3)]
    bootstrap = Bootstrap({'good': good, 'bad': bad}, [12] * 3, seed=0)
    for metric in ('HOTA', 'MOTA', 'IDF1'):
        assert bootstrap.difference('good', 'bad', metric).low > 0
        assert bootstrap.difference('bad', 'good', metric).high < 0


def test_equally_good_trackers_seldom_exclude_zero():
    excluded = 0
    for seed in range(60):
        one, other = ([_population(np.random.default_rng([seed, side]), 15)] for side in range(2))
        bootstrap = Bootstrap({'one': one, 'other': other}, [15], seed=seed, resamples=300)
        excluded += bootstrap.difference('one', 'other', 'HOTA').excludes_zero
    assert excluded <= 9  # 3 expected; more than 9 has a chance of 1 in 1000


@pytest.mark.parametrize('metric', ['HOTA', 'MOTA', 'IDF1'])
def test_intervals_cover_the_population(metric):
    """The value of endless sequences of that kind lies within 95 % of the intervals."""
    identities, repeats = 40, 150
    # False objects grow with the people: the ratio is what a sequence estimates.
    many = _population(np.random.default_rng(1), 100 * identities, false_objects=400)
    expected = resampled_metrics(many, np.ones((1, len(many.boxes))))[metric][0]
    covered = 0
    for seed in range(repeats):
        units = _population(np.random.default_rng([2, seed]), identities)
        bootstrap = Bootstrap({'it': [units]}, [identities], seed=seed, resamples=300)
        interval = bootstrap.interval('it', metric)
        covered += interval.low <= expected <= interval.high
    assert 0.88 <= covered / repeats <= 0.99


def test_the_seed_decides():
    units = {'it': [_population(np.random.default_rng(5), 10)]}
    first, again, other = (Bootstrap(units, [10], seed=seed) for seed in (1, 1, 2))
    assert first.interval('it', 'HOTA') == again.interval('it', 'HOTA')
    assert first.interval('it', 'HOTA') != other.interval('it', 'HOTA')


def test_weights():
    weights = draw_weights(7, 12, 2000, np.random.default_rng(0))
    assert weights.shape == (2000, 12)
    assert (weights[:, :7].sum(axis=1) == 7).all()
    assert weights[:, 7:].mean() == pytest.approx(1.0, abs=0.05)
    assert weights[:, 7:].var() == pytest.approx(1.0, abs=0.05)
