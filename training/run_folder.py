"""The folder of a run: configuration, environment, checkpoints, log lines, TensorBoard."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
import yaml
from torch.utils.tensorboard import SummaryWriter

from centertrack_ros.datatypes import Image
from centertrack_ros.engines.hardware import processor_name
from centertrack_ros.files import write_atomically
from training.checkpoint import git_commit

Scalars = Mapping[str, float]


class RunFolder:
    """Where one training writes; a context that flushes and closes at its end.

    Files: `config.yaml`, `environment.json`, `last.pt`, `best.pt`, `log.jsonl` with an object per
    line (`kind`, `step`, `epoch`, and the values), and the event files of TensorBoard.

    Args:
        path: the folder; it is made.
        step: finished steps; what an interrupted run wrote about later ones is removed.

    Raises:
        OSError: something cannot be written; the text has its path. So do all methods.
    """

    def __init__(self, path: Path, *, step: int = 0) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._log_path = path / 'log.jsonl'
        with _located(self._log_path):
            _forget_after(self._log_path, step)
        self._board = SummaryWriter(str(path), purge_step=step + 1)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The first error is the one to report; of a full disk the writer would complain again.
        try:
            self._board.close()
        except OSError:
            if error is None:
                raise

    @property
    def last(self) -> Path:
        """Checkpoint to go on from."""
        return last_checkpoint(self.path)

    @property
    def best(self) -> Path:
        """Checkpoint of the best validation."""
        return self.path / 'best.pt'

    def write_start(self, config: Mapping[str, Any], command: Sequence[str]) -> None:
        """Write `config.yaml`, and add this start to `environment.json`."""
        path = self.path / 'config.yaml'
        with _located(path):
            write_atomically(path, yaml.safe_dump(_plain(config), sort_keys=False))
        path = self.path / 'environment.json'
        with _located(path):
            starts = _starts(path)
            starts.append(environment(command))
            write_atomically(path, json.dumps(starts, indent=1) + '\n')

    def log(self, kind: str, step: int, epoch: int, values: Scalars) -> None:
        """A line of the log and the scalars `<kind>/<name>` of TensorBoard."""
        time = datetime.now().astimezone().isoformat(timespec='seconds')
        record = {'kind': kind, 'step': step, 'epoch': epoch, 'time': time, **values}
        with _located(self._log_path), self._log_path.open('a', encoding='utf-8') as file:
            file.write(json.dumps(record) + '\n')
        with _located(self.path):
            for name, value in values.items():
                self._board.add_scalar(f'{kind}/{name}', value, step)

    def show(self, name: str, step: int, image: Image) -> None:
        """A BGR picture (H, W, 3) in TensorBoard."""
        with _located(self.path):
            self._board.add_image(name, image[..., ::-1].copy(), step, dataformats='HWC')
            self._board.flush()


def _starts(path: Path) -> list[Any]:
    """Those that `environment.json` already lists; ValueError where it is no list."""
    if not path.is_file():
        return []
    try:
        starts = json.loads(path.read_text(encoding='utf-8'))
    except ValueError:
        starts = None
    if not isinstance(starts, list):
        raise ValueError(f'{path}: expected a list of starts in JSON; move the file away')
    return starts


def last_checkpoint(folder: Path) -> Path:
    """The checkpoint that a run in `folder` goes on from."""
    return folder / 'last.pt'


def environment(command: Sequence[str]) -> dict[str, Any]:
    """What a training ran on: commit, versions, processor, command line, start time."""
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        'started': datetime.now().astimezone().isoformat(timespec='seconds'),
        'command': list(command),
        'folder': os.getcwd(),
        'commit': git_commit(),
        'python': sys.version.split()[0],
        'torch': torch.__version__,
        'cuda': torch.version.cuda,
        'platform': platform.platform(),
        'cpu': processor_name(),
        'cores': os.cpu_count(),
        'gpus': gpus,
        'processes': int(os.environ.get('WORLD_SIZE', '1')),
    }


def _forget_after(log: Path, step: int) -> None:
    """Lines of later steps are those of work that was lost; it will be done again."""
    if not log.is_file():
        return
    kept = []
    for line in log.read_text(encoding='utf-8').splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # a line that a full disk or a power cut has torn
        if isinstance(record, dict) and record.get('step', 0) <= step:
            kept.append(line + '\n')
    write_atomically(log, ''.join(kept))


def _plain(value: Any) -> Any:
    """Tuples as lists: YAML has no tuples."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value


@contextmanager
def _located(path: Path) -> Iterator[None]:
    """An OSError from inside gets the path in front."""
    try:
        yield
    except OSError as error:
        raise OSError(f'{path}: could not be written: {error}') from error
