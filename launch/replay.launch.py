"""Play a bag into the tracker: `ros2 launch centertrack_ros replay.launch.py bag:=DIR rviz:=true`.

For figures instead of a view, `ros2 run centertrack_ros replay DIR --output OUT` writes a report.
"""

import os
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import EnvironmentVariable, LaunchConfiguration


def generate_launch_description() -> LaunchDescription:
    """The tracker with all arguments of tracker.launch.py, and a bag played by its clock."""
    tracker = Path(__file__).with_name('tracker.launch.py')
    return LaunchDescription(
        [
            DeclareLaunchArgument('bag', description='folder or file of the rosbag2 recording'),
            DeclareLaunchArgument('rate', default_value='1.0', description='speed of playing'),
            DeclareLaunchArgument(
                'loop',
                default_value='false',
                choices=['true', 'false'],
                description='begin again at the end',
            ),
            DeclareLaunchArgument(
                'delay',
                default_value='3.0',
                description='seconds before the bag starts, in which the model is loaded',
            ),
            *_fastdds_profile(),
            # Arguments given to this file reach the included one by themselves.
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(tracker)),
                launch_arguments={'use_sim_time': 'true'}.items(),
            ),
            OpaqueFunction(function=_player),
        ]
    )


def _fastdds_profile() -> list[SetEnvironmentVariable]:
    """Room for raw images from the player to the tracker, unless the user has a profile."""
    profile = str(Path(__file__).parents[1] / 'config' / 'fastdds.xml')
    # Humble knows the second name, later releases the first.
    names = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
    name = names[os.environ.get('ROS_DISTRO') == 'humble']
    return [SetEnvironmentVariable(name, EnvironmentVariable(name, default_value=profile))]


def _player(context: LaunchContext) -> list[ExecuteProcess]:
    """`ros2 bag play`; everything ends with it."""
    value = {
        name: LaunchConfiguration(name).perform(context)
        for name in ('bag', 'rate', 'delay', 'loop')
    }
    command = ['ros2', 'bag', 'play', value['bag'], '--clock']
    command += ['--rate', value['rate'], '--delay', value['delay']]
    if value['loop'] == 'true':
        command.append('--loop')
    return [ExecuteProcess(cmd=command, output='screen', on_exit=Shutdown())]
