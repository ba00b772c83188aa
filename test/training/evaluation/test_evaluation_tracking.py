"""Tracking metrics: known results, and tracks at ignored regions."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from evaluation_scenes import Oracle, scene_content, write_scene
from format_scenes import make_detections, make_result

from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.replay.mot_files import read_mot
from centertrack_ros.settings import Settings
from training.convert.mot import convert_mot
from training.evaluation.runner import run_tracking
from training.evaluation.sets import EvaluationSet
from training.evaluation.tracking import tracking_scores, tracks_at_regions

# As the MOTChallenge development kit prints them, of both sequences together.
TUD = {'MOTA': 55.5, 'IDF1': 62.4, 'IDSW': 14, 'FP': 58, 'FN': 602}
ORIGINAL = Settings(tracker_method='centertrack')


@pytest.fixture
def tud(data_folder, tmp_path) -> tuple[Path, Path]:
    """Annotation file and image folder of the TUD sequences, by our converter."""
    for sequence in sorted((data_folder / 'metrics' / 'gt').iterdir()):
        folder = tmp_path / sequence.name
        (folder / 'img1').mkdir(parents=True)
        info = (sequence / 'seqinfo.ini').read_text()
        (folder / 'seqinfo.ini').write_text(info)
        (folder / 'gt').symlink_to(sequence / 'gt')
        length = int(info.split('seqLength=')[1].split()[0])
        for number in range(1, length + 1):
            (folder / 'img1' / f'{number:06d}.jpg').touch()
        picture = np.zeros((480, 640, 3), np.uint8)  # its size is all that is read
        cv2.imwrite(str(folder / 'img1' / '000001.jpg'), picture)
    path = tmp_path / 'annotations.json'
    convert_mot(tmp_path).write(path)
    return path, tmp_path


def test_recorded_results_score_as_the_development_kit_says(tud, data_folder):
    evaluation_set = EvaluationSet.load(*tud, ['person'])
    results = [make_result()] * len(evaluation_set)
    for video in evaluation_set.videos:
        found = read_mot(data_folder / 'metrics' / 'results' / f'{video.name}.txt')
        for row, frame in zip(video.rows, found, strict=False):
            results[row] = make_result(make_detections(frame.boxes), frame.ids)
    scores = tracking_scores(evaluation_set, results)
    assert {name: round(scores.overall[name], 1) for name in TUD} == TUD
    assert scores.classes['person'] == scores.overall


def test_which_tracks_are_left_out():
    objects = np.array([[0.0, 0, 10, 10]])
    things = np.array([[40.0, 0, 50, 10]])
    crowds = np.array([[100.0, 0, 200, 50]])
    tracks = np.array(
        [
            [0.0, 0, 10, 9],  # an object
            [40.0, 0, 50, 6],  # a thing, overlap 0.6
            [41.0, 0, 49, 6],  # the same one, 0.48: not matched
            [195.0, 0, 205, 10],  # half inside the crowd
            [196.0, 0, 206, 10],  # less
            [300.0, 0, 310, 10],  # nowhere
            [120.0, 5, 130, 15],  # all inside
        ]
    )
    left_out = tracks_at_regions(tracks, objects, things, crowds)
    assert left_out.tolist() == [False, True, False, True, False, False, True]
    # One of two tracks at one thing is false.
    doubles = np.array([[40.0, 0, 50, 10], [40.0, 0, 50, 9]])
    assert tracks_at_regions(doubles, objects, things, crowds).tolist() == [True, False]
    # An object in a crowd is still an object.
    inside = np.array([[120.0, 5, 130, 15]])
    assert not tracks_at_regions(inside, inside, things, crowds).any()


def test_tracks_at_regions_are_as_many_as_possible_right():
    # The track overlaps the thing more, but the other track can only be the thing's.
    objects, things = np.array([[0.0, 0, 10, 10]]), np.array([[3.0, 0, 13, 10]])
    tracks = np.array([[1.6, 0, 11.6, 10], [5.0, 0, 15, 10]])
    assert tracks_at_regions(tracks, objects, things, np.zeros((0, 4))).tolist() == [False, True]


@pytest.mark.parametrize(
    ('region', 'false'),
    [
        ({}, 0),  # around several
        ({'track_id': 77}, 12),  # around one thing, which these are too small for
        ({'category_id': 7}, 12),  # of another class
    ],
)
def test_false_tracks_at_ignored_regions(tmp_path, spec, region, false):
    content = scene_content()
    for image in content['images']:
        content['annotations'].append(
            {
                'id': 1000 + image['id'],
                'image_id': image['id'],
                'category_id': 3,
                'bbox': [0.0, 76.0, 70.0, 20.0],
                'iscrowd': 1,
                **region,
            }
        )
    path = write_scene(tmp_path, content)
    evaluation_set = EvaluationSet.load(path, tmp_path / 'images', spec.classes)
    oracle = Oracle(content, spec)
    for rows in oracle.objects.values():
        rows.append([20.0, 80.0, 14.0, 14.0, 0, 0.95, 27.0, 87.0])
    results = run_tracking(assemble_pipeline(oracle, spec, ORIGINAL), evaluation_set)
    scores = tracking_scores(evaluation_set, results)
    assert (scores.overall['FP'], scores.overall['FN'], scores.overall['IDSW']) == (false, 0, 0)


def test_a_class_without_objects_has_counts_alone(tmp_path, spec):
    content = scene_content()
    content['annotations'] = [
        entry for entry in content['annotations'] if entry['category_id'] == 3
    ]
    path = write_scene(tmp_path, content)
    evaluation_set = EvaluationSet.load(path, tmp_path / 'images', spec.classes)
    oracle = Oracle(scene_content(), spec)
    results = run_tracking(assemble_pipeline(oracle, spec, ORIGINAL), evaluation_set)
    scores = tracking_scores(evaluation_set, results)
    assert scores.classes['car'] == {'IDSW': 0, 'Frag': 0, 'FP': 12, 'FN': 0}
    assert scores.classes['person']['MOTA'] == 100.0
    assert scores.overall['MOTA'] == 50.0


def test_stills_cannot_be_tracked(tmp_path, spec):
    content = scene_content()
    for image in content['images']:
        del image['video_id'], image['frame_id']
    path = write_scene(tmp_path, content)
    evaluation_set = EvaluationSet.load(path, tmp_path / 'images', spec.classes)
    assert not evaluation_set.has_motion
    assert [video.name for video in evaluation_set.videos[:2]] == ['001', '002']
    with pytest.raises(ValueError, match='video_id and frame_id'):
        tracking_scores(evaluation_set, [make_result()] * len(evaluation_set))
