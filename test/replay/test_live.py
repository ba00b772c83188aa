"""Live replay: through DDS and the real node."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from replay_helpers import FRAME_COUNT
from scripted_model import HEIGHT, WIDTH, scene, write_scripted_model

from centertrack_ros.camera_info import Calibration
from centertrack_ros.factory import build_pipeline
from centertrack_ros.replay import command_line as command
from centertrack_ros.replay import live
from centertrack_ros.replay.mot_files import read_mot
from centertrack_ros.replay.offline import run_offline
from centertrack_ros.replay.sources import Frame, open_source
from centertrack_ros.settings import Settings

MISSING = [name for name in ('rclpy', 'vision_msgs') if importlib.util.find_spec(name) is None]
needs_ros = pytest.mark.skipif(
    bool(MISSING), reason=f'needs ROS 2: {", ".join(MISSING)} cannot be imported'
)
# Slow enough for a machine that is busy with other tests.
RATE = 0.2


class _Stamped:
    """Some images with chosen stamps."""

    description = 'images'
    fps = 10.0
    count = None

    def __init__(self, images, stamps_ns):
        self._frames = [
            Frame(image, stamp, 'cam') for image, stamp in zip(images, stamps_ns, strict=True)
        ]

    def __iter__(self):
        return iter(self._frames)


@needs_ros
@pytest.mark.ros
@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_live_gives_what_offline_gives(video_path, tmp_path, transport):
    parameters = tmp_path / 'tracker.yaml'
    parameters.write_text(f'/**:\n  ros__parameters:\n    image_transport: {transport}\n')
    arguments = [str(video_path), '--params-file', str(parameters), '--output']
    mode = ['--mode', 'live', '--rate', str(RATE)]
    assert command.main([*arguments, str(tmp_path / 'offline')]) == 0
    assert command.main([*arguments, str(tmp_path / 'live'), *mode]) == 0
    document = json.loads((tmp_path / 'live' / 'metrics.json').read_text())
    assert (document['frames'], document['dropped']) == (FRAME_COUNT, 0)
    assert (document['mode'], document['rate']) == ('live', RATE)
    assert 0 < document['latency_ms']['p50'] < 5000
    # 0.1 s between the images of the recording.
    assert document['seconds'] > (FRAME_COUNT - 1) * 0.1 / RATE
    assert all(value > 0 for value in document['stage_ms'].values())
    assert 'onnxruntime' in document['engine'] or 'openvino' in document['engine']
    of_live = read_mot(tmp_path / 'live' / 'tracks.txt')
    of_offline = read_mot(tmp_path / 'offline' / 'tracks.txt')
    if transport == 'raw':
        for row, expected in zip(of_live, of_offline, strict=True):
            assert row.ids.tolist() == expected.ids.tolist()
            np.testing.assert_allclose(row.boxes, expected.boxes, atol=2e-3)
    else:
        counts = [len(frames) for frames in of_live], [len(frames) for frames in of_offline]
        assert np.abs(np.subtract(*counts)).max() <= 2


@needs_ros
@pytest.mark.ros
def test_joints_and_boxes_in_space_come_back(tmp_path):
    model = write_scripted_model(tmp_path)
    matrix = np.array([[100, 0, 64, 0], [0, 100, 48, 0], [0, 0, 1, 0]], np.float32)
    calibration = Calibration(matrix, WIDTH, HEIGHT)
    images = [scene(*visible) for visible in ((0, 1), (0, 1), (0, 1, 2), (0, 2), (), (1,))]
    source = _Stamped(images, [1_000_000_000 + index * 100_000_000 for index in range(6)])
    settings = Settings(model=str(model), engine='onnxruntime', threads=1)
    of_live = live.run_live(source, settings, rate=0.5, calibration=calibration)
    pipeline = build_pipeline(settings)
    of_offline = run_offline(source, pipeline, calibration=calibration)
    assert of_live.dropped == 0
    for row, expected in zip(of_live.records, of_offline.records, strict=True):
        assert row.tracks.ids.tolist() == expected.tracks.ids.tolist()
        visible = expected.joints.visible
        np.testing.assert_array_equal(row.joints.visible, visible)
        np.testing.assert_array_equal(
            row.joints.positions, expected.joints.positions * visible[..., None]
        )
        for name in ('middles', 'dimensions', 'yaws', 'covariances', 'known'):
            np.testing.assert_allclose(
                getattr(row.boxes_3d, name), getattr(expected.boxes_3d, name), atol=1e-6
            )
    assert len(of_live.records[2].tracks) == 3
    assert of_live.records[2].joints.visible.any()
    assert of_live.records[2].boxes_3d.known.all()


@needs_ros
@pytest.mark.ros
def test_equal_and_backward_stamps_are_matched_in_their_order(frames):
    stamps_ns = [5_000_000_000, 5_000_000_000, 4_000_000_000, 5_000_000_000]
    source = _Stamped(frames[:4], stamps_ns)
    run = live.run_live(source, Settings(), rate=0.5)
    assert [record.stamp_ns for record in run.records] == stamps_ns
    answered = [record for record in run.records if record.latency_ms is not None]
    assert answered
    assert all(record.latency_ms > 0 for record in answered)
    assert {record.frame_id for record in run.records} == {'cam'}


@needs_ros
@pytest.mark.ros
def test_node_that_cannot_start_is_explained(video_path, tmp_path, model_path):
    broken = tmp_path / 'broken.onnx'
    broken.write_bytes(b'no model')
    broken.with_suffix('.json').write_text(model_path.with_suffix('.json').read_text())
    with pytest.raises(RuntimeError, match=r'the node ended with exit code 1: .*broken'):
        live.run_live(open_source(video_path), Settings(model=str(broken)))


@needs_ros
@pytest.mark.ros
def test_recording_that_breaks_while_it_is_played(video_path, tmp_path, capsys):
    cut = tmp_path / 'cut.avi'
    cut.write_bytes(video_path.read_bytes()[: video_path.stat().st_size // 2])
    arguments = [str(cut), '--output', str(tmp_path / 'out'), '--mode', 'live']
    assert command.main(arguments) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith('error: ')
    assert list(tmp_path.iterdir()) == [cut]


def test_without_ros_the_way_out_is_named(video_path, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'centertrack_ros.ros.replay_session', None)
    arguments = [str(video_path), '--output', str(tmp_path / 'out'), '--mode', 'live']
    assert command.main(arguments) == 2
    assert '--mode offline works without' in capsys.readouterr().err


def test_last_words(tmp_path):
    log = tmp_path / 'node.log'
    log.write_text('')
    assert live._last_words(log) == 'it said nothing'
    log.write_text(
        '[INFO] [1.5] [ns.tracker]: hello\n'
        '[ERROR] [1.6] [ns.tracker]: configure failed: model x does not exist\n'
        '[FATAL] [1.7] [ns.tracker]: cannot start: see the error above\n'
    )
    assert live._last_words(log) == 'configure failed: model x does not exist'
    log.write_text(
        '[ERROR] [1.6] [tracker]: configure failed: Traceback (most recent call last):\n'
        '  File "a.py", line 1\nTypeError: no\n\n[FATAL] [1.7] [tracker]: cannot start\n'
    )
    assert live._last_words(log) == 'TypeError: no'
    log.write_text('Segmentation fault\n')
    assert live._last_words(log) == 'Segmentation fault'


def test_environment_of_the_user_comes_first(monkeypatch):
    domain, span, *profiles = names = (
        'ROS_DOMAIN_ID',
        'ROS_AUTOMATIC_DISCOVERY_RANGE',
        *live.PROFILE_VARIABLES,
    )
    for name in names:
        monkeypatch.delenv(name, raising=False)
    with live.replay_environment():
        assert 1 <= int(os.environ[domain]) <= 101
        assert os.environ[span] == 'LOCALHOST'
        assert Path(os.environ[profiles[0]]).is_file()
        assert profiles[1] not in os.environ
    assert not set(names) & set(os.environ)
    monkeypatch.setenv('ROS_DISTRO', 'humble')
    with live.replay_environment():
        assert Path(os.environ[profiles[1]]).is_file()
        assert profiles[0] not in os.environ
    monkeypatch.setenv(domain, '42')
    monkeypatch.setenv(profiles[1], '/of/the/user.xml')
    with live.replay_environment():
        assert os.environ[domain] == '42'
        assert os.environ[profiles[1]] == '/of/the/user.xml'
        assert not {span, profiles[0]} & set(os.environ)


@pytest.mark.parametrize('rate', [0.0, -1.0, float('nan')])
def test_rate(video_path, rate):
    with pytest.raises(ValueError, match='rate: expected more than 0'):
        live.run_live(open_source(video_path), Settings(), rate=rate)
