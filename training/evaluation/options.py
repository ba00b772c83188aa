"""Options of `python -m training.evaluate`, and what contradicts what."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from centertrack_ros.settings import parameters
from training.evaluation.families import FAMILIES
from training.evaluation.kitti import kitti_scores
from training.evaluation.mot import mot_scores
from training.evaluation.multi_scale import MAX_SCALE, check_scales
from training.evaluation.report import JSON_FILE, MARKDOWN_FILE
from training.evaluation.result_files import RESULT_FILES, TRACK_FILES
from training.evaluation.runner import FrameResult
from training.evaluation.scores import Scores
from training.evaluation.sets import EvaluationSet

# Scores by the rules of a benchmark, from its own ground truth.
BENCHMARKS: dict[str, Callable[[Path, EvaluationSet, Sequence[FrameResult]], Scores]] = {
    'mot': mot_scores,
    'kitti': kitti_scores,
}


def parser(description: str | None) -> argparse.ArgumentParser:
    """The parser of the command line."""
    methods = next(row.choices for row in parameters() if row.name == 'tracker_method')
    built = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    add = built.add_argument
    model = built.add_mutually_exclusive_group(required=True)
    model.add_argument('--checkpoint', type=Path, metavar='F', help='of training.train')
    model.add_argument('--onnx', metavar='F', help='exported model, or name of a shipped one')
    data = built.add_mutually_exclusive_group(required=True)
    data.add_argument('--dataset', type=Path, metavar='JSON', help='COCO format, with videos')
    data.add_argument('--config', type=Path, metavar='YAML', help='its validation sets')
    add('--images', type=Path, metavar='DIR', help='of --dataset; default: searched beside it')
    add(
        '--metrics',
        type=partial(_names, [*FAMILIES, *BENCHMARKS]),
        default=[],
        help='comma-separated, default all that set and model allow:\n'
        + ','.join([*FAMILIES, *BENCHMARKS]),
    )
    add('--tracker', choices=methods, help='default: robust, as the node')
    add('--params-file', type=Path, metavar='YAML', help='parameters of the node: thresholds, ...')
    add('--classes', nargs='+', metavar='NAME', help='track and measure only these')
    add(
        '--skip-categories',
        nargs='+',
        default=[],
        metavar='NAME',
        help='categories of the file that the model does not have',
    )
    add('--flip', action='store_true', help='flip test (checkpoint only)')
    add('--scales', type=_scales, metavar='S,S', help='several scales and soft-NMS; no tracking')
    add(
        '--resolution',
        choices=('fixed', 'keep'),
        default='fixed',
        help="with --scales: the model's input size, or that of each image (keep_res)",
    )
    add('--public-detections', type=Path, metavar='F', help='folder of MOT files, or COCO JSON')
    add('--benchmark-truth', type=Path, metavar='DIR', help='for --metrics mot or kitti')
    add(
        '--results',
        type=partial(_names, list(RESULT_FILES)),
        default=[],
        help=f'comma-separated files to write: {",".join(RESULT_FILES)}',
    )
    add('--output', type=Path, metavar='DIR', help=f'{JSON_FILE}, {MARKDOWN_FILE}, results')
    add('--device', default='auto', help='auto, cpu, cuda, cuda:N')
    add('--faults', choices=('fatal', 'skip'), default='fatal', help='of wrong annotations')
    return built


def check_options(options: argparse.Namespace) -> None:
    """Find contradictions before anything is loaded; ValueError names the options."""
    if options.flip and options.onnx:
        raise ValueError('--flip: the flip test needs the maps of a --checkpoint, not an --onnx')
    if options.resolution == 'keep' and (options.onnx or not options.scales):
        raise ValueError(
            '--resolution keep: expected --scales and a --checkpoint; an --onnx has one size'
        )
    if options.results and options.output is None:
        raise ValueError('--results: expected --output, the folder to write them to')
    asked = set(options.metrics) & BENCHMARKS.keys()
    if asked and options.benchmark_truth is None:
        raise ValueError(
            f'--metrics {",".join(sorted(asked))}: expected --benchmark-truth, the folder of the '
            "benchmark's own ground truth"
        )
    if options.images is not None and options.config is not None:
        raise ValueError('--images: the sets of --config have folders of their own')
    if not options.scales:
        return
    tracked = {name for name, family in FAMILIES.items() if family.needs_tracks} | asked
    wrong = [f'--metrics {name}' for name in options.metrics if name in tracked]
    wrong += [f'--results {name}' for name in options.results if name in TRACK_FILES]
    wrong += ['--tracker'] if options.tracker else []
    wrong += ['--public-detections'] if options.public_detections else []
    if wrong:
        raise ValueError(
            f'--scales with {", ".join(wrong)}: what is tracked must have one scale, as in '
            'CenterTrack; several scales are for detection metrics only'
        )


def _names(known: Sequence[str], text: str) -> list[str]:
    """Comma-separated names."""
    names = [name for name in text.split(',') if name]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f'expected some of {",".join(known)}, received {text!r}')
    return names


def _scales(text: str) -> list[float]:
    try:
        return check_scales([float(part) for part in text.split(',')])
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f'expected numbers above 0 and up to {MAX_SCALE:g}, received {text!r}'
        ) from error
