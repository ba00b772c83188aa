"""Package description for colcon's ament_python build."""

from glob import glob

from setuptools import find_packages, setup

PACKAGE = 'centertrack_ros'

setup(
    name=PACKAGE,
    version='0.1.0',
    description='Multi-object tracking with CenterTrack networks for ROS 2',
    license='Apache-2.0',
    maintainer='centertrack_ros maintainers',
    maintainer_email='maintainers@centertrack-ros.invalid',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['py.typed']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        (f'share/{PACKAGE}/launch', sorted(glob('launch/*.launch.py'))),
        (
            f'share/{PACKAGE}/config',
            sorted(glob('config/*.yaml') + glob('config/*.rviz') + glob('config/*.xml')),
        ),
        (
            f'share/{PACKAGE}/models',
            sorted(path for path in glob('models/*') if not path.endswith('.partial')),
        ),
    ],
    install_requires=['setuptools'],
    extras_require={'test': ['pytest', 'pytest-timeout']},
    zip_safe=False,
    python_requires='>=3.10',
    entry_points={
        'console_scripts': [
            'tracker_node = centertrack_ros.ros.node:main',
            'replay = centertrack_ros.replay.__main__:main',
        ],
    },
)
