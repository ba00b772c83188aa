"""Targets of boxes in space, by hand, and the angle through its bins and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from centertrack_ros.camera_geometry import alpha_from_bins
from training.data.labels import FrameLabels
from training.targets import TargetRules, TargetSettings, build_targets
from training.targets.boxes3d import rotation_channels

HEADS = ('dep', 'dim', 'amodel_offset', 'nuscenes_att', 'velocity', 'rot')
SETTINGS = TargetSettings(48, 64, 2, max_objects=8, heads=HEADS)
NOTHING = FrameLabels.from_rows()
SIX, UNKNOWN = np.pi / 6, np.nan


def boxes(count: int) -> FrameLabels:
    """Objects of 4 x 4 cells in a row, in cells 2, 6, 10, ... of row 4."""
    rows = [[16 * index, 8, 16 * index + 16, 24] for index in range(count)]
    return FrameLabels.from_rows(rows, [0] * count, range(1, count + 1))


def test_known_and_unknown_values() -> None:
    labels = replace(
        boxes(2),
        depth=np.float32([12.5, UNKNOWN]),
        dimensions=np.float32([[1.5, 1.6, 4], [UNKNOWN] * 3]),
        amodal_centers=np.float32([[13, 18], [UNKNOWN] * 2]),
        velocity=np.float32([[UNKNOWN] * 3, [1, -2, 3]]),
    )
    targets = build_targets(labels, NOTHING, SETTINGS)
    expected = {
        'dep': [[12.5], [0]],
        'dim': [[1.5, 1.6, 4], [0, 0, 0]],
        'amodel_offset': [[3.25 - 2, 4.5 - 4], [0, 0]],
        'velocity': [[0, 0, 0], [1, -2, 3]],
    }
    for name, rows in expected.items():
        np.testing.assert_array_equal(targets[name][:2], np.float32(rows), err_msg=name)
        known = np.array([[1], [0]]) if name != 'velocity' else np.array([[0], [1]])
        assert (targets[f'{name}_mask'][:2] == known).all(), name
        assert targets[name].dtype == targets[f'{name}_mask'].dtype == np.float32


def test_sources_that_do_not_know_space_have_masks_of_zero() -> None:
    targets = build_targets(boxes(2), NOTHING, SETTINGS)
    assert targets['mask'].sum() == 2
    masks = {name: array for name, array in targets.items() if name.endswith('_mask')}
    assert len(masks) == len(HEADS)
    assert not any(array.any() for array in masks.values())
    assert all(np.isfinite(array).all() for array in targets.values())


def test_amodal_offset_is_measured_from_the_whole_cell() -> None:
    labels = FrameLabels.from_rows([[18, 10, 29, 27]], [0], [1])  # middle 5.875, 4.625
    labels = replace(labels, amodal_centers=np.float32([[24, 20]]))
    for rules in (TargetRules(), TargetRules.original()):
        targets = build_targets(labels, NOTHING, replace(SETTINGS, rules=rules))
        np.testing.assert_array_equal(targets['amodel_offset'][0], [6 - 5, 5 - 4])


def test_attributes_teach_their_group_only() -> None:
    labels = replace(boxes(4), attributes=np.array([0, 2, 3, 8]))
    targets = build_targets(labels, NOTHING, SETTINGS)
    np.testing.assert_array_equal(
        targets['nuscenes_att'][:4],
        [[0] * 8, [0, 1, 0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0], [0] * 7 + [1]],
    )
    np.testing.assert_array_equal(
        targets['nuscenes_att_mask'][:4],
        [[0] * 8, [1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0, 0, 0], [0] * 5 + [1] * 3],
    )


@pytest.mark.parametrize(
    ('alpha', 'active'),
    [
        (-np.pi / 2, [1, 0]),
        (np.pi / 2, [0, 1]),
        (0.0, [1, 1]),
        (np.pi, [1, 1]),
        (-np.pi, [1, 1]),
        (SIX, [0, 1]),  # the edges do not belong to the other bin
        (-SIX, [1, 0]),
        (5 * SIX, [0, 1]),
        (-5 * SIX, [1, 0]),
        (SIX - 1e-9, [1, 1]),
    ],
)
def test_bins(alpha: float, active: list[int]) -> None:
    targets = build_targets(replace(boxes(1), alpha=np.array([alpha])), NOTHING, SETTINGS)
    np.testing.assert_array_equal(targets['rot_bins'][0], active)
    assert targets['rot_bins'].dtype == np.int64
    expected = np.array([alpha + np.pi / 2, alpha - np.pi / 2]) * active
    np.testing.assert_allclose(targets['rot_residuals'][0], expected, rtol=1e-6)
    assert targets['rot_mask'].tolist() == [1] + [0] * 7


def test_angles_come_back_from_their_bins() -> None:
    alpha = np.linspace(-np.pi, np.pi, 41)
    settings = replace(SETTINGS, max_objects=64, rules=TargetRules.original())
    labels = FrameLabels.from_rows([[16, 8, 32, 24]] * 41, [0] * 41, range(1, 42))
    targets = build_targets(replace(labels, alpha=alpha), NOTHING, settings)
    channels = rotation_channels(
        targets['rot_bins'][:41], targets['rot_residuals'][:41], targets['rot_mask'][:41]
    )
    difference = alpha_from_bins(channels) - alpha
    np.testing.assert_allclose((difference + np.pi) % (2 * np.pi) - np.pi, 0, atol=1e-6)


def test_unknown_angle_has_empty_bins() -> None:
    targets = build_targets(replace(boxes(2), alpha=np.array([UNKNOWN, 1.0])), NOTHING, SETTINGS)
    np.testing.assert_array_equal(targets['rot_mask'][:2], [0, 1])
    assert not targets['rot_bins'][0].any()
    assert not targets['rot_residuals'][0].any()
