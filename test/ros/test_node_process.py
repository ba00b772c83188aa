"""The node as a process of its own: start, signals, exit codes, parameter files."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

TIMEOUT = 60.0
READY = 'waiting for images on'


@contextmanager
def tracker_process(domain_id, *arguments):
    command = [sys.executable, '-m', 'centertrack_ros.ros.node', '--ros-args', *arguments]
    process = subprocess.Popen(
        command,
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain_id)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def parameters(**values):
    return [word for name, value in values.items() for word in ('-p', f'{name}:={value}')]


def read_until(process, words):
    """Output up to and with the line that holds `words`."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return ''.join(lines)
    raise AssertionError(f'ended before {words!r}: {"".join(lines)}')


def finish(process):
    return process.communicate(timeout=TIMEOUT)[0], process.returncode


@pytest.mark.parametrize('when', [READY, 'engine auto'], ids=['active', 'loading'])
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM], ids=['SIGINT', 'SIGTERM'])
def test_a_signal_ends_it_with_exit_code_0(domain_id, number, when):
    with tracker_process(domain_id, *parameters(threads=1)) as process:
        read_until(process, when)
        process.send_signal(number)
        output, code = finish(process)
    assert code == 0, output
    assert 'Traceback' not in output


def test_two_ctrl_c_at_once_end_it_without_a_traceback(domain_id):
    with tracker_process(domain_id, *parameters(threads=1)) as process:
        read_until(process, READY)
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        output, code = finish(process)
    assert code == 0, output
    assert 'Traceback' not in output


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'model': 'no_such_model'}, ('no_such_model', 'centertrack_mobilenetv3')),
        ({'model': '/nowhere/m.onnx'}, ('/nowhere/m.onnx does not exist',)),
        ({'detection_threshold': 2.0}, ('2.0', 'from -1 to 1')),
        ({'threads': -3}, ('-3', 'from 0 to 1024')),
        ({'max_age': 3}, ("'3'", 'float from 0 to 600')),
        ({'engine': 'abacus'}, ('abacus', 'onnxruntime')),
        ({'image_transport': 'pigeon'}, ('pigeon', 'compressed')),
        ({'class_filter': '[unicorn]'}, ('unicorn', 'person')),
        ({'device': 'cuda:99'}, ('cuda:99',)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_a_wrong_parameter_ends_it_with_both_values_in_the_text(domain_id, values, words):
    with tracker_process(domain_id, *parameters(**values)) as process:
        output, code = finish(process)
    assert code == 1
    assert 'FATAL' in output
    assert all(word in output for word in words), output
    assert 'Traceback' not in output


def test_a_model_that_is_none_ends_it_with_the_reason(domain_id, tmp_path):
    model = tmp_path / 'model.onnx'
    model.write_bytes(b'no model')
    model.with_suffix('.json').write_text('{"format": 1}')
    with tracker_process(domain_id, *parameters(model=model)) as process:
        output, code = finish(process)
    assert code == 1
    assert 'model.json is not a valid ModelSpec: missing keys' in output


def test_parameter_file_namespace_and_remapping(domain_id, tmp_path):
    file = tmp_path / 'parameters.yaml'
    file.write_text(
        '/**:\n  ros__parameters:\n    threads: 1\n    class_filter: []\n'
        '    image_transport: compressed\n'
    )
    words = ['--params-file', str(file), '-r', '__ns:=/left', '-r', 'image:=/cam/color']
    with tracker_process(domain_id, *words) as process:
        output = read_until(process, READY)
    assert 'waiting for images on /cam/color/compressed' in output
    assert '[left.tracker]' in output


def test_without_autostart_it_waits(domain_id):
    with tracker_process(domain_id, *parameters(autostart='false')) as process:
        read_until(process, 'autostart is off')
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, code = finish(process)
    assert (code, output) == (0, '')
