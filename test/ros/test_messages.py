import time

import numpy as np
import pytest
from harness import FRAME_ID, make_header
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    Point2D,
    Pose2D,
)

from centertrack_ros.datatypes import Tracks
from centertrack_ros.ros.messages import (
    image_from_msg,
    image_to_msg,
    label_info_to_msg,
    tracks_to_msg,
    vision_info_to_msg,
)

HEADER = make_header(3.5)


def make_tracks(count, reported=None):
    number = np.arange(count)
    corners = np.stack([number * 10.5, number * 5.0], axis=1)
    return Tracks(
        ids=number + 1,
        boxes=np.hstack([corners, corners + np.array([20, 40])]).astype(np.float32),
        scores=np.linspace(0.3, 0.9, count, dtype=np.float32),
        classes=number % 2,
        centers=np.zeros((count, 2), np.float32),
        velocities=np.zeros((count, 2), np.float32),
        hits=number + 1,
        misses=np.zeros(count, np.int64),
        reported=np.ones(count, np.bool_) if reported is None else np.array(reported),
        detection_indices=number,
        prior_weights=np.ones(count, np.float32),
    )


def test_image_round_trip():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    msg = image_to_msg(image, HEADER)
    assert (msg.width, msg.height, msg.step, msg.encoding) == (7, 5, 21, 'bgr8')
    assert msg.header.frame_id == FRAME_ID
    np.testing.assert_array_equal(image_from_msg(msg), image)


def test_an_image_with_gaps_between_its_rows_is_written_whole():
    image = np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)
    view = image[1:6:2, 2:5]
    np.testing.assert_array_equal(image_from_msg(image_to_msg(view, HEADER)), view)


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
)
def test_no_bgr_image_is_refused(image):
    with pytest.raises(ValueError, match=r'expected \(H, W, 3\) uint8, received'):
        image_to_msg(image, HEADER)


def test_a_large_image_is_written_and_read_in_milliseconds():
    image = np.zeros((1080, 1920, 3), np.uint8)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        image_from_msg(image_to_msg(image, HEADER))
        times.append(time.perf_counter() - start)
    # The element-by-element setter takes 300 ms or more.
    assert min(times) < 0.03


def test_tracks_field_by_field():
    msg = tracks_to_msg(make_tracks(3, reported=[True, False, True]), HEADER, ['person', 'car'])
    assert msg.header == HEADER
    assert [detection.id for detection in msg.detections] == ['1', '3']
    detection = msg.detections[1]
    assert detection.header == HEADER
    assert (detection.bbox.center.position.x, detection.bbox.center.position.y) == (31.0, 30.0)
    assert detection.bbox.center.theta == 0.0
    assert (detection.bbox.size_x, detection.bbox.size_y) == (20.0, 40.0)
    (result,) = detection.results
    assert result.hypothesis.class_id == 'person'
    assert result.hypothesis.score == pytest.approx(0.9)
    assert result.pose.pose.orientation.w == 1.0
    assert not result.pose.covariance.any()


def test_detections_equal_those_of_the_constructors_and_do_not_share_what_differs():
    tracks = make_tracks(40)
    expected = []
    for row in range(40):
        x1, y1, x2, y2 = (float(edge) for edge in tracks.boxes[row])
        center = Pose2D(position=Point2D(x=(x1 + x2) / 2, y=(y1 + y2) / 2))
        hypothesis = ObjectHypothesis(
            class_id=('person', 'car')[row % 2], score=float(tracks.scores[row])
        )
        expected.append(
            Detection2D(
                header=HEADER,
                results=[ObjectHypothesisWithPose(hypothesis=hypothesis)],
                bbox=BoundingBox2D(center=center, size_x=x2 - x1, size_y=y2 - y1),
                id=str(row + 1),
            )
        )
    found = tracks_to_msg(tracks, HEADER, ['person', 'car'])
    assert found == Detection2DArray(header=HEADER, detections=expected)
    assert deserialize_message(serialize_message(found), Detection2DArray) == found


def test_no_tracks_give_an_empty_array():
    msg = tracks_to_msg(Tracks.empty(), HEADER, ['person'])
    assert msg.header == HEADER
    assert msg.detections == []


def test_label_info():
    msg = label_info_to_msg(('person', 'car'), np.float32(0.25), HEADER.stamp)
    assert [(entry.class_id, entry.class_name) for entry in msg.class_map] == [
        (0, 'person'),
        (1, 'car'),
    ]
    assert (msg.header, msg.threshold) == (Header(stamp=HEADER.stamp), 0.25)


def test_vision_info():
    msg = vision_info_to_msg('some_model', '/label_info', HEADER.stamp)
    assert (msg.method, msg.database_location) == ('some_model', '/label_info')
    assert msg.header == Header(stamp=HEADER.stamp)
