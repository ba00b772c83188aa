"""What the node publishes of boxes in space: Detection3DArray, and markers for RViz."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from centertrack_ros.pipeline import StepResult
from centertrack_ros.ros.markers import Markers
from centertrack_ros.ros.messages import nanoseconds
from centertrack_ros.serialised_detections import boxes_3d_to_cdr


class Outputs3D:
    """The publishers of one camera with a model that sees depth.

    Silent while the node is not active and while it knows no camera matrix: an empty array would
    say that nothing is there.
    """

    def __init__(
        self,
        node: LifecycleNode,
        classes: Sequence[str],
        class_ids: Sequence[str],
        *,
        camera: str,
        qos: QoSProfile,
    ) -> None:
        """Advertise the topics.

        Args:
            node: whose publishers they are.
            classes: names of the classes of the model.
            class_ids: what `class_id` holds for each of them.
            camera: name that the topics lie under; '' = directly under the namespace.
            qos: of both topics.
        """
        self._node = node
        self._class_ids = class_ids
        self._shown = Markers(camera, classes)
        prefix = f'{camera}/' if camera else ''
        create = node.create_lifecycle_publisher
        self._tracks_3d = create(Detection3DArray, f'{prefix}tracks_3d', qos)
        self._markers = create(MarkerArray, f'{prefix}markers', qos)

    def publish_tracks(self, header: Header, result: StepResult) -> None:
        """Publish the boxes of an image, also when there are none."""
        if result.boxes_3d is None:
            return
        stamp_ns = nanoseconds(header)
        self._tracks_3d.publish(
            boxes_3d_to_cdr(
                result.tracks, result.boxes_3d, self._class_ids, stamp_ns, header.frame_id
            )
        )

    def publish_markers(self, header: Header, result: StepResult) -> None:
        """Show the boxes of an image if anybody looks."""
        if result.boxes_3d is None or self._markers.get_subscription_count() == 0:
            self.clear()
            return
        self._markers.publish(self._shown.to_msg(result.tracks, result.boxes_3d, header))

    def clear(self) -> None:
        """Delete all markers."""
        deletions = self._shown.clear()
        if deletions is not None:
            self._markers.publish(deletions)

    def destroy(self) -> None:
        """Take the topics back."""
        for publisher in (self._tracks_3d, self._markers):
            self._node.destroy_lifecycle_publisher(publisher)
