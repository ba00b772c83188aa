"""Arrays of what the node and result bags say; messages of ROS and of `rosbags` alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from centertrack_ros.attributes import ATTRIBUTES
from centertrack_ros.box_poses import covariances_of, dimensions_of, yaws_of
from centertrack_ros.datatypes import IntArray, TrackedBoxes3D, TrackedJoints, Tracks


def tracks_from_msg(message: Any, class_ids: Sequence[str]) -> Tracks:
    """Tracks of a Detection2DArray; what the message does not hold is zero.

    Args:
        message: as the node or `write_result_bag` makes it.
        class_ids: what `class_id` holds for each class of the model.

    Raises:
        ValueError: a class or id that the node cannot have sent.
    """
    count = len(message.detections)
    index_by_class = _indices(class_ids)
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
        ids.append(int(detection.id))
        scores.append(hypothesis.score)
        classes.append(_index(hypothesis.class_id, index_by_class))
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


def joints_from_msg(message: Any, ids: IntArray, names: Sequence[str]) -> TrackedJoints:
    """Joints of a `keypoints` message; those that it does not hold are zero and not visible.

    Args:
        message: Detection2DArray.
        ids: (N,) of the tracks whose joints are wanted, in their order.
        names: of the joints of the model.

    Raises:
        ValueError: a joint or id that the node cannot have sent.
    """
    positions = np.zeros((len(ids), len(names), 2), np.float32)
    scores = np.zeros((len(ids), len(names)), np.float32)
    visible = np.zeros((len(ids), len(names)), np.bool_)
    index_by_name, row_by_id = _indices(names), _rows(ids)
    for detection in message.detections:
        row = _row(detection.id, row_by_id)
        for result in detection.results:
            index = _index(result.hypothesis.class_id, index_by_name)
            point = result.pose.pose.position
            positions[row, index] = point.x, point.y
            scores[row, index] = result.hypothesis.score
            visible[row, index] = True
    return TrackedJoints(positions, scores, visible)


def boxes_3d_from_msg(message: Any, ids: IntArray) -> TrackedBoxes3D:
    """Boxes of a `tracks_3d` message; it holds no velocities, they are zero.

    Attributes are None where no box has one.

    Args:
        message: Detection3DArray.
        ids: (N,) of the tracks whose boxes are wanted, in their order; those that are not in the
            message are not `known`.

    Raises:
        ValueError: an id or attribute that the node cannot have sent.
    """
    count, row_by_id = len(ids), _rows(ids)
    middles, sizes = np.zeros((count, 3), np.float32), np.zeros((count, 3))
    quaternions, covariances = np.tile([0.0, 0.0, 0.0, 1.0], (count, 1)), np.zeros((count, 36))
    known, attributes = np.zeros(count, np.bool_), np.full(count, -1, np.int64)
    attribute_by_name = _indices(ATTRIBUTES)
    for detection in message.detections:
        row = _row(detection.id, row_by_id)
        place, turn = detection.bbox.center.position, detection.bbox.center.orientation
        size = detection.bbox.size
        middles[row] = place.x, place.y, place.z
        quaternions[row] = turn.x, turn.y, turn.z, turn.w
        sizes[row] = size.x, size.y, size.z
        covariances[row] = detection.results[0].pose.covariance
        known[row] = True
        for result in detection.results[1:]:
            attributes[row] = _index(result.hypothesis.class_id, attribute_by_name)
    return TrackedBoxes3D(
        middles=middles,
        dimensions=dimensions_of(sizes),
        yaws=yaws_of(quaternions),
        velocities=np.zeros((count, 3), np.float32),
        covariances=covariances_of(covariances),
        known=known,
        attributes=attributes if (attributes >= 0).any() else None,
    )


def _indices(names: Sequence[str]) -> dict[str, int]:
    return {name: index for index, name in enumerate(names)}


def _index(name: str, index_by_name: dict[str, int]) -> int:
    if name not in index_by_name:
        raise ValueError(f'class_id: expected one of {list(index_by_name)}, received {name!r}')
    return index_by_name[name]


def _rows(ids: IntArray) -> dict[str, int]:
    return _indices([str(track_id) for track_id in ids.tolist()])


def _row(track_id: str, row_by_id: dict[str, int]) -> int:
    if track_id not in row_by_id:
        raise ValueError(f'id: expected one of those of tracks, received {track_id!r}')
    return row_by_id[track_id]
