"""Proves that training works: a network learns a tiny set by heart and is measured on it.

`python -m training.overfit video --architecture resnet18`

Writes the set (`training.data.tiny`) unless it is there, trains from random weights
(`training.train`), evaluates (`training.evaluate`) and says whether the bar is passed; so does the
exit status.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training import evaluate, train
from training.config import CocoSet, TrainConfig
from training.config_file import load_config
from training.data.tiny import write_tiny_set
from training.evaluation.report import JSON_FILE
from training.run_folder import last_checkpoint

# What each kind of set has to reach, at least; see `training.evaluation` for the metrics.
BARS: dict[str, dict[str, float]] = {
    'video': {'MOTA': 90.0},
    'pose': {'keypoint_AP': 0.9},
    'boxes3d': {'boxes3d_recall': 0.95, 'center_error_share': 0.9},
}
CONFIGS = Path(__file__).resolve().parents[1] / 'config' / 'training'
_CONFIG_NAMES = {'video': 'tiny_video', 'pose': 'tiny_pose', 'boxes3d': 'tiny_3d'}
MISSED, EXPLAINED = 1, 2


@dataclass(frozen=True)
class Outcome:
    """What one run reached.

    Attributes:
        metrics: of the training frames, by name.
        bars: least values of some of them.
        cpu_minutes: of the training, with its validations.
        steps: of the training.
    """

    metrics: Mapping[str, float]
    bars: Mapping[str, float]
    cpu_minutes: float
    steps: int

    @property
    def passed(self) -> bool:
        """Whether every bar is reached."""
        return all(self.metrics[name] >= bar for name, bar in self.bars.items())

    def __str__(self) -> str:
        values = ', '.join(
            f'{name} {self.metrics[name]:.4g} (bar {bar:g})' for name, bar in self.bars.items()
        )
        verdict = 'passed' if self.passed else 'NOT passed'
        return f'{verdict}: {values} after {self.steps} steps, {self.cpu_minutes:.1f} CPU minutes'


def overfit(kind: str, architecture: str = '', overrides: Sequence[str] = ()) -> Outcome:
    """Make the set, train and evaluate.

    Args:
        kind: one of `BARS`.
        architecture: one of `training.models`; its own configuration is taken where there is one
            (`tiny_<set>_<architecture>.yaml`). Empty: that of the configuration of the set.
        overrides: `key=value` of the configuration, as in `training.train`.

    Raises:
        FileExistsError: the run folder holds a checkpoint.
        ValueError: no such kind or architecture, or the configuration is wrong.
        RuntimeError: the evaluation failed.
    """
    if kind not in BARS:
        raise ValueError(f'kind: expected one of {sorted(BARS)}, received {kind!r}')
    config = load_tiny_config(kind, architecture, overrides)
    entry = config.data.train[0]
    assert isinstance(entry, CocoSet)
    folder = Path(entry.annotations).parent
    if not folder.exists():
        print(f'{folder}: {write_tiny_set(kind, folder)}')
    start = time.process_time()
    checkpoint = train.run(config)
    minutes = (time.process_time() - start) / 60
    output = Path(config.run) / 'evaluation'
    arguments = ['--checkpoint', str(checkpoint), '--output', str(output), '--device', 'cpu']
    if evaluate.main([*arguments, '--dataset', entry.annotations, '--images', entry.images]):
        raise RuntimeError('training.evaluate failed, see above')
    (measured,) = json.loads((output / JSON_FILE).read_text(encoding='utf-8'))['sets'].values()
    samples = config.data.epoch_length // config.loop.batch_size
    return Outcome(measured['metrics'], BARS[kind], minutes, samples * config.loop.epochs)


def load_tiny_config(
    kind: str, architecture: str = '', overrides: Sequence[str] = ()
) -> TrainConfig:
    """The configuration of a tiny set for an architecture; see `overfit`."""
    name = _CONFIG_NAMES[kind]
    own = CONFIGS / f'{name}_{architecture}.yaml'
    if not architecture or own.is_file():
        return load_config(own if architecture else CONFIGS / f'{name}.yaml', overrides)
    chosen = [f'model.architecture={architecture}', f'run=runs/{name}_{architecture}']
    return load_config(CONFIGS / f'{name}.yaml', [*chosen, *overrides])


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns 0 where the bar is passed, 1 where it is missed, 2 on errors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('kind', choices=sorted(BARS))
    parser.add_argument('--architecture', default='', help='default: that of the configuration')
    parser.add_argument('--again', action='store_true', help='remove what an earlier run left')
    parser.add_argument('overrides', nargs='*', metavar='key=value')
    options = parser.parse_intermixed_args(arguments)
    try:
        if options.again:
            config = load_tiny_config(options.kind, options.architecture, options.overrides)
            if last_checkpoint(Path(config.run)).is_file():
                shutil.rmtree(config.run)
        outcome = overfit(options.kind, options.architecture, options.overrides)
    except (OSError, ValueError, RuntimeError) as error:
        print(f'training.overfit: {error}', file=sys.stderr)
        return EXPLAINED
    print(outcome)
    return 0 if outcome.passed else MISSED


if __name__ == '__main__':
    sys.exit(main())
