"""A model that sees depth: boxes in space and markers, once the calibration is known."""

from contextlib import contextmanager

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from harness import BEST_EFFORT, RELIABLE, ids, make_header, make_image, running
from scripted_model import (
    ALPHAS,
    BOXES,
    CLASSES,
    DEPTHS,
    DIMENSIONS,
    HEIGHT,
    OBJECT_CLASSES,
    STRIDE,
    WIDTH,
    scene,
    write_scripted_model,
)
from sensor_msgs.msg import CameraInfo
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

from centertrack_ros.box_poses import yaws_of

FOCAL_LENGTH = 100.0


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return str(write_scripted_model(tmp_path_factory.mktemp('boxes'), joints=False))


def make_camera_info(scale=1.0, **changes):
    focal, center = FOCAL_LENGTH * scale, (WIDTH / 2 * scale, HEIGHT / 2 * scale)
    p = [focal, 0.0, center[0], 0.0, 0.0, focal, center[1], 0.0, 0.0, 0.0, 1.0, 0.0]
    size = {'width': round(WIDTH * scale), 'height': round(HEIGHT * scale)}
    return CameraInfo(**{'header': make_header(0.5), 'p': p, **size, **changes})


class Scene:
    """A running node, the topics of boxes in space, and a clock for the images."""

    def __init__(self, test, prefix=''):
        self.client = test.client
        self.boxes = self.client.listen(Detection3DArray, f'{prefix}/tracks_3d', RELIABLE)
        self.markers = self.client.listen(MarkerArray, f'{prefix}/markers', RELIABLE)
        # Drivers publish it either way; the node takes both.
        self.infos = self.client.node.create_publisher(
            CameraInfo, f'{prefix}/camera_info', BEST_EFFORT
        )
        outputs = [
            entry
            for entry in test.node.publishers
            if entry.topic_name in (f'{prefix}/tracks_3d', f'{prefix}/markers')
        ]
        assert len(outputs) == 2
        self.client.wait_for(
            lambda: (
                self.infos.get_subscription_count()
                and all(entry.get_subscription_count() for entry in outputs)
            ),
            f'connection of {prefix}/tracks_3d, markers, camera_info',
        )
        self.client.spin(0.3)
        self._stamp = 1.0

    def send(self, *visible):
        self._stamp += 0.1
        return self.client.send(make_image(scene(*visible), self._stamp))

    def send_until_boxes(self, *visible):
        """Until a camera_info is known that was just sent."""
        count = len(self.boxes)
        for _ in range(50):
            answer = self.send(*visible)
            self.client.spin(0.1)
            if len(self.boxes) > count:
                return answer
        raise AssertionError('no tracks_3d within 50 images')

    def shown(self):
        """Namespace and id of the markers that RViz would show now."""
        shown = set()
        for message in self.markers:
            for marker in message.markers:
                change = shown.add if marker.action == Marker.ADD else shown.discard
                change((marker.ns, marker.id))
        return shown


@contextmanager
def running_scene(domain_id, model, **parameters):
    with running(domain_id, model=model, engine='onnxruntime', **parameters) as test:
        yield Scene(test)


def assert_is_object(detection, index):
    """Position, size, orientation and class are those of the scripted model."""
    corners = np.array(BOXES[index]) * STRIDE
    pixel = (corners[:2] + corners[2:]) / 2 - [WIDTH / 2, HEIGHT / 2]
    place, size = detection.bbox.center.position, detection.bbox.size
    expected = [*(pixel / FOCAL_LENGTH * DEPTHS[index]), DEPTHS[index]]
    np.testing.assert_allclose([place.x, place.y, place.z], expected, atol=1e-3)
    height, width, length = DIMENSIONS[index]
    np.testing.assert_allclose([size.x, size.y, size.z], [length, width, height], atol=1e-3)
    turn = detection.bbox.center.orientation
    yaw = yaws_of(np.array([[turn.x, turn.y, turn.z, turn.w]]))[0]
    assert yaw == pytest.approx(ALPHAS[index] + np.arctan2(pixel[0], FOCAL_LENGTH), abs=1e-3)
    (result,) = detection.results
    assert result.hypothesis.class_id == CLASSES[OBJECT_CLASSES[index]]
    assert result.pose.pose == detection.bbox.center
    covariance = result.pose.covariance.reshape(6, 6)
    assert (np.diag(covariance)[[0, 1, 2, 4]] > 0).all()
    np.testing.assert_array_equal(covariance, covariance.T)


def test_without_camera_info_there_are_tracks_and_a_reason(domain_id, model):
    with running_scene(domain_id, model) as here:
        client = here.client
        for _ in range(3):
            assert len(here.send(0, 1).detections) == 2
        values = client.next_status()
        while 'Hz; ' not in client.status().message:
            here.send(0, 1)
            values = client.next_status()
        assert client.status().level == DiagnosticStatus.WARN
        assert 'tracks_3d waits for camera_info on /camera_info' in client.status().message
        assert values['tracks_3d'] == 'tracks_3d waits for camera_info on /camera_info'
        assert values['camera_info_topic'] == '/camera_info'
        assert (here.boxes, here.markers) == ([], [])
        # Bad ones are counted by reason, and change nothing.
        for reason, changes in (('uncalibrated', {'p': [0.0] * 12}), ('no size', {'width': 0})):
            here.infos.publish(make_camera_info(**changes))
            key = f'camera_info_rejected/{reason}'
            client.wait_for(lambda key=key: client.status_value(key) == 1, f'one of {reason}')
        assert client.status_value('camera_info_rejected') == 2
        here.send(0, 1)
        assert 'the last one was rejected' in client.next_status()['tracks_3d']
        assert here.boxes == []
        # One of another shape than the images.
        here.infos.publish(make_camera_info(height=WIDTH))
        client.spin(0.3)
        here.send(0, 1)
        assert 'another shape' in client.next_status()['tracks_3d']
        # A good one ends it, and a bad one after it is only counted.
        here.infos.publish(make_camera_info())
        here.send_until_boxes(0, 1)
        here.infos.publish(make_camera_info(p=[float('nan')] * 12))
        client.wait_for(
            lambda: client.status_value('camera_info_rejected/not finite') == 1, 'one rejected'
        )
        count = len(here.boxes)
        here.send(0, 1)
        client.wait_for(lambda: len(here.boxes) == count + 1, 'tracks_3d all the same')
        values = client.next_status()
        assert values['tracks_3d'] == 'published'
        assert ids(client.tracks[0]) == ids(client.tracks[-1]) == {'1', '2'}


def test_boxes_stand_where_the_objects_are(domain_id, model):
    with running_scene(domain_id, model) as here:
        # Of the full image, twice as large as those that come.
        here.infos.publish(make_camera_info(2.0))
        here.send_until_boxes(0, 1)
        here.send(0, 1, 2)
        here.send(0, 1, 2)
        here.client.wait_for(lambda: len(here.boxes) >= 3, 'boxes of three images')
        here.client.spin(0.2)
        answers = {answer.header.stamp.nanosec: answer for answer in here.client.tracks}
        for message in here.boxes:
            answer = answers[message.header.stamp.nanosec]
            assert message.header == answer.header
            assert [row.id for row in message.detections] == [row.id for row in answer.detections]
            for detection in message.detections:
                assert detection.header == message.header
                assert_is_object(detection, int(detection.id) - 1)
        assert ids(here.boxes[-1]) == {'1', '2', '3'}
        # Nothing is seen any more: an empty array, and no markers are left.
        while here.send().detections:
            pass
        stamp = here.client.tracks[-1].header.stamp
        here.client.wait_for(lambda: here.boxes[-1].header.stamp == stamp, 'the last boxes')
        assert here.boxes[-1].detections == []


def test_markers_go_with_their_tracks(domain_id, model):
    with running_scene(domain_id, model) as here:
        client = here.client
        here.infos.publish(make_camera_info())
        here.send_until_boxes(0, 1)

        def expected(*track_ids):
            return {(name, number) for name in ('boxes', 'labels') for number in track_ids}

        client.wait_for(lambda: here.shown() == expected(1, 2), 'markers of two tracks')
        while len(here.send(0).detections) > 1:
            pass
        client.wait_for(lambda: here.shown() == expected(1), 'those of the other to go')
        # A reset, before any image comes.
        response = client.call(Trigger, '/tracker/reset', Trigger.Request())
        assert response.success
        client.wait_for(lambda: here.shown() == set(), 'no markers after the reset')
        here.send(0, 1)
        client.wait_for(lambda: here.shown() == expected(1, 2), 'markers of the new tracks')
        assert client.transition('deactivate')
        client.wait_for(lambda: here.shown() == set(), 'no markers after the deactivation')
        # The calibration is remembered.
        assert client.transition('activate')
        client.wait_for(client.images.get_subscription_count, 'the image subscription')
        client.spin(0.3)
        here.send(0)
        client.wait_for(lambda: here.shown() == expected(1), 'markers after the activation')


def test_each_camera_has_its_own_calibration(domain_id, model):
    names = ['front', 'rear']
    with running(
        domain_id, model=model, engine='onnxruntime', connect=False, cameras=names
    ) as test:
        scenes = [Scene(test, f'/{name}') for name in names]
        client = test.client
        images = [client.node.create_publisher(type(make_image(scene(), 1.0)), f'/{name}/image',
                                               RELIABLE) for name in names]  # fmt: skip
        client.wait_for(lambda: all(entry.get_subscription_count() for entry in images), 'images')
        scenes[1].infos.publish(make_camera_info())
        client.spin(0.3)
        for index in range(4):
            for entry in images:
                entry.publish(make_image(scene(0), 1.0 + index * 0.1))
            client.spin(0.2)
        client.wait_for(lambda: scenes[1].markers, 'markers of the rear camera')
        assert {name for name, _ in scenes[1].shown()} == {'rear/boxes', 'rear/labels'}
        assert scenes[0].boxes == []
        assert_is_object(scenes[1].boxes[-1].detections[0], 0)
