"""What a pipeline gave on a sequence, kept so that other trackers can be fed with it."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import centertrack_ros
from centertrack_ros.datatypes import Detections, Tracks
from centertrack_ros.pipeline import StepResult, TrackingPipeline
from centertrack_ros.replay.sources import Frame, Source

# Stages of `TrackingPipeline.step` before the detections; what comes after them is the tracker.
DETECTOR_STAGES = ('preprocess', 'render', 'network', 'decode')
# Parts of the package that no result depends on.
_OTHER_ROOMS = ('replay', 'ros')
_DETECTION_FIELDS = ('boxes', 'scores', 'classes', 'centers', 'offsets')


@dataclass(frozen=True)
class Recording:
    """A run over T images.

    Attributes:
        stamps: (T,) float64 seconds.
        tracks: reported ones of each image; ids are unique over the whole run.
        detections: what the tracker was given in each image, with its basic fields.
        detector_ms: (T,) float64, preprocessing, prior heatmap, network and decoding.
        tracker_ms: (T,) float64, the rest of the step.
    """

    stamps: NDArray[np.float64]
    tracks: Sequence[Tracks]
    detections: Sequence[Detections]
    detector_ms: NDArray[np.float64]
    tracker_ms: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.stamps)


class _Recorder:
    """Collects the steps of one pipeline."""

    def __init__(self) -> None:
        self._stamps: list[float] = []
        self._tracks: list[Tracks] = []
        self._detections: list[Detections] = []
        self._times: list[tuple[float, float]] = []
        self._id_offset = self._last_id = 0

    def add(self, stamp: float, step: StepResult) -> None:
        """Take one step."""
        if step.reset_reason:  # ids start at 1 again
            self._id_offset = self._last_id
        tracks = step.tracks[step.tracks.reported]
        tracks = replace(tracks, ids=tracks.ids + self._id_offset)
        self._last_id = max([self._last_id, *tracks.ids.tolist()])
        detector = sum(step.stage_ms[stage] for stage in DETECTOR_STAGES)
        self._stamps.append(stamp)
        self._tracks.append(tracks)
        fields = {name: getattr(step.detections, name) for name in _DETECTION_FIELDS}
        self._detections.append(Detections(**fields))
        self._times.append((detector, sum(step.stage_ms.values()) - detector))

    def finish(self) -> Recording:
        """The run."""
        times = np.array(self._times, np.float64).reshape(-1, 2)
        return Recording(
            np.array(self._stamps), self._tracks, self._detections, times[:, 0], times[:, 1]
        )


def record(
    pipelines: Mapping[str, TrackingPipeline],
    source: Source,
    progress: Callable[[], object] = lambda: None,
) -> dict[str, Recording]:
    """Run several pipelines over one recording, image by image side by side.

    Side by side, so that a machine that is busy for a while slows all of them.

    Args:
        pipelines: by name; each is reset before and after. They may share an engine.
        source: the recording.
        progress: called after each image.
    """
    recorders = {name: _Recorder() for name in pipelines}
    for number, frame in enumerate(source):
        if number == 0:
            _warm_up(pipelines, frame)
        for name, pipeline in pipelines.items():
            recorders[name].add(frame.stamp, pipeline.step(frame.image, frame.stamp))
        progress()
    for pipeline in pipelines.values():
        pipeline.reset()
    return {name: recorder.finish() for name, recorder in recorders.items()}


def _warm_up(pipelines: Mapping[str, TrackingPipeline], frame: Frame) -> None:
    """The first run of a network allocates: it is not timed."""
    for pipeline in pipelines.values():
        pipeline.reset()
        pipeline.step(frame.image, frame.stamp)
        pipeline.reset()


def save_recording(path: Path, recording: Recording) -> None:
    """Write an npz file; on failure an existing one stays as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        'stamps': recording.stamps,
        'detector_ms': recording.detector_ms,
        'tracker_ms': recording.tracker_ms,
        **_packed('tracks', recording.tracks),
        **_packed('detections', recording.detections),
    }
    temporary = path.with_name(f'.{path.stem}.{os.getpid()}.npz')
    try:
        np.savez(temporary, **arrays)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def load_recording(path: Path) -> Recording:
    """Read what `save_recording` wrote."""
    with np.load(path) as arrays:
        return Recording(
            arrays['stamps'],
            [Tracks(**rows) for rows in _unpacked('tracks', arrays)],
            [Detections(**rows) for rows in _unpacked('detections', arrays)],
            arrays['detector_ms'],
            arrays['tracker_ms'],
        )


def fingerprint(*parts: object, files: Sequence[Path] = ()) -> str:
    """Digest of values, of the runtime's source and of files, so that old runs are not mixed in.

    Args:
        parts: anything with a stable `repr`.
        files: models and recordings, by name, size and time.
    """
    digest = hashlib.sha256(repr((parts, source_digest())).encode())
    for path in files:
        entries = sorted(path.rglob('*')) if path.is_dir() else [path]
        for entry in entries:
            state = entry.stat()
            digest.update(f'{entry.name} {state.st_size} {state.st_mtime_ns}\n'.encode())
    return digest.hexdigest()[:24]


@functools.cache
def source_digest() -> str:
    """Of the code that results depend on. Taken once: a file changed later is not what runs."""
    digest = hashlib.sha256()
    package = Path(centertrack_ros.__file__).parent
    for path in sorted(package.rglob('*.py')):
        if path.relative_to(package).parts[0] not in _OTHER_ROOMS:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _packed(prefix: str, rows: Sequence[Tracks] | Sequence[Detections]) -> dict[str, Any]:
    """Columns of all images after each other, and the number of rows of each image."""
    arrays: dict[str, Any] = {f'{prefix}_counts': np.array([len(row) for row in rows], np.int64)}
    names = [name for name, column in vars(rows[0]).items() if column is not None] if rows else []
    for name in names:
        arrays[f'{prefix}.{name}'] = np.concatenate([getattr(row, name) for row in rows])
    return arrays


def _unpacked(prefix: str, arrays: Mapping[str, Any]) -> list[dict[str, Any]]:
    counts = arrays[f'{prefix}_counts']
    ends = np.cumsum(counts)[:-1]
    columns = {
        name.partition('.')[2]: np.split(arrays[name], ends)
        for name in arrays
        if name.startswith(f'{prefix}.')
    }
    return [{name: parts[i] for name, parts in columns.items()} for i in range(len(counts))]
