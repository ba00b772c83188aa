"""Articulated people: joints that are where the picture shows them, and sequences made of them."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from centertrack_ros.datatypes import TrackedJoints, Tracks
from training.classes import COCO_JOINTS
from training.data.articulated.__main__ import main
from training.data.articulated.figure import HIDDEN, LIMBS, VISIBLE, Figure, Pose, inside
from training.data.articulated.gait import Gait
from training.data.articulated.people import is_usable, load_person, person_names
from training.data.articulated.scenarios import SCENARIOS
from training.data.articulated.sequence import ArticulatedActor
from training.data.articulated.writing import ANNOTATIONS, build_sequence
from training.data.cutouts import masked_photos
from training.data.labels import mirrored_joints
from training.data.scene import Walk
from training.data.suite_material import HeldOutMaterial
from training.evaluation.pose_tracking import (
    compared_joints,
    has_joint_tracks,
    pose_tracking_scores,
)
from training.evaluation.runner import FrameResult
from training.evaluation.sets import EvaluationSet

NUMBERS = {name: number for number, name in enumerate(COCO_JOINTS)}
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.fixture(scope='module')
def root(shared_folder):
    return shared_folder / 'data'


@pytest.fixture(scope='module')
def material(root):
    return HeldOutMaterial(root)


@pytest.fixture(scope='module')
def figure(root) -> Figure:
    person = load_person(root, '0080')
    return Figure(person.image, person.mask, person.joints, 300)


def place(joints, name: str) -> np.ndarray:
    return joints[NUMBERS[name], :2]


def test_people_are_held_out_and_of_the_table(root):
    photos = {
        path.stem for path in masked_photos(root / 'cutouts/clothing_co_parsing', 'held_out')
    }
    names = person_names()
    assert len(names) > 40
    assert photos.issuperset(names)
    with pytest.raises(ValueError, match="received 'nobody'"):
        load_person(root, 'nobody')


def test_who_is_usable(root):
    person = load_person(root, '0080')
    joints, sure = person.joints[:, :2], np.full(17, 0.9)
    height = person.image.shape[0]
    assert is_usable(joints, sure, np.zeros(17), height)
    assert not is_usable(joints, 0.1 * sure, np.zeros(17), height)
    assert not is_usable(joints, sure, np.full(17, 0.1 * height), height)
    from_behind = joints.copy()
    for left, right in mirrored_joints(COCO_JOINTS):
        from_behind[[left, right]] = joints[[right, left]]
    assert not is_usable(from_behind, sure, np.zeros(17), height)
    arm_up = joints.copy()
    arm_up[NUMBERS['left_wrist'], 1] = 0
    assert not is_usable(arm_up, sure, np.zeros(17), height)


def test_at_rest_it_is_the_photo(figure, root):
    posed = figure.posed(Pose())
    person = load_person(root, '0080')
    scale = 300 / person.image.shape[0]
    size = (round(person.image.shape[1] * scale), 300)
    photo = cv2.resize(person.image, size, interpolation=cv2.INTER_AREA)
    solid = cv2.resize(person.mask, size, interpolation=cv2.INTER_AREA) == 255
    solid = cv2.erode(solid.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    # The joints say by how much the sprite is cropped.
    left, top = np.round(place(person.joints * scale, 'nose') - place(posed.joints, 'nose'))
    window = posed.sprite[int(-top) :, int(-left) :] if min(left, top) < 0 else posed.sprite
    shown = photo[int(max(top, 0)) :, int(max(left, 0)) :][: window.shape[0], : window.shape[1]]
    inner = solid[int(max(top, 0)) :, int(max(left, 0)) :][: window.shape[0], : window.shape[1]]
    window = window[: shown.shape[0], : shown.shape[1]]
    assert inner.sum() > 0.9 * solid[rows[0] : rows[-1], columns[0] : columns[-1]].sum()
    difference = np.abs(window[..., :3].astype(int) - shown)[inner]
    assert (window[..., 3][inner] > 250).mean() > 0.99
    assert np.percentile(difference, 97) <= 8


@pytest.mark.parametrize('part', ['left_forearm', 'right_shank', 'left_thigh', 'right_upper_arm'])
def test_a_limb_turns_about_its_joint_and_takes_along_what_hangs_on_it(figure, part):
    rest, bent = figure.posed(Pose()), figure.posed(Pose({part: 0.3}))
    first, last = LIMBS[part]
    # The lower foot stays on the ground and the sprite is cropped: compare differences.
    before = place(rest.joints, last) - place(rest.joints, first)
    after = place(bent.joints, last) - place(bent.joints, first)
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    np.testing.assert_allclose(after, turn @ before, atol=1e-6)
    child = {'left_thigh': 'left_shank', 'right_upper_arm': 'right_forearm'}.get(part)
    if child is not None:
        ends = [place(posed.joints, LIMBS[child][1]) for posed in (rest, bent)]
        starts = [place(posed.joints, LIMBS[child][0]) for posed in (rest, bent)]
        np.testing.assert_allclose(ends[0] - starts[0], ends[1] - starts[1], atol=1e-6)
    np.testing.assert_allclose(
        place(rest.joints, 'nose') - place(rest.joints, 'left_shoulder'),
        place(bent.joints, 'nose') - place(bent.joints, 'left_shoulder'),
        atol=1e-6,
    )


def test_the_picture_moves_with_the_joints(figure):
    """What is seen round a wrist is what was seen round it, turned."""
    rest, bent = figure.posed(Pose()), figure.posed(Pose({'left_forearm': -1.2}))
    start, end = place(rest.joints, 'left_wrist'), place(bent.joints, 'left_wrist')
    cosine, sine = np.cos(-1.2), np.sin(-1.2)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    offsets = np.array([[x, y] for x in (-3.0, 0.0, 3.0) for y in (-3.0, 0.0, 3.0)])
    before = rest.sprite[tuple(np.floor(start + offsets).astype(int).T[::-1])]
    after = bent.sprite[tuple(np.floor(end + offsets @ linear.T).astype(int).T[::-1])]
    solid = (before[:, 3] > 250) & (after[:, 3] > 250)
    assert solid.sum() >= 5
    assert np.median(np.abs(before[solid].astype(int) - after[solid])) < 20
    # And where it was is nobody any more, or what was behind it.
    assert bent.joints[NUMBERS['left_wrist'], 2] == rest.joints[NUMBERS['left_wrist'], 2]


def test_a_limb_that_points_to_the_camera_is_short(figure):
    rest, bent = figure.posed(Pose()), figure.posed(Pose(lengths={'left_forearm': 0.5}))
    lengths = [
        np.linalg.norm(place(posed.joints, 'left_wrist') - place(posed.joints, 'left_elbow'))
        for posed in (rest, bent)
    ]
    assert lengths[1] == pytest.approx(0.5 * lengths[0])


def test_an_arm_before_the_face_hides_it(figure):
    joints = figure.joints
    shoulder, elbow = place(joints, 'left_shoulder'), place(joints, 'left_elbow')
    wanted = place(joints, 'nose') - shoulder
    turn = np.arctan2(wanted[1], wanted[0]) - np.arctan2(*(elbow - shoulder)[::-1])
    posed = figure.posed(Pose({'left_upper_arm': turn, 'left_forearm': turn}))
    assert posed.joints[NUMBERS['nose'], 2] == HIDDEN
    assert posed.joints[NUMBERS['right_shoulder'], 2] == VISIBLE
    assert figure.posed(Pose()).joints[NUMBERS['nose'], 2] == VISIBLE


def test_mirrored(figure):
    twin, rest = figure.mirrored().posed(Pose()), figure.posed(Pose())
    difference = np.abs(twin.sprite[:, ::-1].astype(int) - rest.sprite)
    assert np.percentile(difference, 99) <= 40  # parts are painted in another order
    np.testing.assert_allclose(
        place(twin.joints, 'left_wrist')[0],
        rest.sprite.shape[1] - place(rest.joints, 'right_wrist')[0],
        atol=1.01,
    )


def test_walkers_stride_and_others_stand():
    gait = Gait(0.3, 1.0, 'walk', 1.0)
    still = Walk(0.0, np.array([0.0, 9.0]), 0.0, np.zeros(2), np.zeros(2))
    right = replace(still, velocity_before=np.array([1.2, 0.0]), velocity_after=np.array([1.2, 0]))
    assert max(abs(v) for v in gait.pose(still, 2.0).turns.values()) < np.radians(3)
    turns = [gait.pose(right, time).turns for time in np.arange(0, 3, 0.05)]
    left, other = (
        np.array([turn[f'{side}_thigh'] for turn in turns]) for side in ('left', 'right')
    )
    np.testing.assert_allclose(left, -other, atol=1e-9)
    assert np.degrees(left.max()) > 15
    # A stride each 1.35 m: about 2.7 cycles in 3 s at 1.2 m/s.
    crossings = np.count_nonzero(np.diff(np.sign(left)))
    assert 4 <= crossings <= 7
    # A knee bends one way: whoever walks right has the shank behind the thigh.
    shank = np.array([turn['left_shank'] for turn in turns])
    assert (shank - left > -1e-9).all()
    assert (shank - left).max() > np.radians(20)


def test_labels_of_a_scene(root, material):
    sequence = build_sequence(BY_NAME['pose_hidden'], material, root)
    frame = sequence.render(len(sequence) // 2)
    labels = frame.labels
    assert len(labels) == len(frame.heads) > 2
    states = labels.joints[..., 2]
    assert {HIDDEN, VISIBLE} <= set(states.ravel().tolist())
    assert (states[~inside(labels.joints[..., :2], frame.image.shape[:2])] == 0).all()
    for row, box in enumerate(labels.boxes):
        shown = labels.joints[row, states[row] > 0, :2]
        assert (shown >= box[:2] - 3).all()
        assert (shown <= box[2:] + 3).all()
        left, top, right, bottom = frame.heads[row]
        assert 0.08 < (bottom - top) / (box[3] - box[1]) < 0.25
        nose = labels.joints[row, NUMBERS['nose']]
        if nose[2]:
            assert left < nose[0] < right
            assert top < nose[1] < bottom
    # Whoever is all covered has no joint that is seen.
    covered = labels.visibilities == 0
    assert (states[covered] != VISIBLE).all()
    again = build_sequence(BY_NAME['pose_hidden'], material, root).render(len(sequence) // 2)
    np.testing.assert_array_equal(again.image, frame.image)


def test_joints_follow_the_camera(root, material):
    """In a panned scene a joint is where the person is drawn: matched by its surroundings."""
    sequence = build_sequence(BY_NAME['pose_pan'], material, root)
    actors = [actor for actor in sequence._actors if isinstance(actor, ArticulatedActor)]
    assert len(actors) == 7
    first, second = (sequence.render(index) for index in (20, 21))
    common = set(first.labels.track_ids.tolist()) & set(second.labels.track_ids.tolist())
    assert len(common) >= 3
    errors = []
    for track in common:
        rows = [int(np.flatnonzero(f.labels.track_ids == track)[0]) for f in (first, second)]
        nose = [f.labels.joints[row, 0] for f, row in zip((first, second), rows, strict=True)]
        x, y = nose[0][:2].astype(int)
        if min(nose[0][2], nose[1][2]) < VISIBLE or not 20 < x < 620:
            continue
        patch = first.image[y - 8 : y + 8, x - 8 : x + 8]
        found = cv2.matchTemplate(
            second.image[y - 16 : y + 16, x - 16 : x + 16], patch, cv2.TM_CCOEFF_NORMED
        )
        shift = np.array(np.unravel_index(found.argmax(), found.shape))[::-1] - 8
        errors.append(np.abs(shift - (nose[1][:2] - nose[0][:2])).max())
    assert len(errors) >= 2
    assert np.median(errors) <= 1.5


def test_files(root, tmp_path):
    arguments = ['--data', str(root), '--only', 'pose_crossing', '--frames', '3']
    for name in ('a', 'b'):
        main([*arguments, '--output', str(tmp_path / name)])
    files = sorted(path.relative_to(tmp_path / 'a') for path in (tmp_path / 'a').rglob('*.*'))
    assert len(files) == 4
    for name in files:
        assert (tmp_path / 'a' / name).read_bytes() == (tmp_path / 'b' / name).read_bytes()
    path = tmp_path / 'a' / ANNOTATIONS
    evaluation_set = EvaluationSet.load(path, path.parent, ['person'], joint_names=COCO_JOINTS)
    evaluation_set.check_pictures()
    assert has_joint_tracks(evaluation_set)
    video = json.loads(path.read_text())['videos'][0]
    assert (video['file_name'], video['fps']) == ('pose_crossing', 15)
    results = [_perfect(record.labels) for record in evaluation_set.records]
    scores = pose_tracking_scores(evaluation_set, results).overall
    assert scores['joint_MOTA'] == 100.0
    heads = compared_joints(evaluation_set.records[0], evaluation_set.annotations[0], results[0])
    assert heads.wanted.any()
    with pytest.raises(FileExistsError):
        main([*arguments, '--output', str(tmp_path / 'a')])


def _perfect(labels) -> FrameResult:
    count = len(labels)
    numbers = np.arange(count)
    tracks = Tracks(
        ids=labels.track_ids, boxes=labels.boxes, scores=np.ones(count, np.float32),
        classes=labels.classes, centers=labels.boxes[:, :2],
        velocities=np.zeros((count, 2), np.float32), hits=numbers, misses=numbers,
        reported=np.ones(count, np.bool_), detection_indices=numbers,
        prior_weights=np.ones(count, np.float32),
    )  # fmt: skip
    states = labels.joints[..., 2]
    joints = TrackedJoints(labels.joints[..., :2], states, states > 0)
    return FrameResult(tracks=tracks, seen=None, detections=None, joints=joints)
