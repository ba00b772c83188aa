"""Masks of objects from their outlines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.data.labels import FrameLabels
from training.targets import TargetSettings, build_targets
from training.targets.masks import fill_outline

SETTINGS = TargetSettings(48, 64, 2, max_objects=4, heads=('hm', 'conv_weight', 'seg_feat'))
NOTHING = FrameLabels.from_rows()


def square(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Its corners."""
    return np.float32([[left, top], [right, top], [right, bottom], [left, bottom]])


def test_cells_whose_middle_belongs_to_the_object() -> None:
    mask = fill_outline((square(1, 2, 4.6, 5.4),), (8, 10))
    expected = np.zeros((8, 10))
    expected[2:5, 1:5] = 1
    np.testing.assert_array_equal(mask, expected)
    assert mask.dtype == np.float32
    shifted = fill_outline((square(0.5, 1.5, 4.1, 4.9),), (8, 10), pixel_middle=0.0)
    np.testing.assert_array_equal(shifted, expected)


def test_two_parts_a_hole_and_what_is_outside() -> None:
    outline = (square(-3, 1, 2, 3), square(4, 0, 9, 5), square(5, 1, 8, 4))
    expected = np.zeros((6, 10))
    expected[1:3, :2] = 1
    expected[0:5, 4:9] = 1
    expected[1:4, 5:8] = 0
    np.testing.assert_array_equal(fill_outline(outline, (6, 10)), expected)


def test_masks_stand_in_the_rows_of_their_objects() -> None:
    labels = FrameLabels.from_rows([[4, 4, 20, 20], [24, 8, 40, 40]], [0, 1], [1, 2])
    labels = replace(labels, outlines=((), (square(24, 8, 40, 24),)))
    targets = build_targets(labels, NOTHING, SETTINGS)
    assert targets['masks'].shape == (4, 12, 16)
    np.testing.assert_array_equal(targets['mask'], [1, 1, 0, 0])
    np.testing.assert_array_equal(targets['masks_mask'], [0, 1, 0, 0])
    np.testing.assert_array_equal(targets['masks'].sum((1, 2)), [0, 16, 0, 0])
    assert targets['masks'][1, 2:6, 6:10].all()
    without = build_targets(replace(labels, outlines=None), NOTHING, SETTINGS)
    assert not without['masks'].any()


def test_slanted_edges() -> None:
    triangle = np.float32([[0, 0], [6, 0], [0, 6]])
    mask = fill_outline((triangle,), (6, 6))
    rows, columns = np.indices((6, 6))
    np.testing.assert_array_equal(mask, rows + columns + 1 < 6)
