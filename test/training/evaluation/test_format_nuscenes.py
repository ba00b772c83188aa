"""Results of an infallible model on tables with a known geometry lead back to the tables."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from format_scenes import make_detections, make_result, make_set
from scipy.spatial.transform import Rotation
from tiny_nuscenes import SIZES, THINGS, write_tiny_nuscenes

from training.classes import NUSCENES_CLASSES
from training.convert.nuscenes import convert_nuscenes
from training.evaluation.nuscenes import (
    MOST_BOXES,
    attribute_name,
    nuscenes_detection_results,
    nuscenes_tracking_results,
    write_nuscenes,
)
from training.evaluation.sets import EvaluationSet

CAMERA = np.array([[800, 0, 320, 0], [0, 800, 240, 0], [0, 0, 1, 0]], np.float32)
# Looks along the x of the world, 2 m above the ground.
TO_WORLD = [[0, 0, 1, 100], [-1, 0, 0, 50], [0, -1, 0, 2], [0, 0, 0, 1]]
DIFFERENT = ('car', 'truck', 'pedestrian', 'barrier')


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    root = tmp_path_factory.mktemp('nuscenes')
    write_tiny_nuscenes(root)
    path = root / 'tiny.json'
    convert_nuscenes(root, 'mini_train').write(path)
    evaluation_set = EvaluationSet.load(path, root, NUSCENES_CLASSES)
    return evaluation_set, [make_result(*_seen(record)) for record in evaluation_set.records]


def _seen(record):
    """What an infallible detector sees, and its tracks."""
    labels = record.labels
    logits = np.zeros((len(labels), 8), np.float32)
    for row, number in enumerate(labels.attributes):
        logits[row, number - 1] = number > 0
    detections = make_detections(
        labels.boxes,
        # Less sure for later ones, so that their order is known.
        0.9 - 0.1 * np.arange(len(labels)),
        labels.classes,
        depth=labels.depth,
        dimensions=labels.dimensions,
        alpha=labels.alpha.astype(np.float32),
        amodal_centers=labels.amodal_centers,
        attributes=logits,
        velocity=np.nan_to_num(labels.velocity),
    )
    return detections, labels.track_ids


def _space(count=1, **fields):
    return {
        'depth': np.full(count, 10, np.float32),
        'dimensions': np.tile(np.float32([1.5, 1.8, 4.5]), (count, 1)),
        'alpha': np.zeros(count, np.float32),
        'amodal_centers': np.tile(np.float32([400, 280]), (count, 1)),
    } | fields


def _images(**changed):
    return [{'sample_token': 'a', 'trans_matrix': TO_WORLD, 'sensor_id': 2} | changed]


def _set(*, images=None, class_names=NUSCENES_CLASSES, camera_matrix=CAMERA):
    images = _images() if images is None else images
    names = [f'{row}.jpg' for row in range(len(images))]
    return make_set(names, class_names=class_names, images=images, camera_matrix=camera_matrix)


def _boxes(detections, **values):
    content = nuscenes_detection_results(_set(**values), [make_result(detections)])
    return content['results']['a']


def test_boxes_lead_back_to_the_map(tiny):
    content = nuscenes_detection_results(*tiny)
    assert (content['meta']['use_camera'], content['meta']['use_lidar']) == (True, False)
    assert list(content['results']) == [f'scene-0061 sample {frame}' for frame in range(3)]
    seen = set()
    for token, boxes in content['results'].items():
        frame = int(token[-1])
        scores = [box['detection_score'] for box in boxes]
        assert scores == sorted(scores, reverse=True)
        for box in boxes:
            assert box['sample_token'] == token
            away = [np.linalg.norm(box['translation'] - thing.middle(frame)) for thing in THINGS]
            thing = THINGS[int(np.argmin(away))]
            seen.add(box['detection_name'])
            assert min(away) < 1e-3
            assert box['size'] == pytest.approx(SIZES[thing.category])
            turned = Rotation.from_quat(box['rotation'], scalar_first=True).as_matrix()
            expected = Rotation.from_euler('z', thing.yaw, degrees=True).as_matrix()
            np.testing.assert_allclose(turned, expected, atol=1e-5)
            speed = thing.speed if len(thing.frames) > 1 else (0, 0)
            assert box['velocity'] == pytest.approx(speed, abs=1e-4)
            assert box['attribute_name'] == thing.attribute
    assert seen == set(DIFFERENT)


def test_tracks_are_unique_in_a_scene_and_leave_out_what_is_not_tracked(tiny):
    evaluation_set, results = tiny
    content = nuscenes_tracking_results(evaluation_set, results)
    boxes = [box for sample in content['results'].values() for box in sample]
    assert {box['tracking_name'] for box in boxes} == set(DIFFERENT) - {'barrier'}
    assert all(0 < box['tracking_score'] <= 0.9 for box in boxes)
    for sample in content['results'].values():
        ids = [box['tracking_id'] for box in sample]
        assert len(set(ids)) == len(ids)
    # One of the cars drives before the front camera all the time.
    assert sum(box['tracking_id'] == '1-1' for box in boxes) == 3
    assert len({box['tracking_id'].split('-')[0] for box in boxes}) > 1


def test_cameras_of_a_sample_are_put_together_and_the_best_stay():
    images = [*_images(), *_images(sensor_id=3), *_images(sample_token='b')]
    half = MOST_BOXES // 2 + 50
    boxes = np.zeros((half, 4))
    many = make_detections(boxes, np.linspace(0.9, 0.1, half), **_space(half))
    sure = make_detections(boxes, np.linspace(1, 0.5, half), **_space(half))
    none = make_detections(**_space(0))
    results = [make_result(many), make_result(sure), make_result(none)]
    content = nuscenes_detection_results(_set(images=images), results)
    assert content['results']['b'] == []
    scores = [box['detection_score'] for box in content['results']['a']]
    every = np.sort(np.concatenate((many.scores, sure.scores)))[::-1]
    assert scores == every[:MOST_BOXES].tolist()
    tracked = nuscenes_tracking_results(_set(images=images), results)['results']
    assert len(tracked['a']) == MOST_BOXES
    assert len({box['tracking_id'] for box in tracked['a']}) == MOST_BOXES


def test_a_box_in_front_of_a_camera_that_looks_along_x():
    """1 m to the right, 0.5 m down, 10 m ahead; its front points to the right."""
    facing = _space(alpha=-np.float32([np.arctan2(80, 800)]))
    detections = make_detections([[0, 0, 9, 9]], velocity=np.float32([[0, 1, 3]]), **facing)
    (box,) = _boxes(detections)
    assert box['translation'] == pytest.approx([110, 49, 1.5], abs=1e-4)
    assert box['size'] == pytest.approx([1.8, 4.5, 1.5])
    assert box['velocity'] == pytest.approx([3, 0])
    turned = Rotation.from_quat(box['rotation'], scalar_first=True)
    np.testing.assert_allclose(turned.apply([1, 0, 0]), [0, -1, 0], atol=1e-6)
    np.testing.assert_allclose(turned.apply([0, 0, 1]), [0, 0, 1], atol=1e-6)


def test_what_the_model_does_not_say():
    """As in CenterTrack: the first attribute of the class, and no velocity."""
    names = ['car', 'bicycle', 'pedestrian', 'barrier']
    classes = [NUSCENES_CLASSES.index(name) for name in names]
    boxes = _boxes(make_detections(np.zeros((4, 4)), classes=classes, **_space(4)))
    assert [box['attribute_name'] for box in boxes] == [
        'vehicle.moving', 'cycle.with_rider', 'pedestrian.moving', ''
    ]  # fmt: skip
    assert boxes[0]['velocity'] == [0, 0]


def test_sizes_of_an_untrained_network_are_made_positive():
    sizes = np.float32([[-1, 0, 2]])
    (box,) = _boxes(make_detections(np.zeros((1, 4)), **_space(dimensions=sizes)))
    assert box['size'] == pytest.approx([0.01, 2, 0.01])


def test_attributes_compete_within_their_class():
    logits = np.float32([[9, 1, 2, 5, 3, 0, 1, 2]])
    detections = make_detections(np.zeros((1, 4)), attributes=logits)
    found = {name: attribute_name(detections, 0, name) for name in NUSCENES_CLASSES}
    assert found['motorcycle'] == 'cycle.with_rider'
    assert found['pedestrian'] == 'pedestrian.standing'
    assert found['trailer'] == 'vehicle.stopped'
    assert found['traffic_cone'] == ''


def test_only_measured_classes_are_written():
    evaluation_set = replace(_set(class_names=('person', 'car')), category_ids=(None, 1))
    detections = make_detections(np.zeros((2, 4)), classes=[0, 1], **_space(2))
    for kind, make in (
        ('detection', nuscenes_detection_results),
        ('tracking', nuscenes_tracking_results),
    ):
        boxes = make(evaluation_set, [make_result(detections)])['results']['a']
        assert [box[f'{kind}_name'] for box in boxes] == ['car']


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'images': [{'trans_matrix': TO_WORLD}]}, r'scene\.json: images\[0\]: expected a sample'),
        ({'images': _images(trans_matrix=[[1]])}, 'trans_matrix: expected 4x4'),
        ({'camera_matrix': None}, 'expected calib'),
        ({'class_names': ('cat',)}, r"received \['cat'\]"),
    ],
)
def test_what_is_missing_is_named(changed, message):
    with pytest.raises(ValueError, match=message):
        _boxes(make_detections(np.zeros((1, 4)), **_space()), **changed)


def test_a_model_without_depth_is_refused():
    with pytest.raises(ValueError, match="'depth'"):
        _boxes(make_detections(np.zeros((1, 4))))


def test_the_file_is_json(tiny, tmp_path):
    content = nuscenes_tracking_results(*tiny)
    write_nuscenes(tmp_path / 'new' / 'tracking.json', content)
    assert json.loads((tmp_path / 'new' / 'tracking.json').read_text()) == content
