"""Joints and boxes in space of tracks as serialised vision_msgs: for topics and for bags alike.

As objects of rclpy, the 17 joints of 100 people take 9 ms to build and 10 ms to serialise, because
every joint is an ObjectHypothesisWithPose with a covariance of 36 numbers; written at once they
take about a millisecond. And bags are written where there is no ROS.

Layout: Common Data Representation of the OMG, plain version 1, little endian; numbers are aligned
to their size, counted behind the four bytes that say so.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from centertrack_ros.attributes import attribute_name
from centertrack_ros.box_poses import pose_covariances_of, quaternions_of, sizes_of
from centertrack_ros.datatypes import TrackedBoxes3D, TrackedJoints, Tracks

NANOSECONDS = 1_000_000_000
PLAIN_LITTLE_ENDIAN = b'\x00\x01\x00\x00'
# float64 in ObjectHypothesisWithPose behind its class_id: score, position (3), orientation (4: x,
# y, z, w), covariance (36).
RESULT_NUMBERS = 44
RESULT_SIZE = RESULT_NUMBERS * 8
ORIENTATION_W = 7


def keypoints_to_cdr(
    tracks: Tracks,
    joints: TrackedJoints,
    names: Sequence[str],
    stamp_ns: int,
    frame_id: str,
) -> bytes:
    """Serialised vision_msgs/Detection2DArray of the visible joints of the reported tracks.

    vision_msgs knows no key points. Each detection has header, id and box of its track and one
    result per visible joint, in the order of `names`: `class_id` is the joint's name, and
    `pose.pose.position.x` and `y` are its pixel. A track without visible joints has no results.

    Args:
        tracks: state after an image; rows that are not `reported` are left out.
        joints: of the tracks, row for row.
        names: of the joints of the model.
        stamp_ns, frame_id: header of the image.
    """
    rows = np.flatnonzero(tracks.reported)
    visible = joints.visible[rows]
    numbers = np.zeros((np.count_nonzero(visible), RESULT_NUMBERS), '<f8')
    numbers[:, 0] = joints.scores[rows][visible]
    numbers[:, 1:3] = joints.positions[rows][visible]
    numbers[:, ORIENTATION_W] = 1.0
    data = numbers.tobytes()
    start = 0
    heads = [_result_head(name) for name in names]
    writer = _Writer(stamp_ns, frame_id, len(rows))
    for row, seen in zip(rows.tolist(), visible.tolist(), strict=True):
        writer.header()
        indices = [index for index, is_seen in enumerate(seen) if is_seen]
        writer.uint32(len(indices))
        for index in indices:
            writer.doubles_behind(heads[index], data[start : start + RESULT_SIZE])
            start += RESULT_SIZE
        x_min, y_min, x_max, y_max = tracks.boxes[row].tolist()
        center = ((x_min + x_max) / 2, (y_min + y_max) / 2, 0.0)
        writer.doubles(struct.pack('<5d', *center, x_max - x_min, y_max - y_min))
        writer.text(str(tracks.ids[row]))
    return writer.message()


def boxes_3d_to_cdr(
    tracks: Tracks,
    boxes: TrackedBoxes3D,
    class_ids: Sequence[str],
    stamp_ns: int,
    frame_id: str,
) -> bytes:
    """Serialised vision_msgs/Detection3DArray of the reported tracks whose place is known.

    The frame is the camera's optical one (x right, y down, z forward), metres. `bbox.center` is
    the middle of the box and its orientation, `bbox.size` its extent along its own axes: x
    forward along its length, y to its left along its width, z up along its height
    (`box_poses`). `results[0]` has class, score, and the same pose with its covariance;
    `results[1]`, of models that tell nuScenes' attributes and where there is one, its name and a
    score of 0, as it is no class; `id` is that of the track.

    Args:
        tracks: state after an image; rows that are not `reported` are left out.
        boxes: of the tracks, row for row; those that are not `known` are left out.
        class_ids: what `class_id` holds for each class of the model.
        stamp_ns, frame_id: header of the image.
    """
    rows = np.flatnonzero(tracks.reported & boxes.known)
    shown = boxes[rows]
    poses = np.concatenate((shown.middles, quaternions_of(shown.yaws)), axis=1)
    scores = tracks.scores[rows, None]
    covariances = pose_covariances_of(shown.covariances)
    results = np.concatenate((scores, poses, covariances), axis=1).astype('<f8')
    boxes_of_rows = np.concatenate((poses, sizes_of(shown)), axis=1).astype('<f8')
    heads = [_result_head(class_id) for class_id in class_ids]
    writer = _Writer(stamp_ns, frame_id, len(rows))
    for index, row in enumerate(rows.tolist()):
        writer.header()
        attribute = -1 if shown.attributes is None else int(shown.attributes[index])
        writer.uint32(1 if attribute < 0 else 2)
        result = results[index].tobytes()
        writer.doubles_behind(heads[tracks.classes[row]], result)
        if attribute >= 0:
            writer.doubles_behind(_result_head(attribute_name(attribute)), bytes(8) + result[8:])
        writer.doubles(boxes_of_rows[index].tobytes())
        writer.text(str(tracks.ids[row]))
    return writer.message()


def _result_head(class_id: str) -> bytes:
    """What a result begins with, before it is filled up to the numbers."""
    text = class_id.encode() + b'\0'
    return struct.pack('<I', len(text)) + text


class _Writer:
    """Writes a Detection2DArray or Detection3DArray, whose frame is the same."""

    def __init__(self, stamp_ns: int, frame_id: str, count: int) -> None:
        """Write header and number of detections."""
        self._parts = [PLAIN_LITTLE_ENDIAN]
        self._size = 0
        text = frame_id.encode() + b'\0'
        seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
        self._header = struct.pack('<iII', seconds, nanoseconds, len(text)) + text
        self.header()
        self.uint32(count)

    def header(self) -> None:
        self._aligned(4, self._header)

    def uint32(self, value: int) -> None:
        self._aligned(4, struct.pack('<I', value))

    def text(self, value: str) -> None:
        data = value.encode() + b'\0'
        self._aligned(4, struct.pack('<I', len(data)) + data)

    def doubles(self, data: bytes) -> None:
        self._aligned(8, data)

    def doubles_behind(self, head: bytes, data: bytes) -> None:
        """A string with its length, and numbers."""
        self._aligned(4, head)
        self._aligned(8, data)

    def message(self) -> bytes:
        return b''.join(self._parts)

    def _aligned(self, boundary: int, data: bytes) -> None:
        filling = -self._size % boundary
        if filling:
            self._parts.append(bytes(filling))
        self._parts.append(data)
        self._size += filling + len(data)
