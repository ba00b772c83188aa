"""Targets of joints: offsets, masks, heatmaps, and what hidden and unlabelled ones cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.data.labels import ALL_CLASSES, FrameLabels
from training.targets import TargetRules, TargetSettings, build_targets

SETTINGS = TargetSettings(
    48, 64, 2, max_objects=4, heads=('hm', 'hps', 'hm_hp', 'hp_offset'), joint_count=3
)
ORIGINAL = replace(SETTINGS, rules=TargetRules.original())
NOTHING = FrameLabels.from_rows()
# A box of 8 x 8 cells at 4, 2; its middle is in cell 8, 6.
BOX = [16, 8, 48, 40]


def person(*joints: tuple[float, float, int], box: list[float] = BOX) -> FrameLabels:
    """One person, id 1."""
    labels = FrameLabels.from_rows([box], [0], [1])
    return replace(labels, joints=np.array([joints], np.float32))


@pytest.mark.parametrize('settings', [SETTINGS, ORIGINAL])
def test_offsets_from_the_object_and_within_the_joint_cell(settings: TargetSettings) -> None:
    labels = person((22, 13, 2), (41, 34, 1), (30, 20, 0))
    targets = build_targets(labels, NOTHING, settings)
    np.testing.assert_array_equal(targets['hps'][0], [5.5 - 8, 3.25 - 6, 10.25 - 8, 8.5 - 6, 0, 0])
    np.testing.assert_array_equal(targets['hps_mask'][0], [1, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(targets['joint_indices'][:3], [3 * 16 + 5, 8 * 16 + 10, 0])
    np.testing.assert_array_equal(targets['joint_classes'][:3], [0, 1, 0])
    # A hidden joint is no peak to be learnt.
    np.testing.assert_array_equal(targets['joint_mask'][:3], [1, 0, 0])
    np.testing.assert_array_equal(targets['hp_offset'][:2], [[0.5, 0.25], [0.25, 0.5]])
    np.testing.assert_array_equal(targets['hp_offset_mask'][:3], [[1, 1], [0, 0], [0, 0]])
    assert targets['joint_mask'].shape == (12,)
    assert targets['hp_offset'].shape == (12, 2)


@pytest.mark.parametrize('settings', [SETTINGS, ORIGINAL])
def test_heatmaps_of_visible_hidden_and_unlabelled_joints(settings: TargetSettings) -> None:
    targets = build_targets(person((22, 13, 2), (41, 34, 1), (30, 20, 0)), NOTHING, settings)
    visible, hidden, unlabelled = targets['hm_hp']
    radius = 2  # of a box of 8 x 8 cells
    for heatmap, (x, y) in ((visible, (5, 3)), (hidden, (10, 8))):
        np.testing.assert_array_equal(np.argwhere(heatmap == 1), [[y, x]])
        np.testing.assert_allclose(heatmap[y, x + 1], np.exp(-1 / (2 * (5 / 6) ** 2)), rtol=1e-6)
        assert heatmap[y, x + radius] > 0
        assert heatmap[y, x - radius - 1] == 0
    expected = np.zeros((12, 16))
    covers = 9 if settings is ORIGINAL else 8
    expected[2 : 2 + covers, 4 : 4 + covers] = 1
    np.testing.assert_array_equal(unlabelled, expected)


@pytest.mark.parametrize('settings', [SETTINGS, ORIGINAL])
def test_joint_off_the_map_is_unknown_and_costs_nothing(settings: TargetSettings) -> None:
    targets = build_targets(person((64, 13, 2), (-1, 13, 2), (22, 48, 1)), NOTHING, settings)
    for name in ('hps', 'hps_mask', 'hm_hp', 'joint_mask', 'joint_indices', 'hp_offset'):
        assert not targets[name].any(), name


def test_objects_without_joints_blank_their_box() -> None:
    labels = FrameLabels.from_rows([BOX], [0], [1])
    targets = build_targets(labels, NOTHING, SETTINGS)
    assert (targets['hm_hp'][:, 2:10, 4:12] == 1).all()
    assert targets['hm_hp'].sum() == 3 * 64
    assert not targets['hps_mask'].any()


def test_ignored_regions_blank_joints_but_for_crowds_of_other_classes() -> None:
    def painted(class_index: int, track_id: int) -> bool:
        labels = FrameLabels.from_rows(ignore_boxes=[[0, 0, 8, 8]], ignore_classes=[class_index])
        labels = replace(labels, ignore_track_ids=np.array([track_id]))
        heatmap = build_targets(labels, NOTHING, SETTINGS)['hm_hp']
        assert heatmap.sum() in (0, 3 * 4)
        return bool(heatmap.any())

    crowd, thing = 0, 7
    assert painted(ALL_CLASSES, crowd)
    assert painted(0, crowd)
    assert painted(1, thing)
    assert not painted(1, crowd)


def test_rows_of_joints_go_with_the_rows_of_their_objects() -> None:
    first, second = (
        person((22, 13, 2), (0, 0, 0), (0, 0, 0)),
        person((0, 0, 0), (41, 34, 2), (0, 0, 0)),
    )
    assert first.joints is not None
    assert second.joints is not None
    labels = FrameLabels.from_rows([[4, 4, 12, 12], BOX], [0, 0], [1, 2])
    labels = replace(labels, joints=np.concatenate([first.joints, second.joints]))
    targets = build_targets(labels, NOTHING, ORIGINAL)
    np.testing.assert_array_equal(np.flatnonzero(targets['joint_mask']), [0, 4])
    moved = build_targets(replace(labels, rows=np.array([3, 0])), NOTHING, ORIGINAL)
    np.testing.assert_array_equal(np.flatnonzero(moved['joint_mask']), [1, 9])
    assert moved['joint_classes'][1] == 1


def test_objects_that_are_not_learnt_draw_joints_that_are_not_learnt() -> None:
    labels = replace(person((22, 13, 2), (0, 0, 0), (0, 0, 0)), visibilities=np.float32([0.1]))
    targets = build_targets(labels, NOTHING, SETTINGS)
    assert targets['hm_hp'][0, 3, 5] == 1
    assert not targets['joint_mask'].any()
    assert not targets['hps_mask'].any()


def test_number_of_joints_has_to_be_that_of_the_settings() -> None:
    with pytest.raises(ValueError, match=r'joints: expected \(1, 3, 3\), received \(1, 2, 3\)'):
        build_targets(person((0, 0, 0), (0, 0, 0)), NOTHING, SETTINGS)
