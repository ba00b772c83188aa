"""Cameras for the benchmark of the node: they publish prepared messages and time the answers."""

from __future__ import annotations

import struct
import threading
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import cycle

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from centertrack_ros.datatypes import Image as Picture
from centertrack_ros.replay.sources import NANOSECONDS
from centertrack_ros.ros.messages import image_to_msg
from centertrack_ros.ros.spinning import spinning_node

JPEG_QUALITY = 90
# Seconds after the last image in which its answer may come.
LAST_ANSWER = 1.0
# Seconds after which an image that was not answered counts as dropped when cameras wait for it.
PATIENCE = 2.0
# Images of one camera that wait for their answer: one in work, one ready to follow it.
IN_FLIGHT = 2
# The stamp of a serialised message lies behind the four bytes that say how it is written.
STAMP = struct.Struct('<iI')
STAMP_OFFSET = 4


def serialised(images: Sequence[Picture], *, compressed: bool) -> list[bytearray]:
    """Messages of images, ready to be sent but for their stamps.

    To build a message takes a Python camera many times as long as to send it, and it would take
    that time from the node on the same machine.
    """
    header = Header(frame_id='camera')
    messages = []
    for image in images:
        if compressed:
            quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            data = array('B', cv2.imencode('.jpg', image, quality)[1].tobytes())
            message = CompressedImage(header=header, format='bgr8; jpeg compressed bgr8')
            message.data = data
        else:
            message = image_to_msg(image, header)
        messages.append(bytearray(serialize_message(message)))
    return messages


@dataclass
class Traffic:
    """What one camera sent and what came back, stamps in nanoseconds, times of perf_counter.

    Attributes:
        sent: time by stamp.
        answered: time by stamp.
    """

    sent: dict[int, float] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)

    @property
    def latencies_ms(self) -> list[float]:
        """From before publication to reception of the tracks."""
        return [(time - self.sent[stamp]) * 1e3 for stamp, time in self.answered.items()]


class Cameras:
    """Publishers of images in one namespace, and the listener to the tracks of all of them."""

    def __init__(
        self, node: Node, namespace: str, names: Sequence[str], *, compressed: bool
    ) -> None:
        """Create the topics; the node is to be spun by another thread.

        Args:
            node: of this process.
            namespace: that of the tracker.
            names: of the cameras; one empty name is the single camera on `image`.
            compressed: publish CompressedImage.
        """
        self.diagnostics: dict[str, Mapping[str, str]] = {}
        self._node = node
        self._traffic: dict[str, Traffic] = defaultdict(Traffic)
        self._answer = threading.Condition()
        self._publishers = {}
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
        kind = CompressedImage if compressed else Image
        for name in names:
            base = f'{namespace}/{name}' if name else namespace
            topic = f'{base}/image/compressed' if compressed else f'{base}/image'
            self._publishers[name] = node.create_publisher(kind, topic, qos)
            node.create_subscription(
                Detection2DArray, f'{base}/tracks', self._listener(name), QoSProfile(depth=1000)
            )
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 100)

    def ready(self) -> bool:
        """Whether the tracker subscribes to all cameras."""
        return all(entry.get_subscription_count() for entry in self._publishers.values())

    def send_at(
        self, messages: Sequence[bytearray], rate: float, seconds: float
    ) -> dict[str, Traffic]:
        """Publish at a rate, the cameras evenly one after the other, as cameras without a trigger.

        Args:
            messages: `serialised` images; each camera begins with another one.
            rate: images per second of each camera.
            seconds: how long.
        """
        self._begin()
        streams = self._streams(messages)
        step = 1.0 / (rate * len(streams))
        start = time.perf_counter()
        for index in range(round(seconds / step)):
            time.sleep(max(start + index * step - time.perf_counter(), 0.0))
            name = list(streams)[index % len(streams)]
            self._publish(name, next(streams[name]))
        time.sleep(LAST_ANSWER)
        return self._end()

    def send_on_answer(self, messages: Sequence[bytearray], seconds: float) -> dict[str, Traffic]:
        """Publish as fast as the tracker answers: it always has one more image to work on."""
        self._begin()
        streams = self._streams(messages)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            free = [name for name in streams if self._in_flight(name) < IN_FLIGHT]
            for name in free:
                self._publish(name, next(streams[name]))
            with self._answer:
                if all(self._in_flight(name) >= IN_FLIGHT for name in streams):
                    self._answer.wait(timeout=PATIENCE)
        return self._end()

    def _in_flight(self, name: str) -> int:
        traffic, recent = self._traffic[name], time.perf_counter() - PATIENCE
        newest = list(traffic.sent.items())[-IN_FLIGHT:]
        return sum(stamp not in traffic.answered and sent > recent for stamp, sent in newest)

    def _streams(self, messages: Sequence[bytearray]) -> dict[str, Iterator[bytearray]]:
        # There and back again: the scene goes on without a jump.
        there_and_back = [*messages, *messages[-2:0:-1]]
        streams = {}
        for index, name in enumerate(self._publishers):
            shift = index * len(there_and_back) // len(self._publishers)
            streams[name] = cycle(there_and_back[shift:] + there_and_back[:shift])
        return streams

    def _publish(self, name: str, message: bytearray) -> None:
        stamp_ns = time.time_ns()
        STAMP.pack_into(message, STAMP_OFFSET, *divmod(stamp_ns, NANOSECONDS))
        data = bytes(message)
        self._traffic[name].sent[stamp_ns] = time.perf_counter()
        self._publishers[name].publish(data)

    def _begin(self) -> None:
        self._traffic = {name: Traffic() for name in self._publishers}

    def _end(self) -> dict[str, Traffic]:
        traffic, self._traffic = self._traffic, defaultdict(Traffic)
        return traffic

    def _listener(self, name: str) -> Callable[[Detection2DArray], None]:
        def on_tracks(message: Detection2DArray) -> None:
            now = time.perf_counter()
            stamp = message.header.stamp
            stamp_ns = stamp.sec * NANOSECONDS + stamp.nanosec
            with self._answer:
                traffic = self._traffic[name]
                if stamp_ns in traffic.sent:
                    traffic.answered[stamp_ns] = now
                self._answer.notify()

        return on_tracks

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.diagnostics[status.name] = {row.key: row.value for row in status.values}


def open_cameras(
    namespace: str, names: Sequence[str], *, compressed: bool
) -> AbstractContextManager[Cameras]:
    """Cameras with a ROS context of their own, whose answers come in until the block ends."""
    return spinning_node(
        'cameras', namespace, lambda node: Cameras(node, namespace, names, compressed=compressed)
    )


def percentile(values: Sequence[float], rank: float) -> float | None:
    """Percentile, None of nothing."""
    return round(float(np.percentile(values, rank)), 2) if values else None
