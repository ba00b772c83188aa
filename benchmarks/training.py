"""Whether data keep up with training: `python -m benchmarks.training [key=value ...]`.

Prints, at the size of the crops, milliseconds of processor time per sample by stage, then images
per second of the loader alone and of the training step, as configured and with everything
trained. Loader and steps take turns, so that what else the machine does meets all of them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.utils.data import default_collate

from centertrack_ros.replay.summary import environment
from training.assembly import make_trainer
from training.config import MixedSet, TrainConfig
from training.config_file import load_config
from training.data import dataset as samples
from training.data import images
from training.data.build import build_training_set
from training.data.dataset import TrackingDataset, initialize_worker
from training.distributed import Processes
from training.experiment import model_spec
from training.loader import BatchIndices, make_loader
from training.trainer import Trainer

CONFIG = Path('config/training/mobilenetv3_coco.yaml')
# Stages of a sample: module and function; what is left of it is `pair`.
STAGES = {
    'decode': (images, 'read_image'),
    'augment': (samples, 'augment_pair'),
    'targets': (samples, 'build_targets'),
    'prior': (samples, 'build_prior_heatmap'),
}
# The loader keeps two batches ready for each worker, and one more is under way.
BATCHES_IN_STOCK = 3
# So that neither the schedule nor the data end.
EPOCHS = 1_000_000

Times = dict[str, list[float]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    options = parse(arguments)
    config = benchmark_config(options)
    size = f'{config.data.crop_height}x{config.data.crop_width}'
    facts = environment()
    print(
        f'{config.name}, {size}, batches of {config.loop.batch_size}, {options.workers} workers; '
        f'torch {torch.__version__}, {facts["processor"]}, {facts["cores"]} cores'
    )
    dataset = build_training_set(config, model_spec(config))
    stages = measure_stages(dataset, config.loop.batch_size, options.warm_up, options.samples)
    print('\nms of processor time per sample')
    print('  '.join(f'{name} {milliseconds:.1f}' for name, milliseconds in stages.items()))
    trainers = {
        'step': make_benchmark_trainer(config),
        'step, everything trained': make_benchmark_trainer(trained_whole(config)),
    }
    times = measure_turns(dataset, trainers, config, options.workers, options.turns)
    rates = {
        name: config.loop.batch_size * len(values) / sum(values) for name, values in times.items()
    }
    loader = rates.pop('loader')
    print(f'\nimages/s: loader {loader:.1f}')
    for name, rate in rates.items():
        print(f'{name} {rate:.2f}: the loader gives {loader / rate:.1f} times as many')
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--config', type=Path, default=CONFIG)
    parser.add_argument('--data', type=Path, help='data root of the mix, in place of its own')
    parser.add_argument('--height', type=int, default=512)
    parser.add_argument('--width', type=int, default=512)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--turns', type=int, default=3, help='turns of loader and steps')
    parser.add_argument('--warm-up', type=int, default=200, help='samples that fill the caches')
    parser.add_argument('--samples', type=int, default=100, help='samples measured by stage')
    parser.add_argument('overrides', nargs='*', metavar='key=value')
    return parser.parse_args(arguments)


def benchmark_config(options: argparse.Namespace) -> TrainConfig:
    """The configuration at the size that is asked for."""
    config = load_config(options.config, options.overrides)
    train = tuple(
        replace(entry, root=str(options.data))
        if options.data is not None and isinstance(entry, MixedSet)
        else entry
        for entry in config.data.train
    )
    data = replace(config.data, train=train, crop_height=options.height, crop_width=options.width)
    return replace(config, data=data, loop=replace(config.loop, epochs=EPOCHS))


def trained_whole(config: TrainConfig) -> TrainConfig:
    """The same training with all parameters and the default losses."""
    factor = config.optimisation.pretrained_factor or 1.0
    return replace(
        config, losses={}, optimisation=replace(config.optimisation, pretrained_factor=factor)
    )


def make_benchmark_trainer(config: TrainConfig) -> Trainer:
    """The training of `config` before its first step, on the device that it names."""
    name = config.loop.device
    if name == 'auto':
        name = 'cuda' if torch.cuda.is_available() else 'cpu'
    processes = Processes(rank=0, count=1, device=torch.device(name))
    return make_trainer(config, model_spec(config), processes, steps_per_epoch=1000)


def measure_stages(
    dataset: TrackingDataset, batch_size: int, warm_up: int, count: int
) -> dict[str, float]:
    """Milliseconds of processor time per sample of every stage and of all, as in a worker."""
    threads = cv2.getNumThreads(), torch.get_num_threads()
    initialize_worker(0)
    for index in range(warm_up):
        dataset[index]
    with timed_stages() as seconds:
        start = time.process_time()
        made = [dataset[warm_up + index] for index in range(count)]
        total = time.process_time() - start
    seconds = {'pair': total - sum(seconds.values()), **seconds}
    start = time.process_time()
    for first in range(0, count, batch_size):
        default_collate(made[first : first + batch_size])
    seconds['collate'] = time.process_time() - start
    cv2.setNumThreads(threads[0])
    torch.set_num_threads(threads[1])
    seconds['total'] = sum(seconds.values())
    return {name: 1e3 * value / count for name, value in seconds.items()}


@contextmanager
def timed_stages() -> Iterator[dict[str, float]]:
    """Processor time in seconds that the functions of `STAGES` take meanwhile."""
    seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            start = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                seconds[name] += time.process_time() - start

        return call

    originals = {name: getattr(*place) for name, place in STAGES.items()}
    try:
        for name, place in STAGES.items():
            setattr(*place, timed(name, originals[name]))
        yield seconds
    finally:
        for name, place in STAGES.items():
            setattr(*place, originals[name])


def measure_turns(
    dataset: TrackingDataset,
    trainers: dict[str, Trainer],
    config: TrainConfig,
    workers: int,
    turns: int,
) -> Times:
    """Seconds of every batch from the loader, which has both cores then, and of every step."""
    device, size = next(iter(trainers.values())).processes.device, config.loop.batch_size
    loader = make_loader(
        dataset,
        workers=workers,
        indices=BatchIndices(size, slice(size), range(EPOCHS)),
        pin_memory=device.type == 'cuda',
    )
    batches = iter(loader)
    times: Times = defaultdict(list)
    stock = BATCHES_IN_STOCK * workers
    for turn in range(turns):
        for _ in range(stock):
            batch = next(batches)
        for _ in range(2 * stock or 4):
            batch = _timed(times['loader'], lambda: next(batches))
        for name, trainer in trainers.items():
            if not turn:
                _step(trainer, batch)
            # Meanwhile the workers refill their stock, and then they rest.
            time.sleep(1.5 * sum(times['loader'][-stock:]) if workers else 0.0)
            for _ in range(2):
                _timed(times[name], lambda t=trainer, b=batch: _step(t, b))
    return times


def _step(trainer: Trainer, batch: dict[str, Tensor]) -> None:
    result = trainer.train_step(trainer.to_device(batch))
    # Waits for the device.
    float(result.gradient_norm)


def _timed(times: list[float], work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = work()
    times.append(time.perf_counter() - start)
    return result


if __name__ == '__main__':
    sys.exit(main())
