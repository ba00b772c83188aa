"""Boxes in space over rendered scenes whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from centertrack_ros.datatypes import TrackedBoxes3D
from centertrack_ros.drawing import track_color
from centertrack_ros.drawing_3d import draw_boxes_3d
from training.data.tiny.boxes3d import box_video, camera_matrix

SIZE = (240, 432)
CAMERA = camera_matrix(SIZE).astype(np.float32)
GREY = np.full((*SIZE, 3), 60, np.uint8)


def boxes_of(middles, dimensions=(1.5, 1.7, 4.1), yaws=0.0, known=True):
    middles = np.float32(middles).reshape(-1, 3)
    count = len(middles)
    return TrackedBoxes3D(
        middles=middles,
        dimensions=np.broadcast_to(np.float32(dimensions), (count, 3)).copy(),
        yaws=np.broadcast_to(np.float32(yaws), count).copy(),
        velocities=np.zeros((count, 3), np.float32),
        covariances=np.zeros((count, 4, 4), np.float32),
        known=np.broadcast_to(np.array(known), count).copy(),
    )


def drawn_at(boxes, ids=None):
    """Where the picture changed (H, W)."""
    ids = np.arange(1, len(boxes) + 1) if ids is None else np.array(ids)
    return (draw_boxes_3d(GREY, boxes, CAMERA, ids) != GREY).any(axis=2)


def test_the_wires_enclose_what_was_rendered():
    size = (96, 176)
    camera, grey = camera_matrix(size).astype(np.float32), GREY[: size[0], : size[1]]
    (frame,) = box_video(1, size, np.random.default_rng(3))
    for thing in frame.objects:
        fields = thing.fields
        middle = np.array(fields['location']) - [0, fields['dim'][0] / 2, 0]
        boxes = boxes_of(middle, fields['dim'], fields['rotation_y'])
        drawn = draw_boxes_3d(grey, boxes, camera, np.array([1]))
        rows, columns = np.nonzero((drawn != grey).any(axis=2))
        expected = np.clip(thing.box, 0, [*size[::-1], *size[::-1]])
        extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(extent, expected, atol=2.5)


@pytest.mark.parametrize(('yaw', 'side'), [(0.0, 'right'), (np.pi, 'left')])
def test_the_front_is_marked(yaw, side):
    changed = drawn_at(boxes_of([0, 0, 12], yaws=yaw))
    middle = round(CAMERA[0, 2])
    shares = {'left': changed[:, :middle].mean(), 'right': changed[:, middle:].mean()}
    assert max(shares, key=shares.get) == side


def test_colours_are_those_of_the_ids():
    drawn = draw_boxes_3d(GREY, boxes_of([[-4, 0, 12], [4, 0, 12]]), CAMERA, np.array([7, 12]))
    middle = round(CAMERA[0, 2])
    for half, track_id in ((drawn[:, :middle], 7), (drawn[:, middle:], 12)):
        assert _near(half, track_color(track_id))
        assert not _near(half, track_color(19 - track_id))


def _near(image, color):
    """Whether a line has this colour; thin ones are blended with what is behind."""
    return (np.abs(image.astype(int) - color).max(axis=2) < 40).any()


def test_what_is_behind_the_camera_is_not_drawn():
    assert not drawn_at(boxes_of([[0, 0, -8], [0, 0, -2.5]], yaws=np.pi / 2)).any()


@pytest.mark.parametrize('yaw', [-np.pi / 2, 1.5, np.pi / 2])
def test_a_box_through_the_plane_of_the_camera(yaw):
    """Seen from beside: nothing of what lies behind comes out mirrored on the other side."""
    changed = drawn_at(boxes_of([2.6, 0, 2.0], dimensions=(1.5, 1.5, 12.0), yaws=yaw))
    assert changed.any()
    assert not changed[:, : round(CAMERA[0, 2])].any()


def test_unknown_boxes_and_none():
    assert not drawn_at(boxes_of([0, 0, 12], known=False)).any()
    assert not drawn_at(boxes_of(np.zeros((0, 3)))).any()


def test_the_image_is_not_written_to():
    image = GREY.copy()
    drawn = draw_boxes_3d(image, boxes_of([0, 0, 12]), CAMERA, np.array([1]))
    np.testing.assert_array_equal(image, GREY)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    image.setflags(write=False)
    draw_boxes_3d(image[:, ::-1], boxes_of([0, 0, 12]), CAMERA, np.array([1]))


def test_a_box_around_the_camera_and_a_tiny_one():
    drawn_at(boxes_of([[0, 0, 0], [0, 0, 5000.0]], dimensions=(3, 3, 3)))
