"""Player and recorder of the live replay: images into DDS, tracks and all else out of it."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import cv2
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray

from centertrack_ros.camera_info import Calibration
from centertrack_ros.replay.session_log import Answer, Published, SessionLog
from centertrack_ros.replay.sources import NANOSECONDS, Frame
from centertrack_ros.ros.messages import image_to_msg
from centertrack_ros.ros.spinning import spinning_node

# A jump in the stamps of a recording is not waited for longer than this.
MAX_PAUSE = 5.0
# The two ends of a connection learn of each other one after the other; this covers the second.
SETTLE_TIME = 0.5
POLL_INTERVAL = 0.02
EXCHANGE_INTERVAL = 0.001
# Silence this long (seconds; times the slowest answer) after the last image means "dropped".
QUIET_TIME = 3.0
QUIET_FACTOR = 4.0
JPEG_QUALITY = 90


class ReplaySession:
    """Talks to one tracking node through DDS."""

    def __init__(
        self,
        node: Any,
        namespace: str,
        *,
        compressed: bool,
        keypoints: bool = False,
        calibration: Calibration | None = None,
    ) -> None:
        """Create the topics; `open_session` spins the node.

        Args:
            node: the ROS node to use.
            namespace: that of the tracking node, `/replay`.
            compressed: publish CompressedImage (JPEG) and not Image (bgr8).
            keypoints: record the joints too.
            calibration: of the camera, to be published; boxes in space are recorded then.
        """
        self.log = SessionLog()
        self._namespace = namespace
        self._compressed = compressed
        self._tracks_topic = f'{namespace}/tracks'
        self._node = node
        # Reliable: it connects to best-effort and to reliable subscriptions alike.
        qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
        kind = CompressedImage if compressed else Image
        topic = f'{namespace}/image/compressed' if compressed else f'{namespace}/image'
        self._publisher = node.create_publisher(kind, topic, qos)
        recorder_qos = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
        node.create_subscription(
            Detection2DArray, self._tracks_topic, _recorder(self.log.answers), recorder_qos
        )
        self._camera_info = None
        if keypoints:
            joints = self.log.keypoints = []
            topic = f'{namespace}/keypoints'
            node.create_subscription(Detection2DArray, topic, _recorder(joints), recorder_qos)
        if calibration is not None:
            self._camera_info = node.create_publisher(CameraInfo, f'{namespace}/camera_info', qos)
            self._calibration = camera_info_to_msg(calibration)
            boxes = self.log.tracks_3d = []
            topic = f'{namespace}/tracks_3d'
            node.create_subscription(Detection3DArray, topic, _recorder(boxes), recorder_qos)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 100)

    def wait_until_ready(self, check_alive: Callable[[], None], timeout: float) -> None:
        """Wait until the node subscribes to the images, which it does when it is active.

        Args:
            check_alive: raises when the node has ended.
            timeout: seconds.

        Raises:
            RuntimeError: it did not get there in time.
        """
        end = time.monotonic() + timeout
        while not (
            self._publisher.get_subscription_count()
            and self._node.count_publishers(self._tracks_topic)
        ):
            check_alive()
            if time.monotonic() > end:
                raise RuntimeError(
                    f'expected the node to subscribe to {self._publisher.topic_name} within '
                    f'{timeout:.0f} s, it did not: {self._state()}'
                )
            time.sleep(POLL_INTERVAL)
        time.sleep(SETTLE_TIME)
        if self._camera_info is not None:
            # Alone and before the images: the first of them needs it.
            self._camera_info.publish(self._calibration)
            time.sleep(SETTLE_TIME)

    def play(
        self,
        frames: Iterable[Frame],
        *,
        rate: float,
        check_alive: Callable[[], None],
        progress: Callable[[], object] = lambda: None,
    ) -> None:
        """Publish the images at the times of their stamps, and wait for the last answer.

        Args:
            frames: the recording.
            rate: speed relative to its stamps.
            check_alive: raises when the node has ended.
            progress: called after each image.
        """
        due = None
        last_stamp = 0.0
        for frame in frames:
            message = self._to_msg(frame)
            if due is None:
                due = time.perf_counter()
            else:
                due += min(max(frame.stamp - last_stamp, 0.0), MAX_PAUSE) / rate
            last_stamp = frame.stamp
            # While the recording is ahead the player sleeps; once behind, it does not catch up
            # by a burst of images, which no camera would send.
            now = time.perf_counter()
            time.sleep(max(due - now, 0.0))
            due = max(due, now)
            self._publish(frame, message)
            check_alive()
            progress()
        if self.log.published:
            self._wait_for_answers(check_alive)

    def exchange(self, frame: Frame, check_alive: Callable[[], None], timeout: float) -> None:
        """Publish one image and wait until its tracks come back.

        Args:
            frame: the image.
            check_alive: raises when the node has ended.
            timeout: seconds after which it is given up.
        """
        count = len(self.log.answers)
        self._publish(frame, self._to_msg(frame))
        end = time.monotonic() + timeout
        while len(self.log.answers) == count and time.monotonic() < end:
            check_alive()
            time.sleep(EXCHANGE_INTERVAL)

    def _publish(self, frame: Frame, message: Any) -> None:
        self.log.published.append(Published(frame.stamp_ns, frame.frame_id, time.perf_counter()))
        self._publisher.publish(message)

    def _wait_for_answers(self, check_alive: Callable[[], None]) -> None:
        log = self.log
        sent = {entry.stamp_ns: entry.time for entry in log.published}
        waits = [row.time - sent.get(row.stamp_ns, row.time) for row in list(log.answers)]
        quiet = max([QUIET_TIME, *(QUIET_FACTOR * wait for wait in waits)])
        while not (log.is_complete and _has_stages(log.diagnostics)):
            check_alive()
            last = max(row[-1].time for row in (log.published, log.answers) if row)
            if time.perf_counter() - last > quiet:
                return
            time.sleep(POLL_INTERVAL)

    def _to_msg(self, frame: Frame) -> Any:
        seconds, nanoseconds = divmod(frame.stamp_ns, NANOSECONDS)
        header = Header(stamp=Time(sec=seconds, nanosec=nanoseconds), frame_id=frame.frame_id)
        if not self._compressed:
            return image_to_msg(frame.image, header)
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        encoded, data = cv2.imencode('.jpg', frame.image, quality)
        if not encoded:
            raise ValueError(f'image at {frame.stamp:.3f} s: OpenCV cannot write it as JPEG')
        message = CompressedImage(header=header, format='bgr8; jpeg compressed bgr8')
        message.data = array('B', data.tobytes())
        return message

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            # The node's own, and not those of whatever else runs in this domain.
            if status.name.startswith(f'{self._namespace.lstrip("/")}/'):
                self.log.diagnostics.append({row.key: row.value for row in status.values})

    def _state(self) -> str:
        states = [row['state'] for row in self.log.diagnostics if 'state' in row]
        return f'its state is {states[-1]!r}' if states else 'nothing was heard of it'


def open_session(namespace: str, **options: Any) -> AbstractContextManager[ReplaySession]:
    """A session with a ROS context of its own, spinning in a thread until the block ends.

    Args:
        namespace: that of the tracking node.
        options: of `ReplaySession`.
    """
    return spinning_node(
        'replay', namespace, lambda node: ReplaySession(node, namespace, **options)
    )


def camera_info_to_msg(calibration: Calibration) -> CameraInfo:
    """Message of a calibration: rectified images, without a frame."""
    width, height = calibration.width, calibration.height
    message = CameraInfo(width=width, height=height, distortion_model='plumb_bob', d=[0.0] * 5)
    matrix = calibration.camera_matrix.astype(float)
    message.p = matrix.reshape(-1).tolist()
    message.k = matrix[:, :3].reshape(-1).tolist()
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    return message


def _recorder(rows: list[Answer]) -> Callable[[Any], None]:
    """What keeps the messages of a topic, with the time of their reception."""
    return lambda message: rows.append(Answer(message, time.perf_counter()))


def _has_stages(diagnostics: Sequence[Mapping[str, str]]) -> bool:
    return any('stage_ms/network' in row for row in diagnostics)
