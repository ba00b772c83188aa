"""Videos of a set as the sequences of a benchmark: their names and the numbers of their images."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from training.evaluation.sets import EvaluationSet, EvaluationVideo

# Beyond this a name of a picture is a time and no number.
_MOST_SHIFT = 1_000_000


def benchmark_videos(evaluation_set: EvaluationSet) -> tuple[EvaluationVideo, ...]:
    """The videos, which must have different names that a file can have, and be no stills.

    Raises:
        ValueError: they are not so.
    """
    stills = sum(video.still for video in evaluation_set.videos)
    if stills:
        raise ValueError(
            f'{evaluation_set.name}: expected videos, received {stills} still pictures: images '
            'need video_id and frame_id'
        )
    names = [video.name for video in evaluation_set.videos]
    for name in names:
        if names.count(name) > 1 or not name or Path(name).name != name:
            raise ValueError(
                f'{evaluation_set.name}: expected videos whose different names can be those of '
                f'files, received {name!r}'
            )
    return evaluation_set.videos


def image_numbers(
    evaluation_set: EvaluationSet, video: EvaluationVideo, first: int
) -> tuple[int, ...]:
    """The number of each image of a video in the benchmark's own files.

    Sets of a part of each sequence, such as its second half, count their frames from 1 again,
    but the ground truth of the benchmark does not. The names of the pictures are the numbers in
    the sequence there, so they are used wherever they rise as the frames do.

    Args:
        evaluation_set: has the video.
        video: one of its videos.
        first: number of the first image of a sequence: 0 in KITTI, 1 in MOTChallenge. Frames of
            the set count from 1, or from the first one if that is less.
    """
    records = [evaluation_set.records[row] for row in video.rows]
    stems = [record.path.stem for record in records]
    if all(stem.isdecimal() for stem in stems):
        numbers = tuple(int(stem) for stem in stems)
        shifts = {number - record.frame for number, record in zip(numbers, records, strict=True)}
        if len(shifts) == 1 and min(numbers) >= first and max(shifts) < _MOST_SHIFT:
            return numbers
    start = min(1, *(record.frame for record in records))
    return tuple(record.frame - start + first for record in records)


def benchmark_classes(
    evaluation_set: EvaluationSet, known: Collection[str], benchmark: str
) -> dict[int, str]:
    """Class -> name of those that are measured.

    Raises:
        ValueError: a class that the benchmark does not have; the text has `benchmark`.
    """
    names = {index: evaluation_set.class_names[index] for index in evaluation_set.class_indices}
    if unknown := sorted(set(names.values()) - set(known)):
        raise ValueError(
            f'{evaluation_set.name}: expected some of the classes {sorted(known)}, which '
            f'{benchmark} knows, received {unknown} too'
        )
    return names
