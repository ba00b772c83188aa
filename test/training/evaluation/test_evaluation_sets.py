"""Labelled sets as evaluation sees them: names, stamps, ids, folders."""

from __future__ import annotations

import json

import pytest
from evaluation_scenes import scene_content, write_scene

from training.evaluation.sets import DEFAULT_FPS, EvaluationSet, images_folder

CLASSES = ('horse', 'car', 'person')


def _load(folder, content, **options):
    path = write_scene(folder, content)
    return EvaluationSet.load(path, folder / 'images', CLASSES, **options)


def test_ids_of_the_file_by_class_names(tmp_path):
    evaluation_set = _load(tmp_path, scene_content())
    assert evaluation_set.category_ids == (None, 7, 3)
    assert evaluation_set.class_indices == (1, 2)
    assert evaluation_set.name == 'val'
    assert evaluation_set.has_motion
    assert [annotation['track_id'] for annotation in evaluation_set.annotations[0]] == [1, 2, 3]
    assert evaluation_set.of_classes(['car']).category_ids == (None, 7, None)
    assert evaluation_set.category_ids == (None, 7, 3)


def test_names_and_stamps_of_videos(tmp_path):
    content = scene_content(frames=3)
    content['videos'][1] = {'id': 2, 'name': 'crossing', 'file_name': 'b', 'fps': 2.5}
    first, second = _load(tmp_path, content).videos
    assert (first.name, second.name) == ('video1', 'crossing')
    assert first.rows == (0, 1, 2)
    assert first.stamps == tuple(frame / DEFAULT_FPS for frame in (1, 2, 3))
    assert second.stamps == (0.4, 0.8, 1.2)


def test_cameras_of_one_video_are_videos(tmp_path):
    content = scene_content(frames=2)
    for image in content['images']:
        image['sensor_id'] = image['video_id']
        image['video_id'] = 1
    assert [video.name for video in _load(tmp_path, content).videos] == ['video1_1', 'video1_2']


def test_timestamps_of_images_come_first(tmp_path):
    content = scene_content(frames=3)
    for image in content['images']:
        image['timestamp'] = 100.0 + image['frame_id'] ** 2
    content['videos'][0]['fps'] = 30
    assert _load(tmp_path, content).videos[0].stamps == (101.0, 104.0, 109.0)


@pytest.mark.parametrize(
    ('change', 'complaint'),
    [
        (lambda content: content['images'][1].update(timestamp=3.0), 'of all of its images'),
        (
            lambda content: [image.update(timestamp=1.0) for image in content['images']],
            'rise with frame_id',
        ),
        (lambda content: content['videos'][0].update(fps=0), 'fps: expected a number above 0'),
        (lambda content: content['videos'][0].update(fps='7'), "received '7'"),
    ],
)
def test_times_that_are_none(tmp_path, change, complaint):
    content = scene_content()
    change(content)
    with pytest.raises(ValueError, match=rf'val\.json: video video1.*{complaint}'):
        _load(tmp_path, content)


def test_where_pictures_lie_if_nobody_says(tmp_path):
    path = write_scene(tmp_path, scene_content())
    assert images_folder(path) == tmp_path / 'images'
    beside = tmp_path / 'own' / 'val'
    beside.mkdir(parents=True)
    (tmp_path / 'images').rename(beside / 'images')
    path.rename(beside / 'annotations.json')
    assert images_folder(beside / 'annotations.json') == beside / 'images'
    (beside / 'annotations.json').rename(path)
    (beside / 'images').rename(tmp_path / 'images')
    (tmp_path / 'images').rename(tmp_path / 'kept')
    (tmp_path / 'images').mkdir()
    (tmp_path / 'kept').rename(tmp_path / 'images' / 'val')
    assert images_folder(path) == tmp_path / 'images' / 'val'
    instances = path.rename(path.with_name('instances_val.json'))
    assert images_folder(instances) == tmp_path / 'images' / 'val'
    (tmp_path / 'images' / 'val').rename(tmp_path / 'elsewhere')
    with pytest.raises(FileNotFoundError, match=r'001\.png.*images/val.*--images'):
        images_folder(instances)
    instances.write_text(json.dumps({'images': []}))
    with pytest.raises(ValueError, match='expected images with a file_name'):
        images_folder(instances)


def test_what_is_not_there(tmp_path):
    path = write_scene(tmp_path, scene_content())
    with pytest.raises(FileNotFoundError, match='nowhere'):
        EvaluationSet.load(path, tmp_path / 'nowhere', CLASSES)
    with pytest.raises(FileNotFoundError, match=r'no\.json'):
        EvaluationSet.load(tmp_path / 'no.json', tmp_path, CLASSES)
