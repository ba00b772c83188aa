"""How fast training samples are made.

    python -m training.data.benchmark --data ../shared/data --height 480 --width 640 --workers 2

Prints milliseconds of processor time per sample of each source, and samples per second of a
DataLoader with the default mix.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader

from training.augment import AugmentSettings
from training.data.dataset import TrackingDataset, initialize_worker
from training.data.labels import PairSource
from training.data.sources import DataSettings, build_sources
from training.targets import PriorNoise, TargetSettings


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', type=Path, default=Path('../shared/data'), help='data folder')
    parser.add_argument('--height', type=int, default=480)
    parser.add_argument('--width', type=int, default=640)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--samples', type=int, default=200, help='measured samples of each kind')
    parser.add_argument('--warm-up', type=int, default=400, help='samples that fill the caches')
    options = parser.parse_args(arguments)
    initialize_worker(0)
    settings = DataSettings(options.data, options.height, options.width)
    sources, weights, class_names = build_sources(settings)
    targets = TargetSettings(options.height, options.width, len(class_names))

    def dataset(kinds: Sequence[PairSource], shares: Sequence[float]) -> TrackingDataset:
        return TrackingDataset(
            kinds,
            shares,
            length=options.warm_up + options.samples,
            seed=1,
            targets=targets,
            augmentation=AugmentSettings(),
            prior_noise=PriorNoise(),
        )

    for source in sources:
        milliseconds, objects = _measure(dataset([source], [1.0]), options.warm_up)
        print(f'{type(source).__name__:18} {milliseconds:6.1f} ms/sample {objects:6.1f} objects')
    milliseconds, objects = _measure(dataset(sources, weights), options.warm_up)
    print(f'{"default mix":18} {milliseconds:6.1f} ms/sample {objects:6.1f} objects')
    loader = DataLoader(
        dataset(sources, weights),
        batch_size=options.batch_size,
        num_workers=options.workers,
        worker_init_fn=initialize_worker,
    )
    print(f'{options.workers} workers: {_rate(loader, options.warm_up):.0f} samples/s')


def _measure(dataset: TrackingDataset, warm_up: int) -> tuple[float, float]:
    """Milliseconds of processor time and objects per sample."""
    for index in range(warm_up):
        dataset[index]
    start = time.process_time()
    counts = [dataset[index]['mask'].sum() for index in range(warm_up, len(dataset))]
    return (time.process_time() - start) / len(counts) * 1e3, float(np.mean(counts))


def _rate(loader: DataLoader[dict[str, np.ndarray]], warm_up: int) -> float:
    """Samples per second after the warm-up."""
    seen = start_seen = 0
    start = time.perf_counter()
    for batch in loader:
        if seen < warm_up:
            start, start_seen = time.perf_counter(), seen + len(batch['image'])
        seen += len(batch['image'])
    return (seen - start_seen) / (time.perf_counter() - start)


if __name__ == '__main__':
    main()
