"""Public detections: tracks begin only where another detector saw something.

As in CenterTrack's `--public_det`: the tracks of a video begin at the public detections of its
first image, before that image is looked at; later on, of the detections without a track only
those nearest to a public one begin a track. Boxes and their continuation are the network's own.
Method `centertrack` alone has such a rule; `robust` has none.

    pipeline.tracker = PublicDetectionsTracker(CenterTrackTracker(parameters))
    feed = feed_public(pipeline, load_public_detections(path, evaluation_set))
    run_tracking(pipeline, evaluation_set, before_image=feed)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.datatypes import Detections, FloatArray, Tracks
from centertrack_ros.pipeline import TrackingPipeline
from centertrack_ros.replay.mot_files import MIN_COLUMNS
from centertrack_ros.tracker import CenterTrackTracker, Tracker, TrackerParameters
from training.convert.files import located, parse_numbers, parse_whole, read_json, read_lines
from training.data.labels import box_centers
from training.evaluation.mot import person_class
from training.evaluation.sequences import benchmark_videos, image_numbers
from training.evaluation.sets import EvaluationSet

_COLUMNS = 'frame, id, left, top, width, height and more numbers'


class PublicDetectionsTracker:
    """A `Tracker` that is told the public detections of each image before it.

    Args:
        tracker: does the work.

    Raises:
        ValueError: it is not one of the methods `centertrack*`, or (`update`) nothing was said
            about the image.
    """

    def __init__(self, tracker: Tracker) -> None:
        if not isinstance(tracker, CenterTrackTracker):
            raise ValueError(
                'public detections: expected the method centertrack or centertrack_hungarian, '
                f'which have a rule for them, received a {type(tracker).__name__}'
            )
        self._tracker = tracker
        self._public: Detections | None = None

    @property
    def parameters(self) -> TrackerParameters:
        """Those of the tracker; may be assigned between two updates."""
        return self._tracker.parameters

    @parameters.setter
    def parameters(self, parameters: TrackerParameters) -> None:
        self._tracker.parameters = parameters

    @property
    def follows_camera(self) -> bool:
        """Whether `update` makes use of the motion of the camera."""
        return self._tracker.follows_camera

    def announce(self, public: Detections) -> None:
        """What another detector saw in the next image."""
        self._public = public

    def initialise(self, public: Detections) -> Tracks:
        """Start anew with tracks at public detections; see `CenterTrackTracker.initialise`."""
        return self._tracker.initialise(public)

    def update(
        self, detections: Detections, dt: float, *, camera: FloatArray | None = None
    ) -> Tracks:
        """Take the detections of the image that was announced; see `Tracker.update`."""
        if self._public is None:
            raise ValueError('public detections: expected `announce` before every image')
        public, self._public = self._public, None
        return self._tracker.update(detections, dt, public, camera=camera)

    def reset(self) -> None:
        """Forget all tracks, but not what was announced: a reset comes within a step."""
        self._tracker.reset()


def feed_public(
    pipeline: TrackingPipeline, public: Sequence[Detections]
) -> Callable[[int, bool], None]:
    """What `run_tracking` calls before each image: with its row, and whether a video begins.

    Args:
        pipeline: with a `PublicDetectionsTracker`.
        public: one per record of the set.

    Raises:
        ValueError: the pipeline has another tracker.
    """
    tracker = pipeline.tracker
    if not isinstance(tracker, PublicDetectionsTracker):
        raise ValueError(
            'pipeline: expected one with a PublicDetectionsTracker, received a '
            f'{type(tracker).__name__}'
        )

    def before_image(row: int, first: bool) -> None:
        if first:
            pipeline.begin_with(tracker.initialise(public[row]))
        tracker.announce(public[row])

    return before_image


def load_public_detections(path: Path, evaluation_set: EvaluationSet) -> tuple[Detections, ...]:
    """Detections of another detector, one table per record of the set.

    Args:
        path: folder with `<sequence>/det/det.txt` or `<sequence>.txt` in the format of
            MOTChallenge for each video (all are taken for sure, as CenterTrack does, because the
            detectors' scores mean different things); or a JSON of COCO results: a list with
            `image_id`, `category_id`, `bbox` and `score`.
        evaluation_set: its ids, or the names of its videos, say which image is which.

    Raises:
        FileNotFoundError: there is no such file, or none of a sequence.
        ValueError: a file is malformed; the text has its name and the line or the index.
    """
    if path.is_dir():
        rows = _rows_of_folder(path, evaluation_set)
    elif path.is_file():
        rows = _rows_of_json(path, evaluation_set)
    else:
        raise FileNotFoundError(
            f'public detections {path} do not exist: expected a folder of MOT files or a JSON of '
            'COCO results'
        )
    return tuple(_detections(frame) for frame in rows)


# Left, top, width, height, score, class of each detection of an image.
_Rows = list[list[list[float]]]


def _rows_of_folder(folder: Path, evaluation_set: EvaluationSet) -> _Rows:
    class_index = person_class(evaluation_set)
    rows: _Rows = [[] for _ in evaluation_set.records]
    for video in benchmark_videos(evaluation_set):
        path = folder / video.name / 'det' / 'det.txt'
        if not path.is_file():
            path = folder / f'{video.name}.txt'
        numbers = image_numbers(evaluation_set, video, first=1)
        places = dict(zip(numbers, video.rows, strict=True))
        what = f'public detections, there or in {video.name}/det/det.txt'
        for number, line in read_lines(path, what):
            with located(path, number):
                values = parse_numbers(line.replace(',', ' ').split(), _COLUMNS)
                if len(values) < MIN_COLUMNS or min(values[4:6]) < 0:
                    raise ValueError(f'expected {_COLUMNS}, received {line[:80]!r}')
                frame = parse_whole(values[0], 'frame', 1)
            if frame in places:
                rows[places[frame]].append([*values[2:6], 1.0, class_index])
    return rows


def _rows_of_json(path: Path, evaluation_set: EvaluationSet) -> _Rows:
    entries = read_json(path, 'COCO results')
    if not isinstance(entries, list):
        raise ValueError(f'{path}: expected a list of COCO results at the top level')
    places = {record.image_id: row for row, record in enumerate(evaluation_set.records)}
    classes = {
        number: index
        for index, number in enumerate(evaluation_set.category_ids)
        if number is not None
    }
    rows: _Rows = [[] for _ in evaluation_set.records]
    for index, entry in enumerate(entries):
        try:
            place, values = _parsed(entry, places, classes)
        except ValueError as error:
            raise ValueError(f'{path}: [{index}]: {error}') from error
        rows[place].append(values)
    return rows


def _parsed(
    entry: Any, places: dict[Any, int], classes: dict[Any, int]
) -> tuple[int, list[float]]:
    """Row of the record, and left, top, width, height, score and class."""
    if not isinstance(entry, dict):
        raise ValueError(f'expected an object, received {entry!r}')
    image_id, category_id = entry.get('image_id'), entry.get('category_id')
    if not isinstance(image_id, (int, str)) or image_id not in places:
        raise ValueError(f'image_id: expected an image of the set, received {image_id!r}')
    if not isinstance(category_id, (int, str)) or category_id not in classes:
        raise ValueError(
            f'category_id: expected that of a class of the model {sorted(classes)}, received '
            f'{category_id!r}'
        )
    box, score = entry.get('bbox'), entry.get('score')
    numbers = [*box, score] if isinstance(box, list) else []
    finite = all(isinstance(value, (int, float)) and np.isfinite(value) for value in numbers)
    if len(numbers) != 5 or not finite or min(numbers[2:4]) < 0:
        raise ValueError(
            'expected bbox (left, top, width, height) and score, received '
            f'bbox {box!r}, score {score!r}'
        )
    return places[image_id], [*numbers, classes[category_id]]


def _detections(rows: Sequence[Sequence[float]]) -> Detections:
    values = np.array(rows, np.float32).reshape(-1, 6)
    boxes = np.concatenate((values[:, :2], values[:, :2] + values[:, 2:4]), axis=1)
    return Detections(
        boxes=boxes,
        scores=values[:, 4],
        classes=values[:, 5].astype(np.int64),
        centers=box_centers(boxes),
        offsets=np.zeros((len(boxes), 2), np.float32),
    )
