"""What the command lines of the speed benchmarks have in common."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.replay.evaluation import load_ground_truth
from centertrack_ros.replay.sources import Source

DEFAULT_VIDEO = Path(__file__).resolve().parents[2] / 'samples' / 'pets09_s2l1.mp4'


def natural(text: str) -> int:
    """Whole number of at least 0."""
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def positive(text: str) -> int:
    """Whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def add_recording_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--video`, `--ground-truth`, `--limit`, `--threads`, `--json`."""
    parser.add_argument('--video', type=Path, default=DEFAULT_VIDEO, help='any replay input')
    parser.add_argument('--ground-truth', type=Path, help='MOT file of the video')
    parser.add_argument('--limit', type=natural, default=0, help='stop after so many images')
    parser.add_argument('--threads', type=natural, default=0, help='0 = all cores')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures there')


def check_files(
    options: argparse.Namespace, source: Source, model_path: Path, tracked: Sequence[str]
) -> None:
    """See that what takes minutes will not fail at its end.

    Args:
        options: of `add_recording_arguments`.
        source: the recording.
        model_path: model of ours.
        tracked: names of the classes to track, empty = all.

    Raises:
        FileNotFoundError: the ground truth, or the folder of the JSON file, does not exist.
        ValueError: the ground truth does not fit the recording or the classes.
    """
    if options.json and not options.json.parent.is_dir():
        raise FileNotFoundError(f'--json: folder {options.json.parent} does not exist')
    if options.ground_truth:
        classes = ModelSpec.load(model_path).classes
        truth = load_ground_truth(options.ground_truth, classes, tracked)
        if not any(map(len, truth.frames[: options.limit or None])):
            raise ValueError(
                f'{options.ground_truth}: expected an object in the first {options.limit} images, '
                'found none; raise --limit'
            )
        if not options.limit and source.count is not None:
            truth.check_length(source.count)


def write_document(path: Path | None, document: dict[str, Any]) -> None:
    """Write the figures as JSON, if a path is given."""
    if path is not None:
        path.write_text(json.dumps(document, indent=2) + '\n', encoding='utf-8')
