"""The node as a process of its own: start, signals, exit codes, parameter files."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import rclpy
from harness import RELIABLE, Client, clip_frames, make_image
from rclpy.context import Context
from sensor_msgs.msg import Image

TIMEOUT = 60.0
READY = 'waiting for images on'
ROOT = Path(__file__).parents[2]
SEND_TO_A_BEST_EFFORT_NODE = """
import signal, sys
import rclpy
from harness import RELIABLE, Client, clip_frames, make_image
from sensor_msgs.msg import Image
from test_node_process import parameters, tracker_process
context = rclpy.Context()
rclpy.init(context=context)
client = Client(context, kind=Image, image_qos=RELIABLE, tracks_qos=RELIABLE)
arguments = parameters(threads=1, image_reliability='best_effort')
with tracker_process(int(sys.argv[1]), *arguments) as process:
    client.wait_for(client.images.get_subscription_count, 'the subscription')
    client.wait_for(lambda: client.diagnostics, 'diagnostics')
    for index, frame in enumerate(clip_frames(20)):
        count = len(client.tracks)
        client.images.publish(make_image(frame, 1.0 + index * 0.1))
        for _ in range(100):
            client.spin(0.02)
            if len(client.tracks) > count:
                break
    print(len(client.tracks))
    process.send_signal(signal.SIGINT)
    process.wait(20)
client.close()
context.try_shutdown()
"""


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


def test_a_signal_while_images_arrive_ends_it_with_exit_code_0(domain_id):
    context = Context()
    rclpy.init(context=context, domain_id=domain_id)
    client = Client(context, kind=Image, image_qos=RELIABLE, tracks_qos=RELIABLE)
    frame = clip_frames(1)[0]
    try:
        with tracker_process(domain_id, *parameters(threads=1)) as process:
            client.wait_for(client.images.get_subscription_count, 'the subscription')
            client.wait_for(lambda: client.diagnostics, 'diagnostics')
            for index in range(30):
                client.images.publish(make_image(frame, 1.0 + index * 0.02))
                client.spin(0.02)
            process.send_signal(signal.SIGINT)
            output, code = finish(process)
    finally:
        client.close()
        context.try_shutdown()
    assert code == 0, output
    assert 'rejected' not in output
    assert 'Traceback' not in output


def test_many_ctrl_c_end_it_without_a_traceback(domain_id):
    # `ros2 launch` repeats the one that the terminal has sent to both.
    with tracker_process(domain_id, *parameters(threads=1)) as process:
        read_until(process, READY)
        end = time.monotonic() + TIMEOUT
        while process.poll() is None and time.monotonic() < end:
            process.send_signal(signal.SIGINT)
            time.sleep(0.005)
        output, code = finish(process)
    assert code == 0, output
    assert 'Traceback' not in output


def test_no_large_image_is_lost_between_processes(domain_id):
    context = Context()
    rclpy.init(context=context, domain_id=domain_id)
    client = Client(context, kind=Image, image_qos=RELIABLE, tracks_qos=RELIABLE)
    try:
        with tracker_process(domain_id, *parameters(threads=1)) as process:
            client.wait_for(client.images.get_subscription_count, 'the subscription')
            client.wait_for(lambda: client.diagnostics, 'diagnostics')
            for index, frame in enumerate(clip_frames(20)):
                assert client.send(make_image(frame, 1.0 + index * 0.1))
            values = client.next_status()
            process.send_signal(signal.SIGINT)
            output, code = finish(process)
    finally:
        client.close()
        context.try_shutdown()
    assert (values['received'], values['rejected']) == ('20', '0')
    assert code == 0, output


def test_best_effort_loses_little_with_the_fastdds_profile(domain_id):
    # In a process of its own: Fast DDS reads the profile when its first participant is made.
    profile = ROOT / 'config' / 'fastdds.xml'
    environment = {
        **os.environ,
        'ROS_DOMAIN_ID': str(domain_id),
        'FASTDDS_DEFAULT_PROFILES_FILE': str(profile),
        'PYTHONPATH': os.pathsep.join([str(ROOT), str(Path(__file__).parent)]),
    }
    reply = subprocess.run(
        [sys.executable, '-c', SEND_TO_A_BEST_EFFORT_NODE, str(domain_id)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    # Without the profile it is 5 to 10 of 20.
    assert reply.stdout.strip().isdecimal(), reply.stderr
    assert int(reply.stdout) >= 18


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({'model': 'no_such_model'}, ('no_such_model', "'mobilenetv3'")),
        ({'model': '/nowhere/m.onnx'}, ('/nowhere/m.onnx does not exist',)),
        ({'detection_threshold': 2.0}, ('2.0', 'from -1 to 1')),
        ({'threads': -3}, ('-3', 'from 0 to 1024')),
        ({'max_age': 3}, ("'3'", 'float from 0 to 600')),
        ({'engine': 'abacus'}, ('abacus', 'onnxruntime')),
        ({'image_transport': 'pigeon'}, ('pigeon', 'compressed')),
        ({'class_filter': '[unicorn]'}, ('unicorn', 'person')),
        ({'device': 'cuda:99'}, ('cuda:99',)),
        ({'cameras': '[front, front]'}, ("'front' twice",)),
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


def test_images_of_each_camera_can_be_remapped(domain_id):
    words = ['-p', 'cameras:=[front, rear]', '-p', 'threads:=1', '-r', '__ns:=/car']
    words += ['-r', 'front/image:=/usb_cam/image_raw']
    with tracker_process(domain_id, *words) as process:
        output = read_until(process, READY)
    assert 'waiting for images on /usb_cam/image_raw, /car/rear/image' in output


def test_without_autostart_it_waits(domain_id):
    with tracker_process(domain_id, *parameters(autostart='false')) as process:
        read_until(process, 'autostart is off')
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, code = finish(process)
    assert (code, output) == (0, '')
