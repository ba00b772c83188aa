import numpy as np
import pytest
from harness import make_header
from rclpy.serialization import deserialize_message, serialize_message
from test_messages import make_tracks
from visualization_msgs.msg import Marker, MarkerArray

from centertrack_ros.attributes import ATTRIBUTES
from centertrack_ros.box_poses import quaternions_of
from centertrack_ros.datatypes import TrackedBoxes3D, Tracks
from centertrack_ros.ros.markers import Markers

HEADER = make_header(2.25)


def make_boxes(count, known=None, attributes=None):
    number = np.arange(count, dtype=np.float32)
    return TrackedBoxes3D(
        middles=np.stack([number, number / 2, number + 5], axis=1),
        dimensions=np.tile(np.array([1.5, 1.75, 4.25], np.float32), (count, 1)),
        yaws=number / 4,
        velocities=np.tile(np.array([3.0, 0.0, 4.0], np.float32), (count, 1)),
        covariances=np.zeros((count, 4, 4), np.float32),
        known=np.ones(count, np.bool_) if known is None else np.array(known),
        attributes=attributes,
    )


def of_action(message, action):
    return [marker for marker in message.markers if marker.action == action]


@pytest.fixture
def markers():
    return Markers('', ['person', 'car'])


def test_a_cube_and_a_text_for_each_known_reported_track(markers):
    tracks = make_tracks(4, reported=[True, True, False, True])
    boxes = make_boxes(4, known=[True, False, True, True])
    message = markers.to_msg(tracks, boxes, HEADER)
    cubes = [marker for marker in message.markers if marker.type == Marker.CUBE]
    texts = [marker for marker in message.markers if marker.type == Marker.TEXT_VIEW_FACING]
    assert len(cubes) + len(texts) == len(message.markers)
    assert [(cube.ns, cube.id) for cube in cubes] == [('boxes', 1), ('boxes', 4)]
    assert [(text.ns, text.id) for text in texts] == [('labels', 1), ('labels', 4)]
    assert [text.text for text in texts] == ['1 person 5.0 m/s', '4 car 5.0 m/s']
    for marker in message.markers:
        assert marker.header == HEADER
        assert marker.action == Marker.ADD
        assert marker.lifetime.sec > 0
    cube, text = cubes[1], texts[1]
    place, turn = cube.pose.position, cube.pose.orientation
    assert (place.x, place.y, place.z) == (3.0, 1.5, 8.0)
    assert (turn.x, turn.y, turn.z, turn.w) == tuple(quaternions_of(boxes.yaws)[3])
    assert (cube.scale.x, cube.scale.y, cube.scale.z) == (4.25, 1.75, 1.5)
    assert 0 < cube.color.a < 1
    # Above the box, which is against y.
    assert (text.pose.position.x, text.pose.position.z) == (3.0, 8.0)
    assert text.pose.position.y < 1.5 - 1.5 / 2
    assert (text.color.a, text.scale.z > 0) == (1.0, True)
    sent = deserialize_message(serialize_message(message), MarkerArray)
    assert [marker.pose for marker in sent.markers] == [marker.pose for marker in message.markers]


def test_colours_are_those_of_the_ids(markers):
    boxes = make_boxes(2)
    first = markers.to_msg(make_tracks(2), boxes, HEADER)
    second = markers.to_msg(make_tracks(2), boxes, HEADER)
    colors = [marker.color for marker in first.markers]
    assert colors == [marker.color for marker in second.markers]
    assert colors[0] != colors[1]


def test_attributes_are_part_of_the_text(markers):
    attributes = np.array([ATTRIBUTES.index('pedestrian.standing'), -1])
    message = markers.to_msg(make_tracks(2), make_boxes(2, attributes=attributes), HEADER)
    texts = [marker.text for marker in message.markers if marker.text]
    assert texts == ['1 person 5.0 m/s pedestrian.standing', '2 car 5.0 m/s']


def test_markers_of_tracks_that_are_gone_are_deleted_once(markers):
    markers.to_msg(make_tracks(3), make_boxes(3), HEADER)
    message = markers.to_msg(make_tracks(3, [False, True, True]), make_boxes(3), HEADER)
    gone = of_action(message, Marker.DELETE)
    assert [(marker.ns, marker.id) for marker in gone] == [('boxes', 1), ('labels', 1)]
    assert len(of_action(message, Marker.ADD)) == 4
    again = markers.to_msg(make_tracks(3, [False, True, True]), make_boxes(3), HEADER)
    assert of_action(again, Marker.DELETE) == []


def test_no_tracks_delete_what_was_shown(markers):
    assert markers.to_msg(Tracks.empty(), make_boxes(0), HEADER).markers == []
    markers.to_msg(make_tracks(1), make_boxes(1), HEADER)
    message = markers.to_msg(Tracks.empty(), make_boxes(0), HEADER)
    assert [(marker.ns, marker.action) for marker in message.markers] == [
        ('boxes', Marker.DELETE),
        ('labels', Marker.DELETE),
    ]


def test_clearing_deletes_everything_once_and_nothing_where_nothing_was():
    markers = Markers('front', ['person', 'car'])
    assert markers.clear() is None
    markers.to_msg(make_tracks(2), make_boxes(2), HEADER)
    cleared = markers.clear()
    assert {(marker.ns, marker.id) for marker in cleared.markers} == {
        ('front/boxes', 1),
        ('front/labels', 1),
        ('front/boxes', 2),
        ('front/labels', 2),
    }
    assert {marker.action for marker in cleared.markers} == {Marker.DELETE}
    assert markers.clear() is None
