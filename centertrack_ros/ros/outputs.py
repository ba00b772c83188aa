"""What the node publishes for each image of a camera, and for each model."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image as ImageMsg
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo, VisionInfo

from centertrack_ros.datatypes import FloatArray, Image
from centertrack_ros.drawing import Trails, draw_tracks
from centertrack_ros.drawing_3d import draw_boxes_3d
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.pipeline import StepResult
from centertrack_ros.ros.messages import (
    image_to_msg,
    label_info_to_msg,
    nanoseconds,
    tracks_to_msg,
    vision_info_to_msg,
)
from centertrack_ros.ros.outputs_3d import Outputs3D
from centertrack_ros.serialised_detections import keypoints_to_cdr

# Reliable, because RViz, rosbag2 and message_filters ask for it, and a best-effort subscriber
# connects to it as well.
TRACKS_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
OVERLAY_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
# Whoever comes later gets the last one as well.
LATCHED_QOS = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class ModelInfo:
    """The publishers that say which model runs; silent while the node is not active."""

    def __init__(self, node: LifecycleNode, spec: ModelSpec) -> None:
        """Advertise the topics.

        Args:
            node: whose publishers they are.
            spec: the model that runs.
        """
        self._node = node
        self._spec = spec
        create = node.create_lifecycle_publisher
        self._vision_info = create(VisionInfo, 'vision_info', LATCHED_QOS)
        self._label_info = create(LabelInfo, 'label_info', LATCHED_QOS)

    def publish(self, detection_threshold: float) -> None:
        """Publish which model runs, its classes, and the score from which it detects."""
        stamp = self._node.get_clock().now().to_msg()
        labels = label_info_to_msg(self._spec.classes, detection_threshold, stamp)
        self._label_info.publish(labels)
        location = self._label_info.topic_name
        self._vision_info.publish(vision_info_to_msg(self._spec.name, location, stamp))

    def destroy(self) -> None:
        """Take the topics back."""
        for publisher in (self._vision_info, self._label_info):
            self._node.destroy_lifecycle_publisher(publisher)


class Outputs:
    """The publishers of one camera; silent while the node is not active."""

    def __init__(
        self, node: LifecycleNode, spec: ModelSpec, class_id_format: str, camera: str
    ) -> None:
        """Advertise its topics.

        Args:
            node: whose publishers they are.
            spec: the model that runs.
            class_id_format: `name` or `index`, what `class_id` holds.
            camera: name that its topics lie under; '' = directly under the namespace.
        """
        self._node = node
        self._classes, self._joints = spec.classes, spec.joints
        by_name = class_id_format == 'name'
        self._class_ids = [name if by_name else str(i) for i, name in enumerate(spec.classes)]
        self._trails = Trails()
        prefix = f'{camera}/' if camera else ''
        create = node.create_lifecycle_publisher
        self._tracks = create(Detection2DArray, f'{prefix}tracks', TRACKS_QOS)
        self._overlay = create(ImageMsg, f'{prefix}overlay', OVERLAY_QOS)
        self._keypoints = None
        if spec.joints:
            self._keypoints = create(Detection2DArray, f'{prefix}keypoints', TRACKS_QOS)
        self._in_space = None
        if spec.has_boxes_3d:
            self._in_space = Outputs3D(
                node, spec.classes, self._class_ids, camera=camera, qos=TRACKS_QOS
            )

    def publish_tracks(self, header: Header, result: StepResult) -> None:
        """Publish the tracks of an image, also when there are none."""
        self._tracks.publish(tracks_to_msg(result.tracks, header, self._class_ids))
        if self._keypoints is not None and result.joints is not None:
            self._keypoints.publish(
                keypoints_to_cdr(
                    result.tracks,
                    result.joints,
                    self._joints,
                    nanoseconds(header),
                    header.frame_id,
                )
            )
        if self._in_space is not None:
            self._in_space.publish_tracks(header, result)

    def publish_views(
        self,
        header: Header,
        image: Image,
        result: StepResult,
        camera_matrix: FloatArray | None,
    ) -> None:
        """Draw the tracks and publish the pictures that somebody listens for.

        Args:
            header: of the image.
            image: (H, W, 3) uint8 BGR.
            result: what it gave.
            camera_matrix: (3, 4), pixels of the image; None where it is not known.
        """
        if self._in_space is not None:
            self._in_space.publish_markers(header, result)
        if self._overlay.get_subscription_count() == 0:
            self._trails.clear()
            return
        if result.reset_reason:
            self._trails.clear()
        self._trails.update(result.tracks)
        overlay, framed = image, None
        if result.boxes_3d is not None and camera_matrix is not None:
            # A rectangle round each box in space would only hide it.
            shown, framed = result.tracks.reported, ~result.boxes_3d.known
            boxes, ids = result.boxes_3d[shown], result.tracks.ids[shown]
            overlay = draw_boxes_3d(image, boxes, camera_matrix, ids)
        overlay = draw_tracks(
            overlay,
            result.tracks,
            self._classes,
            self._trails,
            joints=result.joints,
            joint_names=self._joints,
            framed=framed,
        )
        self._overlay.publish(image_to_msg(overlay, header))

    def forget(self) -> None:
        """Drop trails and markers: the ids that they belong to begin again."""
        self._trails.clear()
        if self._in_space is not None:
            self._in_space.clear()

    def destroy(self) -> None:
        """Take the topics back."""
        for publisher in (self._tracks, self._overlay, self._keypoints):
            if publisher is not None:
                self._node.destroy_lifecycle_publisher(publisher)
        if self._in_space is not None:
            self._in_space.destroy()
