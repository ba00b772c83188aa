"""INT8 models from an exported one, calibrated on real frames and compared with it.

`python -m training.quantize models/NAME.onnx` writes `NAME.int8.onnx` beside it for ONNX Runtime
and OpenVINO, with `--target tensorrt` `NAME.int8_symmetric.onnx` for TensorRT.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from tqdm import tqdm

from centertrack_ros.engines import create_engine
from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.settings import Settings
from training.quantization.layers import find_layers, load_graph
from training.quantization.measure import compare_speed, detection_accuracy, tracking_accuracy
from training.quantization.ranges import collect_values
from training.quantization.samples import Samples, record_samples
from training.quantization.search import Quantized, Search, check_patterns

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / 'shared' / 'data'
# Recordings to calibrate on, those of them that are there.
RECORDINGS = (
    SHARED / 'coco128' / 'images' / 'train2017',
    SHARED / 'clips' / 'car-detection.mp4',
    SHARED / 'clips' / 'one-by-one-person-detection.mp4',
    ROOT / 'samples' / 'person_indoor.mp4',
)
VIDEO = SHARED / 'pets09_s2l1' / 'vtest.avi'
GROUND_TRUTH = SHARED / 'pets09_s2l1' / 'gt' / 'gt.txt'
SUFFIXES = {'cpu': '.int8.onnx', 'tensorrt': '.int8_symmetric.onnx'}
# Where the file says how it was made: JSON.
PROVENANCE = 'quantization'
# What may be lost at most: points of HOTA, and of AP in [0, 1].
MOST_LOST = {'HOTA': 1.0, 'AP': 0.01}


def quantize_model(options: argparse.Namespace, spec: ModelSpec) -> tuple[Quantized, Samples]:
    """Calibrate, search and build what the command line asks for; nothing is written.

    Raises:
        FileNotFoundError, ValueError: a recording or the model is missing or unfit.
    """
    model = load_graph(options.model)
    layers = find_layers(model)
    check_patterns(options.keep_float, layers)
    engine = create_engine(
        options.model, spec, engine='onnxruntime', device='cpu', precision='fp32',
        threads=options.threads,
    )  # fmt: skip
    pipeline = assemble_pipeline(engine, spec, Settings())
    samples = record_samples(options.images, pipeline, options.count, held_out=options.video)
    engine.close()
    print(f'calibration: {", ".join(samples.sources)} ({len(samples.held_back)} held back)')
    nodes = [name for layer in layers for name in layer.nodes]
    generator = np.random.default_rng(options.seed)
    values = collect_values(model, nodes, samples.calibration, generator)
    with tqdm(desc='layers', unit='model') as bar:
        search = Search(
            model,
            layers,
            values,
            samples.held_back,
            threshold=spec.thresholds.detection,
            target=options.target,
            # TensorRT fuses what follows a convolution by itself.
            outputs=options.target == 'cpu' and not options.float_outputs,
            threads=options.threads,
            progress=bar.update,
        )
        return search.run(options.aim, options.keep_float), samples


def record_provenance(result: Quantized, samples: Samples, options: argparse.Namespace) -> None:
    """Write into the metadata of the model how it was made."""
    content = {
        'target': options.target,
        'calibration': samples.sources,
        'held_back': len(samples.held_back),
        'seed': options.seed,
        'float_layers': {layer.name: layer.reason for layer in result.layers if layer.reason},
        'rules': {layer.name: layer.rule for layer in result.layers if not layer.reason},
        'row_error': round(result.error, 4),
    }
    entry = result.model.metadata_props.add()
    entry.key, entry.value = PROVENANCE, json.dumps(content)


def describe(result: Quantized) -> str:
    """What was decided, line by line."""
    lines = [
        f'row error against fp32: {result.first_error:.3f} with all layers in INT8, '
        f'{result.error:.3f} with {result.int8_work:.0%} of the multiplications in INT8'
    ]
    lines += [f'  float: {layer.name}: {layer.reason}' for layer in result.layers if layer.reason]
    return '\n'.join(lines)


def compare(folder: Path, spec: ModelSpec, options: argparse.Namespace) -> list[str]:
    """Print accuracy of both files in `folder`; what was lost beyond `MOST_LOST`, in words."""
    figures: dict[str, dict[str, float]] = {}
    for precision in ('fp32', 'int8'):
        engine = create_engine(
            folder / options.model.name, spec, engine='onnxruntime', device='cpu',
            precision=precision, threads=options.threads,
        )  # fmt: skip
        found: dict[str, float] = {}
        if options.ground_truth is not None:
            found |= tracking_accuracy(engine, spec, options.video, options.ground_truth)
        if options.dataset is not None:
            found |= detection_accuracy(engine, spec, options.dataset, options.dataset_images)
        engine.close()
        figures[precision] = found
    lost = []
    for name, before in figures['fp32'].items():
        after = figures['int8'][name]
        print(f'{name:5s} fp32 {before:.3f} INT8 {after:.3f} ({after - before:+.3f})')
        if before - after > MOST_LOST.get(name, float('inf')):
            lost.append(f'{name} {before:.3f} -> {after:.3f}')
    return lost


def run(options: argparse.Namespace) -> int:
    """Do what the command line asks for; returns the exit code."""
    spec = ModelSpec.load(options.model)
    result, samples = quantize_model(options, spec)
    print(describe(result))
    record_provenance(result, samples, options)
    output = options.output or options.model.parent
    output.mkdir(parents=True, exist_ok=True)
    target = output / f'{options.model.stem}{SUFFIXES[options.target]}'
    with tempfile.TemporaryDirectory(dir=output) as name:
        folder = Path(name)
        for path in (options.model, options.model.with_suffix('.json')):
            shutil.copyfile(path, folder / path.name)
        # Engines of the CPU take symmetric files too.
        written = folder / f'{options.model.stem}{SUFFIXES["cpu"]}'
        onnx.save(result.model, written)
        size, before = (path.stat().st_size / 2**20 for path in (written, options.model))
        if options.measure:
            lost = compare(folder, spec, options)
            if options.target == 'cpu':
                fp32 = folder / options.model.name
                for speed in compare_speed(fp32, spec, samples.held_back, options.threads, 8):
                    print(
                        f'{speed.engine:12s} fp32 {speed.before_ms:.2f} ms, INT8 '
                        f'{speed.after_ms:.2f} ms: {speed.ratio:.2f} times as fast'
                    )
            if lost and not options.force:
                print(
                    f'{"; ".join(lost)}: more than allowed, nothing written; lower --aim '
                    f'(now {options.aim:g}), or write it with --force',
                    file=sys.stderr,
                )
                return 1
        os.replace(written, target)
    print(f'{target} written: {size:.1f} MiB, fp32 {before:.1f} MiB')
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', type=Path, help='.onnx of training.export, its .json beside it')
    parser.add_argument('--target', choices=SUFFIXES, default='cpu')
    parser.add_argument('--output', type=Path, metavar='DIR', help='default: that of the model')
    parser.add_argument(
        '--images', type=Path, nargs='+', metavar='PATH',
        help='folders of images, videos, bags to calibrate on (default: those of shared/data '
        'and samples that are there)',
    )  # fmt: skip
    parser.add_argument('--count', type=int, default=48, help='of images, over all recordings')
    parser.add_argument(
        '--keep-float', nargs='+', default=[], metavar='PATTERN',
        help='layers that stay in float, such as heads.hm or blocks.1*',
    )  # fmt: skip
    parser.add_argument(
        '--aim', type=float, default=0.25,
        help='largest error of rows on held back frames; layers go back to float until then',
    )  # fmt: skip
    parser.add_argument(
        '--float-outputs', action='store_true',
        help='no 8 bits between a convolution and float operators: faster in OpenVINO, slower '
        'than fp32 in ONNX Runtime',
    )  # fmt: skip
    parser.add_argument('--video', type=Path, default=VIDEO, help='to measure accuracy on')
    parser.add_argument('--ground-truth', type=Path, metavar='gt.txt', help='of the video')
    parser.add_argument('--dataset', type=Path, metavar='FILE', help='COCO file: AP is measured')
    parser.add_argument('--dataset-images', type=Path, metavar='DIR')
    parser.add_argument(
        '--no-measure', dest='measure', action='store_false', help='no accuracy, no speed'
    )
    parser.add_argument('--force', action='store_true', help='write it whatever was lost')
    parser.add_argument('--threads', type=int, default=0, help='of the engines, 0 = all cores')
    parser.add_argument('--seed', type=int, default=0)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 1 when too much accuracy is lost, 2 after a line that says what is wrong."""
    options = _parser().parse_args(arguments)
    if options.images is None:
        options.images = [path for path in RECORDINGS if path.exists()]
    if options.ground_truth is None and options.video == VIDEO and GROUND_TRUTH.is_file():
        options.ground_truth = GROUND_TRUTH
    try:
        return run(options)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f'training.quantize: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
