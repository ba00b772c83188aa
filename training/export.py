"""Checkpoint to ONNX with decoding inside, and the ModelSpec beside it; checked on real frames.

`python -m training.export CHECKPOINT --output models [--video CLIP]`
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import warnings
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import torch
from torch import Tensor

from centertrack_ros.datatypes import Image, Tracks
from centertrack_ros.engines.base import (
    Engine,
    expected_inputs,
    expected_outputs,
)
from centertrack_ros.engines.onnxruntime import OnnxRuntimeEngine
from centertrack_ros.model_spec import ModelSpec, Thresholds
from centertrack_ros.pipeline import TrackingPipeline
from centertrack_ros.preprocessing import SIZE_MULTIPLE, fit_transform, to_input
from centertrack_ros.rendering import render_prior_heatmap
from centertrack_ros.tracker import create_tracker
from training.checkpoint import Checkpoint
from training.evaluation.engines import TorchEngine
from training.models.alignment import aligned_copy
from training.models.deformable import ExportForm, set_deformable_export
from training.models.exported_weights import record_weights
from training.models.graph import TrackerGraph

OPSET = 20
SAMPLE_CLIP = Path(__file__).parent.parent / 'samples' / 'pets09_s2l1.mp4'
# Largest difference allowed between ONNX Runtime and PyTorch, as a share of values above 1.
TOLERANCE = 1e-3


def export_onnx(graph: TrackerGraph, spec: ModelSpec, path: Path) -> None:
    """Write `graph` for a batch of one, at the size of `spec` or, if `adaptive`, at any size.

    Channels are padded for speed (`models.alignment`); what `read_exported_weights` needs to undo
    that stands in the metadata of the file.
    """
    aligned = aligned_copy(graph.eval())
    with warnings.catch_warnings():
        # The exporter warns of its own deprecated internals and of torchvision being absent.
        warnings.simplefilter('ignore')
        logging.getLogger('torch.onnx').setLevel(logging.ERROR)
        torch.onnx.export(
            aligned,
            example_inputs(spec),
            str(path),
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            input_names=graph.inputs,
            output_names=graph.outputs,
            dynamic_shapes=_dynamic_shapes(spec),
            verbose=False,
        )
    record_weights(path, graph.state_dict())


def example_inputs(spec: ModelSpec) -> tuple[Tensor, ...]:
    """Black images and an empty prior heatmap, as the model takes them."""
    return tuple(
        torch.from_numpy(np.zeros(shape, dtype)) for dtype, shape in expected_inputs(spec).values()
    )


def _dynamic_shapes(spec: ModelSpec) -> tuple[tuple[dict[int, Any], ...]] | None:
    """Which sizes of the inputs vary, for the arguments `*inputs` of the graph."""
    if spec.resize != 'adaptive':
        return None
    # Names of the dimensions in the file; multiples, or the graph would check and round sizes.
    rows, columns = torch.export.Dim('rows', max=4096), torch.export.Dim('columns', max=4096)
    image = {1: SIZE_MULTIPLE * rows, 2: SIZE_MULTIPLE * columns}
    multiple = SIZE_MULTIPLE // spec.prior_heatmap_stride
    prior = {2: multiple * rows, 3: multiple * columns}
    return (tuple(prior if name == 'prior_heatmap' else image for name in expected_inputs(spec)),)


def compare(
    reference: Engine, engine: Engine, spec: ModelSpec, frames: list[Image]
) -> dict[str, float]:
    """Largest difference of each output over `frames`, tracked so that the prior is not empty.

    Differences of values above 1 count as a share of the value. Of each frame the rows are
    compared that the reference detects, or else its best one: far below the threshold lie peaks
    of equal height, whose order is undefined.
    """
    tracker = create_tracker(
        'centertrack',
        track_threshold=spec.thresholds.track,
        birth_threshold=spec.thresholds.birth,
        prior_threshold=spec.thresholds.prior,
        max_age=0.0,
        max_age_frames=-1,
    )
    pipeline = TrackingPipeline(
        reference, spec, tracker, detection_threshold=spec.thresholds.detection
    )
    worst = dict.fromkeys(expected_outputs(spec), 0.0)
    tracks, previous = Tracks.empty(), None
    for index, frame in enumerate(frames):
        transform = fit_transform(frame.shape[:2], spec)
        current = to_input(frame, transform)[None]
        prior = render_prior_heatmap(tracks, transform, spec)[None, None]
        inputs = (current, current if previous is None else previous, prior)
        expected, received = reference.run(*inputs), engine.run(*inputs)
        rows = expected.scores[0] >= min(spec.thresholds.detection, expected.scores[0].max())
        for name in worst:
            values = getattr(expected, name)[0][rows]
            difference = np.abs(values - getattr(received, name)[0][rows])
            shares = difference / np.maximum(1.0, np.abs(values))
            worst[name] = max(worst[name], float(shares.max(initial=0.0)))
        tracks, previous = pipeline.step(frame, float(index)).tracks, current
    return worst


def read_frames(path: Path, count: int) -> list[Image]:
    """`count` frames spread over a video.

    Raises:
        ValueError: the video cannot be read.
    """
    capture = cv2.VideoCapture(str(path))
    total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    frames = []
    for index in range(total):
        success, frame = capture.read()
        if not success:
            break
        if index % max(1, total // count) == 0:
            frames.append(frame)
    if not frames:
        raise ValueError(f'{path}: expected a readable video, received no frame')
    return frames[:count]


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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument('checkpoint', type=Path)
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
        '--deformable',
        choices=get_args(ExportForm),
        default='grid_sample',
        help='operator of deformable convolutions: GridSample runs everywhere, DeformConv faster '
        'in ONNX Runtime and TensorRT 10.1+, and not in OpenVINO or TensorRT for RTX',
    )
    parser.add_argument(
        '--adaptive',
        type=_pixels,
        metavar='WIDTHxHEIGHT',
        help='let the input take the proportions of each image, with about as many pixels as this',
    )
    return parser.parse_args()


def main() -> int:
    """Export a checkpoint; exit code 1 when ONNX Runtime and PyTorch disagree."""
    arguments = _arguments()
    checkpoint = Checkpoint.load(arguments.checkpoint)
    name = arguments.name or checkpoint.spec.name
    provenance = {
        **checkpoint.spec.provenance,
        'training_commit': checkpoint.commit,
        'training_steps': str(checkpoint.step),
        'seed': str(checkpoint.seed),
    }
    thresholds = replace(checkpoint.spec.thresholds, **dict(arguments.threshold))
    spec = replace(checkpoint.spec, name=name, provenance=provenance, thresholds=thresholds)
    if arguments.adaptive:
        width, height = arguments.adaptive
        spec = replace(spec, resize='adaptive', input_width=width, input_height=height)
    network = checkpoint.network()
    set_deformable_export(network, arguments.deformable)
    graph = TrackerGraph(network, spec)
    arguments.output.mkdir(parents=True, exist_ok=True)
    # Exported and checked aside: a model that fails the check never replaces a good one.
    with tempfile.TemporaryDirectory(dir=arguments.output) as folder:
        path = Path(folder) / f'{name}.onnx'
        export_onnx(graph, spec, path)
        engine = OnnxRuntimeEngine(path, spec, device='cpu', threads=0)
        frames = read_frames(arguments.video, arguments.frames)
        worst = compare(TorchEngine(graph), engine, spec, frames)
        for output, difference in worst.items():
            print(f'{output:13s} max difference {difference:.2e} (at most {TOLERANCE:g})')
        if not max(worst.values()) <= TOLERANCE:
            print(f'{name}: ONNX Runtime and PyTorch disagree; nothing written', file=sys.stderr)
            return 1
        path.replace(arguments.output / path.name)
    spec.save(arguments.output / f'{name}.json')
    size = (arguments.output / f'{name}.onnx').stat().st_size / 2**20
    print(f'{arguments.output / name}.onnx ({size:.1f} MiB) and .json written')
    return 0


if __name__ == '__main__':
    sys.exit(main())
