"""Tracks as vision_msgs/Detection2DArray: a rosbag2 of them, and back; all without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from centertrack_ros.datatypes import Tracks
from centertrack_ros.replay.bag_types import TRACKS_TYPE, typestore
from centertrack_ros.replay.records import FrameRecord
from centertrack_ros.replay.sources import NANOSECONDS

TOPIC = '/tracks'
# Format 8 is the newest that Humble, Jazzy and Kilted all read.
BAG_VERSION: Literal[8] = 8


def write_result_bag(path: Path, records: Sequence[FrameRecord], class_ids: Sequence[str]) -> None:
    """Write one message for each answered image, at the time of its stamp.

    Args:
        path: folder of the new bag.
        records: the replay.
        class_ids: what `class_id` holds for each class index of the model.

    Raises:
        FileExistsError: `path` exists.
    """
    if path.exists():
        raise FileExistsError(f'{path} exists already')
    store = typestore()
    with Writer(path, version=BAG_VERSION, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection(TOPIC, TRACKS_TYPE, typestore=store)
        for record in records:
            if record.latency_ms is None:
                continue
            message = _tracks_message(record, class_ids)
            data = store.serialize_cdr(message, TRACKS_TYPE)
            writer.write(connection, record.stamp_ns, data)


def header(stamp_ns: int, frame_id: str) -> Any:
    """A std_msgs/Header of `rosbags`."""
    types = typestore().types
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    stamp = types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)


def tracks_from_msg(message: Any, class_ids: Sequence[str]) -> Tracks:
    """Tracks of a Detection2DArray; what the message does not hold is zero.

    Args:
        message: of ROS or of `rosbags`, as the node or `write_result_bag` makes it.
        class_ids: what `class_id` holds for each class of the model.

    Raises:
        ValueError: a class or id that the node cannot have sent.
    """
    count = len(message.detections)
    index_by_class = {class_id: index for index, class_id in enumerate(class_ids)}
    boxes = np.zeros((count, 4), np.float32)
    ids, scores, classes = [], [], []
    for row, detection in enumerate(message.detections):
        center, hypothesis = detection.bbox.center.position, detection.results[0].hypothesis
        half_x, half_y = detection.bbox.size_x / 2, detection.bbox.size_y / 2
        boxes[row] = (
            center.x - half_x,
            center.y - half_y,
            center.x + half_x,
            center.y + half_y,
        )
        if hypothesis.class_id not in index_by_class:
            raise ValueError(
                f'class_id: expected one of {list(class_ids)}, received {hypothesis.class_id!r}'
            )
        ids.append(int(detection.id))
        scores.append(hypothesis.score)
        classes.append(index_by_class[hypothesis.class_id])
    return Tracks(
        ids=np.array(ids, np.int64),
        boxes=boxes,
        scores=np.array(scores, np.float32),
        classes=np.array(classes, np.int64),
        centers=boxes.reshape(-1, 2, 2).mean(axis=1, dtype=np.float32),
        velocities=np.zeros((count, 2), np.float32),
        hits=np.ones(count, np.int64),
        misses=np.zeros(count, np.int64),
        reported=np.ones(count, np.bool_),
        detection_indices=np.full(count, -1, np.int64),
        prior_weights=np.zeros(count, np.float32),
    )


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
