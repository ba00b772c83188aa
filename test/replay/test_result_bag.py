from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from replay_helpers import make_run, make_tracks
from rosbags.rosbag2 import Reader

from centertrack_ros.attributes import ATTRIBUTES
from centertrack_ros.datatypes import TrackedBoxes3D, TrackedJoints, Tracks
from centertrack_ros.replay.bag_types import VISION_TYPES, typestore
from centertrack_ros.replay.result_bag import TOPIC, write_result_bag
from centertrack_ros.replay.result_messages import (
    boxes_3d_from_msg,
    joints_from_msg,
    tracks_from_msg,
)

CLASSES = ['person', 'car']
JOINTS = ['nose', 'left_hip', 'right_hip']


def _read(path):
    store = typestore()
    with Reader(path) as reader:
        return [
            (connection.topic, time, store.deserialize_cdr(data, connection.msgtype))
            for connection, time, data in reader.messages()
        ]


@pytest.mark.parametrize('name', VISION_TYPES)
def test_types_are_those_of_the_released_package(data_folder, name):
    released = json.loads((data_folder / 'vision_msgs.json').read_text())
    assert typestore().hash_rihs01(name) == released[name.rpartition('/')[2]]


def test_round_trip(tmp_path):
    boxes = [[10.5, 20, 30.25, 80], [100, 50, 180, 90]]
    tracks = make_tracks([3, 12], classes=[0, 1], boxes=boxes, scores=[0.5, 0.875])
    run = make_run([tracks, Tracks.empty(), tracks], latencies=[5.0, 5.0, None])
    write_result_bag(tmp_path / 'bag', run.records, CLASSES)
    messages = _read(tmp_path / 'bag')
    # Nothing seen is an empty message; a dropped image has none.
    assert [(topic, time) for topic, time, _ in messages] == [(TOPIC, 0), (TOPIC, 100_000_000)]
    message = messages[0][2]
    assert message.header.frame_id == message.detections[0].header.frame_id == 'camera'
    assert [row.id for row in message.detections] == ['3', '12']
    assert message.detections[1].results[0].hypothesis.class_id == 'car'
    assert message.detections[0].bbox.center.position.x == pytest.approx(20.375)
    read = tracks_from_msg(message, CLASSES)
    for name in ('ids', 'boxes', 'scores', 'classes'):
        np.testing.assert_array_equal(getattr(read, name), getattr(tracks, name))
    assert len(tracks_from_msg(messages[1][2], CLASSES)) == 0


def test_same_content_as_the_message_of_the_node(tmp_path):
    pytest.importorskip('vision_msgs', reason='needs ROS 2 with vision_msgs')
    from rclpy.serialization import deserialize_message
    from std_msgs.msg import Header
    from vision_msgs.msg import Detection2DArray

    from centertrack_ros.ros.messages import tracks_to_msg

    tracks = make_tracks([3, 12], classes=[0, 1])
    write_result_bag(tmp_path / 'bag', make_run([tracks]).records, CLASSES)
    of_node = tracks_to_msg(tracks, Header(frame_id='camera'), CLASSES)
    with Reader(tmp_path / 'bag') as reader:
        ((_, _, data),) = reader.messages()
    assert deserialize_message(bytes(data), Detection2DArray) == of_node


def _joints():
    generator = np.random.default_rng(1)
    return TrackedJoints(
        positions=generator.uniform(0, 200, (2, 3, 2)).astype(np.float32),
        scores=generator.uniform(0.1, 1, (2, 3)).astype(np.float32),
        visible=np.array([[True, False, True], [False, False, False]]),
    )


def _boxes_3d(attributes=None):
    generator = np.random.default_rng(2)
    known = np.array([False, True])
    return TrackedBoxes3D(
        middles=generator.uniform(1, 9, (2, 3)).astype(np.float32) * known[:, None],
        dimensions=generator.uniform(1, 5, (2, 3)).astype(np.float32) * known[:, None],
        yaws=np.array([0.0, -2.5], np.float32),
        velocities=np.zeros((2, 3), np.float32),
        covariances=generator.uniform(0, 1, (2, 4, 4)).astype(np.float32) * known[:, None, None],
        known=known,
        attributes=attributes,
    )


@pytest.mark.parametrize('attributes', [None, np.array([-1, ATTRIBUTES.index('vehicle.parked')])])
def test_joints_and_boxes_in_space_come_back(tmp_path, attributes):
    tracks = make_tracks([3, 12], classes=[0, 1])
    joints, boxes_3d = _joints(), _boxes_3d(attributes)
    run = make_run([tracks, Tracks.empty(), tracks], latencies=[5.0, 5.0, None])
    nothing = np.zeros(2, np.bool_)
    records = [
        replace(run.records[0], joints=joints, boxes_3d=boxes_3d),
        replace(run.records[1], joints=joints[nothing], boxes_3d=boxes_3d[nothing]),
        run.records[2],
    ]
    write_result_bag(tmp_path / 'bag', records, CLASSES, JOINTS)
    messages = _read(tmp_path / 'bag')
    topics = {topic: [m for name, _, m in messages if name == topic] for topic, _, _ in messages}
    assert {topic: len(rows) for topic, rows in topics.items()} == {
        '/tracks': 2,
        '/keypoints': 2,
        '/tracks_3d': 2,
    }
    read = joints_from_msg(topics['/keypoints'][0], tracks.ids, JOINTS)
    np.testing.assert_array_equal(read.visible, joints.visible)
    np.testing.assert_array_equal(read.scores, joints.scores * joints.visible)
    np.testing.assert_array_equal(read.positions, joints.positions * joints.visible[..., None])
    read = boxes_3d_from_msg(topics['/tracks_3d'][0], tracks.ids)
    for name, values in vars(boxes_3d).items():
        if values is None:
            assert getattr(read, name) is None
        else:
            np.testing.assert_allclose(getattr(read, name), values, atol=1e-6)
    assert topics['/keypoints'][1].detections == topics['/tracks_3d'][1].detections == []
    assert topics['/tracks_3d'][0].header.frame_id == 'camera'


def test_models_without_joints_or_depth_have_one_topic(tmp_path):
    write_result_bag(tmp_path / 'bag', make_run([make_tracks([1])]).records, CLASSES)
    with Reader(tmp_path / 'bag') as reader:
        assert set(reader.topics) == {TOPIC}


def test_ids_and_joints_that_nobody_sent_are_refused(tmp_path):
    run = make_run([make_tracks([3, 12])])
    records = [replace(run.records[0], joints=_joints(), boxes_3d=_boxes_3d())]
    write_result_bag(tmp_path / 'bag', records, CLASSES, JOINTS)
    messages = {topic: message for topic, _, message in _read(tmp_path / 'bag')}
    ids = np.array([3, 12])
    with pytest.raises(ValueError, match="received 'nose'"):
        joints_from_msg(messages['/keypoints'], ids, ['left_hip'])
    with pytest.raises(ValueError, match="received '12'"):
        joints_from_msg(messages['/keypoints'], ids[:1], JOINTS)
    with pytest.raises(ValueError, match="received '12'"):
        boxes_3d_from_msg(messages['/tracks_3d'], ids[:1])


def test_unknown_class(tmp_path):
    write_result_bag(tmp_path / 'bag', make_run([make_tracks([1])]).records, CLASSES)
    ((_, _, message),) = _read(tmp_path / 'bag')
    with pytest.raises(ValueError, match="received 'person'"):
        tracks_from_msg(message, ['car'])


def test_existing_folder(tmp_path):
    with pytest.raises(FileExistsError):
        write_result_bag(tmp_path, [], CLASSES)
