"""A model that sees joints: they come with the ids of the tracks."""

import numpy as np
import pytest
from harness import RELIABLE, boxes, ids, make_image, running
from scripted_model import (
    BOXES,
    CLASSES,
    JOINT_SCORES,
    JOINTS,
    STRIDE,
    scene,
    write_scripted_model,
)
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from centertrack_ros.drawing import Trails, draw_tracks
from centertrack_ros.factory import build_pipeline
from centertrack_ros.settings import Settings


@pytest.fixture(scope='module')
def pose_model(tmp_path_factory):
    return str(write_scripted_model(tmp_path_factory.mktemp('pose'), boxes_3d=False))


def joints_of(detection):
    """Joint name -> score and pixel."""
    return {
        result.hypothesis.class_id: (
            result.hypothesis.score,
            result.pose.pose.position.x,
            result.pose.pose.position.y,
        )
        for result in detection.results
    }


def assert_skeletons_are_drawn(overlay, model):
    """The picture of the first image is the one that the replay would draw."""
    image = scene(0, 1)
    result = build_pipeline(Settings(model=model, engine='onnxruntime')).step(image, 1.0)
    trails = Trails()
    trails.update(result.tracks)
    expected, plain = (
        draw_tracks(image, result.tracks, CLASSES, trails, joints=joints, joint_names=JOINTS)
        for joints in (result.joints, None)
    )
    pixels = np.frombuffer(overlay.data, np.uint8).reshape(image.shape)
    np.testing.assert_array_equal(pixels, expected)
    assert (pixels != plain).any()


def test_keypoints_have_the_ids_and_boxes_of_tracks(domain_id, pose_model):
    with running(domain_id, model=pose_model, engine='onnxruntime') as test:
        client = test.client
        keypoints = client.listen(Detection2DArray, '/keypoints', RELIABLE)
        overlays = client.listen(Image, '/overlay', RELIABLE)
        publishers = {entry.topic_name: entry for entry in test.node.publishers}
        assert not {'/tracks_3d', '/markers'} & publishers.keys()
        assert client.node.count_subscribers('/camera_info') == 0
        client.wait_for(
            lambda: all(publishers[f'/{name}'].get_subscription_count() for name in
                        ('keypoints', 'overlay')),
            'connection of keypoints and overlay',
        )  # fmt: skip
        client.spin(0.3)
        scenes = [(0, 1), (0, 1), (0, 1, 2), (), (0, 1)]
        for index, visible in enumerate(scenes):
            client.send(make_image(scene(*visible), 1.0 + index * 0.1))
        client.wait_for(lambda: len(keypoints) == len(scenes), 'keypoints of all images')
        client.wait_for(lambda: overlays, 'an overlay')
    assert_skeletons_are_drawn(overlays[0], pose_model)
    for tracks, joints in zip(client.tracks, keypoints, strict=True):
        assert joints.header == tracks.header
        assert [row.id for row in joints.detections] == [row.id for row in tracks.detections]
        assert [row.bbox for row in joints.detections] == [row.bbox for row in tracks.detections]
    assert ids(keypoints[2]) == {'1', '2', '3'}
    assert keypoints[3].detections == []
    assert ids(keypoints[4]) == {'1', '2'}
    for detection, box in zip(keypoints[2].detections, boxes(keypoints[2]), strict=True):
        found = joints_of(detection)
        # The last one is below joint_threshold.
        assert list(found) == list(JOINTS[:2])
        corners = np.array(BOXES[int(detection.id) - 1]) * STRIDE
        center = (corners[:2] + corners[2:]) / 2
        np.testing.assert_allclose(box[:2], center, atol=1e-3)
        for index, name in enumerate(JOINTS[:2]):
            assert found[name][0] == pytest.approx(JOINT_SCORES[index])
            expected = center + index * np.array([0.25, -0.5]) * STRIDE
            np.testing.assert_allclose(found[name][1:], expected, atol=0.01)


def test_models_without_joints_have_no_such_topic(domain_id):
    with running(domain_id, engine='onnxruntime') as test:
        names = {entry.topic_name for entry in test.node.publishers}
        assert '/tracks' in names
        assert not {'/keypoints', '/tracks_3d', '/markers'} & names
