"""Targets under our own rules: cells, boxes, old centres, rows, ignored regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from training.data.labels import ALL_CLASSES, FrameLabels
from training.losses import focal_loss
from training.targets import PriorNoise, TargetSettings, build_prior_heatmap, build_targets

SETTINGS = TargetSettings(input_height=96, input_width=160, class_count=2, max_objects=16)
NOTHING = FrameLabels.from_rows()


def people(boxes: Sequence[Sequence[float]], **other: Sequence[float]) -> FrameLabels:
    """Objects of class 0 with ids 1, 2, ..."""
    count = len(boxes)
    return FrameLabels.from_rows(boxes, [0] * count, range(1, count + 1), **other)


def test_empty_frame() -> None:
    targets = build_targets(NOTHING, NOTHING, SETTINGS)
    assert targets['hm'].shape == (2, 24, 40)
    assert targets['indices'].shape == (16,)
    assert not any(array.any() for array in targets.values())
    drawn = build_prior_heatmap(NOTHING, SETTINGS, PriorNoise(), np.random.default_rng(0))
    assert not drawn.any()


def test_only_the_heads_that_are_wanted_and_no_unknown_ones() -> None:
    plain = {'hm', 'indices', 'classes', 'mask'}
    targets = build_targets(NOTHING, NOTHING, replace(SETTINGS, heads=('hm', 'wh')))
    assert set(targets) == plain | {'wh', 'wh_mask'}
    of_mapping = build_targets(NOTHING, NOTHING, replace(SETTINGS, heads={'hm': 2, 'wh': 2}))
    assert set(of_mapping) == set(targets)
    assert set(build_targets(NOTHING, NOTHING, SETTINGS)) == plain | {
        f'{name}{kind}' for name in ('ltrb', 'reg', 'tracking') for kind in ('', '_mask')
    }
    with pytest.raises(ValueError, match=r"heads: expected some of .*'hat'"):
        replace(SETTINGS, heads=('hm', 'hat'))
    with pytest.raises(ValueError, match=r"joint_count: .*'hps'"):
        replace(SETTINGS, heads=('hps',))


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
    assert targets['hm'][0, cell[1], cell[0]] == 1
    assert not targets['hm'][1].any()
    assert targets['mask'].sum() == 1


def test_tracking_points_from_the_cell_to_the_old_center() -> None:
    current = people([[20, 20, 40, 60], [80, 20, 100, 60]])
    previous = people([[10, 24, 30, 64]])
    targets = build_targets(current, previous, SETTINGS)
    np.testing.assert_array_equal(targets['tracking_mask'][:2], [[1, 1], [0, 0]])
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
    assert targets['hm'][0].max() == 1


def test_objects_outside_are_not_there() -> None:
    targets = build_targets(people([[-30, 10, -5, 50], [170, 10, 190, 50]]), NOTHING, SETTINGS)
    assert not targets['hm'].any()
    assert not targets['mask'].any()


def test_of_two_objects_in_one_cell_the_more_visible_one_is_learnt() -> None:
    labels = people([[20, 20, 40, 60], [19, 19, 41, 61]], visibilities=[0.5, 1.0])
    targets = build_targets(labels, NOTHING, SETTINGS)
    np.testing.assert_array_equal(targets['mask'][:3], [0, 1, 0])
    np.testing.assert_allclose(targets['ltrb'][1, 0], 7 - 19 / 4)


def test_row_is_the_number_of_the_label() -> None:
    labels = people(
        [[20, 20, 40, 60], [-30, 10, -5, 50], [80, 20, 100, 60]], visibilities=[0.5, 1.0, 1.0]
    )
    targets = build_targets(labels, NOTHING, SETTINGS)
    np.testing.assert_array_equal(targets['mask'][:4], [1, 0, 1, 0])
    np.testing.assert_array_equal(targets['indices'][:3], [10 * 40 + 7, 0, 10 * 40 + 22])


def test_more_objects_than_rows() -> None:
    boxes = [[8.0 * i % 150, 8.0 * (i // 18), 8.0 * i % 150 + 9, 8.0 * (i // 18) + 9]
             for i in range(60)]  # fmt: skip
    targets = build_targets(people(boxes), NOTHING, SETTINGS)
    assert targets['mask'].sum() == 16
    assert (targets['hm'][0] == 1).sum() > 16
    visible = [0.3] * 59 + [0.9]
    targets = build_targets(people(boxes, visibilities=visible), NOTHING, SETTINGS)
    cell = np.array([8 * 59 % 150 + 4.5, 8 * (59 // 18) + 4.5]) // 4
    assert targets['indices'][0] == cell[1] * 40 + cell[0]


def test_ignored_regions_and_unlabelled_classes_are_painted_one() -> None:
    labels = FrameLabels.from_rows(
        ignore_boxes=[[8, 8, 16, 24], [40, 40, 44, 44]], ignore_classes=[1, ALL_CLASSES]
    )
    heatmap = build_targets(labels, NOTHING, SETTINGS)['hm']
    assert (heatmap[1, 2:6, 2:4] == 1).all()
    assert (heatmap[:, 10, 10] == 1).all()
    assert heatmap.sum() == 8 + 2
    unlabelled = replace(people([[20, 20, 40, 60]]), unlabelled_classes=np.array([0]))
    targets = build_targets(unlabelled, NOTHING, SETTINGS)
    assert (targets['hm'][0] == 1).all()
    assert targets['mask'].sum() == 1


def test_ignored_regions_cost_nothing() -> None:
    labels = FrameLabels.from_rows(
        [[80, 20, 100, 60]], [0], [1], ignore_boxes=[[8, 8, 16, 24]], ignore_classes=[1]
    )
    arrays = build_targets(labels, NOTHING, SETTINGS)
    batch = {name: torch.from_numpy(array)[None] for name, array in arrays.items()}
    names = ('hm', 'indices', 'classes', 'mask')
    logits = torch.zeros(1, 2, 24, 40, requires_grad=True)
    focal_loss(logits, *(batch[name] for name in names)).backward()
    assert not logits.grad[0, 1, 2:6, 2:4].any()
    assert (logits.grad[0, 0, 2:6, 2:4] > 0).all()
    assert logits.grad[0, 0, 10, 22] < 0


def test_boxes_in_other_pixels_than_those_of_the_input() -> None:
    labels = people([[21.0, 14.0, 50.5, 71.0], [-20, 10, 20, 50]])
    expected = build_targets(labels, labels, SETTINGS)
    half = labels.warped(np.array([[0.5, 0, 3], [0, 0.5, 4]]))
    back = np.array([[2.0, 0, -6], [0, 2.0, -8]]) / 4
    received = build_targets(half, labels, SETTINGS, to_cells=back)
    for name, array in expected.items():
        np.testing.assert_allclose(received[name], array, atol=1e-5, err_msg=name)


def test_arguments_stay_as_they_are() -> None:
    labels = people([[-20, 10, 200, 50]])
    before = labels.boxes.copy()
    build_targets(labels, labels, SETTINGS)
    build_prior_heatmap(labels, SETTINGS, PriorNoise(), np.random.default_rng(0))
    np.testing.assert_array_equal(labels.boxes, before)
