from __future__ import annotations

import json

import numpy as np
import pytest
from replay_helpers import make_run, make_tracks
from rosbags.rosbag2 import Reader

from centertrack_ros.datatypes import Tracks
from centertrack_ros.replay.bag_types import VISION_TYPES, typestore
from centertrack_ros.replay.result_bag import TOPIC, tracks_from_msg, write_result_bag

CLASSES = ['person', 'car']


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


def test_unknown_class(tmp_path):
    write_result_bag(tmp_path / 'bag', make_run([make_tracks([1])]).records, CLASSES)
    ((_, _, message),) = _read(tmp_path / 'bag')
    with pytest.raises(ValueError, match="received 'person'"):
        tracks_from_msg(message, ['car'])


def test_existing_folder(tmp_path):
    with pytest.raises(FileExistsError):
        write_result_bag(tmp_path, [], CLASSES)
