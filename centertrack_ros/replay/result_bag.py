"""A rosbag2 of what the node would have published, written without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from centertrack_ros.replay.bag_types import TRACKS_3D_TYPE, TRACKS_TYPE, typestore
from centertrack_ros.replay.records import FrameRecord
from centertrack_ros.replay.sources import NANOSECONDS
from centertrack_ros.serialised_detections import boxes_3d_to_cdr, keypoints_to_cdr

TOPIC = '/tracks'
KEYPOINTS_TOPIC = '/keypoints'
TRACKS_3D_TOPIC = '/tracks_3d'
# Format 8 is the newest that Humble, Jazzy and Kilted all read.
BAG_VERSION: Literal[8] = 8


def write_result_bag(
    path: Path,
    records: Sequence[FrameRecord],
    class_ids: Sequence[str],
    joint_names: Sequence[str] = (),
) -> None:
    """Write one message per topic for each answered image, at the time of its stamp.

    The topics are those of the node: `tracks`, `keypoints` where the model has joints, and
    `tracks_3d` where records have boxes in space.

    Args:
        path: folder of the new bag.
        records: the replay.
        class_ids: what `class_id` holds for each class index of the model.
        joint_names: of the model.

    Raises:
        FileExistsError: `path` exists.
    """
    if path.exists():
        raise FileExistsError(f'{path} exists already')
    types = {TOPIC: TRACKS_TYPE}
    if joint_names:
        types[KEYPOINTS_TOPIC] = TRACKS_TYPE
    if any(record.boxes_3d is not None for record in records):
        types[TRACKS_3D_TOPIC] = TRACKS_3D_TYPE
    store = typestore()
    with Writer(path, version=BAG_VERSION, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connections = {
            topic: writer.add_connection(topic, name, typestore=store)
            for topic, name in types.items()
        }
        for record in records:
            if record.latency_ms is None:
                continue
            for topic, data in _messages(record, class_ids, joint_names).items():
                writer.write(connections[topic], record.stamp_ns, data)


def header(stamp_ns: int, frame_id: str) -> Any:
    """A std_msgs/Header of `rosbags`."""
    types = typestore().types
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    stamp = types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)


def _messages(
    record: FrameRecord, class_ids: Sequence[str], joint_names: Sequence[str]
) -> dict[str, bytes | memoryview]:
    """Serialised messages of an image by their topic."""
    tracks, stamp_ns, frame_id = record.tracks, record.stamp_ns, record.frame_id
    message = _tracks_message(record, class_ids)
    messages: dict[str, bytes | memoryview] = {
        TOPIC: typestore().serialize_cdr(message, TRACKS_TYPE)
    }
    if joint_names and record.joints is not None:
        messages[KEYPOINTS_TOPIC] = keypoints_to_cdr(
            tracks, record.joints, joint_names, stamp_ns, frame_id
        )
    if record.boxes_3d is not None:
        messages[TRACKS_3D_TOPIC] = boxes_3d_to_cdr(
            tracks, record.boxes_3d, class_ids, stamp_ns, frame_id
        )
    return messages


def _tracks_message(record: FrameRecord, class_ids: Sequence[str]) -> Any:
    message_header = header(record.stamp_ns, record.frame_id)
    tracks = record.tracks
    detections = [
        _detection(
            message_header,
            track_id=int(tracks.ids[row]),
            box=tracks.boxes[row].astype(np.float64).tolist(),
            class_id=class_ids[int(tracks.classes[row])],
            score=float(tracks.scores[row]),
        )
        for row in range(len(tracks))
    ]
    return typestore().types[TRACKS_TYPE](header=message_header, detections=detections)


def _detection(
    message_header: Any, *, track_id: int, box: list[float], class_id: str, score: float
) -> Any:
    types = typestore().types
    x_min, y_min, x_max, y_max = box
    center = types['vision_msgs/msg/Pose2D'](
        position=types['vision_msgs/msg/Point2D'](x=(x_min + x_max) / 2, y=(y_min + y_max) / 2),
        theta=0.0,
    )
    hypothesis = types['vision_msgs/msg/ObjectHypothesisWithPose'](
        hypothesis=types['vision_msgs/msg/ObjectHypothesis'](class_id=class_id, score=score),
        pose=_unset_pose(),
    )
    return types['vision_msgs/msg/Detection2D'](
        header=message_header,
        results=[hypothesis],
        bbox=types['vision_msgs/msg/BoundingBox2D'](
            center=center, size_x=x_max - x_min, size_y=y_max - y_min
        ),
        id=str(track_id),
    )


def _unset_pose() -> Any:
    types = typestore().types
    pose = types['geometry_msgs/msg/Pose'](
        position=types['geometry_msgs/msg/Point'](x=0.0, y=0.0, z=0.0),
        orientation=types['geometry_msgs/msg/Quaternion'](x=0.0, y=0.0, z=0.0, w=1.0),
    )
    return types['geometry_msgs/msg/PoseWithCovariance'](pose=pose, covariance=np.zeros(36))
