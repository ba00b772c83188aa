"""Targets under the rules of CenterTrack, by hand where they differ from ours."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from training.data.labels import ALL_CLASSES, FrameLabels
from training.targets import TargetRules, TargetSettings, build_targets

RULES = TargetRules.original()
# A map of 10 x 6 cells.
SETTINGS = TargetSettings(
    24, 40, 2, max_objects=4, heads=('reg', 'wh', 'ltrb', 'ltrb_amodal', 'tracking'), rules=RULES
)
NOTHING = FrameLabels.from_rows()


def test_every_rule_differs_from_ours() -> None:
    ours = TargetRules()
    assert all(getattr(RULES, f.name) != getattr(ours, f.name) for f in fields(RULES))


def test_box_over_the_edge_ends_at_the_last_cell() -> None:
    labels = FrameLabels.from_rows([[30, 4, 60, 20]], [1], [1])
    targets = build_targets(labels, NOTHING, SETTINGS)
    # In cells 7.5, 1, 15, 5; clipped to 9 on the right.
    assert targets['indices'][0] == 3 * 10 + 8
    assert targets['classes'][0] == 1
    np.testing.assert_array_equal(targets['wh'][0], [1.5, 4])
    np.testing.assert_array_equal(targets['reg'][0], [0.25, 0])
    np.testing.assert_array_equal(targets['ltrb'][0], [-0.5, -2, 1, 2])
    np.testing.assert_array_equal(targets['ltrb_amodal'][0], [-0.5, -2, 7, 2])
    ours = build_targets(labels, NOTHING, replace(SETTINGS, rules=TargetRules()))
    np.testing.assert_array_equal(ours['ltrb'][0], [0.5, 2, 2, 2])
    np.testing.assert_array_equal(ours['ltrb_amodal'][0], [-0.5, -2, 7, 2])


def test_hidden_cut_off_tiny_and_doubled_objects_are_learnt() -> None:
    boxes = [[8, 8, 9, 9], [-30, 4, 3, 20], [20, 4, 32, 20], [20, 4, 32, 20]]
    labels = FrameLabels.from_rows(boxes, [0] * 4, range(1, 5), [1, 1, 0.1, 1])
    targets = build_targets(labels, NOTHING, SETTINGS)
    np.testing.assert_array_equal(targets['mask'], 1)
    assert targets['indices'][2] == targets['indices'][3]
    ours = build_targets(labels, NOTHING, replace(SETTINGS, rules=TargetRules()))
    np.testing.assert_array_equal(ours['mask'], [0, 0, 0, 1])
    np.testing.assert_array_equal(targets['wh'][0], [0.25, 0.25])


def test_objects_without_a_box_on_the_map_leave_an_empty_row() -> None:
    boxes = [[-30, 4, -3, 20], [20, 4, 20, 20], [37, 4, 80, 20], [20, 4, 32, 20]]
    targets = build_targets(FrameLabels.from_rows(boxes, [0] * 4, range(1, 5)), NOTHING, SETTINGS)
    # The third begins in the last cell, where the map ends.
    np.testing.assert_array_equal(targets['mask'], [0, 0, 0, 1])
    assert not targets['indices'][:3].any()
    assert (targets['hm'] == 1).sum() == 1


def test_rows_are_those_of_the_annotations_and_later_ones_are_not_read() -> None:
    labels = FrameLabels.from_rows(
        [[4, 4, 12, 12], [20, 4, 32, 20], [4, 16, 12, 24]],
        [0, 0, 0],
        [1, 2, 3],
        ignore_boxes=[[0, 0, 3, 3], [36, 20, 39, 23]],
        ignore_classes=[0, 0],
    )
    labels = replace(labels, rows=np.array([1, 3, 4]), ignore_rows=np.array([2, 5]))
    targets = build_targets(labels, NOTHING, SETTINGS)
    np.testing.assert_array_equal(targets['mask'], [0, 1, 0, 1])
    np.testing.assert_array_equal(np.argwhere(targets['hm'][0] == 1), [[0, 0], [2, 2], [3, 6]])
    no_rows = replace(labels, rows=None, ignore_rows=None)
    targets = build_targets(no_rows, NOTHING, SETTINGS)
    np.testing.assert_array_equal(targets['mask'], [1, 1, 1, 0])
    assert targets['hm'][0, 0, 0] == 1
    assert targets['hm'][0, 5, 9] == 0


def test_ignored_regions_reach_into_every_cell_that_they_touch() -> None:
    labels = FrameLabels.from_rows(
        ignore_boxes=[[8, 8, 16, 12], [60, 0, 90, 4]], ignore_classes=[ALL_CLASSES, 1]
    )
    heatmap = build_targets(labels, NOTHING, SETTINGS)['hm']
    expected = np.zeros((2, 6, 10))
    expected[:, 2:4, 2:5] = 1
    expected[1, 0:2, 9] = 1  # a region outside falls on the edge
    np.testing.assert_array_equal(heatmap, expected)
    ours = build_targets(labels, NOTHING, replace(SETTINGS, rules=TargetRules()))['hm']
    expected = np.zeros((2, 6, 10))
    expected[:, 2:3, 2:4] = 1
    np.testing.assert_array_equal(ours, expected)


def test_tracking_leads_from_the_cell_to_the_old_centre() -> None:
    current = FrameLabels.from_rows([[20, 4, 32, 20], [4, 4, 12, 12]], [0, 0], [8, 9])
    previous = FrameLabels.from_rows([[17, 6, 29, 22]], [0], [8])
    targets = build_targets(current, previous, SETTINGS)
    np.testing.assert_array_equal(targets['tracking_mask'][:2], [[1, 1], [0, 0]])
    np.testing.assert_array_equal(targets['tracking'][:2], [[5.75 - 6, 3.5 - 3], [0, 0]])


def test_empty_frame() -> None:
    targets = build_targets(NOTHING, NOTHING, SETTINGS)
    assert targets['hm'].shape == (2, 6, 10)
    assert not any(array.any() for array in targets.values())
