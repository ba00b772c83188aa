"""Targets read back are the labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from centertrack_ros.camera_geometry import alpha_from_bins
from training.data.labels import FrameLabels
from training.heads import HEADS
from training.targets import TargetRules, TargetSettings, build_targets, targets_to_detections

SETTINGS = TargetSettings(48, 64, 3, max_objects=4, heads=tuple(HEADS), joint_count=2)


def labels() -> FrameLabels:
    """Two objects; the second one is cut off, and of no known shape in space."""
    found = FrameLabels.from_rows([[8, 8, 22, 26], [30, 20, 80, 44]], [2, 0], [1, 2])
    return replace(
        found,
        joints=np.float32([[[10, 12, 2], [20, 24, 1]], [[70, 30, 2], [0, 0, 0]]]),
        depth=np.float32([7, np.nan]),
        dimensions=np.float32([[1, 2, 3], [np.nan] * 3]),
        alpha=np.array([0.3, np.nan]),
        velocity=np.float32([[1, 2, 3], [np.nan] * 3]),
        attributes=np.array([3, 0]),
        amodal_centers=np.float32([[14, 18], [np.nan] * 2]),
    )


@pytest.mark.parametrize('heads', [('reg', 'wh'), ('reg', 'ltrb'), ('ltrb',)])
@pytest.mark.parametrize('edges', ['distances', 'offsets'])
def test_boxes_from_any_head(heads: tuple[str, ...], edges: str) -> None:
    settings = replace(SETTINGS, heads=heads, rules=replace(TargetRules(), edges=edges))
    found = targets_to_detections(build_targets(labels(), labels(), settings), edges)
    np.testing.assert_allclose(4 * found['boxes'], [[8, 8, 22, 26], [30, 20, 64, 44]])
    np.testing.assert_allclose(4 * found['centers'], [[15, 17], [47, 32]])
    np.testing.assert_array_equal(found['cells'], [[3, 4], [11, 8]])
    np.testing.assert_array_equal(found['classes'], [2, 0])
    np.testing.assert_array_equal(found['scores'], [1, 1])


def test_everything_else() -> None:
    previous = FrameLabels.from_rows([[4, 8, 18, 26]], [2], [1])
    found = targets_to_detections(build_targets(labels(), previous, SETTINGS))
    np.testing.assert_allclose(4 * found['ltrb_amodal'], labels().boxes)
    np.testing.assert_allclose(4 * (found['cells'] + found['tracking'])[0], [11, 17])
    np.testing.assert_array_equal(found['tracking'][1], [0, 0])
    np.testing.assert_allclose(4 * found['hps'], [[10, 12, 20, 24], [0] * 4])
    np.testing.assert_allclose(found['dep'], [[7], [2]])
    np.testing.assert_allclose(found['dim'], [[1, 2, 3], [1, 1, 1]])
    np.testing.assert_allclose(alpha_from_bins(found['rot']), [0.3, 0], atol=1e-6)
    np.testing.assert_allclose(found['velocity'], [[1, 2, 3], [0, 0, 0]])
    np.testing.assert_array_equal(found['nuscenes_att'], [[0, 0, 1, 0, 0, 0, 0, 0], [0] * 8])
    np.testing.assert_allclose(found['amodel_offset'], [[0.5, 0.5], [0, 0]])


def test_nothing() -> None:
    nothing = FrameLabels.from_rows()
    found = targets_to_detections(build_targets(nothing, nothing, SETTINGS))
    assert {len(array) for array in found.values()} == {0}
    assert found['boxes'].shape == (0, 4)
    assert found['rot'].shape == (0, 8)
