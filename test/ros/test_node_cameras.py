"""Several cameras in one node: one model, and otherwise as if each had a node of its own."""

import threading

import numpy as np
import pytest
from harness import RELIABLE, boxes, clip_frames, ids, make_image, publisher_count, running
from rclpy.serialization import serialize_message
from row_by_row import RowByRow
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool, Trigger
from vision_msgs.msg import Detection2DArray

from centertrack_ros.factory import assemble_pipeline, build_pipeline
from centertrack_ros.ros.camera import Camera, check_names
from centertrack_ros.ros.serialised_images import reader_of
from centertrack_ros.ros.statistics import Statistics
from centertrack_ros.ros.worker import Worker
from centertrack_ros.settings import Settings

NAMES = ['front', 'rear']


class Topics:
    """Both ends of one camera's topics."""

    def __init__(self, client, name):
        self.client = client
        self.name = name
        self.images = client.node.create_publisher(Image, f'/{name}/image', RELIABLE)
        self.tracks = []
        self.subscription = client.node.create_subscription(
            Detection2DArray, f'/{name}/tracks', self.tracks.append, RELIABLE
        )

    def wait_until_connected(self):
        self.client.wait_for(
            lambda: self.images.get_subscription_count() and publisher_count(self.subscription),
            f'connection of {self.name}',
        )
        self.client.spin(0.3)

    def wait_for(self, count):
        self.client.wait_for(lambda: len(self.tracks) >= count, f'{count} tracks of {self.name}')
        assert len(self.tracks) == count

    def send(self, frame, stamp):
        count = len(self.tracks)
        self.images.publish(make_image(frame, stamp))
        self.wait_for(count + 1)
        return self.tracks[-1]


def connected(test):
    cameras = [Topics(test.client, name) for name in NAMES]
    for camera in cameras:
        camera.wait_until_connected()
    return cameras


def statuses(client):
    """Status of each camera, made after this call, and its values."""
    client.next_status()
    return {
        status.name: (status, {row.key: row.value for row in status.values})
        for status in client.diagnostics[-1].status
    }


def scenes():
    """What each camera sees: the clip, and a part of it later on in another size and rate."""
    frames = clip_frames(24)
    front = [(frame, 1.0 + index * 0.1) for index, frame in enumerate(frames[:12])]
    rear = [
        (np.ascontiguousarray(frame[100:460, 80:720]), 50.0 + index * 0.2)
        for index, frame in enumerate(frames[12::2])
    ]
    return front, rear


def expected(pipeline, scene):
    return [
        tracks[tracks.reported]
        for tracks in (pipeline.step(frame, stamp).tracks for frame, stamp in scene)
    ]


def assert_same(answers, all_tracks):
    for answer, tracks in zip(answers, all_tracks, strict=True):
        assert [detection.id for detection in answer.detections] == [str(i) for i in tracks.ids]
        sizes = tracks.boxes[:, 2:] - tracks.boxes[:, :2]
        both = np.hstack([tracks.boxes[:, :2] + sizes / 2, sizes])
        np.testing.assert_allclose(boxes(answer), both, atol=1e-3)


def test_two_cameras_give_what_two_nodes_would(domain_id):
    scene_front, scene_rear = scenes()
    with running(domain_id, connect=False, cameras=NAMES) as test:
        front, rear = connected(test)
        for index, (frame, stamp) in enumerate(scene_front):
            # Both at once every second time; the front camera alone in between.
            counts = len(front.tracks), len(rear.tracks)
            front.images.publish(make_image(frame, stamp))
            if index % 2 == 0:
                rear.images.publish(make_image(*scene_rear[index // 2]))
                rear.wait_for(counts[1] + 1)
            front.wait_for(counts[0] + 1)
        assert test.client.tracks == []
        assert test.client.images.get_subscription_count() == 0
        status = statuses(test.client)
    pipeline = build_pipeline(Settings(threads=1))
    assert_same(front.tracks, expected(pipeline, scene_front))
    pipeline.reset()
    assert_same(rear.tracks, expected(pipeline, scene_rear))
    assert len(ids(front.tracks[-1])) >= 3
    assert len(ids(rear.tracks[-1])) >= 3
    for name, count in (('front', 12), ('rear', 6)):
        values = status[f'tracker: {name}'][1]
        assert values['image_topic'] == f'/{name}/image'
        assert (values['received'], values['published']) == (str(count), str(count))
        assert (values['dropped'], values['rejected'], values['resets']) == ('0', '0', '0')


def test_a_dead_or_broken_camera_leaves_the_other_alone(domain_id):
    frames = clip_frames(12)
    with running(domain_id, connect=False, cameras=NAMES) as test:
        front, rear = connected(test)
        front.send(frames[0], 1.0)
        first = rear.send(frames[0], 1.0)
        broken = make_image(frames[1], 1.1)
        broken.encoding = '32FC1'
        front.images.publish(broken)
        for index, frame in enumerate(frames[1:8], start=1):
            last = rear.send(frame, 1.0 + index * 0.1)
        test.client.wait_for(
            lambda: statuses(test.client)['tracker: front'][0].message.startswith('no image on'),
            'the silence of the front camera',
        )
        rear.send(frames[8], 2.0)
        status = statuses(test.client)
        # It comes back with its tracks.
        rear.send(frames[9], 2.1)
        again = front.send(frames[2], 1.2)
    assert ids(first) & ids(last)
    assert ids(front.tracks[0]) & ids(again)
    front_status, front_values = status['tracker: front']
    rear_status, rear_values = status['tracker: rear']
    assert front_status.level == b'\x01'
    assert front_values['rejected/encoding'] == '1'
    assert (rear_status.level, rear_values['rejected']) == (b'\x00', '0')
    assert rear_values['published'] == '9'


def test_services_for_all_cameras_and_for_one(domain_id):
    frames = clip_frames(3)
    with running(domain_id, connect=False, cameras=NAMES) as test:
        client = test.client
        front, rear = connected(test)
        firsts = [camera.send(frames[0], 1.0) for camera in (front, rear)]
        for camera in (front, rear):
            camera.send(frames[1], 1.1)
        assert client.call(Trigger, '/tracker/front/reset', Trigger.Request()).success
        # The same image after a reset gives the same ids again.
        assert ids(front.send(frames[0], 1.2)) == ids(firsts[0])
        rear.send(frames[2], 1.2)
        status = statuses(client)
        assert status['tracker: front'][1]['last_reset'] == 'service ~/front/reset'
        assert status['tracker: rear'][1]['resets'] == '0'
        assert client.call(Trigger, '/tracker/reset', Trigger.Request()).success
        status = statuses(client)
        assert status['tracker: front'][1]['resets'] == '2'
        assert status['tracker: rear'][1]['last_reset'] == 'service ~/reset'
        assert client.set_parameters(detection_threshold=0.9).successful
        cameras = test.node._session.cameras
        assert [camera.pipeline.detection_threshold for camera in cameras] == [0.9, 0.9]
        assert client.call(SetBool, '/tracker/enable', SetBool.Request(data=False)).success
        client.wait_for(
            lambda: not any(entry.images.get_subscription_count() for entry in (front, rear)),
            'no subscription',
        )


@pytest.mark.parametrize(
    ('names', 'words'),
    [(['a', 'a'], "'a' twice"), (['1st'], "'1st'"), (['a b'], "'a b'"), (['/abs'], "'/abs'")],
)
def test_names_that_cannot_be_topics_are_refused(names, words):
    with pytest.raises(ValueError, match=words):
        check_names(names)
    check_names(['front', 'left/rear_2'])


class Collector:
    """Where the worker's results go."""

    def __init__(self):
        self.results = []

    def publish_tracks(self, header, result):
        self.results.append(result)

    def publish_views(self, header, image, result, camera_matrix):
        pass

    def forget(self):
        pass


@pytest.fixture
def batching():
    """Worker of three cameras with an engine that takes batches, their outputs, the engine."""
    settings = Settings.from_mapping({'threads': 1, 'engine': 'onnxruntime'})
    first = build_pipeline(settings)
    engine = RowByRow(first.engine)
    pipelines = [assemble_pipeline(engine, first.spec, settings) for _ in range(3)]
    outputs = [Collector() for _ in pipelines]
    cameras = [
        Camera(f'camera_{index}', pipeline, output, Statistics(), Log())
        for index, (pipeline, output) in enumerate(zip(pipelines, outputs, strict=True))
    ]
    worker = Worker(cameras, reader_of('raw'), largest_batch=None)
    worker.start()
    yield worker, cameras, engine
    worker.stop()


class Log:
    """Keeps what is logged."""

    def __init__(self):
        self.lines = []

    def info(self, message):
        self.lines.append(message)

    warning = info


def submit_together(worker, cameras, messages):
    """Leave images while the worker is busy, and wait for what they give."""
    before = [len(camera.output.results) for camera in cameras]
    busy, done = threading.Event(), threading.Event()
    held = threading.Thread(target=worker.call, args=[lambda: busy.set() or done.wait(30)])
    held.start()
    assert busy.wait(30)
    for index, message in messages.items():
        worker.submit(serialize_message(message), camera=index)
    done.set()
    held.join()
    for _ in range(600):
        # A call is answered between two steps.
        if all(
            worker.call(lambda i=i: len(cameras[i].output.results)) > before[i] for i in messages
        ):
            return
        threading.Event().wait(0.01)
    raise AssertionError(f'no results for {list(messages)}')


def test_what_waits_goes_into_the_network_together(batching):
    worker, cameras, engine = batching
    frames = clip_frames(3)
    submit_together(worker, cameras, {i: make_image(frames[i], 1.0) for i in range(3)})
    submit_together(
        worker, cameras, {2: make_image(frames[0], 1.1), 0: make_image(frames[1], 1.1)}
    )
    assert engine.sizes == [3, 2]
    # A broken image and another size: the rest goes on.
    broken = make_image(frames[0], 1.2)
    broken.step = 1
    small = make_image(np.ascontiguousarray(frames[1][:300]), 1.2)
    worker.submit(serialize_message(broken), camera=0)
    submit_together(worker, cameras, {1: small, 2: make_image(frames[1], 1.2)})
    reports = [camera.statistics.report() for camera in cameras]
    assert [sum(report.rejected.values()) for report in reports] == [1, 0, 0]
    assert [report.published for report in reports] == [2, 2, 3]
    assert reports[1].last_reset == 'image size changed from 768x576 to 768x300'
