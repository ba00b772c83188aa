"""Result files of KITTI's tracking benchmark, and its scores of them.

A file for each sequence, a line for each track in each image, blanks between the columns: image
(from 0), track, class, truncated, occluded, alpha, left, top, right, bottom, height, width,
length, x, y, z, rotation_y, score. As the benchmark's readme asks for, what is not said is -1
(truncated, occluded, dimensions), -10 (angles) or -1000 (location). Pixels are as in the labels,
counted from 0; lengths are metres, angles radians, the location is the middle of the bottom.
CenterTrack cuts the columns of the box in space to whole numbers; here they stay.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from trackeval.datasets import Kitti2DBox
from trackeval.utils import TrackEvalException

from centertrack_ros.datatypes import Detections, FloatArray
from centertrack_ros.files import write_atomically
from centertrack_ros.lifting import Boxes3D, lift_detections
from centertrack_ros.replay.metrics import SequenceData, score_sequences
from training.convert.files import (
    checked_folder,
    located,
    parse_numbers,
    parse_whole,
    read_lines,
)
from training.evaluation.runner import FrameResult
from training.evaluation.scores import Scores
from training.evaluation.sequences import benchmark_classes, benchmark_videos, image_numbers
from training.evaluation.sets import EvaluationSet, EvaluationVideo

# Classes of ours -> those of the benchmark.
KITTI_NAMES = {
    'pedestrian': 'Pedestrian', 'car': 'Car', 'cyclist': 'Cyclist', 'van': 'Van',
    'truck': 'Truck', 'tram': 'Tram', 'misc': 'Misc',
}  # fmt: skip
SCORED_CLASSES = ('car', 'pedestrian')
LABELS = 'label_02'
# Metres.
LEAST_SIZE = 0.01
_TRACKER = 'ours'
_SPLIT = 'training'


def write_kitti(
    folder: Path, evaluation_set: EvaluationSet, results: Sequence[FrameResult]
) -> list[Path]:
    """A file `<sequence>.txt` for each video.

    Args:
        folder: where to; created if need be.
        evaluation_set: its videos are named after the sequences. Images are numbered as in the
            benchmark's labels, also those of halves, see `sequences.image_numbers`.
        results: one per record of the set; of models in space with the boxes in space.

    Raises:
        ValueError: the set has stills, or a class that the benchmark does not have.
    """
    names = _class_names(evaluation_set)
    paths = []
    for video in benchmark_videos(evaluation_set):
        numbers = image_numbers(evaluation_set, video, first=0)
        paths.append(folder / f'{video.name}.txt')
        write_atomically(paths[-1], _text(evaluation_set, results, video, numbers, names))
    return paths


def kitti_scores(
    ground_truth: Path, evaluation_set: EvaluationSet, results: Sequence[FrameResult]
) -> Scores:
    """The benchmark's scores of cars and pedestrians, by TrackEval.

    Vans and sitting persons, occluded and truncated objects, small boxes and regions that
    nobody labelled are handled by the rules of the benchmark, for which the set does not know
    enough: they need its own labels. Only the images of the set are compared.

    Args:
        ground_truth: folder of the label files, or the folder that has them as `label_02`.
        evaluation_set: as for `write_kitti`.
        results: one per record.

    Returns:
        The metrics of `replay.metrics` (percent, counts), named `KITTI_<metric>`, of each class of
        the model that has objects in the ground truth; none over all, as in the benchmark.

    Raises:
        FileNotFoundError: the labels of a sequence are missing.
        ValueError: a label file is malformed, or no class can be compared.
    """
    names = _class_names(evaluation_set)
    labels = ground_truth / LABELS if (ground_truth / LABELS).is_dir() else ground_truth
    checked_folder(labels, 'the label files of the sequences')
    scores: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        _stage(Path(name), labels, evaluation_set, results, names)
        classes = [kind for kind in SCORED_CLASSES if KITTI_NAMES[kind] in names.values()]
        for kind, sequences in _preprocessed(Path(name), classes).items():
            if any(data['num_gt_dets'] for data in sequences.values()):
                found = score_sequences(sequences)
                scores[kind] = {f'KITTI_{key}': value for key, value in found.items()}
    if not scores:
        raise ValueError(
            f'{labels}: expected objects of the classes {SCORED_CLASSES} that the model knows '
            f'({sorted(names.values())}) in the images of {evaluation_set.name}'
        )
    return Scores({}, scores)


def _stage(
    root: Path,
    labels: Path,
    evaluation_set: EvaluationSet,
    results: Sequence[FrameResult],
    names: Mapping[int, str],
) -> None:
    """Truth and results as TrackEval reads them, images of the set alone, numbered anew."""
    lengths = []
    for index, video in enumerate(benchmark_videos(evaluation_set)):
        numbers = image_numbers(evaluation_set, video, first=0)
        positions = {number: place for place, number in enumerate(numbers)}
        truth = _renumbered_labels(labels / f'{video.name}.txt', positions)
        write_atomically(root / 'gt' / LABELS / f'{index:04d}.txt', ''.join(truth))
        text = _text(evaluation_set, results, video, range(len(numbers)), names)
        write_atomically(root / _TRACKER / 'data' / f'{index:04d}.txt', text)
        lengths.append(f'{index:04d} empty 000000 {len(numbers):06d}\n')
    write_atomically(root / 'gt' / f'evaluate_tracking.seqmap.{_SPLIT}', ''.join(lengths))


def _renumbered_labels(path: Path, positions: Mapping[int, int]) -> Iterator[str]:
    for number, line in read_lines(path, 'the labels of a sequence'):
        frame, *rest = line.split()
        with located(path, number):
            if len(rest) < 16:
                raise ValueError(f'expected 17 columns, received {len(rest) + 1}')
            index = parse_whole(parse_numbers([frame], 'the number of an image')[0], 'image', 0)
        if index in positions:
            yield ' '.join([str(positions[index]), *rest]) + '\n'


def _preprocessed(root: Path, classes: Sequence[str]) -> dict[str, dict[str, SequenceData]]:
    """What TrackEval makes of each class and sequence."""
    dataset = Kitti2DBox(
        {
            'GT_FOLDER': str(root / 'gt'),
            'TRACKERS_FOLDER': str(root),
            'TRACKERS_TO_EVAL': [_TRACKER],
            'CLASSES_TO_EVAL': list(classes),
            'SPLIT_TO_EVAL': _SPLIT,
            'PRINT_CONFIG': False,
        }
    )
    try:
        raw = {name: dataset.get_raw_seq_data(_TRACKER, name) for name in dataset.seq_list}
        return {
            kind: {
                name: dataset.get_preprocessed_seq_data(data, kind) for name, data in raw.items()
            }
            for kind in classes
        }
    except TrackEvalException as error:
        raise ValueError(f'TrackEval refuses the ground truth: {error}') from error


def _text(
    evaluation_set: EvaluationSet,
    results: Sequence[FrameResult],
    video: EvaluationVideo,
    numbers: Sequence[int],
    names: Mapping[int, str],
) -> str:
    lines: list[str] = []
    for row, number in zip(video.rows, numbers, strict=True):
        matrix = evaluation_set.records[row].camera_matrix
        lines += _lines(results[row], number, names, matrix)
    return ''.join(lines)


def _lines(
    result: FrameResult, number: int, names: Mapping[int, str], matrix: FloatArray | None
) -> Iterator[str]:
    seen = result.seen
    tracks = result.tracks[np.isin(result.tracks.classes, list(names))]
    space = _boxes3d(seen, matrix)
    for row, index in enumerate(tracks.detection_indices.tolist()):
        known = index >= 0
        alpha: Any = seen.alpha[index] if known and seen.alpha is not None else -10.0
        sizes: Any = (-1.0,) * 3
        if known and seen.dimensions is not None:
            # As in CenterTrack: what an untrained network says is no size.
            sizes = np.maximum(seen.dimensions[index], LEAST_SIZE)
        place: Any = (-1000.0,) * 3
        yaw: Any = -10.0
        if known and space is not None:
            place, yaw = space.locations[index], space.yaws[index]
            alpha = _observation_angle(yaw, place)
        values = [alpha, *tracks.boxes[row], *sizes, *place, yaw, tracks.scores[row]]
        columns = ' '.join(f'{value:.6f}' for value in values)
        kind = names[int(tracks.classes[row])]
        yield f'{number} {tracks.ids[row]} {kind} -1 -1 {columns}\n'


def _observation_angle(yaw: float, place: FloatArray) -> float:
    """`alpha` as the benchmark defines it: by the location, so seen from the reference camera."""
    angle = float(yaw) - math.atan2(place[0], place[2])
    return (angle + math.pi) % math.tau - math.pi


def _boxes3d(seen: Detections, matrix: FloatArray | None) -> Boxes3D | None:
    fields = (seen.depth, seen.dimensions, seen.alpha, seen.amodal_centers)
    if matrix is None or any(values is None for values in fields):
        return None
    return lift_detections(seen, matrix)


def _class_names(evaluation_set: EvaluationSet) -> dict[int, str]:
    """Class -> the benchmark's name of those that are measured."""
    names = benchmark_classes(evaluation_set, KITTI_NAMES, 'KITTI')
    return {index: KITTI_NAMES[name] for index, name in names.items()}
