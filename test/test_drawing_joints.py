"""Skeletons in overlays."""

from __future__ import annotations

import numpy as np
import pytest

from centertrack_ros.datatypes import TrackedJoints, Tracks
from centertrack_ros.drawing import draw_tracks, track_color
from centertrack_ros.drawing_joints import SIDES, draw_skeleton, skeleton_of
from training.classes import COCO_JOINTS
from training.data.tiny.figures import SKELETON

GREY = 90
# A person who looks at us: their left is on the right.
PLACES = {
    'nose': (150, 40),
    'eye': (10, -5),
    'ear': (20, 0),
    'shoulder': (40, 40),
    'elbow': (60, 90),
    'wrist': (65, 140),
    'hip': (30, 150),
    'knee': (32, 220),
    'ankle': (34, 290),
}


def _person():
    nose = np.array(PLACES['nose'])
    places = [nose]
    for name in COCO_JOINTS[1:]:
        side, part = name.split('_')
        shift = np.array(PLACES[part]) * (1 if side == 'left' else -1, 1)
        places.append(nose + shift)
    return np.array(places, np.float32)


def _joints(positions=None, visible=True):
    positions = _person() if positions is None else np.array(positions, np.float32)
    shown = np.broadcast_to(visible, len(positions))[None]
    return TrackedJoints(positions[None], np.ones((1, len(positions)), np.float32), shown)


def _tracks(reported=True):
    box = np.array([[60, 20, 240, 340]], np.float32)
    return Tracks(
        ids=np.array([3]),
        boxes=box,
        scores=np.ones(1, np.float32),
        classes=np.zeros(1, np.int64),
        centers=box[:, :2],
        velocities=np.zeros((1, 2), np.float32),
        hits=np.ones(1, np.int64),
        misses=np.zeros(1, np.int64),
        reported=np.array([reported]),
        detection_indices=np.zeros(1, np.int64),
        prior_weights=np.ones(1, np.float32),
    )


@pytest.fixture
def image():
    return np.full((400, 300, 3), GREY, np.uint8)


def _draw(image, joints, names=COCO_JOINTS, **options):
    return draw_tracks(image, _tracks(**options), ['person'], joints=joints, joint_names=names)


def _between(names, first, second):
    positions = dict(zip(names, _person(), strict=True))
    x, y = (positions[first] + positions[second]) / 2
    return round(y), round(x)


def test_edges_are_those_of_coco():
    edges = skeleton_of(COCO_JOINTS).edges
    found = {tuple(sorted(pair)) for side in SIDES for pair in edges[side].tolist()}
    assert found == {tuple(sorted((first - 1, second - 1))) for first, second in SKELETON}
    assert sum(len(edges[side]) for side in SIDES) == len(SKELETON)


def test_joints_of_other_names_and_orders():
    skeleton = skeleton_of(('left_hip', 'tail', 'left_knee', 'right_wing'))
    assert {side: edges.tolist() for side, edges in skeleton.edges.items()} == {
        'left': [[2, 0]],
        'right': [],
        'middle': [],
    }
    assert {side: points.tolist() for side, points in skeleton.points.items()} == {
        'left': [0, 2],
        'right': [3],
        'middle': [1],
    }
    assert all(len(edges) == 0 for edges in skeleton_of(()).edges.values())


def test_middle_in_the_colour_of_the_track_left_lighter_right_darker(image):
    drawn, shown = image.copy(), np.ones(len(COCO_JOINTS), np.bool_)
    color = np.array(track_color(3), int)
    skeleton = skeleton_of(COCO_JOINTS)
    draw_skeleton(drawn, _person(), shown, skeleton, track_color(3), scale=3.0, size=400.0)
    middle = drawn[_between(COCO_JOINTS, 'left_hip', 'right_hip')].astype(int)
    left = drawn[_between(COCO_JOINTS, 'left_knee', 'left_ankle')].astype(int)
    right = drawn[_between(COCO_JOINTS, 'right_knee', 'right_ankle')].astype(int)
    assert np.abs(middle - color).max() < 3
    assert (left >= color).all()
    assert left.sum() > color.sum() + 100
    assert (right <= color).all()
    assert right.sum() < color.sum() - 60


def test_joints_that_are_not_visible_are_absent_with_their_lines(image):
    visible = np.array([name != 'left_knee' for name in COCO_JOINTS])
    drawn = _draw(image, _joints(visible=visible))
    for edge in (('left_hip', 'left_knee'), ('left_knee', 'left_ankle')):
        y, x = _between(COCO_JOINTS, *edge)
        assert (drawn[y - 3 : y + 4, x - 3 : x + 4] == GREY).all()
    x, y = np.rint(_person()[COCO_JOINTS.index('left_ankle')]).astype(int)
    assert (drawn[y, x] != GREY).any()


def test_points_alone_where_the_names_are_not_those_of_coco(image):
    drawn = _draw(image, _joints([[100, 100], [200, 200]]), ('beak', 'tail'))
    assert (drawn[100, 100] != GREY).any()
    assert (drawn[200, 200] != GREY).any()
    assert (drawn[130:170, 130:170] == GREY).all()


@pytest.mark.parametrize(
    'joints', [None, _joints(visible=False), _joints(np.zeros((0, 2)), visible=False)]
)
def test_nothing_to_draw(image, joints):
    names = () if joints is None else COCO_JOINTS[: joints.scores.shape[1]]
    plain = draw_tracks(image, _tracks(), ['person'])
    np.testing.assert_array_equal(_draw(image, joints, names), plain)


def test_only_reported_tracks(image):
    np.testing.assert_array_equal(_draw(image, _joints(), reported=False), image)
    none = TrackedJoints(
        np.zeros((0, 17, 2), np.float32), np.zeros((0, 17), np.float32), np.zeros((0, 17), bool)
    )
    drawn = draw_tracks(image, Tracks.empty(), ['person'], joints=none, joint_names=COCO_JOINTS)
    np.testing.assert_array_equal(drawn, image)


def test_lines_move_by_parts_of_a_pixel(image):
    pictures = [_draw(image, _joints(_person() + shift)) for shift in (0.0, 0.25)]
    assert (pictures[0] != pictures[1]).any()


def test_a_point_lies_in_the_pixel_that_holds_it():
    """Pixel i covers [i, i + 1): the middle of pixel (10, 20) is (10.5, 20.5)."""
    canvas = np.zeros((40, 30, 3), np.uint8)
    positions = np.array([[10.5, 20.5]], np.float32)
    skeleton = skeleton_of(('beak',))
    draw_skeleton(
        canvas, positions, np.array([True]), skeleton, (255, 255, 255), scale=1.0, size=200.0
    )
    weights = canvas[..., 0].astype(float)
    ys, xs = np.mgrid[:40, :30]
    assert (weights * xs).sum() / weights.sum() == pytest.approx(10, abs=0.1)
    assert (weights * ys).sum() / weights.sum() == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize('value', [-1e9, 1e9, np.nan, np.inf, -40.0, 1000.0])
def test_joints_outside_the_image(image, value):
    positions = _person()
    positions[::2] = value
    assert _draw(image, _joints(positions)).shape == image.shape


def test_small_people_have_thin_lines():
    counts = []
    for size in (40.0, 400.0):
        canvas = np.zeros((400, 300, 3), np.uint8)
        draw_skeleton(
            canvas,
            _person(),
            np.ones(17, np.bool_),
            skeleton_of(COCO_JOINTS),
            (255, 255, 255),
            scale=2.0,
            size=size,
        )
        counts.append(np.count_nonzero(canvas))
    assert counts[0] < 0.5 * counts[1]
