"""Joints through a whole replay: files, figures, video and report."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from replay_helpers import make_run, make_tracks
from scripted_model import BOXES, COUNT, JOINTS, STRIDE, scene, write_scripted_model

from centertrack_ros.datatypes import TrackedJoints, Tracks
from centertrack_ros.drawing import track_color
from centertrack_ros.replay import command_line
from centertrack_ros.replay.keypoints_file import write_keypoints
from centertrack_ros.replay.summary import joint_figures

SCENES = ((0, 1), (0, 1, 2), (0, 1, 2), (), (0, 1, 2))


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    for number, visible in enumerate(SCENES):
        cv2.imwrite(str(folder / f'{number}.png'), scene(*visible))
    return folder


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    return write_scripted_model(tmp_path_factory.mktemp('pose'), boxes_3d=False)


@pytest.fixture(scope='module')
def output(recording, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp('replay') / 'out'
    assert _replay(recording, model, folder, '--video') == 0
    return folder


def _replay(recording, model, output, *arguments):
    options = [recording, '--model', model, '--engine', 'onnxruntime', '--fps', 10, *arguments]
    return command_line.main([str(option) for option in (*options, '--output', output)])


def _places(row):
    corners = np.array(BOXES[row], np.float32) * STRIDE
    return (corners[:2] + corners[2:]) / 2 + STRIDE * np.arange(3)[:, None] * [0.25, -0.5]


def _joints(visible, scores=None):
    visible = np.array(visible, np.bool_)
    scores = np.where(visible, 0.5, 0.0) if scores is None else np.array(scores)
    positions = np.arange(2.0 * visible.size).reshape(*visible.shape, 2)
    return TrackedJoints(positions.astype(np.float32), scores.astype(np.float32), visible)


def test_entries_are_those_of_the_tracks(output):
    entries = json.loads((output / 'keypoints.json').read_text())
    lines = [line.split(',') for line in (output / 'tracks.txt').read_text().splitlines()]
    assert [(entry['image_id'], entry['track_id']) for entry in entries] == [
        (int(line[0]), int(line[1])) for line in lines
    ]
    assert {entry['image_id'] for entry in entries} == {1, 2, 3, 5}
    for entry in entries:
        row = entry['track_id'] - 1
        values = np.array(entry['keypoints']).reshape(-1, 3)
        np.testing.assert_allclose(values[:, :2], _places(row), atol=0.01)
        # The last joint is below the threshold.
        assert values[:, 2].tolist() == [2, 2, 1]
        assert entry['joint_scores'] == [0.9, 0.8, 0.001]
        assert entry['category_id'] == (1, 2, 1)[row]


def test_pycocotools_reads_the_file(output):
    dataset = COCO()
    dataset.dataset = {
        'info': {},
        'images': [{'id': number} for number in range(1, len(SCENES) + 1)],
        'categories': [{'id': 1}, {'id': 2}],
        'annotations': [],
    }
    dataset.createIndex()
    results = dataset.loadRes(str(output / 'keypoints.json'))
    assert len(results.getAnnIds(imgIds=[2])) == COUNT
    assert len(results.getAnnIds(imgIds=[4])) == 0


def test_figures_in_summary_and_report(output):
    joints = json.loads((output / 'metrics.json').read_text())['joints']
    assert joints['visible_per_box'] == 2.0
    assert list(joints['each']) == list(JOINTS)
    assert joints['each']['nose'] == {'visible': 1.0, 'score': 0.9}
    assert joints['each']['right_hip'] == {'visible': 0.0, 'score': None}
    report = (output / 'report.html').read_text()
    for text in ('Joints', 'left hip', '100.0 %', '0.80', '2.0 of 3', 'keypoints.json'):
        assert text in report


def test_skeletons_are_in_the_video(output, recording):
    capture = cv2.VideoCapture(str(output / 'annotated.mp4'))
    images = [capture.read()[1] for _ in SCENES]
    x, y = (int(value) for value in _places(0)[0])
    drawn, plain = images[0][y, x].astype(int), scene(0, 1)[y, x].astype(int)
    # The codec blurs a point of few pixels.
    toward = np.array(track_color(1)) - plain
    assert (drawn - plain) @ toward > 0.3 * toward @ toward


def test_the_same_bytes_every_time(output, recording, model, tmp_path):
    assert _replay(recording, model, tmp_path / 'again') == 0
    again = (tmp_path / 'again' / 'keypoints.json').read_bytes()
    assert again == (output / 'keypoints.json').read_bytes()


def test_backdated_tracks_have_their_joints(recording, model, tmp_path):
    """The third object is not sure enough to be reported at once."""
    parameters = tmp_path / 'tracker.yaml'
    parameters.write_text('birth_threshold: 0.65\n')
    arguments = ['--params-file', parameters]
    images = {}
    for name, more in (('causal', []), ('backdated', ['--backdate'])):
        assert _replay(recording, model, tmp_path / name, *arguments, *more) == 0
        entries = json.loads((tmp_path / name / 'keypoints.json').read_text())
        images[name] = [entry['image_id'] for entry in entries if entry['track_id'] == 3]
        for entry in entries:
            values = np.array(entry['keypoints']).reshape(-1, 3)
            np.testing.assert_allclose(values[:, :2], _places(entry['track_id'] - 1), atol=0.01)
    assert images == {'causal': [3, 5], 'backdated': [2, 3, 5]}


def test_models_without_joints_write_no_file(recording, tmp_path):
    model = write_scripted_model(tmp_path, joints=False, boxes_3d=False)
    assert _replay(recording, model, tmp_path / 'out') == 0
    assert not (tmp_path / 'out' / 'keypoints.json').exists()
    assert 'joints' not in json.loads((tmp_path / 'out' / 'metrics.json').read_text())


def test_images_without_people_or_joints(tmp_path):
    run = make_run([Tracks.empty(), make_tracks([4])])
    write_keypoints(tmp_path / 'keypoints.json', run.records)
    assert json.loads((tmp_path / 'keypoints.json').read_text()) == []
    first = replace(run.records[0], joints=_joints(np.zeros((0, 3))))
    write_keypoints(tmp_path / 'keypoints.json', [first])
    assert json.loads((tmp_path / 'keypoints.json').read_text()) == []


def test_flags(tmp_path):
    (record,) = make_run([make_tracks([7])]).records
    joints = _joints([[True, False, False]], [[0.9, 0.1, 0.0]])
    write_keypoints(tmp_path / 'keypoints.json', [replace(record, joints=joints)])
    (entry,) = json.loads((tmp_path / 'keypoints.json').read_text())
    assert entry['keypoints'] == [0.0, 1.0, 2, 2.0, 3.0, 1, 4.0, 5.0, 0]
    assert entry['track_id'] == 7


def test_figures_count_boxes():
    run = make_run([make_tracks([1, 2]), make_tracks([1]), Tracks.empty()])
    shown = [[[True, True], [True, False]], [[False, False]], np.zeros((0, 2))]
    scores = [[[0.6, 0.4], [0.8, 0.1]], [[0.1, 0.1]], np.zeros((0, 2))]
    records = [
        replace(record, joints=_joints(visible, score))
        for record, visible, score in zip(run.records, shown, scores, strict=True)
    ]
    figures = joint_figures(records, ('nose', 'tail'))
    assert figures['visible_per_box'] == 1.0
    assert figures['each']['nose'] == {'visible': 0.6667, 'score': 0.7}
    assert figures['each']['tail'] == {'visible': 0.3333, 'score': 0.4}


def test_figures_of_no_boxes():
    nothing = {'visible': None, 'score': None}
    expected = {'visible_per_box': None, 'each': {'nose': nothing}}
    assert joint_figures(make_run([Tracks.empty()]).records, ['nose']) == expected
    assert joint_figures([], ['nose']) == expected
