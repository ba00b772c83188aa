"""The prior heatmap: what the runtime draws, with faults; and which objects are in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from centertrack_ros.datatypes import FrameTransform, Tracks
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.rendering import render_prior_heatmap
from training.data.dataset import NO_NOISE
from training.data.labels import ALL_CLASSES, FrameLabels
from training.targets import (
    PriorNoise,
    TargetRules,
    TargetSettings,
    build_prior_heatmap,
    build_targets,
    prior_objects,
)

SETTINGS = TargetSettings(input_height=96, input_width=160, class_count=2, max_objects=16)
ORIGINAL = replace(SETTINGS, rules=TargetRules.original())


def people(boxes: Sequence[Sequence[float]], **other: Sequence[float]) -> FrameLabels:
    """Objects of class 0 with ids 1, 2, ..."""
    count = len(boxes)
    return FrameLabels.from_rows(boxes, [0] * count, range(1, count + 1), **other)


@pytest.mark.parametrize('settings', [SETTINGS, ORIGINAL])
def test_prior_heatmap_without_faults_is_what_the_runtime_draws(
    spec: ModelSpec, settings: TargetSettings
) -> None:
    generator = np.random.default_rng(3)
    corners = generator.uniform(-20, 150, (30, 2))
    boxes = np.concatenate([corners, corners + generator.uniform(3, 80, (30, 2))], axis=1)
    labels = people(boxes.tolist())
    tracks = replace(Tracks.empty(), boxes=labels.boxes, prior_weights=np.ones(30, np.float32))
    every = {
        name: array if len(array) == 30 else np.zeros((30, *array.shape[1:]), array.dtype)
        for name, array in vars(tracks).items()
    }
    same = FrameTransform(1.0, 1.0, 0.0, 0.0, 160, 96, 160, 96)
    expected = render_prior_heatmap(Tracks(**every), same, spec)
    drawn = build_prior_heatmap(labels, settings, NO_NOISE, generator)
    assert drawn.shape == (1, 24, 40)
    np.testing.assert_array_equal(drawn[0], expected)


def _peaks(labels: FrameLabels, noise: PriorNoise, seed: int) -> int:
    drawn = build_prior_heatmap(labels, SETTINGS, noise, np.random.default_rng(seed))
    return int((drawn == 1).sum())


def test_faults_of_the_prior_heatmap() -> None:
    labels = people([[10, 10, 30, 50], [60, 10, 80, 50], [110, 10, 130, 50]])
    seeds = range(200)
    assert sum(_peaks(labels, replace(NO_NOISE, lost=1.0), seed) for seed in seeds) == 0
    assert sum(_peaks(labels, replace(NO_NOISE, empty=1.0), seed) for seed in seeds) == 0
    lost = sum(_peaks(labels, replace(NO_NOISE, lost=0.4), seed) for seed in seeds)
    assert lost == pytest.approx(600 * 0.6, rel=0.1)
    false = sum(_peaks(labels, replace(NO_NOISE, lost=1.0, false_near=0.5), s) for s in seeds)
    assert false == pytest.approx(600 * 0.5, rel=0.15)
    anywhere = sum(_peaks(labels, replace(NO_NOISE, false_anywhere=1.0), s) for s in seeds)
    assert anywhere == pytest.approx(600 + 200, rel=0.15)
    still = build_prior_heatmap(labels, SETTINGS, NO_NOISE, np.random.default_rng(0))
    moved = [
        build_prior_heatmap(labels, SETTINGS, replace(NO_NOISE, jitter=0.2), generator)
        for generator in map(np.random.default_rng, range(5))
    ]
    assert any((drawn != still).any() for drawn in moved)
    faded = [
        build_prior_heatmap(labels, SETTINGS, replace(NO_NOISE, faded=1.0), generator)
        for generator in map(np.random.default_rng, range(5))
    ]
    # Lower peaks at the same places.
    for drawn in faded:
        assert drawn.max() < 1
        np.testing.assert_array_equal(drawn > 0, still > 0)


ORIGINAL_NOISE = PriorNoise(
    jitter=0.05,
    lost=0.4,
    false_near=0.1,
    false_spread=0.05,
    false_of_lost=False,
    false_anywhere=0.0,
    empty=0.0,
)


def test_false_peak_of_a_lost_object_is_ours_only() -> None:
    labels = people([[10, 10, 30, 50], [60, 10, 80, 50], [110, 10, 130, 50]])
    both = replace(ORIGINAL_NOISE, lost=1.0, false_near=1.0)
    assert sum(_peaks(labels, both, seed) for seed in range(50)) == 0
    ours = replace(both, false_of_lost=True)
    assert sum(_peaks(labels, ours, seed) for seed in range(50)) >= 50 * 2


def test_noise_of_the_original() -> None:
    # Large, so that what is drawn is not rounded away.
    settings = TargetSettings(800, 1600, 1, prior_heatmap_stride=1)
    labels = people([[300, 200, 700, 400], [900, 400, 1300, 600]])
    middles = np.array([[500, 300], [1100, 500]])
    jitters, falses = [], 0
    for seed in range(150):
        generator = np.random.default_rng(seed)
        drawn = build_prior_heatmap(labels, settings, ORIGINAL_NOISE, generator)[0]
        peaks = np.argwhere(drawn == 1)[:, ::-1]
        for middle in middles:
            near = peaks[np.abs(peaks - middle).max(axis=1) < 150]
            if len(near) == 1:
                jitters.append((near[0] + 0.5 - middle) / [400, 200])
            falses += len(near) > 1
    # 0.6 have a peak, a tenth of those two, at most one of which hides in the other.
    assert len(jitters) / 300 == pytest.approx(0.6 * 0.9, abs=0.08)
    assert falses / 300 == pytest.approx(0.6 * 0.1, abs=0.04)
    np.testing.assert_allclose(np.std(jitters, axis=0), 0.05, rtol=0.2)
    np.testing.assert_allclose(np.mean(jitters, axis=0), 0, atol=0.015)


def test_hidden_objects_are_lost_more_often() -> None:
    hidden = people([[10, 10, 30, 50]], visibilities=[0.1])
    drawn = sum(_peaks(hidden, NO_NOISE, seed) for seed in range(200))
    assert drawn == pytest.approx(200 * 0.2, abs=25)
    original = build_prior_heatmap(hidden, ORIGINAL, NO_NOISE, np.random.default_rng(0))
    assert original.max() == 1


def previous_with_regions() -> FrameLabels:
    """Two people in rows 0 and 3, a thing to ignore in row 1, a crowd in row 2."""
    labels = FrameLabels.from_rows(
        [[10, 10, 30, 50], [60, 10, 80, 50]],
        [0, 0],
        [5, 7],
        ignore_boxes=[[100, 10, 120, 50], [130, 10, 150, 50]],
        ignore_classes=[ALL_CLASSES, 0],
    )
    return replace(
        labels,
        rows=np.array([0, 3]),
        ignore_rows=np.array([1, 2]),
        ignore_track_ids=np.array([7, 0]),
    )


def test_ignored_things_are_drawn_under_the_rules_of_the_original_only() -> None:
    labels = previous_with_regions()
    np.testing.assert_array_equal(prior_objects(labels, SETTINGS).track_ids, [5, 7])
    objects = prior_objects(labels, ORIGINAL)
    np.testing.assert_array_equal(objects.track_ids, [5, 7, 7])
    np.testing.assert_array_equal(objects.centers, [[20, 30], [110, 30], [70, 30]])
    drawn = build_prior_heatmap(labels, ORIGINAL, NO_NOISE, np.random.default_rng(0))[0]
    np.testing.assert_array_equal(np.argwhere(drawn == 1), [[7, 5], [7, 17], [7, 27]])


def test_first_of_a_repeated_track_is_where_the_object_was() -> None:
    current = FrameLabels.from_rows([[60, 10, 80, 50]], [0], [7])
    heads = replace(ORIGINAL, heads=('tracking',))
    tracking = build_targets(current, previous_with_regions(), heads)['tracking']
    np.testing.assert_allclose(tracking[0], [110 / 4 - 17, 30 / 4 - 7])
    ours = build_targets(current, previous_with_regions(), SETTINGS)['tracking']
    np.testing.assert_allclose(ours[0], [70 / 4 - 17, 30 / 4 - 7])


def test_old_place_ends_at_the_edge_of_the_map() -> None:
    current, previous = people([[100, 20, 120, 60]]), people([[140, 20, 180, 60]])
    ours = build_targets(current, previous, SETTINGS)['tracking'][0]
    np.testing.assert_allclose(ours, [150 / 4 - 27, 0])
    original = build_targets(current, previous, ORIGINAL)['tracking'][0]
    np.testing.assert_allclose(original, [149.5 / 4 - 27, 0])
