"""The shipped pose model: what MoveNet says, and a person who walks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from centertrack_ros.engines import create_engine
from centertrack_ros.factory import assemble_pipeline, find_model
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.replay.sources import open_source
from centertrack_ros.settings import Settings
from training.models.decode import candidate_rows
from training.models.movenet_multipose import CHANNEL_MEAN, CHANNEL_STD, load_movenet_multipose

IMAGES = ('coco_885', 'penn_1', 'pets_400')
# Scores above which MoveNet shows a person, and counts a joint.
SURE, SEEN = 0.15, 0.127
# Images of the sample clip in which somebody walks in and stands still.
WALK = range(66, 160, 5)
SIDES = ('left', 'right')
# From top to bottom.
PARTS = ('eye', 'shoulder', 'hip', 'knee', 'ankle')


@pytest.fixture(scope='module')
def path():
    return find_model('centertrack_pose')


@pytest.fixture(scope='module')
def spec(path):
    return ModelSpec.load(path)


@pytest.fixture(scope='module')
def engine(path, spec):
    engine = create_engine(
        path, spec, engine='onnxruntime', device='cpu', precision='fp32', threads=1
    )
    yield engine
    engine.close()


@pytest.fixture(scope='module')
def weights_folder(shared_folder):
    return shared_folder / 'weights' / 'movenet_multipose'


def _run(engine, image):
    height, width = image.shape[:2]
    prior = np.zeros((1, 1, height // 4, width // 4), np.float32)
    return engine.run(image[None], image[None], prior)


@pytest.mark.parametrize('name', IMAGES)
def test_joints_are_those_of_the_teacher(engine, spec, weights_folder, name):
    """To 0.005 cells and 1e-4 of the scores, of every person it may show."""
    image = cv2.imread(str(weights_folder / f'{name}.png'))
    found = _run(engine, image)
    values = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        maps = load_movenet_multipose(weights_folder)((values - CHANNEL_MEAN[0]) / CHANNEL_STD[0])
    expected = candidate_rows(maps, spec.max_candidates, box='wh', rules=spec.decode)
    rows = found.scores[0] >= spec.thresholds.detection
    assert rows.sum() > 1
    np.testing.assert_array_equal(found.cells[0, rows], expected['cells'][0, rows])
    np.testing.assert_allclose(found.scores[0, rows], expected['scores'][0, rows], atol=1e-4)
    np.testing.assert_allclose(found.boxes[0, rows], expected['boxes'][0, rows], atol=5e-3)
    joints, teacher = found.keypoints[0, rows], expected['keypoints'][0, rows].numpy()
    np.testing.assert_allclose(joints[..., 2], teacher[..., 2], atol=1e-4)
    np.testing.assert_allclose(joints[..., :2], teacher[..., :2], atol=5e-3)


@pytest.mark.parametrize('name', IMAGES)
def test_persons_are_those_of_the_recording(engine, weights_folder, name):
    """Three of four joints to 0.01 cells; MoveNet's others are slopes of far peaks."""
    image = cv2.imread(str(weights_folder / f'{name}.png'))
    found = _run(engine, image)
    size = np.array([image.shape[1] / 4, image.shape[0] / 4])
    people = np.load(weights_folder / 'reference.npz')[f'{name}_output'][0]
    people = people[people[:, 55] > SURE]
    assert len(people) > 1
    distances = []
    for person in people:
        box = person[[52, 51, 54, 53]] * np.tile(size, 2)
        clipped = found.boxes[0].clip(0, np.tile(size, 2))
        row = np.abs(clipped - box).max(axis=1).argmin()
        np.testing.assert_allclose(clipped[row], box, atol=1e-2)
        expected = person[:51].reshape(17, 3)
        seen = expected[:, 2] > SEEN
        places = expected[seen, 1::-1] * size
        distances.append(np.linalg.norm(found.keypoints[0, row, seen, :2] - places, axis=1))
    distances = np.concatenate(distances)
    assert (distances < 0.01).mean() > 0.75
    assert (distances < 0.5).mean() > 0.95


def test_a_walking_person_is_one_track_with_a_body(engine, spec, data_folder):
    clip = data_folder.parent.parent / 'samples' / 'person_indoor.mp4'
    frames = [frame for number, frame in enumerate(open_source(clip)) if number in WALK]
    pipeline = assemble_pipeline(engine, spec, Settings())
    steps = [pipeline.step(frame.image, frame.stamp) for frame in frames]
    assert [step.tracks.ids.tolist() for step in steps] == [[1]] * len(WALK)
    for step in steps:
        joints = step.detections.keypoints[step.detections.scores.argmax()]
        pairs = [[spec.joints.index(f'{side}_{part}') for side in SIDES] for part in PARTS]
        middles = joints[np.array(pairs)].mean(axis=1)
        assert (np.diff(middles[:, 1]) > 0).all()
        assert (middles[:-1, 2] > SEEN).all()
        left, top, right, bottom = step.tracks.boxes[0]
        margin = 0.15 * (bottom - top)
        assert (joints[:, :2] > (left - margin, top - margin)).all()
        assert (joints[:, :2] < (right + margin, bottom + margin)).all()
