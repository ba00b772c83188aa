"""Time of whole exported graphs in ONNX Runtime, side by side: `python -m benchmarks.networks`.

Weights are random: this is about speed only. The graphs take turns of some calls, so that what
else the machine does meets all of them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from centertrack_ros.engines.base import expected_inputs
from centertrack_ros.engines.onnxruntime import OnnxRuntimeEngine
from centertrack_ros.model_spec import ModelSpec, Thresholds
from centertrack_ros.replay.summary import environment
from training.export import export_onnx
from training.models import ARCHITECTURES, build_network
from training.models.deformable import ExportForm, set_deformable_export
from training.models.graph import TrackerGraph

DEFAULT_NETWORKS = ['mobilenetv3', 'mobilenetv4_small', 'resnet18']
HEADS = {'hm': 1, 'reg': 2, 'ltrb_amodal': 4, 'tracking': 2}
CALLS_PER_TURN = 12
# Of each turn; meanwhile the threads of the graph before stop waiting for work.
UNCOUNTED_CALLS = 4


def spec_of(architecture: str, height: int, width: int) -> ModelSpec:
    """A pedestrian tracker with this network, all of its options as they are.

    Raises:
        ValueError: unknown architecture, or a size that is not a multiple of 32.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f'expected one of {sorted(ARCHITECTURES)}, received {architecture!r}')
    network = ARCHITECTURES[architecture].network
    return ModelSpec(
        name=architecture,
        architecture=architecture,
        input_height=height,
        input_width=width,
        resize='letterbox',
        stride=network.stride,
        max_candidates=100,
        classes=('person',),
        heads=HEADS,
        box='ltrb_amodal',
        radius_rule='centertrack',
        prior_heatmap_stride=network.prior_heatmap_stride,
        thresholds=Thresholds(detection=0.1, track=0.2, birth=0.2, prior=0.2),
        licence='none: random weights',
    )


def make_engine(
    spec: ModelSpec, folder: Path, threads: int, deformable: ExportForm
) -> OnnxRuntimeEngine:
    """Export the network of `spec` with random weights and load it."""
    torch.manual_seed(0)
    path = folder / f'{spec.name}.onnx'
    network = build_network(spec).eval()
    set_deformable_export(network, deformable)
    export_onnx(TrackerGraph(network, spec), spec, path)
    return OnnxRuntimeEngine(path, spec, device='cpu', threads=threads)


def measure(
    engines: dict[str, OnnxRuntimeEngine], specs: dict[str, ModelSpec], turns: int
) -> dict[str, list[float]]:
    """Milliseconds of each counted call of each engine."""
    generator = np.random.default_rng(0)
    size = next(iter(specs.values()))
    shape = (1, size.input_height, size.input_width, 3)
    image, previous = generator.integers(0, 256, (2, *shape), dtype=np.uint8)
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(turns):
        for name, engine in engines.items():
            prior = np.zeros(expected_inputs(specs[name])['prior_heatmap'][1], np.float32)
            for call in range(CALLS_PER_TURN):
                start = time.perf_counter()
                engine.run(image, previous, prior)
                if call >= UNCOUNTED_CALLS:
                    times[name].append((time.perf_counter() - start) * 1e3)
    return times


def main() -> int:
    """Print a table of the architectures, relative to the first."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        'architectures', nargs='*', default=DEFAULT_NETWORKS, help='names of training.models'
    )
    parser.add_argument('--height', type=int, default=320)
    parser.add_argument('--width', type=int, default=576)
    parser.add_argument('--turns', type=int, default=6)
    parser.add_argument('--threads', type=int, default=0, help='0: one per core')
    parser.add_argument(
        '--deformable',
        choices=get_args(ExportForm),
        default='grid_sample',
        help='operator of deformable convolutions',
    )
    arguments = parser.parse_args()
    try:
        specs = {n: spec_of(n, arguments.height, arguments.width) for n in arguments.architectures}
    except ValueError as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory() as folder:
        engines = {
            name: make_engine(spec, Path(folder), arguments.threads, arguments.deformable)
            for name, spec in specs.items()
        }
        times = measure(engines, specs, arguments.turns)
    for name, value in environment().items():
        print(f'{name}: {value}')
    calls = len(next(iter(times.values())))
    print(f'{arguments.width}x{arguments.height}, {calls} calls each')
    print(f'{"architecture":24s} {"median ms":>10s} {"p10 ms":>8s} {"ratio":>6s}')
    reference = float(np.median(next(iter(times.values()))))
    for name, values in times.items():
        median = float(np.median(values))
        fast = float(np.percentile(values, 10))
        print(f'{name:24s} {median:10.1f} {fast:8.1f} {median / reference:6.2f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
