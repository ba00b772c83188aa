"""The environment that Ultralytics runs in: made by the benchmark, apart from the project's.

Ultralytics is under the AGPL. It stands in no requirements file, and nothing of the project
imports it; it is installed for this one comparison on the machine of whoever runs it.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.speed.protocol import WorkerError
from centertrack_ros.files import cache_folder

# What Ultralytics says that it needs for tracking, with OpenCV's build without windows.
_PACKAGES = (
    'torch==2.13.0',
    'numpy==2.4.6',
    'opencv-python-headless==5.0.0.93',
    'matplotlib==3.11.2',
    'pillow==13.0.0',
    'polars==2.1.0',
    'psutil==7.2.2',
    'PyYAML==6.0.3',
    'requests==2.34.2',
    'scipy==1.17.1',
    'lap==0.5.13',
)
# They ask for other builds of the above, and for what is not used here.
_WITHOUT_DEPENDENCIES = ('torchvision==0.28.0', 'ultralytics-thop==2.2.3', 'ultralytics==8.4.190')
_STAMP = 'peer_environment.txt'
_LOG = 'install.log'


def default_folder() -> Path:
    """In the user's cache folder, as it can be made again."""
    return cache_folder() / 'peers' / 'ultralytics'


def make_environment(folder: Path) -> str:
    """Make the environment where it is not there yet.

    Args:
        folder: of its own; it must not exist, be empty, or be one that this function began.

    Returns:
        Path of its interpreter.

    Raises:
        ValueError: the folder holds something else.
        WorkerError: a package cannot be installed.
    """
    python, stamp = folder / 'bin' / 'python', folder / _STAMP
    wanted = '\n'.join([*_PACKAGES, *_WITHOUT_DEPENDENCIES, sys.version])
    log = folder / _LOG
    if stamp.is_file() and stamp.read_text(encoding='utf-8') == wanted:
        return str(python)
    if folder.exists() and any(folder.iterdir()) and not log.is_file():
        raise ValueError(
            f'--venv: expected a new folder or one that this benchmark made, received {folder}'
        )
    print(f'installing Ultralytics for the comparison in {folder} (about 1 GB)', file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    log.touch()
    venv.create(folder, with_pip=True)
    _install(python, log, _PACKAGES)
    _install(python, log, ('--no-deps', *_WITHOUT_DEPENDENCIES))
    stamp.write_text(wanted, encoding='utf-8')
    return str(python)


def _install(python: Path, log: Path, packages: tuple[str, ...]) -> None:
    command = [str(python), '-m', 'pip', 'install', *packages]
    with log.open('a', encoding='utf-8') as output:
        result = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
    if result.returncode:
        last = log.read_text(encoding='utf-8').strip().splitlines()[-1:]
        raise WorkerError(f'{" ".join(command)} failed, see {log}: {"".join(last)}')
