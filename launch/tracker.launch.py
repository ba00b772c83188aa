"""Start the tracker: `ros2 launch centertrack_ros tracker.launch.py image:=/camera/image_raw`.

Several cameras share one node: `cameras:=[front,rear] image:=image_raw` tracks on the images of
`front/image_raw` and `rear/image_raw` and publishes `front/tracks` and `rear/tracks`.

`model:=pose` tracks people with their joints, on `keypoints` too. Models that see depth
(`model:=demo_3d`) need the calibration of the camera, and rectified images: they listen to the
`camera_info` that lies beside the image, or to the topic that `camera_info:=` names.

Defaults live in config/tracker.yaml only: an argument that is not given changes nothing.
"""

from pathlib import Path

import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

from centertrack_ros.settings import parameters

PACKAGE = 'centertrack_ros'
CONFIG = Path(__file__).parents[1] / 'config'
BOOLEANS = ['true', 'false']
# Arguments that set the parameter of the same name when they are given.
PARAMETERS = ('model', 'engine', 'device', 'image_transport')


def generate_launch_description() -> LaunchDescription:
    """Arguments, the node, and RViz if wanted."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'image',
                default_value='image',
                description='topic of the camera, without /compressed; with cameras: below the '
                'name of each',
            ),
            DeclareLaunchArgument(
                'camera_info',
                default_value='',
                description='topic of the calibration, for models that see depth; with cameras: '
                'below the name of each; empty = camera_info beside the image',
            ),
            DeclareLaunchArgument(
                'cameras',
                default_value='',
                description='names of several cameras, [front,rear]; empty = what the parameter '
                'file says, and one camera if it says nothing',
            ),
            *_parameter_arguments(),
            DeclareLaunchArgument(
                'params_file',
                default_value=str(CONFIG / 'tracker.yaml'),
                description='parameter file of the node',
            ),
            DeclareLaunchArgument(
                'namespace', default_value='', description='of the node and its topics'
            ),
            _boolean('rviz', 'show the overlay in RViz, and boxes in space where the model has'),
            DeclareLaunchArgument(
                'fixed_frame',
                default_value='camera',
                description='of RViz: the frame of the images, or one that tf connects with it',
            ),
            _boolean('use_sim_time', 'follow /clock'),
            DeclareLaunchArgument(
                'log_level',
                default_value='info',
                choices=['debug', 'info', 'warn', 'error', 'fatal'],
                description='of the node',
            ),
            OpaqueFunction(function=_tracker),
            _rviz(),
        ]
    )


def _parameter_arguments() -> list[DeclareLaunchArgument]:
    table = {row.name: row for row in parameters()}
    return [
        DeclareLaunchArgument(
            name,
            default_value='',
            choices=['', *table[name].choices] if table[name].choices else None,
            description=f'{table[name].description}; empty = what the parameter file says',
        )
        for name in PARAMETERS
    ]


def _boolean(name: str, description: str) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(
        name, default_value='false', choices=BOOLEANS, description=description
    )


def _tracker(context: LaunchContext) -> list[Node]:
    """The node, with the parameters that were given on the command line."""
    values = {name: LaunchConfiguration(name).perform(context) for name in PARAMETERS}
    # With a type, or launch_ros would read the text as YAML: a model called 1 becomes a number.
    given = {
        name: ParameterValue(value, value_type=str) for name, value in values.items() if value
    }
    cameras = _cameras(LaunchConfiguration('cameras').perform(context))
    if cameras:
        given['cameras'] = cameras
    image = LaunchConfiguration('image').perform(context)
    # As image_transport finds it.
    beside = f'{image.rpartition("/")[0]}/camera_info' if '/' in image else 'camera_info'
    topics = {
        'image': image,
        'camera_info': LaunchConfiguration('camera_info').perform(context) or beside,
    }
    node = Node(
        package=PACKAGE,
        executable='tracker_node',
        name='tracker',
        namespace=LaunchConfiguration('namespace'),
        parameters=[
            ParameterFile(LaunchConfiguration('params_file'), allow_substs=True),
            {**given, 'use_sim_time': _use_sim_time()},
        ],
        remappings=[
            *topics.items(),
            *(
                (f'{name}/{topic}', f'{name}/{other}')
                for name in cameras
                for topic, other in topics.items()
            ),
        ],
        ros_arguments=['--log-level', LaunchConfiguration('log_level')],
        output='screen',
    )
    return [node]


def _cameras(text: str) -> list[str]:
    names = yaml.safe_load(text) if text else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RuntimeError(f'cameras: expected a list of names, [front,rear]; received {text!r}')
    return names


def _rviz() -> Node:
    return Node(
        package='rviz2',
        executable='rviz2',
        namespace=LaunchConfiguration('namespace'),
        arguments=['-d', str(CONFIG / 'tracker.rviz'), '-f', LaunchConfiguration('fixed_frame')],
        parameters=[{'use_sim_time': _use_sim_time()}],
        # The file names the topics of a tracker without namespace.
        remappings=[(f'/{name}', name) for name in ('overlay', 'tracks_3d', 'markers')],
        condition=IfCondition(LaunchConfiguration('rviz')),
    )


def _use_sim_time() -> ParameterValue:
    return ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)
