"""Labels: how all that they know is moved, turned and chosen."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from training.data.labels import FrameLabels, mirrored_joints

PAIRS = ((1, 2),)
# Twice as large, then 3 right and 5 down.
MATRIX = np.array([[2.0, 0.0, 3.0], [0.0, 2.0, 5.0]])
QUARTER_TURN = np.array([[0.0, -1.0, 50.0], [1.0, 0.0, 0.0]])


def full_labels() -> FrameLabels:
    """Two objects of which everything is known, and one region."""
    labels = FrameLabels.from_rows(
        [[10, 20, 30, 60], [40, 10, 50, 20]],
        [0, 1],
        [5, 6],
        [1.0, 0.5],
        ignore_boxes=[[0, 0, 8, 4]],
        ignore_classes=[1],
    )
    return replace(
        labels,
        joints=np.float32([[[11, 21, 2], [12, 22, 1], [13, 23, 2]], [[0, 0, 0]] * 3]),
        joint_pairs=PAIRS,
        depth=np.float32([8, np.nan]),
        dimensions=np.float32([[1, 2, 3], [np.nan] * 3]),
        alpha=np.array([0.5, -3.0]),
        amodal_centers=np.float32([[-4, 30], [45, 15]]),
        attributes=np.array([3, 0]),
        velocity=np.float32([[1, 2, 3], [4, 5, 6]]),
        outlines=((np.float32([[10, 20], [30, 20], [30, 60]]),), ()),
        ignore_track_ids=np.array([9]),
        rows=np.array([0, 2]),
        ignore_rows=np.array([1]),
    )


def assert_same(received: FrameLabels, expected: FrameLabels, but: tuple[str, ...] = ()) -> None:
    """Compare all fields, to the precision of float32."""
    for entry in fields(FrameLabels):
        ours, theirs = getattr(received, entry.name), getattr(expected, entry.name)
        if entry.name in but or theirs is None:
            continue
        if entry.name == 'outlines':
            ours, theirs = ([np.concatenate(o) if o else o for o in v] for v in (ours, theirs))
            for one, other in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(one, other)
        elif entry.name == 'joint_pairs':
            assert ours == theirs
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, err_msg=entry.name)
            assert ours.dtype == theirs.dtype, entry.name


def test_everything_moves_with_the_picture() -> None:
    moved = full_labels().warped(MATRIX)
    np.testing.assert_array_equal(moved.boxes[0], [23, 45, 63, 125])
    np.testing.assert_array_equal(moved.ignore_boxes[0], [3, 5, 19, 13])
    np.testing.assert_array_equal(moved.joints[0], [[25, 47, 2], [27, 49, 1], [29, 51, 2]])
    np.testing.assert_array_equal(moved.amodal_centers, [[-5, 65], [93, 35]])
    np.testing.assert_array_equal(moved.outlines[0][0], [[23, 45], [63, 45], [63, 125]])
    untouched = ('boxes', 'ignore_boxes', 'joints', 'amodal_centers', 'outlines')
    assert_same(moved, full_labels(), but=untouched)
    back = moved.warped(np.array([[0.5, 0, -1.5], [0, 0.5, -2.5]]))
    assert_same(back, full_labels())


def test_hull_of_a_turned_box_or_what_its_corners_span() -> None:
    labels = full_labels()
    np.testing.assert_array_equal(labels.warped(QUARTER_TURN).boxes[0], [-10, 10, 30, 30])
    corners = labels.warped(QUARTER_TURN, hulls=False).boxes
    np.testing.assert_array_equal(corners[0], [30, 10, -10, 30])
    assert_same(labels.warped(MATRIX, hulls=False), labels.warped(MATRIX))


def test_mirror_by_hand() -> None:
    turned = full_labels().flipped(100)
    np.testing.assert_array_equal(turned.boxes, [[70, 20, 90, 60], [50, 10, 60, 20]])
    np.testing.assert_array_equal(turned.joints[0], [[89, 21, 2], [87, 23, 2], [88, 22, 1]])
    np.testing.assert_array_equal(turned.amodal_centers, [[104, 30], [55, 15]])
    np.testing.assert_allclose(turned.alpha, [np.pi - 0.5, 3.0 - np.pi])
    assert np.isnan(turned.velocity).all()
    original = full_labels().flipped(100, pixel_middle=0.0)
    np.testing.assert_array_equal(original.boxes[0], [69, 20, 89, 60])
    np.testing.assert_array_equal(original.joints[0, 0], [88, 21, 2])


@pytest.mark.parametrize('pixel_middle', [0.5, 0.0])
def test_mirror_twice_is_nothing_but_that_velocities_are_lost(pixel_middle: float) -> None:
    twice = full_labels()
    for _ in range(2):
        twice = twice.flipped(100, pixel_middle=pixel_middle)
    assert_same(twice, full_labels(), but=('velocity',))


def test_select_takes_everything_along() -> None:
    labels = full_labels()
    for rows in (np.array([1]), np.array([False, True])):
        chosen = labels.select(rows)
        assert len(chosen) == 1
        assert chosen.joints.shape == (1, 3, 3)
        assert chosen.outlines == ((),)
        np.testing.assert_array_equal(chosen.rows, [2])
        np.testing.assert_array_equal(chosen.alpha, [-3])
        np.testing.assert_array_equal(chosen.ignore_boxes, labels.ignore_boxes)
    assert_same(labels.select(np.array([0, 1])), labels)


def test_zoom_brings_things_nearer() -> None:
    np.testing.assert_array_equal(full_labels().zoomed(2.0).depth, np.float32([4, np.nan]))
    assert FrameLabels.from_rows().zoomed(2.0).depth is None


def test_sources_that_know_boxes_only() -> None:
    labels = FrameLabels.from_rows([[10, 20, 30, 60]], [0], [1])
    for moved in (labels.warped(MATRIX), labels.flipped(100), labels.select(np.array([0]))):
        assert moved.joints is moved.depth is moved.alpha is moved.outlines is moved.rows is None


def test_empty_labels_with_joints() -> None:
    empty = full_labels().select(np.zeros(0, np.int64))
    moved = empty.warped(MATRIX).flipped(10)
    assert moved.joints.shape == (0, 3, 3)
    assert moved.outlines == ()


def test_pairs_of_joints_by_their_names() -> None:
    names = ('nose', 'right_eye', 'left_eye', 'left_ear', 'right_ear')
    assert mirrored_joints(names) == ((2, 1), (3, 4))
    assert mirrored_joints(()) == ()
    with pytest.raises(ValueError, match="'right_hip' beside 'left_hip'"):
        mirrored_joints(('left_hip',))
