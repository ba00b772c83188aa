"""`colcon build` of this package, for real, from a copy of the tree; then what it installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from catkin_pkg.package import parse_package

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = 'centertrack_ros'
PACKAGED = ('launch', 'config', 'models', 'resource', PACKAGE)


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
    """Return the prefix that a plain `colcon build` has installed the package into."""
    return build(tmp_path_factory.mktemp('workspace'))


def build(workspace: Path, *options: str) -> Path:
    """Copy what belongs to the package to `workspace`/src, build it there, return its prefix."""
    source = workspace / 'src' / PACKAGE
    source.mkdir(parents=True)
    for path in ROOT.iterdir():
        if path.name in PACKAGED:
            ignore = shutil.ignore_patterns('__pycache__')
            shutil.copytree(path, source / path.name, ignore=ignore)
        elif path.is_file():
            shutil.copy(path, source)
    command = [sys.executable, '-m', 'colcon', 'build', *options]
    command += ['--packages-select', PACKAGE, '--event-handlers', 'console_direct+']
    run(command, workspace, timeout=120)
    return workspace / 'install' / PACKAGE


def run(command: list[str], cwd: Path, timeout: float, status: int = 0) -> str:
    """Run a command, expect `status`, return all that it said."""
    variables = {**os.environ, 'ROS_LOG_DIR': str(cwd / 'ros_log')}
    variables |= {'ROS_DOMAIN_ID': '83', 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    reply = subprocess.run(
        command,
        cwd=cwd,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    assert reply.returncode == status, reply.stdout[-4000:]
    return reply.stdout


def run_installed(prefix: Path, executable: str, *arguments: str, status: int = 0) -> str:
    """Run an installed executable as a user does: workspace sourced, started by its own path."""
    workspace = prefix.parent.parent
    script = f'source {workspace}/install/local_setup.bash && exec "$0" "$@"'
    path = prefix / 'lib' / PACKAGE / executable
    return run(['bash', '-c', script, str(path), *arguments], workspace, 60, status)


@pytest.mark.parametrize(
    'pattern',
    [
        f'share/ament_index/resource_index/packages/{PACKAGE}',
        f'share/{PACKAGE}/package.xml',
        f'share/{PACKAGE}/launch/tracker.launch.py',
        f'share/{PACKAGE}/launch/replay.launch.py',
        f'share/{PACKAGE}/config/tracker.yaml',
        f'share/{PACKAGE}/config/tracker.rviz',
        f'share/{PACKAGE}/models/README.md',
    ],
)
def test_installs(prefix, pattern):
    assert (prefix / pattern).is_file()


def test_installs_every_model_with_its_spec(prefix):
    models = prefix / 'share' / PACKAGE / 'models'
    shipped = {path.name for path in (ROOT / 'models').glob('*.onnx')}
    assert shipped, 'no model is shipped'
    assert {path.name for path in models.glob('*.onnx')} == shipped
    # The file of another precision shares the JSON of its model.
    for name in shipped:
        assert (models / f'{name.partition(".")[0]}.json').is_file()


def test_installs_the_runtime_package_whole_and_nothing_beside_it(prefix):
    (site_packages,) = prefix.glob('lib/python3*/site-packages')
    top_level = {path.name for path in site_packages.iterdir() if path.suffix != '.egg-info'}
    assert top_level == {PACKAGE}
    installed = {path.relative_to(site_packages) for path in site_packages.rglob('*.py')}
    assert installed == {path.relative_to(ROOT) for path in (ROOT / PACKAGE).rglob('*.py')}


def test_package_xml_is_valid_and_agrees_with_setup_py(prefix):
    declared = parse_package(str(prefix / 'share' / PACKAGE / 'package.xml'))
    (metadata,) = prefix.glob('lib/python3*/site-packages/*.egg-info/PKG-INFO')
    built = dict(line.split(': ', 1) for line in metadata.read_text().splitlines() if ': ' in line)
    assert (declared.name, declared.version) == (built['Name'], built['Version'])
    assert declared.licenses == [built['License']]
    assert declared.get_build_type() == 'ament_python'


def test_does_not_build_the_overlay(prefix):
    assert not (prefix.parent / 'vision_msgs').exists()


def test_replay_starts(prefix):
    assert '--output' in run_installed(prefix, 'replay', '--help')


def test_node_starts_and_explains_a_missing_model(prefix):
    output = run_installed(
        prefix, 'tracker_node', '--ros-args', '-p', 'model:=/no/such/model.onnx', status=1
    )
    assert '/no/such/model.onnx' in output
    assert 'Traceback' not in output


def test_symlink_install_starts_too(tmp_path):
    prefix = build(tmp_path, '--symlink-install')
    assert '--output' in run_installed(prefix, 'replay', '--help')
