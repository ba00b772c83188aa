#!/usr/bin/env python3
"""Make `.venv`: pinned packages, ROS 2 from wheels, and the vision_msgs overlay built into it.

Needs nothing but the standard library. Afterwards plain `.venv/bin/python` has everything, with no
file to source, because the overlay is installed into the environment's own prefix.

Where the calling interpreter can already import rclpy and vision_msgs (a ROS installation for this
Python is sourced), that ROS is used: neither wheels nor overlay are installed.

A step is recorded in `.venv/setup_stamp.json` only once it has succeeded, keyed by the content of
what went into it. A second run therefore takes no time, and a run that was cut short is taken up
again at the step that failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from setup_support import (
    SetupError,
    Stamp,
    clean_environment,
    content_key,
    one_at_a_time,
    run_logged,
    run_quietly,
    step,
)

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / 'requirements'
CONSTRAINTS = REQUIREMENTS / 'constraints.txt'
OVERLAY = ROOT / 'ros_overlay' / 'vision_msgs'
MINIMUM_CMAKE = (3, 20)  # what the CMake files of the ROS wheels ask for

# The message wheels name the include folders of the machine that built them, and CMake refuses
# folders that do not exist. Run by the environment's own Python, which knows the right ones.
PATCH_CMAKE_FILES = """
import pathlib, re, sys, sysconfig
import numpy
patched = 0
for path in pathlib.Path(sys.prefix, 'share').glob('*/cmake/*.cmake'):
    text = path.read_text()
    new = re.sub(r'/opt/python/cp311-cp311/lib/[^";\\s]*/numpy/_core/include',
                 lambda _: numpy.get_include(), text)
    new = re.sub(r'/opt/python/cp311-cp311/include/python3[.]11',
                 lambda _: sysconfig.get_path('include'), new)
    if new != text:
        path.write_text(new)
        patched += 1
print(patched, 'CMake files patched')
"""

# One reader of all that a later step or a user relies on; also loads the type support libraries.
CHECK_ENVIRONMENT = """
import cv2, numpy, onnxruntime, rclpy, rosbags, trackeval
from rclpy.type_support import check_for_type_support
from vision_msgs.msg import Detection2DArray
check_for_type_support(Detection2DArray)
"""


class BasePython(NamedTuple):
    """The interpreter that the environment is made from."""

    executable: str
    version: str
    provides_ros: bool


def main() -> int:
    """Parse the command line, run the steps, return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').split('\n\n')[0])
    parser.add_argument('--tests', action='store_true', help='add what `make test` needs')
    parser.add_argument('--venv', type=Path, default=ROOT / '.venv', help='default: %(default)s')
    arguments = parser.parse_args()
    start = time.monotonic()
    try:
        with one_at_a_time(REQUIREMENTS):
            changed = set_up(arguments.venv.absolute(), arguments.tests)
    except SetupError as error:
        print(f'\n[setup] FAILED: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\n[setup] interrupted; the next run goes on from here', file=sys.stderr)
        return 130
    state = 'ready' if changed else 'up to date'
    print(f'[setup] {arguments.venv} {state} ({time.monotonic() - start:.1f} s)')
    return 0


def set_up(venv: Path, with_tests: bool) -> bool:
    """Bring `venv` up to date; return whether there was anything to do."""
    base = find_base_python(venv)
    stamp = Stamp(venv / 'setup_stamp.json')
    requirements = ['runtime.txt'] if base.provides_ros else ['runtime.txt', 'ros.txt']
    packages_key = content_key(
        [Path(__file__), CONSTRAINTS]
        + [REQUIREMENTS / name for name in [*requirements, 'no-deps.txt']],
        str(venv),  # scripts and patched files hold it: a moved environment is a new one
        base.executable,
        base.version,
    )
    overlay_key = content_key(sorted(p for p in OVERLAY.rglob('*') if p.is_file()), packages_key)
    tests_key = content_key([CONSTRAINTS, *sorted(REQUIREMENTS.glob('*.txt'))], packages_key)

    todo_packages = not stamp.holds('packages', packages_key)
    todo_overlay = todo_packages or not stamp.holds('overlay', overlay_key)
    todo_tests = with_tests and (todo_packages or not stamp.holds('tests', tests_key))
    log = venv / 'setup.log'

    if todo_overlay and not base.provides_ros:
        with step('tools to build the message overlay'):
            check_build_tools(base)
    if todo_packages:
        stamp.forget('packages', 'overlay', 'tests')
        install_packages(base, venv, requirements, log)
        stamp.record('packages', packages_key)
    if todo_overlay:
        stamp.forget('overlay')
        if not base.provides_ros:
            with step('vision_msgs overlay (CMake build)'):
                build_overlay(venv, log)
        with step('check that everything loads'):
            environment = None if base.provides_ros else clean_environment()
            command = [str(venv / 'bin' / 'python'), '-c', CHECK_ENVIRONMENT]
            run_logged(command, environment, log)
        stamp.record('overlay', overlay_key)
    if todo_tests:
        stamp.forget('tests')
        with step('test and training packages (torch is large)'):
            install_test_packages(venv, log)
        stamp.record('tests', tests_key)
    return todo_packages or todo_overlay or todo_tests


def install_packages(base: BasePython, venv: Path, requirements: list[str], log: Path) -> None:
    """Make the virtual environment and install the pinned packages."""
    with step(f'virtual environment from Python {base.version}'):
        create_venv(base, venv, log)
    with step('Python packages' + ('' if base.provides_ros else ', ROS 2 among them')):
        files = [item for name in requirements for item in ('-r', str(REQUIREMENTS / name))]
        pip_install(venv, log, *files, '-c', str(CONSTRAINTS))
        pip_install(venv, log, '--no-deps', '-r', str(REQUIREMENTS / 'no-deps.txt'))


def install_test_packages(venv: Path, log: Path) -> None:
    """Install what the tests need on top."""
    pip_install(venv, log, '-r', str(REQUIREMENTS / 'test.txt'), '-c', str(CONSTRAINTS))
    pip_install(venv, log, '--no-deps', '-r', str(REQUIREMENTS / 'test-no-deps.txt'))


def find_base_python(venv: Path) -> BasePython:
    """Return a CPython 3.11 that can make virtual environments: this one, or one on PATH."""
    # In a virtual environment the interpreter below it is meant: an environment made from another
    # one would break as soon as that one is removed.
    this = getattr(sys, '_base_executable', None) or sys.executable
    found = [this, shutil.which('python3.11'), '/usr/bin/python3.11', shutil.which('python3')]
    question = (
        'import sys, platform; assert sys.version_info[:2] == (3, 11), '
        "'is Python ' + platform.python_version(); import venv, ensurepip; "
        'print(platform.python_version())'
    )
    refused = []
    for executable in dict.fromkeys(os.path.realpath(path) for path in found if path):
        reply = run_quietly([executable, '-c', question], clean_environment())
        if reply.returncode == 0:
            return BasePython(executable, reply.stdout.strip(), provides_ros(executable, venv))
        lines = reply.stderr.strip().splitlines() or ['cannot be started']
        refused.append(f'    {executable}: {lines[-1]}')
    raise SetupError(
        'no usable Python 3.11 found (the ROS 2 wheels are built for 3.11 only).\n'
        + '\n'.join(refused)
        + '\n  Install it with its venv module and headers (Debian 12: apt install '
        'python3.11-venv python3.11-dev;\n  elsewhere: pyenv install 3.11, or uv python install '
        '3.11), put python3.11 on PATH and run this again.\n'
        '  With a ROS 2 installation for another Python: docs/setup.md, "With ROS installed".'
    )


def provides_ros(executable: str, venv: Path) -> bool:
    """Return whether a ROS installation is sourced that this interpreter can use."""
    question = 'import rclpy, vision_msgs.msg; print(rclpy.__file__)'
    reply = run_quietly([executable, '-c', question], None)
    # Someone may have sourced setup.bash of the environment that we are about to renew.
    outside = venv not in Path(reply.stdout.strip()).parents
    if reply.returncode == 0 and outside:
        return True
    if 'ROS_DISTRO' in os.environ:
        raise SetupError(
            f'ROS {os.environ["ROS_DISTRO"]} is sourced in this shell, but {executable} cannot '
            'import rclpy and vision_msgs from it,\n  and its PYTHONPATH would get in the way of '
            'ROS from wheels. Either use that ROS (docs/setup.md, "With ROS\n  installed"), or '
            'run this in a shell that has not sourced it.'
        )
    return False


def check_build_tools(base: BasePython) -> None:
    """Complain about everything that the overlay build would miss, in one go."""
    missing = []
    machine = os.uname()
    if (machine.sysname, machine.machine) != ('Linux', 'x86_64'):
        missing.append(
            'Linux on x86_64, which the ROS 2 wheels are built for (this is '
            f'{machine.sysname} on {machine.machine}): use a ROS 2 installation, docs/setup.md'
        )
    if not (os.environ.get('CXX') or shutil.which('c++') or shutil.which('g++')):
        missing.append('a C++ compiler: apt install g++')
    if not (os.environ.get('CC') or shutil.which('cc') or shutil.which('gcc')):
        missing.append('a C compiler: apt install gcc')
    if not shutil.which('make'):
        missing.append('make: apt install make')
    cmake = shutil.which('cmake')
    found = run_quietly([cmake, '--version'], None).stdout if cmake else ''
    version = re.search(r'(\d+)\.(\d+)', found)
    if not version or tuple(map(int, version.groups())) < MINIMUM_CMAKE:
        have = f'found {version.group()}' if version else 'none found'
        missing.append(f'CMake 3.20 or newer ({have}): apt install cmake')
    include = 'import sysconfig; print(sysconfig.get_path("include"))'
    headers = Path(run_quietly([base.executable, '-c', include], None).stdout.strip())
    if not (headers / 'Python.h').is_file():
        missing.append(f'Python.h in {headers}: apt install python3.11-dev')
    if missing:
        raise SetupError('this machine lacks\n' + '\n'.join(f'  - {item}' for item in missing))


def create_venv(base: BasePython, venv: Path, log: Path) -> None:
    """Make `venv` anew, unless a whole one from the same interpreter is there."""
    probe = (
        'import os, pip, sys, platform; '
        'print(os.path.realpath(sys._base_executable), platform.python_version())'
    )
    reply = run_quietly([str(venv / 'bin' / 'python'), '-c', probe], clean_environment())
    settings = venv / 'pyvenv.cfg'
    recorded = settings.read_text() if settings.is_file() else ''
    if (
        reply.stdout.split() == [base.executable, base.version]
        and f'include-system-site-packages = {str(base.provides_ros).lower()}' in recorded
        and str(venv) in recorded.split()  # the command that made it: not moved since
    ):
        return
    # `venv --clear` empties the folder: never do that to one that is no environment.
    others = {path.name for path in venv.glob('*')} - {log.name}
    if others and not recorded:
        raise SetupError(f'{venv} exists and is no virtual environment; move it away')
    options = ['--clear'] + (['--system-site-packages'] if base.provides_ros else [])
    run_logged([base.executable, '-m', 'venv', *options, str(venv)], clean_environment(), log)


def pip_install(venv: Path, log: Path, *arguments: str) -> None:
    """Run `pip install` in `venv`."""
    # Only what is imported gets compiled, then: a tenth of these files, and 10 s less.
    options = ['--no-input', '--no-compile', '--disable-pip-version-check']
    command = [str(venv / 'bin' / 'python'), '-m', 'pip', 'install', *options, *arguments]
    run_logged(command, clean_environment(), log)


def build_overlay(venv: Path, log: Path) -> None:
    """Build ros_overlay/vision_msgs and install it into the prefix of `venv`."""
    python = venv / 'bin' / 'python'
    environment = clean_environment()
    environment['PATH'] = f'{venv / "bin"}{os.pathsep}{environment.get("PATH", os.defpath)}'
    environment['AMENT_PREFIX_PATH'] = environment['CMAKE_PREFIX_PATH'] = str(venv)
    run_logged([str(python), '-c', PATCH_CMAKE_FILES], environment, log)
    colcon = [str(python), '-m', 'colcon']
    into_venv = ['--install-base', str(venv), '--merge-install']
    cmake = ['-DBUILD_TESTING=OFF', '-DCMAKE_BUILD_TYPE=Release', '--no-warn-unused-cli']
    cmake += [f'-DPython3_EXECUTABLE={python}', '-DPython3_FIND_VIRTUALENV=ONLY']
    with tempfile.TemporaryDirectory(prefix='vision_msgs_') as scratch:
        command = [*colcon, '--log-base', f'{scratch}/log', 'build', '--base-paths', str(OVERLAY)]
        command += ['--build-base', f'{scratch}/build', *into_venv]
        command += ['--event-handlers', 'console_direct+', '--cmake-args', *cmake]
        run_logged(command, environment, log)


if __name__ == '__main__':
    sys.exit(main())
