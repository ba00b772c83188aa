"""Children take turns with the slices of a recording: what else the machine does meets all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from benchmarks.speed.frames import write_turn
from benchmarks.speed.protocol import Worker, WorkerError
from centertrack_ros.replay.sources import Frame, Source

# First images of each turn, which are tracked, but whose times do not count: caches hold what
# the process before left, and its threads may still be waiting for work.
UNCOUNTED_IMAGES = 2
IMAGES_PER_TURN = 25

Key = TypeVar('Key', bound=Hashable)


@dataclass
class Samples:
    """What one child measured.

    Attributes:
        turns: for each turn the milliseconds of each image that counts.
        stage_ms: for each stage those of all turns.
        objects: tracks of each image.
        rss_mib: resident memory after each turn, where the child says it.
    """

    turns: list[list[float]] = field(default_factory=list)
    stage_ms: dict[str, list[float]] = field(default_factory=dict)
    objects: list[int] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)

    def add(self, answer: Mapping[str, Any]) -> None:
        """Take over the answer to one turn; see `tracking_worker`."""
        counted = slice(min(UNCOUNTED_IMAGES, len(answer['step_ms']) - 1), None)
        self.turns.append(answer['step_ms'][counted])
        for stage, values in answer['stage_ms'].items():
            self.stage_ms.setdefault(stage, []).extend(values[counted])
        self.objects += answer['objects']
        if 'rss_mib' in answer:
            self.rss_mib.append(answer['rss_mib'])

    def step_ms(self) -> list[float]:
        """Milliseconds of all images that count."""
        return [value for turn in self.turns for value in turn]


@dataclass(frozen=True)
class Outcome(Generic[Key]):
    """What came of `take_turns`.

    Attributes:
        samples: of the children that came through.
        errors: reasons why the others did not.
        images: how many each of them got.
    """

    samples: dict[Key, Samples]
    errors: dict[Key, str]
    images: int


def take_turns(
    workers: Mapping[Key, Worker],
    source: Source,
    *,
    limit: int = 0,
    progress: Callable[[int], object] = lambda images: None,
) -> Outcome[Key]:
    """Have every child run the recording, some images at a time, in changing order.

    Args:
        workers: children that are open.
        source: the recording.
        limit: stop after so many images, 0 = all.
        progress: called after each turn with the number of its images.
    """
    samples: dict[Key, Samples] = {key: Samples() for key in workers}
    errors: dict[Key, str] = {}
    images = 0
    with tempfile.TemporaryDirectory(prefix='benchmark-') as folder:
        path = Path(folder) / 'turn.npz'
        for number, frames in enumerate(_slices(source, limit)):
            write_turn(path, [f.image for f in frames], [f.stamp_ns for f in frames])
            keys = list(samples)
            first = number % len(keys) if keys else 0
            for key in keys[first:] + keys[:first]:
                try:
                    samples[key].add(workers[key].ask('run', path=str(path)))
                except WorkerError as error:
                    errors[key] = str(error)
                    del samples[key]
            images += len(frames)
            progress(len(frames))
    return Outcome(samples, errors, images)


def speed_ratio(samples: Samples, reference: Samples) -> float:
    """How many times as fast as `reference`: median over turns of the ratio of medians.

    Both had the same images within the same seconds, so that what else the machine did cancels.
    """
    ratios = [
        np.median(others) / np.median(own)
        for own, others in zip(samples.turns, reference.turns, strict=True)
    ]
    return float(np.median(ratios))


def _slices(source: Source, limit: int) -> Iterator[list[Frame]]:
    images = iter(source) if limit == 0 else islice(source, limit)
    while frames := list(islice(images, IMAGES_PER_TURN)):
        yield frames
