"""Joints through the loop, with a real engine whose model is scripted."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_model import BOXES, JOINT_SCORES, JOINTS, STRIDE, scene, write_scripted_model

from centertrack_ros.factory import build_pipeline, update_pipeline
from centertrack_ros.settings import Settings

SETTINGS = {'engine': 'onnxruntime', 'threads': 1, 'camera_motion': False}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('joints')


@pytest.fixture(scope='module')
def model(folder):
    return str(write_scripted_model(folder, boxes_3d=False))


def _pipeline(model, **values):
    return build_pipeline(Settings.from_mapping({'model': model, **SETTINGS, **values}))


def _places(row):
    corners = np.array(BOXES[row], np.float32) * STRIDE
    return (corners[:2] + corners[2:]) / 2 + STRIDE * np.arange(3)[:, None] * [0.25, -0.5]


def test_joints_are_those_of_the_tracks(model):
    pipeline = _pipeline(model)
    for image in range(4):
        result = pipeline.step(scene(0, 1, 2), image * 0.1)
        assert len(result.joints) == len(result.tracks) == 3
        for track, detection in enumerate(result.tracks.detection_indices):
            np.testing.assert_allclose(result.joints.positions[track], _places(detection))
        np.testing.assert_allclose(result.joints.scores, [JOINT_SCORES] * 3)
        assert result.joints.visible.tolist() == [[True, True, False]] * 3


def test_a_missed_track_keeps_its_joints_for_a_moment(model):
    pipeline = _pipeline(model)
    for image in range(3):
        before = pipeline.step(scene(0, 1), image * 0.1)
    result = pipeline.step(scene(1), 0.3)
    assert result.tracks.misses.tolist() == [1, 0]
    np.testing.assert_allclose(result.joints.positions, before.joints.positions, atol=0.01)
    np.testing.assert_allclose(
        result.joints.scores[0, :2], np.array(JOINT_SCORES[:2]) * 2 / 3, rtol=1e-4
    )
    assert result.joints.visible[0].tolist() == [True, True, False]
    for image in range(4, 6):
        result = pipeline.step(scene(1), image * 0.1)
    assert not result.joints.visible[0].any()
    assert result.joints.visible[1].tolist() == [True, True, False]


def test_nothing_seen(model):
    result = _pipeline(model).step(scene(), 0.0)
    assert result.joints.positions.shape == (0, len(JOINTS), 2)


def test_reset_begins_anew(model):
    pipeline = _pipeline(model)
    for image in range(3):
        pipeline.step(scene(0), image * 0.1)
    pipeline.reset()
    # The one that is missed here is not the one of before.
    result = pipeline.step(scene(1), 0.3)
    assert result.tracks.ids.tolist() == [1]
    np.testing.assert_allclose(result.joints.positions[0], _places(1))


def test_parameters_reach_the_filter_and_change_live(model):
    pipeline = _pipeline(model, joint_threshold=0.85, smooth_joints=False)
    joints = pipeline.followers.joints
    assert (joints.threshold, joints.smooth) == (0.85, False)
    result = pipeline.step(scene(0), 0.0)
    assert result.joints.visible.tolist() == [[True, False, False]]
    update_pipeline(pipeline, Settings.from_mapping({'model': model, 'joint_threshold': 0.0}))
    assert pipeline.followers.joints is joints
    assert (joints.threshold, joints.smooth) == (0.0, True)
    assert pipeline.step(scene(0), 0.1).joints.visible.all()


def test_models_without_joints_have_none(tmp_path):
    pipeline = _pipeline(str(write_scripted_model(tmp_path, joints=False, boxes_3d=False)))
    assert pipeline.followers.joints is None
    assert pipeline.step(scene(0), 0.0).joints is None
    update_pipeline(pipeline, Settings.from_mapping({'joint_threshold': 0.5}))
