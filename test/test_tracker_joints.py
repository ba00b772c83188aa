"""Joints of tracks: smoothing, misses and identities, on motion that is known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from centertrack_ros.datatypes import Tracks
from centertrack_ros.tracker.joints import HOLD_TIME, JointFilter

THRESHOLD = 0.3
HEIGHT = 200.0
CELL = 4.0  # image pixels
WALKING = 0.8  # sizes a second
# Of the joints of real people who stand still, sizes.
NOISE = 0.004
# Where the joints stand in a box, shares of its width and height.
PLACES = np.array([[0.5, 0.1], [0.2, 0.4], [0.8, 0.4], [0.4, 0.95], [0.6, 0.95]])
COUNT = len(PLACES)


def _tracks(ids, boxes, *, detections=None, velocities=None, misses=0):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    count = len(boxes)
    return Tracks(
        ids=np.array(ids, np.int64),
        boxes=boxes,
        scores=np.full(count, 0.9, np.float32),
        classes=np.zeros(count, np.int64),
        centers=boxes.reshape(-1, 2, 2).mean(axis=1),
        velocities=np.array(
            np.zeros((count, 2)) if velocities is None else velocities, np.float32
        ),
        hits=np.ones(count, np.int64),
        misses=np.full(count, misses, np.int64),
        reported=np.ones(count, np.bool_),
        detection_indices=np.array(
            np.arange(count) if detections is None else detections, np.int64
        ),
        prior_weights=np.ones(count, np.float32),
    )


def _box(left=100.0, top=50.0, height=HEIGHT):
    return [left, top, left + 0.4 * height, top + height]


def _joints(box, *, score=0.9, noise=None, size=HEIGHT):
    """Key points (1, J, 3) in a box."""
    box = np.array(box)
    places = box[:2] + PLACES * (box[2:] - box[:2])
    if noise is not None:
        places = places + noise.normal(0, NOISE * size, places.shape)
    scores = np.broadcast_to(score, COUNT)[:, None]
    return np.concatenate([places, scores], axis=1)[None].astype(np.float32)


class _Filter(JointFilter):
    """With the cell of a usual camera."""

    def update(self, tracks, keypoints, dt, *, cell=CELL):
        return super().update(tracks, keypoints, dt, cell=cell)


def _make(**options):
    return _Filter(COUNT, threshold=THRESHOLD, **options)


def _places(box):
    return _joints(box)[0, :, :2]


def _jitter(fps, *, height=HEIGHT, cell=CELL, smooth=True):
    """Steps between images of the joints of a person who stands still: shown and measured."""
    noise, joints, box = np.random.default_rng(0), _make(smooth=smooth), _box(height=height)
    shown, measured = [], []
    for _ in range(6 * fps):
        seen = _joints(box, noise=noise, size=height)
        shown.append(joints.update(_tracks([1], box), seen, 1 / fps, cell=cell).positions[0])
        measured.append(seen[0, :, :2])
    skip = 2 * fps
    return np.diff(shown[skip:], axis=0).std(), np.diff(measured[skip:], axis=0).std()


@pytest.mark.parametrize(('fps', 'most'), [(10, 0.75), (30, 0.4), (60, 0.25)])
def test_joints_of_a_still_person_are_calm(fps, most):
    shown, measured = _jitter(fps)
    assert shown < most * measured


def test_calm_means_the_same_at_all_scales_and_more_for_few_cells():
    large, small = _jitter(30, height=400.0, cell=8.0), _jitter(30, height=50.0, cell=1.0)
    assert large[0] / large[1] == pytest.approx(small[0] / small[1], rel=0.05)
    near, far = _jitter(30, height=400.0), _jitter(30, height=50.0)
    assert far[0] / far[1] < 0.7 * near[0] / near[1]


def test_smoothing_can_be_switched_off():
    shown, measured = _jitter(30, smooth=False)
    assert shown == measured


@pytest.mark.parametrize('fps', [1, 2, 5, 10, 30, 60])
def test_a_walking_person_is_not_followed_late(fps):
    """At steady speed from 3 s on, from rest at the start: at most a quarter of an image late."""
    joints, dt = _make(), 1 / fps
    errors = []
    for image in range(8 * fps):
        box = _box(left=WALKING * HEIGHT * image * dt)
        result = joints.update(_tracks([1], box), _joints(box), dt)
        errors.append(np.abs(result.positions[0] - _places(box)).max() / HEIGHT)
    late = np.array(errors) / WALKING
    assert late[3 * fps :].max() < 0.005  # seconds
    # And it starts at once: the joints of a new track are where they are seen.
    assert errors[0] < 1e-6
    assert late.max() < 0.11


def test_swinging_limbs_keep_their_swing():
    """Ankles of a person who walks by, 0.2 sizes to and fro at 0.9 Hz."""
    joints, dt = _make(), 1 / 30
    errors = []
    for image in range(300):
        box = _box(left=WALKING * HEIGHT * image * dt)
        seen = _joints(box)
        seen[0, 3:, 0] += 0.2 * HEIGHT * np.sin(2 * np.pi * 0.9 * image * dt) * np.array([1, -1])
        result = joints.update(_tracks([1], box), seen, dt)
        errors.append(result.positions[0, 3:, 0] - seen[0, 3:, 0])
    assert np.abs(errors[60:]).max() < 0.05 * HEIGHT


def test_uneven_steps_do_not_disturb():
    joints, generator, time, errors = _make(), np.random.default_rng(3), 0.0, []
    for image in range(200):
        dt = 0.0 if image == 0 else float(generator.choice([1 / 60, 1 / 30, 1 / 10, 0.4]))
        time += dt
        box = _box(left=WALKING * HEIGHT * time)
        result = joints.update(_tracks([1], box), _joints(box), dt)
        errors.append(np.abs(result.positions[0] - _places(box)).max())
    assert max(errors[50:]) < 0.01 * HEIGHT


def test_stamps_that_stand_still_do_not_freeze_the_joints():
    joints = _make()
    for image in range(40):
        box = _box(left=4.0 * image)
        result = joints.update(_tracks([1], box), _joints(box), 0.0)
    np.testing.assert_allclose(result.positions[0], _places(box), atol=3.0)


def test_one_wrong_joint_is_damped():
    joints, box = _make(), _box()
    for _ in range(30):
        joints.update(_tracks([1], box), _joints(box), 1 / 30)
    wrong = _joints(box)
    wrong[0, 0, 0] += 60
    result = joints.update(_tracks([1], box), wrong, 1 / 30)
    assert 0 < result.positions[0, 0, 0] - _places(box)[0, 0] < 0.5 * 60
    np.testing.assert_allclose(result.positions[0, 1:], _places(box)[1:], atol=1e-3)


def test_a_joint_below_the_threshold_is_kept_for_a_moment():
    joints, dt = _make(), 0.1
    joints.update(_tracks([1], _box()), _joints(_box()), 0.0)
    scores = np.array([0.2, 0.9, 0.9, 0.9, 0.9])
    shown = []
    for image in range(1, 5):
        box = _box(left=100 + 20 * image)
        seen = _joints(box, score=scores)
        seen[0, 0, :2] = 7, 8
        result = joints.update(_tracks([1], box), seen, dt)
        shown.append((result.visible[0, 0], result.scores[0, 0]))
        assert result.visible[0, 1:].all()
        expected = _places(box)[0] if result.visible[0, 0] else [7, 8]
        np.testing.assert_allclose(result.positions[0, 0], expected, atol=1e-3)
    assert [visible for visible, _ in shown] == [True, True, False, False]
    np.testing.assert_allclose([score for _, score in shown], [0.6, 0.3, 0.2, 0.2], atol=1e-4)


def test_a_joint_that_is_never_seen_is_never_visible():
    joints, box = _make(), _box()
    for _ in range(3):
        result = joints.update(_tracks([1], box), _joints(box, score=0.29), 0.1)
        assert not result.visible.any()
        np.testing.assert_allclose(result.scores, 0.29)
        np.testing.assert_allclose(result.positions[0], _places(box), rtol=1e-6)


def test_a_missed_track_takes_its_joints_along():
    joints = _make()
    joints.update(_tracks([1], _box()), _joints(_box()), 0.0)
    shown = []
    for image in range(1, 9):
        box = _box(left=100 + 10 * image, height=HEIGHT + 4 * image)
        track = _tracks([1], box, detections=[-1], misses=image)
        result = joints.update(track, np.zeros((0, COUNT, 3), np.float32), 0.05)
        np.testing.assert_allclose(result.positions[0], _places(box), rtol=1e-5)
        shown.append(bool(result.visible.all()))
        assert result.visible.any() == result.visible.all()
    assert shown == [0.05 * image < HOLD_TIME - 1e-6 for image in range(1, 9)]
    assert not result.scores.any()
    # It comes back somewhere else: nothing is left to smooth with.
    box = _box(left=400)
    result = joints.update(_tracks([1], box), _joints(box), 0.05)
    assert result.visible.all()
    np.testing.assert_allclose(result.positions[0], _places(box), rtol=1e-6)


def test_after_a_long_miss_a_joint_begins_with_the_velocity_of_its_track():
    joints, dt, speed = _make(), 1 / 30, WALKING * HEIGHT
    errors = []
    for image in range(6):
        box = _box(left=speed * image * dt)
        track = _tracks([1], box, velocities=[[speed, 0]])
        result = joints.update(track, _joints(box), dt)
        errors.append(np.abs(result.positions[0] - _places(box)).max())
    assert max(errors) < 0.01


def test_state_follows_the_ids_in_any_order():
    """Two people with the box and joints of one: only ids tell them apart."""
    noises = [np.random.default_rng(seed) for seed in (1, 2)]
    swapping, plain = _make(), [_make(), _make()]
    box = _box()
    for image in range(20):
        seen = [_joints(box, noise=noise) for noise in noises]
        expected = [
            joints.update(_tracks([7], box), one, 1 / 30)
            for joints, one in zip(plain, seen, strict=True)
        ]
        order = [1, 0] if image % 2 else [0, 1]
        ids = np.array([5, 3])[order]
        # The detections lie the other way round.
        track = _tracks(ids, [box, box], detections=[1 - row for row in order])
        result = swapping.update(track, np.concatenate(seen[::-1]), 1 / 30)
        for row, person in enumerate(order):
            np.testing.assert_array_equal(result.positions[row], expected[person].positions[0])


def test_dead_ids_are_forgotten_and_new_ones_begin_fresh():
    joints, near, far = _make(), _box(), _box(left=600)
    joints.update(_tracks([1, 2], [near, far]), np.concatenate([_joints(near)] * 2), 0.0)
    joints.update(_tracks([2], far), _joints(far), 0.1)
    result = joints.update(_tracks([1, 3], [far, near]), np.zeros((2, COUNT, 3)), 0.1)
    # Neither has a joint to keep: 1 died, 3 is new.
    assert not result.visible.any()
    result = joints.update(_tracks([4], far), _joints(far), 0.1)
    np.testing.assert_allclose(result.positions[0], _places(far), rtol=1e-6)


def test_reset_forgets_everything():
    joints, box = _make(), _box()
    joints.update(_tracks([1], box), _joints(box), 0.0)
    joints.reset()
    result = joints.update(_tracks([1], box, detections=[-1]), None, 0.1)
    assert not result.visible.any()
    assert not result.scores.any()


def test_no_tracks_and_no_detections():
    joints = _make()
    for keypoints in (None, np.zeros((0, COUNT, 3), np.float32)):
        result = joints.update(Tracks.empty(), keypoints, 0.1)
        assert result.positions.shape == (0, COUNT, 2)
        assert result.scores.shape == result.visible.shape == (0, COUNT)
        assert (result.positions.dtype, result.scores.dtype) == (np.float32, np.float32)
        assert result.visible.dtype == np.bool_
    box = _box()
    joints.update(_tracks([1], box), _joints(box), 0.1)
    assert len(joints.update(Tracks.empty(), None, 0.1)) == 0


def test_arguments_are_not_written_to():
    joints, box = _make(), _box()
    for _ in range(3):
        tracks, seen = _tracks([1], box), _joints(box, score=[0.9, 0.1, 0.9, 0.9, np.nan])
        kept = {name: array.copy() for name, array in vars(tracks).items()}
        for array in (*vars(tracks).values(), seen):
            array.flags.writeable = False
        joints.update(tracks, seen, 0.1)
        for name, array in vars(tracks).items():
            np.testing.assert_array_equal(array, kept[name])


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_what_is_no_number_was_not_seen(value):
    joints, box = _make(), _box()
    joints.update(_tracks([1], box), _joints(box), 0.0)
    for _ in range(5):
        broken = _joints(box)
        broken[0, 2, 1] = value
        broken[0, 3, 2] = np.nan
        result = joints.update(_tracks([1], box), broken, 0.1)
        assert np.isfinite(result.positions).all()
        assert np.isfinite(result.scores).all()
        np.testing.assert_allclose(result.positions[0], _places(box), rtol=1e-5)
    assert result.visible[0].tolist() == [True, True, False, False, True]


@pytest.mark.parametrize('box', [[10, 10, 10, 10], [0, 0, 1e6, 1e6], [300, 50, 290, 40]])
def test_boxes_without_size_do_no_harm(box):
    joints = _make()
    for scores in (0.9, 0.1, 0.9):
        seen = _joints(_box(), score=scores)
        result = joints.update(_tracks([1], box), seen, 0.05)
        assert np.isfinite(result.positions).all()


def test_another_number_of_joints_is_refused():
    joints, box = _make(), _box()
    joints.update(_tracks([1], box), _joints(box), 0.0)
    with pytest.raises(ValueError, match=r'expected \(detections, 5, 3\), received \(1, 4, 3\)'):
        joints.update(_tracks([1], box), _joints(box)[:, :4], 0.1)
    result = joints.update(_tracks([1], box, detections=[-1]), None, 0.1)
    assert result.visible.all()  # nothing was lost by the refusal
