"""Trains a network.

    python -m training.train --config FILE [key=value ...] [--resume]
    torchrun --nproc-per-node N -m training.train --config FILE ...

Ctrl-C saves a checkpoint; the same command with `--resume` goes on from the last one.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from training.assembly import Parts, assemble
from training.config import TrainConfig
from training.config_file import load_config
from training.distributed import join, leave
from training.loop import TrainingLoop
from training.progress import ProgressLine
from training.resuming import check_same_training, checkpoint_to_resume
from training.run_folder import RunFolder, last_checkpoint
from training.stopping import StopRequest
from training.trainer import NonFiniteLossError

# What shells expect of a program that a signal has ended.
INTERRUPTED = 130


def run(config: TrainConfig, *, resume: bool = False, stop: StopRequest | None = None) -> Path:
    """Train to the end or until a signal; returns the path of the last checkpoint.

    Args:
        config: what to train.
        resume: go on from the last checkpoint of the run folder.
        stop: who asks it to end; by default nobody but signals.

    Raises:
        FileExistsError: the run folder holds a checkpoint and `resume` is False.
        FileNotFoundError: data, the start or the checkpoint to resume are not there.
        ValueError: the configuration does not fit the data, the processes or the checkpoint.
        NonFiniteLossError: the loss is not finite; the batch is in the run folder.
        OSError: the run folder cannot be written.
    """
    path = Path(config.run)
    checkpoint = checkpoint_to_resume(path, resume=resume)
    if checkpoint:
        check_same_training(checkpoint.config, asdict(config))
    processes = join(config.loop.device)
    parts = assemble(config, processes)
    if checkpoint:
        state = checkpoint.training_state
        parts.trainer.load_state_dict(state['trainer'], checkpoint.weights)
        parts.selection.load_state_dict(state['selection'])
    _train(config, parts, stop or StopRequest())
    # Not after an error: the others wait for this process, until it has ended.
    leave()
    return last_checkpoint(path)


def _train(config: TrainConfig, parts: Parts, stop: StopRequest) -> None:
    """The loop, in its run folder and with its progress line."""
    trainer, rules, path = parts.trainer, parts.rules, Path(config.run)
    processes, last = trainer.processes, last_checkpoint(path)
    record = asdict(config)
    rank = f'_{processes.rank}' if processes.count > 1 else ''
    with ExitStack() as stack:
        folder = None
        if processes.is_first:
            folder = stack.enter_context(RunFolder(path, step=trainer.step))
            folder.write_start(record, sys.orig_argv)
        line = stack.enter_context(
            ProgressLine(rules.steps, rules.steps_per_epoch, quiet=not processes.is_first)
        )
        line.say(
            f'{config.name}: {rules.epochs} epochs of {rules.steps_per_epoch} steps, from step '
            f'{trainer.step}, on {processes.count} x {processes.device}, in {path}'
        )
        stack.enter_context(stop.listening())
        finished = TrainingLoop(
            trainer,
            parts.dataset,
            parts.validation,
            parts.selection,
            rules,
            folder,
            line,
            stop,
            record,
            bad_batch=path / f'bad_batch{rank}.pt',
        ).run()
        if finished:
            line.say(f'finished: {last}, step {trainer.step}')
        else:
            line.say(
                f'stopped: {last}, step {trainer.step}; the same command with --resume goes on'
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--config', type=Path, required=True)
    parser.add_argument('--resume', action='store_true', help='go on from the last checkpoint')
    parser.add_argument('overrides', nargs='*', metavar='key=value')
    options = parser.parse_intermixed_args(arguments)
    logging.basicConfig(format='%(levelname)s: %(message)s')
    # A scheduler's polite end, and Ctrl-C where the shell started us in the background.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    stop = StopRequest()
    try:
        run(load_config(options.config, options.overrides), resume=options.resume, stop=stop)
    except (OSError, ValueError, NonFiniteLossError) as error:
        print(f'training.train: {_text(error)}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('training.train: interrupted before it could save', file=sys.stderr)
        return INTERRUPTED
    return INTERRUPTED if stop.requested else 0


def _text(error: Exception) -> str:
    """The text of an error; of one from a loader process that of its trace, without the type."""
    text = str(error)
    return text.strip().splitlines()[-1].partition(': ')[2] if text.startswith('Caught ') else text


if __name__ == '__main__':
    sys.exit(main())
