"""Messages to arrays and back: pure functions, no node.

Reading images needs no ROS and lies in `image_messages.py`, because the offline replay reads bags
where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image as ImageMsg
from std_msgs.msg import Header
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    LabelInfo,
    ObjectHypothesisWithPose,
    VisionClass,
    VisionInfo,
)

from centertrack_ros.datatypes import Image, Tracks
from centertrack_ros.image_messages import (
    ENCODINGS,
    ImageError,
    compressed_image_from_msg,
    image_from_msg,
)
from centertrack_ros.ros.copying import copied
from centertrack_ros.serialised_detections import NANOSECONDS

__all__ = [
    'ENCODINGS',
    'ImageError',
    'compressed_image_from_msg',
    'image_from_msg',
    'image_to_msg',
    'label_info_to_msg',
    'nanoseconds',
    'tracks_to_msg',
    'vision_info_to_msg',
]


def nanoseconds(header: Header) -> int:
    """Stamp of a header as one number."""
    return int(header.stamp.sec * NANOSECONDS + header.stamp.nanosec)


def image_to_msg(image: Image, header: Header) -> ImageMsg:
    """Message of a (H, W, 3) uint8 BGR image; the pixels are copied once.

    Raises:
        ValueError: another shape or type.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f'image: expected (H, W, 3) uint8, received {image.shape} {image.dtype}')
    msg = ImageMsg(header=header, encoding='bgr8')
    msg.height, msg.width = image.shape[0], image.shape[1]
    msg.step = image.shape[1] * 3
    # The setter of `data` looks at every byte in Python when it is given anything but an
    # array.array, half a second for a large image; filling the array that is there costs a copy.
    msg.data.frombytes(np.ascontiguousarray(image).data.cast('B'))
    return msg


def tracks_to_msg(tracks: Tracks, header: Header, class_ids: Sequence[str]) -> Detection2DArray:
    """Message of the reported tracks.

    Its detections share the header and the pose, which says nothing in 2D and is the default.

    Args:
        tracks: state after an image; rows that are not `reported` are left out.
        header: of that image, for the array and each of its detections.
        class_ids: what `class_id` holds for each class of the model.
    """
    shown = tracks.reported
    boxes = tracks.boxes[shown].astype(np.float64)
    rows = zip(
        tracks.ids[shown].tolist(),
        tracks.classes[shown].tolist(),
        tracks.scores[shown].tolist(),
        ((boxes[:, :2] + boxes[:, 2:]) / 2).tolist(),
        (boxes[:, 2:] - boxes[:, :2]).tolist(),
        strict=True,
    )
    # Copies of one detection, see `copied`.
    first = Detection2D(header=header)
    result, box = ObjectHypothesisWithPose(), first.bbox
    detections = []
    for track_id, class_index, score, (center_x, center_y), (size_x, size_y) in rows:
        hypothesis = copied(result.hypothesis)
        hypothesis.class_id = class_ids[class_index]
        hypothesis.score = score
        named, framed, center = copied(result), copied(box), copied(box.center)
        named.hypothesis = hypothesis
        position = center.position = copied(center.position)
        position.x, position.y = center_x, center_y
        framed.center, framed.size_x, framed.size_y = center, size_x, size_y
        detection = copied(first)
        detection.id = str(track_id)
        detection.results, detection.bbox = [named], framed
        detections.append(detection)
    return Detection2DArray(header=header, detections=detections)


def label_info_to_msg(classes: Sequence[str], threshold: float, stamp: Time) -> LabelInfo:
    """Message that maps class indices to names.

    Args:
        classes: class names in the order of the model.
        threshold: score below which nothing is detected.
        stamp: when the model was loaded.
    """
    class_map = [VisionClass(class_id=i, class_name=name) for i, name in enumerate(classes)]
    return LabelInfo(header=Header(stamp=stamp), class_map=class_map, threshold=float(threshold))


def vision_info_to_msg(method: str, database_location: str, stamp: Time) -> VisionInfo:
    """Message that says which model runs and where its classes are found.

    Args:
        method: name of the model.
        database_location: full name of the LabelInfo topic.
        stamp: when the model was loaded.
    """
    return VisionInfo(
        header=Header(stamp=stamp), method=method, database_location=database_location
    )
