"""Result files of MOTChallenge, and its scores of them.

The benchmark counts images, tracks and pixels from 1. `training.convert mot` takes the numbers of
boxes as they are, and so does everything here: what is learnt from them is written in the same
frame, and neither the development kit nor TrackEval moves boxes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from trackeval.datasets import MotChallenge2DBox
from trackeval.utils import TrackEvalException

from centertrack_ros.files import write_atomically
from centertrack_ros.replay.metrics import SequenceData, score_sequences
from centertrack_ros.replay.mot_files import (
    MIN_COLUMNS,
    MOT16_COLUMNS,
    FrameBoxes,
    format_mot,
)
from training.convert.files import (
    checked_folder,
    located,
    parse_numbers,
    parse_whole,
    read_lines,
)
from training.evaluation.runner import FrameResult
from training.evaluation.scores import Scores
from training.evaluation.sequences import benchmark_videos, image_numbers
from training.evaluation.sets import EvaluationSet, EvaluationVideo

PERSONS = ('person', 'pedestrian')
_TRACKER = 'ours'


def write_mot(
    folder: Path, evaluation_set: EvaluationSet, results: Sequence[FrameResult]
) -> list[Path]:
    """A file `<sequence>.txt` for each video, with the tracks of persons.

    Args:
        folder: where to; created if need be.
        evaluation_set: its videos are named after the sequences. Images are numbered as in the
            benchmark's `gt.txt`, also those of halves, see `sequences.image_numbers`.
        results: one per record of the set.

    Raises:
        ValueError: the set has stills, or the model several classes and no persons.
    """
    paths = []
    for video in benchmark_videos(evaluation_set):
        numbers = image_numbers(evaluation_set, video, first=1)
        frames = dict(zip(numbers, _frames(evaluation_set, results, video), strict=True))
        # The files have no lines for images without tracks, but all images count.
        counted = [frames.get(number, FrameBoxes.empty()) for number in range(1, max(numbers) + 1)]
        paths.append(folder / f'{video.name}.txt')
        write_atomically(paths[-1], format_mot(counted))
    return paths


def mot_scores(
    ground_truth: Path, evaluation_set: EvaluationSet, results: Sequence[FrameResult]
) -> Scores:
    """The benchmark's scores over all sequences together, by TrackEval.

    Results at persons on vehicles, standing for long, reflected or drawn count neither way (not
    in MOT15, whose truth has no classes; in MOT20 other vehicles are such too). Only the images
    of the set are compared.

    Args:
        ground_truth: folder of sequence folders with `gt/gt.txt`.
        evaluation_set: as for `write_mot`.
        results: one per record.

    Returns:
        `MOT_<metric>` with the metrics of `replay.metrics`: percent, counts.

    Raises:
        FileNotFoundError: the truth of a sequence is missing.
        ValueError: a line of it is malformed, or it has no object.
    """
    checked_folder(ground_truth, 'MOT sequences')
    sequences: dict[str, SequenceData] = {}
    with tempfile.TemporaryDirectory() as name:
        for video in benchmark_videos(evaluation_set):
            numbers = image_numbers(evaluation_set, video, first=1)
            rows = _truth(ground_truth / video.name / 'gt' / 'gt.txt', numbers)
            frames = _frames(evaluation_set, results, video)
            sequences[video.name] = _preprocessed(Path(name), video.name, rows, frames)
    return Scores({f'MOT_{key}': value for key, value in score_sequences(sequences).items()})


def person_class(evaluation_set: EvaluationSet) -> int:
    """Index of the class that a benchmark of persons means; the only one, whatever its name.

    Raises:
        ValueError: there are several and none of them is called so.
    """
    indices = evaluation_set.class_indices
    names = [evaluation_set.class_names[index] for index in indices]
    found = [index for index, name in zip(indices, names, strict=True) if name in PERSONS]
    if len(indices) == 1:
        return indices[0]
    if len(found) != 1:
        raise ValueError(
            f'{evaluation_set.name}: expected a single class or one of {PERSONS}, received {names}'
        )
    return found[0]


def _frames(
    evaluation_set: EvaluationSet, results: Sequence[FrameResult], video: EvaluationVideo
) -> list[FrameBoxes]:
    chosen = person_class(evaluation_set)
    frames = []
    for row in video.rows:
        tracks = results[row].tracks
        tracks = tracks[tracks.classes == chosen]
        boxes, scores = tracks.boxes.astype(np.float64), tracks.scores.astype(np.float64)
        frames.append(FrameBoxes(tracks.ids, boxes, scores))
    return frames


def _truth(path: Path, numbers: Sequence[int]) -> list[list[float]]:
    """Rows of a `gt.txt` of the images with these numbers, numbered anew from 1."""
    positions = {number: place for place, number in enumerate(numbers, start=1)}
    rows: list[list[float]] = []
    for number, line in read_lines(path, 'the ground truth of a sequence'):
        with located(path, number):
            expected = 'frame, id, left, top, width, height, confidence and more numbers'
            row = parse_numbers(line.replace(',', ' ').split(), expected)
            if len(row) < MIN_COLUMNS + 2:
                raise ValueError(f'expected {expected}, received {line[:80]!r}')
            if rows and len(row) != len(rows[0]):
                raise ValueError(f'expected {len(rows[0])} columns, received {len(row)}')
            frame = parse_whole(row[0], 'frame', 1)
        if frame in positions:
            rows.append([positions[frame], *row[1:]])
    return rows


def _preprocessed(
    root: Path, name: str, truth: list[list[float]], frames: Sequence[FrameBoxes]
) -> SequenceData:
    """What TrackEval makes of one sequence."""
    write_atomically(root / 'gt' / name / 'gt' / 'gt.txt', ''.join(map(_line, truth)))
    write_atomically(root / 'results' / _TRACKER / 'data' / f'{name}.txt', format_mot(frames))
    dataset = MotChallenge2DBox(
        {
            'GT_FOLDER': str(root / 'gt'),
            'TRACKERS_FOLDER': str(root / 'results'),
            'TRACKERS_TO_EVAL': [_TRACKER],
            'BENCHMARK': _benchmark(name, truth),
            'SEQ_INFO': {name: len(frames)},
            'SKIP_SPLIT_FOL': True,
            'PRINT_CONFIG': False,
        }
    )
    try:
        raw = dataset.get_raw_seq_data(_TRACKER, name)
        data: SequenceData = dataset.get_preprocessed_seq_data(raw, 'pedestrian')
    except TrackEvalException as error:
        raise ValueError(f'{name}: TrackEval refuses the ground truth: {error}') from error
    return data


def _benchmark(name: str, truth: Sequence[Sequence[float]]) -> str:
    """Which rules apply: those without classes, with them, or with more distractors."""
    if any(len(row) != MOT16_COLUMNS or row[7] < 1 for row in truth):
        return 'MOT15'
    return 'MOT20' if name.startswith('MOT20') else 'MOT17'


def _line(row: Iterable[float]) -> str:
    return ','.join(f'{value:.10g}' for value in row) + '\n'
