"""A tracker node that spins in this process, and a client that talks to it through DDS."""

import array
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from centertrack_ros.ros.messages import image_to_msg
from centertrack_ros.ros.node import TrackerNode

CLIP = Path(__file__).parents[2] / 'samples' / 'pets09_s2l1.mp4'
FRAME_ID = 'camera_optical_frame'
TIMEOUT = 30.0
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


def clip_frames(count):
    capture = cv2.VideoCapture(str(CLIP))
    frames = [capture.read()[1] for _ in range(count)]
    assert all(frame is not None for frame in frames), f'{CLIP} has fewer than {count} frames'
    return frames


def make_header(seconds):
    whole = int(seconds)
    nanoseconds = round((seconds - whole) * 1e9)
    return Header(stamp=Time(sec=whole, nanosec=nanoseconds), frame_id=FRAME_ID)


def make_image(frame, seconds):
    return image_to_msg(frame, make_header(seconds))


def make_jpeg(frame, seconds):
    message = CompressedImage(header=make_header(seconds), format='bgr8; jpeg compressed bgr8')
    message.data = array.array('B', cv2.imencode('.jpg', frame)[1].tobytes())
    return message


def ids(message):
    return {detection.id for detection in message.detections}


def boxes(message):
    rows = [
        (box.center.position.x, box.center.position.y, box.size_x, box.size_y)
        for box in (detection.bbox for detection in message.detections)
    ]
    return np.array(rows).reshape(-1, 4)


def publisher_count(subscription):
    """Connected publishers; Humble cannot tell, and gets time to connect instead."""
    count = getattr(subscription, 'get_publisher_count', lambda: 1)
    return count()


class Client:
    """Publishes images, collects what the tracker says, calls its services."""

    def __init__(self, context, *, kind, image_qos, tracks_qos):
        self.node = rclpy.create_node('client', context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        topic = '/image' if kind is Image else '/image/compressed'
        self.images = self.node.create_publisher(kind, topic, image_qos)
        self.tracks = []
        self.diagnostics = []
        self.tracks_subscription = self.node.create_subscription(
            Detection2DArray, '/tracks', self.tracks.append, tracks_qos
        )
        self.node.create_subscription(
            DiagnosticArray, '/diagnostics', self.diagnostics.append, RELIABLE
        )

    def listen(self, kind, topic, qos):
        """List that fills with the messages of a topic."""
        messages = []
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()

    def wait_for(self, condition, what, timeout=TIMEOUT):
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f'not within {timeout:g} s: {what}'
            self.executor.spin_once(timeout_sec=0.02)

    def spin(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def send(self, message):
        """Publish an image and return the one answer to it."""
        count = len(self.tracks)
        self.images.publish(message)
        self.wait_for(lambda: len(self.tracks) > count, 'tracks of an image')
        assert len(self.tracks) == count + 1
        return self.tracks[-1]

    def send_frames(self, frames, start=1.0, period=0.1):
        return [
            self.send(make_image(frame, start + index * period))
            for index, frame in enumerate(frames)
        ]

    def send_bad(self, *messages):
        """Publish images that get no answer; returns the diagnostics in which all are counted."""
        expected = self.status_value('rejected') + len(messages)
        for message in messages:
            self.images.publish(message)
            self.spin(0.1)  # one after the other: a newer image would replace one that waits
        self.wait_for(
            lambda: self.status_value('rejected') >= expected, f'{expected} rejected images'
        )
        return self.values()

    def status(self):
        return self.diagnostics[-1].status[0] if self.diagnostics else None

    def values(self):
        return {row.key: row.value for row in self.status().values}

    def status_value(self, key):
        return int(self.values().get(key, 0)) if self.diagnostics else 0

    def next_status(self):
        """Values of a status that was made after this call."""
        count = len(self.diagnostics)
        self.wait_for(lambda: len(self.diagnostics) > count, 'diagnostics')
        return self.values()

    def call(self, kind, name, request):
        client = self.node.create_client(kind, name)
        self.wait_for(client.service_is_ready, f'service {name}')
        future = client.call_async(request)
        self.wait_for(future.done, f'answer of {name}')
        self.node.destroy_client(client)
        return future.result()

    def transition(self, label):
        request = ChangeState.Request()
        request.transition.label = label
        return self.call(ChangeState, '/tracker/change_state', request).success

    def set_parameters(self, **values):
        """Set all of them at once; returns the result with `successful` and `reason`."""
        request = SetParametersAtomically.Request()
        request.parameters = [
            Parameter(name, value=value).to_parameter_msg() for name, value in values.items()
        ]
        name = '/tracker/set_parameters_atomically'
        return self.call(SetParametersAtomically, name, request).result


class Running:
    """A node that spins in a thread, and a client in another DDS participant."""

    def __init__(self, node, client):
        self.node = node
        self.client = client

    def connect(self):
        """Wait until both directions of both topics know each other."""
        images, tracks = self.client.images, self.client.tracks_subscription

        def connected():
            subscription = self._entity(self.node.subscriptions, images.topic_name)
            publisher = self._entity(self.node.publishers, tracks.topic_name)
            return (
                subscription is not None
                and publisher is not None
                and publisher_count(subscription) == 1
                and images.get_subscription_count() == 1
                and publisher.get_subscription_count() == 1
                and publisher_count(tracks) == 1
            )

        self.client.wait_for(connected, f'connection through {images.topic_name}')
        if not hasattr(tracks, 'get_publisher_count'):
            self.client.spin(0.5)

    @staticmethod
    def _entity(entities, topic):
        return next((entity for entity in entities if entity.topic_name == topic), None)


@contextmanager
def running(
    domain_id,
    *,
    kind=Image,
    image_qos=RELIABLE,
    tracks_qos=RELIABLE,
    connect=True,
    autostart=True,
    **parameters,
):
    """Start a node with these parameters and a client; everything is gone afterwards."""
    # One thread: the tests share the machine with each other.
    values = {'threads': 1, 'autostart': autostart, **parameters}
    contexts = [Context(), Context()]
    for context in contexts:
        rclpy.init(context=context, domain_id=domain_id)
    node = TrackerNode(
        context=contexts[0],
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    executor = SingleThreadedExecutor(context=contexts[0])
    executor.add_node(node)
    client = Client(contexts[1], kind=kind, image_qos=image_qos, tracks_qos=tracks_qos)
    thread = Thread(target=_spin, args=(executor,))
    try:
        assert node.autostart()
        thread.start()
        test = Running(node, client)
        if connect and autostart:
            test.connect()
        yield test
    finally:
        executor.shutdown()
        if thread.is_alive():
            thread.join()
        node.close()
        client.close()
        for context in contexts:
            context.try_shutdown()


def _spin(executor):
    with suppress(ExternalShutdownException):
        executor.spin()
