"""A model as a file that engines run, decoding inside; checked on real frames.

`python -m training.export CHECKPOINT --output models [--video CLIP]` writes `<name>.onnx` and the
ModelSpec `<name>.json`; with `--half` `<name>.fp16.onnx`, with `--format pt2` `<name>.pt2`. In
place of the checkpoint an exported `.onnx` or the name of a shipped model will do.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

from centertrack_ros.engines.onnxruntime import OnnxRuntimeEngine
from centertrack_ros.engines.pytorch import PyTorchEngine
from centertrack_ros.model_spec import ModelSpec, Thresholds
from training.evaluation.engines import TorchEngine
from training.exporting.checks import (
    HALF_LOST_ROWS,
    HALF_MEAN_TOLERANCE,
    HALF_TOLERANCE,
    TOLERANCE,
    compare,
    compare_cells,
    read_frames,
)
from training.exporting.onnx_file import export_onnx
from training.exporting.options import TARGETS, OnnxOptions, prepare_for_target
from training.exporting.program import export_program
from training.exporting.sources import load_source
from training.models.deformable import ExportForm
from training.models.graph import TrackerGraph

__all__ = ['TOLERANCE', 'compare', 'export_onnx', 'main', 'read_frames']

SAMPLE_CLIP = Path(__file__).parent.parent / 'samples' / 'pets09_s2l1.mp4'
# Images in a call by which a file for any number is checked.
_CHECKED_BATCH = 2


def _threshold(text: str) -> tuple[str, float]:
    names = [entry.name for entry in fields(Thresholds)]
    name, _, value = text.partition('=')
    if name not in names:
        raise argparse.ArgumentTypeError(f'expected one of {names} and a value, received {text!r}')
    return name, float(value)


def _pixels(text: str) -> tuple[int, int]:
    width, _, height = text.partition('x')
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f'expected a size such as 544x416, received {text!r}')
    return int(width), int(height)


def _batch(text: str) -> int | None:
    if text == 'dynamic':
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'expected dynamic or a number, received {text!r}')
    return int(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument('source', help='checkpoint, exported .onnx or name of a shipped model')
    parser.add_argument('--output', type=Path, default=Path('models'), help='folder')
    parser.add_argument('--name', help='file name without ending (default: the name in the spec)')
    parser.add_argument('--video', type=Path, default=SAMPLE_CLIP, help='frames for the check')
    parser.add_argument('--frames', type=int, default=12, help='how many of them')
    parser.add_argument(
        '--threshold',
        action='append',
        default=[],
        type=_threshold,
        metavar='NAME=VALUE',
        help='another default threshold than the one trained with, such as track=0.4',
    )
    parser.add_argument(
        '--adaptive',
        type=_pixels,
        metavar='WIDTHxHEIGHT',
        help='let the input take the proportions of each image, with about as many pixels as this',
    )
    parser.add_argument(
        '--batch', type=_batch, default=None, help='images per call, or dynamic (the default)'
    )
    parser.add_argument(
        '--format', choices=['onnx', 'pt2'], default='onnx', help='pt2: program for PyTorch'
    )
    parser.add_argument(
        '--half', action='store_true', help='of onnx: compute in float16, as <name>.fp16.onnx'
    )
    parser.add_argument(
        '--target', choices=list(TARGETS), default='onnxruntime', help='runtime of the onnx'
    )
    parser.add_argument(
        '--deformable',
        choices=get_args(ExportForm),
        default='grid_sample',
        help='operator of deformable convolutions: GridSample runs everywhere, DeformConv faster '
        'in ONNX Runtime and TensorRT 10.1+, and not in OpenVINO or TensorRT for RTX',
    )
    arguments = parser.parse_args()
    if arguments.format == 'pt2' and arguments.half:
        parser.error('--half is for onnx: a program for PyTorch computes in what its engine says')
    return arguments


def _spec(spec: ModelSpec, arguments: argparse.Namespace) -> ModelSpec:
    thresholds = replace(spec.thresholds, **dict(arguments.threshold))
    spec = replace(spec, name=arguments.name or spec.name, thresholds=thresholds)
    if arguments.adaptive:
        width, height = arguments.adaptive
        spec = replace(spec, resize='adaptive', input_width=width, input_height=height)
    return spec


def main() -> int:
    """Export a model; exit code 1 when the file and PyTorch disagree."""
    arguments = _arguments()
    source = load_source(arguments.source)
    spec = _spec(source.spec, arguments)
    options = OnnxOptions(arguments.batch, arguments.half, arguments.target, arguments.deformable)
    prepare_for_target(source.network, spec, options)
    graph = TrackerGraph(source.network, spec)
    suffix = '.pt2' if arguments.format == 'pt2' else '.fp16.onnx' if options.half else '.onnx'
    target = arguments.output / f'{spec.name}{suffix}'
    arguments.output.mkdir(parents=True, exist_ok=True)
    # Written and checked aside: a model that fails the check never replaces a good one.
    with tempfile.TemporaryDirectory(dir=arguments.output) as folder:
        # Engines find half precision by its name, and the plain file beside it.
        path = Path(folder) / ('model' + ('.pt2' if suffix == '.pt2' else '.onnx'))
        if arguments.format == 'pt2':
            export_program(graph, spec, path, options.batch)
        else:
            export_onnx(graph, spec, path, options)
        print(f'{target.name}: largest difference from PyTorch over {arguments.frames} frames')
        if not _agrees(graph, spec, path, options, arguments):
            print(
                f'{target.name}: the file and PyTorch disagree; nothing written', file=sys.stderr
            )
            return 1
        path.replace(target)
    spec.save(arguments.output / f'{spec.name}.json')
    print(f'{target} ({target.stat().st_size / 2**20:.1f} MiB) and {spec.name}.json written')
    return 0


def _agrees(
    graph: TrackerGraph,
    spec: ModelSpec,
    path: Path,
    options: OnnxOptions,
    arguments: argparse.Namespace,
) -> bool:
    """Run the written file beside PyTorch, and print by how much they differ."""
    kind = PyTorchEngine if path.suffix == '.pt2' else OnnxRuntimeEngine
    engine = kind(path, spec, device='cpu', precision='fp32', threads=0)
    reference, frames = TorchEngine(graph), read_frames(arguments.video, arguments.frames)
    if options.half and arguments.format == 'onnx':
        found = compare_cells(reference, engine, spec, frames)
        for output, difference in found.maximum.items():
            print(
                f'{output:13s} {difference:.2e} (at most {HALF_TOLERANCE:g}), '
                f'mean {found.mean[output]:.2e} (at most {HALF_MEAN_TOLERANCE:g})'
            )
        print(f'{"other cells":13s} {found.lost:.1%} of rows (at most {HALF_LOST_ROWS:.0%})')
        return (
            max(found.maximum.values()) <= HALF_TOLERANCE
            and max(found.mean.values()) <= HALF_MEAN_TOLERANCE
            and found.lost <= HALF_LOST_ROWS
        )
    worst = compare(reference, engine, spec, frames, options.batch or _CHECKED_BATCH)
    for output, difference in worst.items():
        print(f'{output:13s} {difference:.2e} (at most {TOLERANCE:g})')
    # Written this way round so that no-numbers disagree.
    return max(worst.values()) <= TOLERANCE


if __name__ == '__main__':
    sys.exit(main())
