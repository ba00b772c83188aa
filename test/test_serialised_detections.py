"""Serialised joints and boxes, read back field by field by a library that did not write them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from centertrack_ros.attributes import ATTRIBUTES
from centertrack_ros.box_poses import pose_covariances_of, quaternions_of
from centertrack_ros.datatypes import TrackedBoxes3D, TrackedJoints, Tracks
from centertrack_ros.replay.bag_types import TRACKS_3D_TYPE, TRACKS_TYPE, typestore
from centertrack_ros.serialised_detections import boxes_3d_to_cdr, keypoints_to_cdr

# Names of lengths that need every number of filling bytes.
NAMES = ('a', 'ab', 'abc', 'abcd', 'abcde', 'abcdef', 'abcdefg', 'left_eye')
STAMP_NS = 12_000_000_034
CLASSES = ('person', 'car')


def make_tracks(count, reported=None):
    generator = np.random.default_rng(5)
    corners = generator.uniform(0, 500, (count, 2))
    return Tracks(
        ids=np.arange(count) * 37 + 1,
        boxes=np.hstack([corners, corners + np.array([20, 40])]).astype(np.float32),
        scores=generator.uniform(0.3, 1, count).astype(np.float32),
        classes=np.arange(count) % 2,
        centers=np.zeros((count, 2), np.float32),
        velocities=np.zeros((count, 2), np.float32),
        hits=np.ones(count, np.int64),
        misses=np.zeros(count, np.int64),
        reported=np.ones(count, np.bool_) if reported is None else np.array(reported),
        detection_indices=np.arange(count),
        prior_weights=np.ones(count, np.float32),
    )


def make_joints(count):
    generator = np.random.default_rng(6)
    return TrackedJoints(
        positions=generator.uniform(-10, 600, (count, len(NAMES), 2)).astype(np.float32),
        scores=generator.uniform(0.1, 1, (count, len(NAMES))).astype(np.float32),
        visible=generator.uniform(size=(count, len(NAMES))) < 0.6,
    )


def make_boxes(count, known=None):
    generator = np.random.default_rng(7)
    return TrackedBoxes3D(
        middles=generator.uniform(-9, 9, (count, 3)).astype(np.float32),
        dimensions=generator.uniform(0.5, 5, (count, 3)).astype(np.float32),
        yaws=generator.uniform(-3, 3, count).astype(np.float32),
        velocities=np.zeros((count, 3), np.float32),
        covariances=generator.uniform(0, 1, (count, 4, 4)).astype(np.float32),
        known=np.ones(count, np.bool_) if known is None else np.array(known),
    )


def read(data, kind):
    return typestore().deserialize_cdr(data, kind)


def assert_header(header, frame_id):
    assert (header.stamp.sec, header.stamp.nanosec) == (12, 34)
    assert header.frame_id == frame_id


@pytest.mark.parametrize('frame_id', ['', 'c', 'camera', 'camera_optical_frame'])
def test_keypoints_field_by_field(frame_id):
    tracks, joints = make_tracks(12, [True, False] * 6), make_joints(12)
    message = read(keypoints_to_cdr(tracks, joints, NAMES, STAMP_NS, frame_id), TRACKS_TYPE)
    assert_header(message.header, frame_id)
    assert [entry.id for entry in message.detections] == [str(i) for i in tracks.ids[::2]]
    for row, detection in zip(range(0, 12, 2), message.detections, strict=True):
        assert_header(detection.header, frame_id)
        x_min, y_min, x_max, y_max = tracks.boxes[row].astype(float)
        box = detection.bbox
        assert (box.center.position.x, box.center.position.y) == (
            (x_min + x_max) / 2,
            (y_min + y_max) / 2,
        )
        assert (box.size_x, box.size_y, box.center.theta) == (x_max - x_min, y_max - y_min, 0)
        seen = np.flatnonzero(joints.visible[row])
        assert [r.hypothesis.class_id for r in detection.results] == [NAMES[i] for i in seen]
        for index, result in zip(seen, detection.results, strict=True):
            assert result.hypothesis.score == joints.scores[row, index]
            point, turn = result.pose.pose.position, result.pose.pose.orientation
            assert (point.x, point.y) == tuple(joints.positions[row, index])
            assert (point.z, turn.x, turn.y, turn.z, turn.w) == (0, 0, 0, 0, 1)
            assert not result.pose.covariance.any()


@pytest.mark.parametrize('frame_id', ['', 'c', 'camera', 'camera_optical_frame'])
def test_boxes_field_by_field(frame_id):
    tracks, boxes = make_tracks(6, [True] * 5 + [False]), make_boxes(6, [True, False] + [True] * 4)
    data = boxes_3d_to_cdr(tracks, boxes, CLASSES, STAMP_NS, frame_id)
    message = read(data, TRACKS_3D_TYPE)
    assert_header(message.header, frame_id)
    rows = [0, 2, 3, 4]
    assert [entry.id for entry in message.detections] == [str(tracks.ids[row]) for row in rows]
    covariances, turns = pose_covariances_of(boxes.covariances), quaternions_of(boxes.yaws)
    for row, detection in zip(rows, message.detections, strict=True):
        assert_header(detection.header, frame_id)
        (result,) = detection.results
        assert result.hypothesis.class_id == CLASSES[row % 2]
        assert result.hypothesis.score == tracks.scores[row]
        np.testing.assert_array_equal(result.pose.covariance, covariances[row])
        for pose in (result.pose.pose, detection.bbox.center):
            place, turn = pose.position, pose.orientation
            assert (place.x, place.y, place.z) == tuple(boxes.middles[row])
            assert (turn.x, turn.y, turn.z, turn.w) == tuple(turns[row])
        height, width, length = boxes.dimensions[row]
        size = detection.bbox.size
        assert (size.x, size.y, size.z) == (length, width, height)


def test_an_attribute_is_a_second_result_with_the_same_pose():
    boxes = replace(
        make_boxes(3), attributes=np.array([-1, ATTRIBUTES.index('vehicle.moving'), 2])
    )
    data = boxes_3d_to_cdr(make_tracks(3), boxes, CLASSES, STAMP_NS, 'camera')
    none, moving, walking = read(data, TRACKS_3D_TYPE).detections
    names = [[r.hypothesis.class_id for r in entry.results] for entry in (none, moving, walking)]
    assert names == [['person'], ['car', 'vehicle.moving'], ['person', 'pedestrian.moving']]
    first, second = moving.results
    assert second.hypothesis.score == 0
    assert second.pose.pose == first.pose.pose
    np.testing.assert_array_equal(second.pose.covariance, first.pose.covariance)
    assert moving.bbox.center == first.pose.pose


def test_tracks_without_visible_joints_are_there():
    joints = make_joints(2)
    joints.visible[:] = False
    message = read(keypoints_to_cdr(make_tracks(2), joints, NAMES, 0, 'camera'), TRACKS_TYPE)
    assert [(entry.id, len(entry.results)) for entry in message.detections] == [
        ('1', 0),
        ('38', 0),
    ]


def test_nothing_seen_is_an_empty_message():
    nothing = Tracks.empty()
    message = read(keypoints_to_cdr(nothing, make_joints(0), NAMES, STAMP_NS, 'c'), TRACKS_TYPE)
    assert message.detections == []
    assert_header(message.header, 'c')
    data = boxes_3d_to_cdr(nothing, make_boxes(0), CLASSES, STAMP_NS, 'c')
    message = read(data, TRACKS_3D_TYPE)
    assert message.detections == []
    assert_header(message.header, 'c')


def test_stamps_before_1970_keep_their_time():
    message = read(boxes_3d_to_cdr(Tracks.empty(), make_boxes(0), (), -1, ''), TRACKS_3D_TYPE)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (-1, 999_999_999)
