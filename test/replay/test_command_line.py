"""The command line with the shipped model on real images."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from replay_helpers import FRAME_COUNT
from rosbags.rosbag2 import Reader

from centertrack_ros.factory import build_pipeline
from centertrack_ros.replay import command_line as command
from centertrack_ros.replay.metrics import evaluate
from centertrack_ros.replay.mot_files import format_mot, read_mot
from centertrack_ros.replay.output import OUTPUT_NAMES

ROOT = Path(__file__).resolve().parents[2]


def _run(*arguments):
    return command.main([str(argument) for argument in arguments])


def _messages(path):
    with Reader(path) as reader:
        return [(time, bytes(data)) for _, time, data in reader.messages()]


@pytest.fixture(scope='module')
def first_output(video_path, tmp_path_factory):
    """An offline replay with everything on."""
    output = tmp_path_factory.mktemp('replay') / 'out'
    assert _run(video_path, '--output', output, '--video') == 0
    return output


@pytest.fixture(scope='module')
def own_truth(first_output, tmp_path_factory):
    """The tracks of that replay as a ground truth, which it must agree with in full."""
    path = tmp_path_factory.mktemp('truth') / 'gt.txt'
    path.write_text((first_output / 'tracks.txt').read_text())
    return path


def _error(capsys):
    captured = capsys.readouterr()
    assert captured.out == ''
    lines = captured.err.strip().splitlines()
    assert [line for line in lines if line.startswith('error: ')] == lines[-1:]
    assert 'Traceback' not in captured.err
    return lines[-1]


def test_all_files_are_there(first_output):
    special = {'boxes_3d.json', 'keypoints.json'}  # of other models
    assert {path.name for path in first_output.iterdir()} == set(OUTPUT_NAMES) - special
    document = json.loads((first_output / 'metrics.json').read_text())
    assert document['frames'] == FRAME_COUNT
    assert document['dropped'] == 0
    assert document['mode'] == 'offline'
    assert document['fps'] > 0
    assert set(document['latency_ms']) == {'p50', 'p95', 'p99'}
    assert set(document['stage_ms']) == {'preprocess', 'render', 'network', 'decode', 'track'}
    assert all(value > 0 for value in document['stage_ms'].values())
    # People stand in every image of this clip.
    tracks = read_mot(first_output / 'tracks.txt')
    assert len(tracks) == FRAME_COUNT
    ids = {int(track_id) for frame in tracks for track_id in frame.ids}
    assert document['tracks'] == len(ids) >= 3
    assert document['boxes'] == sum(map(len, tracks))
    assert len(_messages(first_output / 'tracks_bag')) == FRAME_COUNT
    assert cv2.VideoCapture(str(first_output / 'annotated.mp4')).read()[0]


def test_offline_is_deterministic(first_output, video_path, tmp_path):
    assert _run(video_path, '--output', tmp_path / 'again') == 0
    text = (tmp_path / 'again' / 'tracks.txt').read_bytes()
    assert text == (first_output / 'tracks.txt').read_bytes()
    messages = _messages(tmp_path / 'again' / 'tracks_bag')
    assert messages == _messages(first_output / 'tracks_bag')


def test_same_tracks_from_bag_folder_and_video(first_output, video_path, frames, tmp_path):
    from centertrack_ros.replay.make_bag import make_bag
    from centertrack_ros.replay.sources import open_source

    make_bag(open_source(video_path), tmp_path / 'bag', storage='mcap')
    (tmp_path / 'images').mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / 'images' / f'{number}.png'), frame)
    expected = (first_output / 'tracks.txt').read_text()
    assert _run(tmp_path / 'bag', '--output', tmp_path / 'a') == 0
    assert _run(tmp_path / 'images', '--fps', 10, '--output', tmp_path / 'b') == 0
    assert (tmp_path / 'a' / 'tracks.txt').read_text() == expected
    assert (tmp_path / 'b' / 'tracks.txt').read_text() == expected


def test_ground_truth(own_truth, video_path, tmp_path, capsys):
    arguments = [video_path, '--classes', 'person', '--output', tmp_path / 'out']
    assert _run(*arguments, '--gt', own_truth) == 0
    document = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    # The file is compared as anybody else would compare it.
    expected = evaluate(read_mot(own_truth), read_mot(tmp_path / 'out' / 'tracks.txt'))
    assert {name: document[name] for name in expected} == expected
    # The truth has more classes than people.
    assert 70.0 < document['MOTA'] < 100.0
    assert document['ground_truth'] == {'file': 'gt.txt', 'class': 'person'}
    printed = capsys.readouterr().out
    for text in (f'MOTA {document["MOTA"]:.1f}', 'p95', 'dropped', str(tmp_path / 'out')):
        assert text in printed


def test_parameter_file_and_options(video_path, tmp_path):
    parameters = tmp_path / 'tracker.yaml'
    parameters.write_text('/**:\n  ros__parameters:\n    detection_threshold: 1.0\n')
    assert _run(video_path, '--params-file', parameters, '--output', tmp_path / 'out') == 0
    document = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert (document['tracks'], document['boxes']) == (0, 0)
    assert document['settings']['detection_threshold'] == 1.0
    assert (tmp_path / 'out' / 'tracks.txt').read_text() == ''


def test_shipped_parameter_file(first_output, own_truth, video_path, tmp_path):
    arguments = ['--params-file', ROOT / 'config' / 'tracker.yaml', '--gt', own_truth]
    assert _run(video_path, '--output', tmp_path / 'out', *arguments) == 0
    text = (tmp_path / 'out' / 'tracks.txt').read_text()
    assert text == (first_output / 'tracks.txt').read_text()


def test_backdating_adds_boxes_to_the_same_tracks(first_output, video_path, tmp_path):
    assert _run(video_path, '--output', tmp_path / 'out', '--backdate') == 0
    causal = json.loads((first_output / 'metrics.json').read_text())
    backdated = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert (causal['backdated'], backdated['backdated']) == (False, True)
    assert 'back-dated' in (tmp_path / 'out' / 'report.html').read_text()
    assert 'back-dated' not in (first_output / 'report.html').read_text()
    assert backdated['tracks'] == causal['tracks']
    before = set((first_output / 'tracks.txt').read_text().splitlines())
    after = set((tmp_path / 'out' / 'tracks.txt').read_text().splitlines())
    assert before < after


def test_output_is_replaced_but_not_by_a_failure(video_path, tmp_path, capsys):
    output = tmp_path / 'out'
    assert _run(video_path, '--output', output) == 0
    before = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}
    cut = tmp_path / 'cut.avi'
    cut.write_bytes(video_path.read_bytes()[: video_path.stat().st_size // 2])
    capsys.readouterr()
    assert _run(cut, '--output', output) == 2
    assert 'breaks off' in _error(capsys)
    assert {path.name: path.stat().st_mtime_ns for path in output.iterdir()} == before
    assert {path.name for path in tmp_path.iterdir()} == {'out', 'cut.avi'}
    assert _run(video_path, '--output', output) == 0


def _inputs(tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'text.mp4').write_text('hello')
    (tmp_path / 'bag').mkdir()
    (tmp_path / 'bag' / 'metadata.yaml').write_text('rosbag2_bagfile_information: 3')
    return {name: tmp_path / name for name in ('missing', 'empty', 'text.mp4', 'bag')}


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('missing', 'does not exist'),
        ('empty', 'expected image files'),
        ('text.mp4', 'cannot open it as a video'),
        ('bag', 'expected a rosbag2'),
    ],
)
def test_broken_and_empty_input(tmp_path, capsys, name, message):
    path = _inputs(tmp_path)[name]
    before = set(tmp_path.rglob('*'))
    assert _run(path, '--output', tmp_path / 'out' / 'deep') == 2
    assert message in _error(capsys)
    assert set(tmp_path.rglob('*')) == before


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--model', 'nothing'], 'shipped models'),
        (['--model', '/nowhere/model.onnx'], 'does not exist'),
        (['--classes', 'unicorn'], "['unicorn'] are unknown"),
        (['--params-file', '/nowhere.yaml'], 'nowhere.yaml'),
        (['--gt', '/nowhere.txt'], 'nowhere.txt'),
        (['--topic', '/image'], 'no topic'),
        (['--mode', 'live', '--backdate'], 'cannot report the past'),
    ],
)
def test_wrong_options(video_path, tmp_path, capsys, arguments, message):
    assert _run(video_path, '--output', tmp_path / 'out', *arguments) == 2
    assert message in _error(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('text', 'arguments', 'message'),
    [
        ('1,1,0,0,5,5,1,-1,-1,-1\n', ['--gt-class', 'unicorn'], '--gt-class'),
        ('1,1,0,0,5,5,1,-1,-1,-1\n', ['--classes', 'car'], 'only car are tracked'),
        ('nonsense\n', [], 'line 1'),
        ('', [], 'no object'),
        ('99,1,0,0,5,5,1,-1,-1,-1\n', [], 'at most 12 images'),
    ],
)
def test_wrong_ground_truth(video_path, tmp_path, capsys, text, arguments, message):
    (tmp_path / 'gt.txt').write_text(text)
    arguments = ['--gt', tmp_path / 'gt.txt', *arguments]
    assert _run(video_path, '--output', tmp_path / 'out', *arguments) == 2
    assert message in _error(capsys)
    assert not (tmp_path / 'out').exists()


def test_output_that_is_not_ours(video_path, tmp_path, capsys):
    (tmp_path / 'tracks.txt').write_text('precious')
    assert _run(video_path, '--output', tmp_path) == 2
    assert 'tracks.txt' in _error(capsys)
    assert (tmp_path / 'tracks.txt').read_text() == 'precious'


def test_interrupt(video_path, tmp_path, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, 'run_offline', interrupted)
    assert _run(video_path, '--output', tmp_path / 'out') == 130
    assert 'interrupted' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_interrupt_that_a_library_swallows(video_path, tmp_path, capsys, monkeypatch):
    def build(settings):
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        return build_pipeline(settings)

    monkeypatch.setattr(command, 'build_pipeline', build)
    assert _run(video_path, '--output', tmp_path / 'out') == 130
    assert 'interrupted' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_offline_replay_imports_no_ros(video_path, tmp_path):
    code = (
        'import sys\n'
        'from centertrack_ros.replay.__main__ import main\n'
        f'assert main([{str(video_path)!r}, "--output", {str(tmp_path / "out")!r}]) == 0\n'
        'assert not {"rclpy", "sensor_msgs", "vision_msgs"} & set(sys.modules), sys.modules\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)


def test_missing_package_is_named(video_path, tmp_path, capsys, monkeypatch):
    from centertrack_ros.replay.__main__ import main

    monkeypatch.setitem(sys.modules, 'trackeval.metrics', None)
    for name in ('command_line', 'evaluation', 'metrics'):
        monkeypatch.delitem(sys.modules, f'centertrack_ros.replay.{name}')
        monkeypatch.delattr(f'centertrack_ros.replay.{name}')
    assert main([str(video_path), '--output', str(tmp_path / 'out')]) == 2
    assert "needs the Python package 'trackeval.metrics': pip install" in _error(capsys)


def test_termination_cleans_up(tmp_path, clip_path):
    arguments = [str(clip_path), '--output', str(tmp_path / 'out')]
    process = subprocess.Popen(
        [sys.executable, '-m', 'centertrack_ros.replay', *arguments],
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    deadline = time.monotonic() + 60.0
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.iterdir())
    process.terminate()
    _, text = process.communicate(timeout=60.0)
    assert process.returncode == 130
    assert b'interrupted' in text
    assert list(tmp_path.iterdir()) == []


def test_usage_errors_exit_with_2(video_path, capsys):
    for arguments in ([], [video_path], [video_path, '--output', 'x', '--rate', '0']):
        with pytest.raises(SystemExit) as exit_info:
            _run(*arguments)
        assert exit_info.value.code == 2
    assert 'expected more than 0' in capsys.readouterr().err


def test_tracks_file_is_what_the_bag_holds(first_output):
    from centertrack_ros.model_spec import ModelSpec
    from centertrack_ros.replay.bag_types import TRACKS_TYPE, typestore
    from centertrack_ros.replay.records import FrameRecord
    from centertrack_ros.replay.result_messages import tracks_from_msg

    classes = ModelSpec.load(command.find_model('centertrack_mobilenetv3')).classes
    frames = []
    for stamp_ns, data in _messages(first_output / 'tracks_bag'):
        message = typestore().deserialize_cdr(data, TRACKS_TYPE)
        frames.append(
            FrameRecord(stamp_ns, 'camera', tracks_from_msg(message, classes), 1.0).boxes()
        )
    text = (first_output / 'tracks.txt').read_text()
    expected = read_mot(first_output / 'tracks.txt')
    assert format_mot(expected) == text
    for frame, row in zip(frames, expected, strict=True):
        order = np.argsort(frame.ids)
        assert frame.ids[order].tolist() == row.ids.tolist()
        np.testing.assert_allclose(frame.boxes[order], row.boxes, atol=2e-3)
