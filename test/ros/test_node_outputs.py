"""Live parameters and what the node publishes besides tracks."""

import numpy as np
import pytest
from harness import RELIABLE, clip_frames, make_image, running
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from vision_msgs.msg import LabelInfo, VisionInfo

import centertrack_ros.ros.outputs

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def test_live_parameters_work_at_once_and_keep_the_ids(domain_id):
    frame = clip_frames(1)[0]
    with running(domain_id) as test:
        client = test.client
        labels = client.listen(LabelInfo, '/label_info', LATCHED)
        before = client.send(make_image(frame, 1.0))
        assert client.set_parameters(class_filter=['car'], detection_threshold=0.65).successful
        assert client.send(make_image(frame, 1.1)).detections == []
        client.wait_for(lambda: labels and labels[-1].threshold > 0.64, 'the new threshold')
        assert client.set_parameters(class_filter=[''], detection_threshold=-1.0).successful
        after = client.send(make_image(frame, 1.2))
        assert len(after.detections) == len(before.detections)
        assert test.node.settings.detection_threshold == -1.0
        assert client.next_status()['resets'] == '0'


def test_parameters_are_checked_together_before_any_is_applied(domain_id):
    with running(domain_id) as test:
        refused = [
            ({'max_gap': 5.0, 'detection_threshold': 1.5}, ('1.5', '1.0')),
            ({'max_gap': 5.0, 'class_filter': ['unicorn']}, ('unicorn', 'person')),
            ({'max_gap': 5.0, 'max_age': float('nan')}, ('nan', '600')),
            ({'max_gap': 5.0, 'max_age_frames': 2.5}, ('type',)),
            ({'max_gap': 5.0, 'model': 'another'}, ('read-only', 'model')),
        ]
        for values, words in refused:
            result = test.client.set_parameters(**values)
            assert not result.successful
            assert all(word in result.reason for word in words), result.reason
            assert test.node.settings.max_gap == 2.0
            assert test.node.get_parameter('max_gap').value == 2.0
        assert test.client.set_parameters(max_gap=5.0, use_sim_time=True).successful
        assert test.node.settings.max_gap == 5.0


def test_overlay_is_drawn_only_for_subscribers(domain_id, monkeypatch):
    frames = clip_frames(3)
    drawn = []
    draw_tracks = centertrack_ros.ros.outputs.draw_tracks

    def counting(*arguments, **options):
        drawn.append(arguments)
        return draw_tracks(*arguments, **options)

    monkeypatch.setattr(centertrack_ros.ros.outputs, 'draw_tracks', counting)
    with running(domain_id) as test:
        client = test.client
        client.send(make_image(frames[0], 1.0))
        client.spin(0.2)
        assert drawn == []
        overlays = client.listen(Image, '/overlay', RELIABLE)
        publisher = test._entity(test.node.publishers, '/overlay')
        client.wait_for(lambda: publisher.get_subscription_count() == 1, 'overlay subscriber')
        client.spin(0.3)
        client.send(make_image(frames[1], 1.1))
        client.wait_for(lambda: overlays, 'an overlay')
    overlay = overlays[0]
    assert overlay.header == make_image(frames[1], 1.1).header
    assert (overlay.encoding, overlay.width, overlay.height) == ('bgr8', 768, 576)
    pixels = np.frombuffer(overlay.data, np.uint8).reshape(frames[1].shape)
    changed = (pixels != frames[1]).any(axis=2).mean()
    assert 0.001 < changed < 0.3
    assert len(drawn) == 1


@pytest.mark.parametrize(('class_id_format', 'expected'), [('name', 'person'), ('index', '0')])
def test_class_ids_are_found_in_label_info(domain_id, class_id_format, expected):
    frame = clip_frames(1)[0]
    with running(domain_id, class_id_format=class_id_format) as test:
        test.client.send(make_image(frame, 1.0))
        # Latched: these subscriptions come after the node has published.
        labels = test.client.listen(LabelInfo, '/label_info', LATCHED)
        visions = test.client.listen(VisionInfo, '/vision_info', LATCHED)
        test.client.wait_for(lambda: labels and visions, 'label_info and vision_info')
        answer = test.client.tracks[0]
    assert answer.detections[0].results[0].hypothesis.class_id == expected
    classes = {entry.class_id: entry.class_name for entry in labels[0].class_map}
    assert len(classes) == 80
    assert (classes[0], classes[2]) == ('person', 'car')
    assert 0 < labels[0].threshold < 1
    assert visions[0].method == 'centertrack_mobilenetv3'
    assert visions[0].database_location == '/label_info'
