"""What setup_environment.py stands on: running commands, remembering steps, saying what failed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Variables of some other ROS or virtual environment, the one that started us included, that would
# lead pip, CMake or colcon out of the environment being made.
FOREIGN_VARIABLES = (
    'AMENT_PREFIX_PATH',
    'CMAKE_PREFIX_PATH',
    'COLCON_PREFIX_PATH',
    'PYTHONHOME',
    'PYTHONPATH',
    'VIRTUAL_ENV',
    '__PYVENV_LAUNCHER__',
)


class SetupError(Exception):
    """A step failed; the text says what happened and what to do."""


class Stamp:
    """Which steps are complete: a JSON file of step name -> key of the inputs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def holds(self, name: str, key: str) -> bool:
        """Return whether step `name` was completed with these inputs."""
        return self._read().get(name) == key

    def record(self, name: str, key: str) -> None:
        """Note that step `name` is complete."""
        self._write({**self._read(), name: key})

    def forget(self, *names: str) -> None:
        """Note that these steps are about to be redone."""
        if self._path.exists():
            self._write({k: v for k, v in self._read().items() if k not in names})

    def _read(self) -> dict[str, str]:
        try:
            content = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _write(self, content: dict[str, str]) -> None:
        # Never a half-written stamp: rename is atomic.
        temporary = self._path.with_suffix('.tmp')
        temporary.write_text(json.dumps(content, indent=1) + '\n')
        temporary.replace(self._path)


def content_key(paths: list[Path], *values: str) -> str:
    """Return a hash of the names and contents of files and of some values."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f'{path.name}\0'.encode() + path.read_bytes() + b'\0')
    digest.update('\0'.join(values).encode())
    return digest.hexdigest()


def clean_environment() -> dict[str, str]:
    """Return our environment variables without those of another ROS or virtual environment."""
    environment = {k: v for k, v in os.environ.items() if k not in FOREIGN_VARIABLES}
    # The ROS wheels' start-up hook sets both, and does nothing where the first is already set.
    if environment.pop('_ROS_WHEELS_BOOTSTRAP_COMPLETE', None):
        environment.pop('LD_LIBRARY_PATH', None)
    return environment


def run_quietly(
    command: list[str], environment: dict[str, str] | None
) -> subprocess.CompletedProcess[str]:
    """Run a short command and capture what it says; a missing program is exit status 127."""
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, '', str(error))


def run_logged(command: list[str], environment: dict[str, str] | None, log: Path) -> None:
    """Run a command with its output in `log`; raise SetupError with the end of it."""
    with tempfile.TemporaryFile('w+', errors='replace') as output:
        status = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
        output.seek(0)
        text = output.read()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('a') as file:
        file.write(f'$ {" ".join(command)}\n{text}\n')
    if status != 0:
        raise SetupError(f'{explain(text, status, command)}\n  All output: {log}')


def explain(output: str, status: int, command: list[str]) -> str:
    """Return the likely cause of a failure and what to do, from what the command said."""
    if re.search(
        r'NewConnectionError|NameResolutionError|Name or service not known|Connection refused'
        r'|Temporary failure in name resolution|ConnectTimeout|Network is unreachable',
        output,
    ):
        return (
            'the package index cannot be reached. Check the network (or the proxy: HTTPS_PROXY, '
            'or the index in pip.conf), then run the same command again.'
        )
    if 'No matching distribution found' in output:
        package = output.split('No matching distribution found for ')[-1].split()[0]
        return (
            f'the package index has no {package} for this machine (the wheels are for CPython '
            '3.11 on Linux x86_64).'
        )
    if 'No space left on device' in output:
        return 'the disk is full: 1 GB is needed, 2.5 GB with the test packages.'
    end = '\n'.join('    ' + line for line in output.strip().splitlines()[-15:])
    return f'exit status {status} of {" ".join(command[:6])} ...\n{end}'


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print one line for a step: what it does, then how long it took."""
    print(f'[setup] {name} ... ', end='', flush=True)
    start = time.monotonic()
    yield
    print(f'{time.monotonic() - start:.1f} s', flush=True)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold a lock on `folder`, so that two runs at once do not build into each other."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print('[setup] waiting for another set-up to finish', flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
