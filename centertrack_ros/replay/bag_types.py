"""Message types for reading and writing bags without ROS."""

from __future__ import annotations

from functools import lru_cache

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

IMAGE_TYPE = 'sensor_msgs/msg/Image'
COMPRESSED_TYPE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO_TYPE = 'sensor_msgs/msg/CameraInfo'
TRACKS_TYPE = 'vision_msgs/msg/Detection2DArray'
TRACKS_3D_TYPE = 'vision_msgs/msg/Detection3DArray'

# rosbags does not bring vision_msgs along, and the .msg files of ros_overlay/ are not installed.
# A test compares the type hashes with those of the released package.
VISION_TYPES = {
    'vision_msgs/msg/Point2D': 'float64 x\nfloat64 y\n',
    'vision_msgs/msg/Pose2D': 'vision_msgs/Point2D position\nfloat64 theta\n',
    'vision_msgs/msg/BoundingBox2D': (
        'vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y\n'
    ),
    'vision_msgs/msg/ObjectHypothesis': 'string class_id\nfloat64 score\n',
    'vision_msgs/msg/ObjectHypothesisWithPose': (
        'ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n'
    ),
    'vision_msgs/msg/Detection2D': (
        'std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox2D bbox\n'
        'string id\n'
    ),
    TRACKS_TYPE: 'std_msgs/Header header\nvision_msgs/Detection2D[] detections\n',
    'vision_msgs/msg/BoundingBox3D': 'geometry_msgs/Pose center\ngeometry_msgs/Vector3 size\n',
    'vision_msgs/msg/Detection3D': (
        'std_msgs/Header header\nObjectHypothesisWithPose[] results\nBoundingBox3D bbox\n'
        'string id\n'
    ),
    TRACKS_3D_TYPE: 'std_msgs/Header header\nvision_msgs/Detection3D[] detections\n',
}


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """The standard messages, whose images are the same in all releases, and vision_msgs."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, definition in VISION_TYPES.items():
        store.register(get_types_from_msg(definition, name))
    return store
