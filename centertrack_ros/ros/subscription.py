"""The subscriptions of the cameras: they connect to every publisher, and lose little."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import CompressedImage as CompressedImageMsg
from sensor_msgs.msg import Image as ImageMsg

from centertrack_ros.ros.camera import Camera
from centertrack_ros.settings import Settings

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import (
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


class ImageSubscription:
    """Subscribes to the newest image, as the bytes of the serialised message.

    With reliability `auto` it asks for reliable delivery, and for best effort as soon as a
    publisher turns out to offer no more. Best effort from the start connects to everybody too, but
    Fast DDS then drops most images above half a megabyte on their way to another process: 166 of
    200 images of 768x576 at 10 Hz on a busy machine, where reliable delivery lost none.
    """

    def __init__(
        self,
        node: Node,
        callback: Callable[[bytes], None],
        *,
        camera: str,
        transport: str,
        reliability: str,
    ) -> None:
        """Subscribe.

        Args:
            node: whose subscription it is.
            callback: takes each message, serialised.
            camera: name that its topic lies under; '' = directly under the namespace.
            transport: `raw` or `compressed`.
            reliability: `auto`, `best_effort` or `reliable`.
        """
        self._node = node
        self._callback = callback
        self._kind = CompressedImageMsg if transport == 'compressed' else ImageMsg
        self.topic = image_topic(node, camera, transport)
        events = SubscriptionEventCallbacks()
        if reliability == 'auto':
            events = SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible)
        policy = BEST_EFFORT if reliability == 'best_effort' else RELIABLE
        try:
            self._subscription = self._create(policy, events)
        except UnsupportedEventTypeError:
            # This middleware would not tell that nothing comes.
            self._subscription = self._create(BEST_EFFORT, SubscriptionEventCallbacks())

    @property
    def name(self) -> str:
        """Full topic name after all remappings."""
        return str(self._subscription.topic_name)

    def destroy(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def _create(self, policy: ReliabilityPolicy, events: SubscriptionEventCallbacks) -> Any:
        return self._node.create_subscription(
            self._kind,
            self.topic,
            self._callback,
            QoSProfile(depth=1, reliability=policy),
            event_callbacks=events,
            raw=True,
        )

    def _on_incompatible(self, _: Any) -> None:
        self.destroy()
        self._subscription = self._create(BEST_EFFORT, SubscriptionEventCallbacks())
        self._node.get_logger().info(
            f'a publisher of {self.name} offers best effort only: subscribed best effort; images '
            'above half a megabyte may get lost between processes'
        )


class CameraInfoSubscription:
    """Subscribes to the newest camera_info; best effort, which connects to every publisher."""

    def __init__(self, node: Node, callback: Callable[[CameraInfo], None], *, camera: str) -> None:
        """Subscribe.

        Args:
            node: whose subscription it is.
            callback: takes each message.
            camera: name that its topic lies under; '' = directly under the namespace.
        """
        self._node = node
        qos = QoSProfile(depth=1, reliability=BEST_EFFORT)
        topic = camera_info_topic(node, camera)
        self._subscription = node.create_subscription(CameraInfo, topic, callback, qos)

    def destroy(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)


def subscribe(
    node: Node, cameras: Sequence[Camera], submit: Callable[..., None], settings: Settings
) -> tuple[list[ImageSubscription], list[CameraInfoSubscription]]:
    """Subscribe to what the cameras say.

    Args:
        node: whose subscriptions they are.
        cameras: all of them.
        submit: takes each serialised image, and the index of its camera as `camera`.
        settings: transport and reliability of the images.

    Returns:
        The images in the order of the cameras, and the calibrations of those that need one.
    """
    images = [
        ImageSubscription(
            node,
            partial(submit, camera=index),
            camera=camera.name,
            transport=settings.image_transport,
            reliability=settings.image_reliability,
        )
        for index, camera in enumerate(cameras)
    ]
    infos = [
        CameraInfoSubscription(node, camera.calibration.take, camera=camera.name)
        for camera in cameras
        if camera.calibration is not None
    ]
    return images, infos


def camera_info_topic(node: Node, camera: str) -> str:
    """Full name of the topic of a camera's calibration."""
    return node.resolve_topic_name(f'{camera}/camera_info' if camera else 'camera_info')


def image_topic(node: Node, camera: str, transport: str) -> str:
    """Topic of the images: `image` of the camera, remapped, then the suffix of its transport.

    As image_transport does it, so that one remapping works for both transports.
    """
    topic = node.resolve_topic_name(f'{camera}/image' if camera else 'image')
    return f'{topic}/compressed' if transport == 'compressed' else topic
