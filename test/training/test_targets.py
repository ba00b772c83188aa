"""Targets: the rules of the sample contract, and parity with what the runtime draws and reads."""

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
from training.targets import PriorNoise, TargetSettings, build_prior_heatmap, build_targets

SETTINGS = TargetSettings(input_height=96, input_width=160, class_count=2, max_objects=16)
NOTHING = FrameLabels.from_rows()


def people(boxes: Sequence[Sequence[float]], **other: Sequence[float]) -> FrameLabels:
    """Objects of class 0 with ids 1, 2, ..."""
    count = len(boxes)
    return FrameLabels.from_rows(boxes, [0] * count, range(1, count + 1), **other)


def test_empty_frame() -> None:
    targets = build_targets(NOTHING, NOTHING, SETTINGS)
    assert targets['heatmap'].shape == (2, 24, 40)
    assert targets['indices'].shape == (16,)
    for name in ('ltrb', 'reg', 'tracking', 'mask', 'tracking_mask', 'heatmap', 'indices'):
        assert not targets[name].any()
    assert not build_prior_heatmap(NOTHING, SETTINGS, PriorNoise(), np.random.default_rng(0)).any()


def test_types_are_those_of_the_contract() -> None:
    targets = build_targets(people([[10, 10, 30, 50]]), NOTHING, SETTINGS)
    whole = {name for name, array in targets.items() if array.dtype == np.int64}
    assert whole == {'indices', 'classes'}
    assert all(array.dtype == np.float32 for name, array in targets.items() if name not in whole)


def test_box_and_center_come_back_exactly() -> None:
    box = [21.0, 14.0, 50.5, 71.0]
    targets = build_targets(people([box]), NOTHING, SETTINGS)
    cell = np.array([targets['indices'][0] % 40, targets['indices'][0] // 40])
    np.testing.assert_array_equal(cell, [35.75 // 4, 42.5 // 4])
    left, top, right, bottom = targets['ltrb'][0]
    edges = [cell[0] - left, cell[1] - top, cell[0] + right, cell[1] + bottom]
    np.testing.assert_allclose(np.array(edges) * 4, box)
    np.testing.assert_allclose((cell + targets['reg'][0]) * 4, [35.75, 42.5])
    assert targets['heatmap'][0, cell[1], cell[0]] == 1
    assert not targets['heatmap'][1].any()
    assert targets['mask'].sum() == 1


def test_tracking_points_from_the_cell_to_the_old_center() -> None:
    current = people([[20, 20, 40, 60], [80, 20, 100, 60]])
    previous = people([[10, 24, 30, 64]])
    targets = build_targets(current, previous, SETTINGS)
    np.testing.assert_array_equal(targets['tracking_mask'][:2], [1, 0])
    cell = np.array([30 // 4, 40 // 4])
    np.testing.assert_allclose(cell + targets['tracking'][0], [20 / 4, 44 / 4])
    assert not targets['tracking'][1].any()


def test_object_over_the_edge_has_the_center_of_its_visible_part() -> None:
    targets = build_targets(people([[-20, 10, 20, 50]]), NOTHING, SETTINGS)
    assert targets['indices'][0] == 30 // 4 * 40 + 10 // 4
    np.testing.assert_allclose(targets['ltrb'][0], [2, 4.5, 3, 5.5])


@pytest.mark.parametrize(
    'labels',
    [
        people([[20, 20, 40, 60]], visibilities=[0.2]),
        people([[-36, 20, 4, 60]]),
        people([[20, 20, 23, 60]]),
    ],
)
def test_hidden_cut_off_or_tiny_objects_are_neither_positive_nor_background(
    labels: FrameLabels,
) -> None:
    targets = build_targets(labels, NOTHING, SETTINGS)
    assert not targets['mask'].any()
    assert targets['heatmap'][0].max() == 1


def test_objects_outside_are_not_there() -> None:
    targets = build_targets(people([[-30, 10, -5, 50], [170, 10, 190, 50]]), NOTHING, SETTINGS)
    assert not targets['heatmap'].any()
    assert not targets['mask'].any()


def test_of_two_objects_in_one_cell_the_more_visible_one_is_learnt() -> None:
    labels = people([[20, 20, 40, 60], [19, 19, 41, 61]], visibilities=[0.5, 1.0])
    targets = build_targets(labels, NOTHING, SETTINGS)
    assert targets['mask'].sum() == 1
    np.testing.assert_allclose(targets['ltrb'][0, 0], 7 - 19 / 4)


def test_more_objects_than_rows() -> None:
    boxes = [[8.0 * i % 150, 8.0 * (i // 18), 8.0 * i % 150 + 9, 8.0 * (i // 18) + 9]
             for i in range(60)]  # fmt: skip
    targets = build_targets(people(boxes), NOTHING, SETTINGS)
    assert targets['mask'].sum() == 16
    assert (targets['heatmap'][0] == 1).sum() > 16


def test_ignored_regions_and_unlabelled_classes_are_painted_one() -> None:
    labels = FrameLabels.from_rows(
        ignore_boxes=[[8, 8, 16, 24], [40, 40, 44, 44]], ignore_classes=[1, ALL_CLASSES]
    )
    heatmap = build_targets(labels, NOTHING, SETTINGS)['heatmap']
    assert (heatmap[1, 2:6, 2:4] == 1).all()
    assert (heatmap[:, 10, 10] == 1).all()
    assert heatmap.sum() == 8 + 2
    unlabelled = replace(people([[20, 20, 40, 60]]), unlabelled_classes=np.array([0]))
    targets = build_targets(unlabelled, NOTHING, SETTINGS)
    assert (targets['heatmap'][0] == 1).all()
    assert targets['mask'].sum() == 1


def test_arguments_stay_as_they_are() -> None:
    labels = people([[-20, 10, 200, 50]])
    before = labels.boxes.copy()
    build_targets(labels, labels, SETTINGS)
    build_prior_heatmap(labels, SETTINGS, PriorNoise(), np.random.default_rng(0))
    np.testing.assert_array_equal(labels.boxes, before)


def test_prior_heatmap_without_faults_is_what_the_runtime_draws(spec: ModelSpec) -> None:
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
    drawn = build_prior_heatmap(labels, SETTINGS, NO_NOISE, generator)
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


def test_hidden_objects_are_lost_more_often() -> None:
    hidden = people([[10, 10, 30, 50]], visibilities=[0.1])
    drawn = sum(_peaks(hidden, NO_NOISE, seed) for seed in range(200))
    assert drawn == pytest.approx(200 * 0.2, abs=25)
