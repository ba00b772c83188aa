"""The launch files, run for real with a node and topics."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
import yaml
from harness import BEST_EFFORT, RELIABLE, make_jpeg
from rclpy.context import Context
from scripted_model import write_scripted_model
from sensor_msgs.msg import CompressedImage
from vision_msgs.msg import Detection2DArray

launch_ros = pytest.importorskip(
    'launch_ros', reason='launch_ros comes with a ROS installation, not with the ROS wheels'
)
from launch import LaunchContext, LaunchService  # noqa: E402
from launch.launch_description_sources import PythonLaunchDescriptionSource  # noqa: E402
from launch_ros.actions import Node  # noqa: E402

ROOT = Path(__file__).parents[2]
TIMEOUT = 60.0
# What `ros2 launch` does, without needing its command line.
SCRIPT = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [word.split(':=', 1) for word in sys.argv[2:]]
source = PythonLaunchDescriptionSource(sys.argv[1])
service = LaunchService()
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""


@pytest.fixture
def environment(tmp_path, domain_id):
    """Variables with which this source tree looks like an installed package."""
    prefix = tmp_path / 'install'
    share = prefix / 'share' / 'centertrack_ros'
    share.mkdir(parents=True)
    for name in ('package.xml', 'launch', 'config', 'models'):
        (share / name).symlink_to(ROOT / name)
    index = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'centertrack_ros').touch()
    executable = prefix / 'lib' / 'centertrack_ros' / 'tracker_node'
    executable.parent.mkdir(parents=True)
    executable.write_text(
        f'#!{sys.executable}\nimport sys\nfrom centertrack_ros.ros.node import main\n'
        'sys.exit(main())\n'
    )
    executable.chmod(0o755)
    joined = {
        name: os.pathsep.join(filter(None, [str(path), os.environ.get(name)]))
        for name, path in (('AMENT_PREFIX_PATH', prefix), ('PYTHONPATH', ROOT))
    }
    log_folder = {'ROS_LOG_DIR': str(tmp_path / 'log')}
    return {**os.environ, **joined, **log_folder, 'ROS_DOMAIN_ID': str(domain_id)}


def start_launch(environment, file, *arguments):
    share = environment['AMENT_PREFIX_PATH'].split(os.pathsep)[0]
    path = Path(share) / 'share' / 'centertrack_ros' / 'launch' / file
    return subprocess.Popen(
        [sys.executable, '-c', SCRIPT, str(path), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    try:
        return process.communicate(timeout=TIMEOUT)[0]
    finally:
        process.kill()


def description_of(file):
    return PythonLaunchDescriptionSource(str(ROOT / 'launch' / file)).get_launch_description(
        LaunchContext(argv=LaunchService().context.argv)
    )


def test_arguments():
    tracker = {entry.name for entry in description_of('tracker.launch.py').get_launch_arguments()}
    assert tracker >= {'image', 'model', 'engine', 'params_file', 'namespace', 'rviz'}
    assert tracker >= {'use_sim_time', 'log_level', 'image_transport', 'device', 'cameras'}
    assert tracker >= {'camera_info', 'fixed_frame'}
    entries = description_of('replay.launch.py').get_launch_arguments()
    assert {entry.name for entry in entries} >= tracker | {'bag', 'rate', 'loop', 'delay'}


def test_rviz_is_started_only_when_wanted():
    entities = description_of('tracker.launch.py').entities
    (rviz,) = [entity for entity in entities if isinstance(entity, Node)]
    context = LaunchContext()
    for value, expected in (('true', True), ('false', False)):
        context.launch_configurations['rviz'] = value
        assert rviz.condition.evaluate(context) is expected


def test_launched_tracker_answers_with_all_arguments_in_force(environment, domain_id, tmp_path):
    file = tmp_path / 'parameters.yaml'
    file.write_text(yaml.safe_dump({'/**': {'ros__parameters': {'threads': 1, 'max_gap': 9.0}}}))
    arguments = ['namespace:=left', 'image:=/cam/color', 'image_transport:=compressed']
    arguments += ['engine:=onnxruntime', 'log_level:=info', 'use_sim_time:=true']
    process = start_launch(environment, 'tracker.launch.py', *arguments, f'params_file:={file}')
    context = Context()
    rclpy.init(context=context, domain_id=domain_id)
    try:
        node = rclpy.create_node('client', context=context)
        executor = rclpy.executors.SingleThreadedExecutor(context=context)
        executor.add_node(node)
        images = node.create_publisher(CompressedImage, '/cam/color/compressed', RELIABLE)
        tracks = []
        node.create_subscription(Detection2DArray, '/left/tracks', tracks.append, BEST_EFFORT)
        image = make_jpeg(np.zeros((120, 160, 3), np.uint8), 1.5)
        end = time.monotonic() + TIMEOUT
        while not tracks and time.monotonic() < end and process.poll() is None:
            images.publish(image)
            executor.spin_once(timeout_sec=0.3)
        executor.shutdown()
        node.destroy_node()
    finally:
        context.try_shutdown()
        process.send_signal(signal.SIGINT)
        output = finish(process)
    assert tracks, output
    assert tracks[0].header == image.header
    assert process.returncode == 0, output
    assert 'process has finished cleanly' in output
    assert 'Traceback' not in output


def test_cameras_get_a_topic_each(environment):
    arguments = ['cameras:=[front, rear]', 'image:=image_raw', 'engine:=onnxruntime']
    process = start_launch(environment, 'tracker.launch.py', *arguments)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if 'waiting for images on' in line:
            break
    process.send_signal(signal.SIGINT)
    finish(process)
    assert 'waiting for images on /front/image_raw, /rear/image_raw' in lines[-1], ''.join(lines)


@pytest.mark.parametrize(
    ('arguments', 'topic'),
    [
        (['image:=/cam/image_rect'], '/cam/camera_info'),
        (['namespace:=left'], '/left/camera_info'),
        (['cameras:=[front]', 'image:=rgb/image', 'camera_info:=lens'], '/front/lens'),
    ],
)
def test_camera_info_lies_beside_the_image_or_where_it_is_said(
    environment, domain_id, tmp_path, arguments, topic
):
    model = write_scripted_model(tmp_path)
    arguments = [f'model:={model}', 'engine:=onnxruntime', *arguments]
    process = start_launch(environment, 'tracker.launch.py', *arguments)
    context = Context()
    rclpy.init(context=context, domain_id=domain_id)
    try:
        node = rclpy.create_node('client', context=context)
        end = time.monotonic() + TIMEOUT
        while not node.count_subscribers(topic) and time.monotonic() < end:
            assert process.poll() is None
            time.sleep(0.1)
        assert node.count_subscribers(topic) == 1
        node.destroy_node()
    finally:
        context.try_shutdown()
        process.send_signal(signal.SIGINT)
        output = finish(process)
    assert process.returncode == 0, output


def test_cameras_that_are_no_list_are_refused(environment):
    process = start_launch(environment, 'tracker.launch.py', 'cameras:=front')
    output = finish(process)
    assert process.returncode != 0
    assert "received 'front'" in output


def test_a_wrong_choice_is_refused(environment):
    process = start_launch(environment, 'tracker.launch.py', 'engine:=abacus')
    output = finish(process)
    assert process.returncode != 0
    assert 'abacus' in output


def test_a_wrong_model_is_explained(environment):
    # A name that YAML would read as a number arrives as the text that it is.
    process = start_launch(environment, 'tracker.launch.py', 'model:=1')
    output = finish(process)
    assert "model '1': expected the path" in output
    assert 'process has died' in output


def test_replay_ends_with_the_bag(environment, tmp_path):
    if (
        b'play'
        not in subprocess.run(
            ['sh', '-c', 'ros2 bag --help'], capture_output=True, env=environment, check=False
        ).stdout
    ):
        pytest.skip('ros2 bag comes with a ROS installation, not with the ROS wheels')
    process = start_launch(environment, 'replay.launch.py', f'bag:={tmp_path / "none"}')
    output = finish(process)
    assert 'none' in output
