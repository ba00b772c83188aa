"""Whether what was written says on real frames what PyTorch says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import Candidates, Image, Tracks
from centertrack_ros.engines.base import Engine, expected_outputs
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.pipeline import TrackingPipeline
from centertrack_ros.preprocessing import fit_transform, to_input
from centertrack_ros.rendering import render_prior_heatmap
from centertrack_ros.tracker import create_tracker

# Largest difference allowed of a float32 file from PyTorch, as a share of values above 1.
TOLERANCE = 1e-3
# The same for float16, mean and maximum. Its eleven bits carry a relative error of 5e-4 through
# some fifty layers.
HALF_MEAN_TOLERANCE = 3e-3
HALF_TOLERANCE = 0.03
# Of the rows above the detection threshold, as many may lie in another cell or class.
HALF_LOST_ROWS = 0.03


def compare(
    reference: Engine, engine: Engine, spec: ModelSpec, frames: list[Image], batch: int = 1
) -> dict[str, float]:
    """Largest difference of each output over `frames`, tracked so that the prior is not empty.

    Differences of values above 1 count as a share of the value. Of each frame the rows are
    compared that the reference detects, or else its best one: far below the threshold lie peaks
    of equal height, whose order is undefined.

    Args:
        reference, engine: take the same inputs.
        spec: of both.
        frames: of one video, in order.
        batch: how often each frame is given to `engine` in one call; all have to come out equal.
    """
    worst = dict.fromkeys(expected_outputs(spec), 0.0)
    for expected, received, rows in _results(reference, engine, spec, frames, batch):
        for name in worst:
            values = getattr(expected, name)[0][rows]
            shares = _shares(values, getattr(received, name)[:, rows])
            worst[name] = max(worst[name], float(shares.max(initial=0.0)))
    return worst


@dataclass(frozen=True)
class RowDifferences:
    """How far two engines are apart whose rows may be in another order.

    Attributes:
        lost: share of the rows of the reference in whose cell the other has none of that class.
        mean, maximum: of each output, over the other rows, as in `compare`.
    """

    lost: float
    mean: Mapping[str, float]
    maximum: Mapping[str, float]


def compare_cells(
    reference: Engine, engine: Engine, spec: ModelSpec, frames: list[Image]
) -> RowDifferences:
    """As `compare`, with rows matched by cell and class: what rounding may reorder."""
    names = [name for name in expected_outputs(spec) if name not in ('classes', 'cells')]
    shares: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    total, found = 0, 0
    for expected, received, rows in _results(reference, engine, spec, frames, 1):
        places = _row_of_place(received)
        pairs = [
            (row, places[place])
            for place, row in _row_of_place(expected).items()
            if rows[row] and place in places
        ]
        total, found = total + int(rows.sum()), found + len(pairs)
        ours, theirs = np.array(pairs, np.intp).reshape(-1, 2).T
        for name in names:
            difference = _shares(
                getattr(expected, name)[0][ours], getattr(received, name)[0][theirs]
            )
            shares[name].append(difference.reshape(-1))
    joined = {name: np.concatenate([*parts, np.zeros(0)]) for name, parts in shares.items()}
    return RowDifferences(
        lost=1 - found / max(1, total),
        mean={
            name: float(values.mean()) if values.size else 0.0 for name, values in joined.items()
        },
        maximum={name: float(values.max(initial=0.0)) for name, values in joined.items()},
    )


def _results(
    reference: Engine, engine: Engine, spec: ModelSpec, frames: list[Image], batch: int
) -> Iterator[tuple[Candidates, Candidates, NDArray[np.bool_]]]:
    """Of each frame: what both engines say, and which rows of the reference count."""
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
    tracks, previous = Tracks.empty(), None
    for index, frame in enumerate(frames):
        transform = fit_transform(frame.shape[:2], spec)
        current = to_input(frame, transform)[None]
        prior = render_prior_heatmap(tracks, transform, spec)[None, None]
        inputs = (current, current if previous is None else previous, prior)
        expected = reference.run(*inputs)
        received = engine.run(*(np.repeat(values, batch, axis=0) for values in inputs))
        rows = expected.scores[0] >= min(spec.thresholds.detection, expected.scores[0].max())
        yield expected, received, rows
        tracks, previous = pipeline.step(frame, float(index)).tracks, current


def _shares(values: NDArray[np.float32], received: NDArray[np.float32]) -> NDArray[np.float64]:
    difference = np.abs(values.astype(np.float64) - received)
    return difference / np.maximum(1.0, np.abs(values))


def _row_of_place(rows: Candidates) -> dict[tuple[int, ...], int]:
    places = np.column_stack([rows.cells[0], rows.classes[0]]).astype(np.int64)
    return {tuple(place): row for row, place in enumerate(places.tolist())}


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
