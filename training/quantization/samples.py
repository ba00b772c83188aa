"""Inputs of a network as it meets them at run time, for calibration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import Candidates, FloatArray, Image
from centertrack_ros.engines.base import Engine, expected_inputs
from centertrack_ros.pipeline import TrackingPipeline
from centertrack_ros.replay.sources import SEQUENCE_FILE, Frame, open_source

# Images tracked before one that is kept, so that its prior heatmap shows tracks.
LEAD = 8
# Of the samples of each recording, every third is held back to choose by.
HELD_BACK_STEP = 3

# Name of an input -> array with a batch of one.
Inputs = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Samples:
    """Inputs taken from the frame loop.

    Attributes:
        calibration: those from which ranges are taken.
        held_back: those by which variants are compared.
        sources: what they were taken from, for people.
    """

    calibration: tuple[Inputs, ...]
    held_back: tuple[Inputs, ...]
    sources: tuple[str, ...]


def record_samples(
    paths: Sequence[Path], pipeline: TrackingPipeline, count: int, *, held_out: Path | None = None
) -> Samples:
    """Inputs of about `count` images, taken from all recordings alike.

    Videos, bags and MOT folders are tracked for `LEAD` images before each that is kept. Other
    image folders are taken as unrelated stills: each is shown twice, so that its prior heatmap
    has what was found the first time.

    Args:
        paths: recordings as of `replay.sources.open_source`.
        pipeline: with the full-precision engine.
        count: how many in all, at least `HELD_BACK_STEP` for each path.
        held_out: recording that accuracy is measured on: it may not be among `paths`.

    Raises:
        FileNotFoundError, ValueError: a path is no recording, is the one held out, or is too
            short for its share of `count`.
    """
    share = count // max(1, len(paths))
    if share < HELD_BACK_STEP:
        raise ValueError(
            f'count: expected at least {HELD_BACK_STEP * max(1, len(paths))} for {len(paths)} '
            f'recordings (--images), received {count}'
        )
    calibration: list[Inputs] = []
    held_back: list[Inputs] = []
    sources = []
    for path in paths:
        if held_out is not None and held_out.exists() and path.resolve() == held_out.resolve():
            raise ValueError(
                f'--images: {path} is what accuracy is measured on; calibrate on other recordings'
            )
        taken = _record(path, pipeline, share)
        for index, inputs in enumerate(taken):
            (held_back if index % HELD_BACK_STEP == 1 else calibration).append(inputs)
        sources.append(f'{len(taken)} of {path.name}')
    return Samples(tuple(calibration), tuple(held_back), tuple(sources))


class _RecordingEngine:
    """Passes calls on and keeps what the last one was given."""

    def __init__(self, engine: Engine, inputs: Sequence[str]) -> None:
        self._engine = engine
        self._names = inputs
        self.name, self.device = engine.name, engine.device
        self.precision = getattr(engine, 'precision', 'fp32')
        self.last: dict[str, NDArray[Any]] = {}

    def run(self, image: Image, previous_image: Image, prior_heatmap: FloatArray) -> Candidates:
        given = {'image': image, 'previous_image': previous_image, 'prior_heatmap': prior_heatmap}
        self.last = {name: np.array(given[name]) for name in self._names}
        return self._engine.run(image, previous_image, prior_heatmap)

    def close(self) -> None:
        """Nothing: the engine is another's."""


def _record(path: Path, pipeline: TrackingPipeline, count: int) -> list[Inputs]:
    """Inputs of `count` images spread over a recording."""
    engine = pipeline.engine
    recorder = _RecordingEngine(engine, tuple(expected_inputs(pipeline.spec)))
    pipeline.engine = recorder
    taken: list[Inputs] = []
    try:
        for frames in _snippets(path, count):
            pipeline.reset()
            for frame in frames:
                pipeline.step(frame.image, frame.stamp)
            taken.append(recorder.last)
    finally:
        pipeline.engine = engine
        pipeline.reset()
    return taken


def _snippets(path: Path, count: int) -> Iterator[list[Frame]]:
    """Frames that lead to each image that is kept, which is their last."""
    source = open_source(path)
    is_stills = path.is_dir() and not (
        (path / SEQUENCE_FILE).is_file() or (path.resolve().parent / SEQUENCE_FILE).is_file()
    )
    length = source.count if source.count is not None else sum(1 for _ in source)
    if length < count * (1 if is_stills else LEAD):
        raise ValueError(
            f'{path}: expected at least {count * (1 if is_stills else LEAD)} images for {count} '
            f'samples, found {length}; lower --count or give more recordings (--images)'
        )
    kept = {round((index + 1) * length / count) - 1 for index in range(count)}
    recent: list[Frame] = []
    for index, frame in enumerate(source):
        recent = [*recent[-LEAD:], frame]
        if index in kept:
            again = Frame(frame.image, frame.stamp_ns + 100_000_000, frame.frame_id)
            yield [frame, again] if is_stills else recent
