"""One row of the comparison: a tracker on the detections that it got, over all sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.comparison.bootstrap import Bootstrap
from benchmarks.comparison.contributions import (
    Contributions,
    contributions,
    shared_false_objects,
)
from benchmarks.comparison.recordings import (
    Recording,
    fingerprint,
    load_recording,
    record,
    save_recording,
)
from benchmarks.comparison.scoring import METRICS, compared, detection_precision
from benchmarks.comparison.sequences import LabelledSequence
from centertrack_ros.pipeline import TrackingPipeline
from centertrack_ros.replay.metrics import score_sequences
from centertrack_ros.replay.mot_files import FrameBoxes

FIGURES = (*METRICS, 'AP50', 'AP', 'tracker_ms', 'fps')

Scores = dict[str, float]


@dataclass(frozen=True)
class Row:
    """A tracker, run over all sequences.

    Attributes:
        title: for the table, unique.
        recordings: of each sequence, whose detections the tracker got.
        frames: its tracks of each sequence, image by image.
        tracker_ms: mean time of the tracker alone on each sequence.
        parameters: of peers: what differs from their defaults.
        is_peer: whether it is of the other library.
    """

    title: str
    recordings: Sequence[Recording]
    frames: Sequence[Sequence[FrameBoxes]]
    tracker_ms: Sequence[float]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    is_peer: bool = False


@dataclass(frozen=True)
class Results:
    """All rows scored.

    Attributes:
        scores: title -> sequence -> `FIGURES`.
        means: title -> `FIGURES`, means over the sequences; counts are sums, times are over all
            images.
        bootstrap: intervals, by title.
    """

    scores: Mapping[str, Mapping[str, Scores]]
    means: Mapping[str, Scores]
    bootstrap: Bootstrap


def recorded(
    pipelines: Mapping[str, TrackingPipeline],
    identities: Mapping[str, Sequence[object]],
    sequence: LabelledSequence,
    model_path: Path,
    folder: Path,
    progress: Callable[[], object],
) -> dict[str, Recording]:
    """Recordings of one sequence: those in `folder` that still hold, and new ones of the rest.

    Args:
        pipelines: by key.
        identities: by key, values on which the results depend apart from code and model.
        sequence: what to run over.
        model_path: of the model that the pipelines run.
        folder: where recordings are kept.
        progress: called after each image of a new run.
    """
    paths = {
        key: folder / f'{sequence.name}-{key}-{digest}.npz'
        for key in pipelines
        for digest in [fingerprint(*identities[key], files=(model_path, sequence.path))]
    }
    missing = {key: pipelines[key] for key, path in paths.items() if not path.is_file()}
    new = record(missing, sequence.source, progress) if missing else {}
    for key, recording in new.items():
        save_recording(paths[key], recording)
    return {key: new[key] if key in new else load_recording(path) for key, path in paths.items()}


def score_rows(
    rows: Sequence[Row],
    sequences: Sequence[LabelledSequence],
    class_index: int,
    *,
    seed: int,
    resamples: int,
) -> Results:
    """Metrics, detection AP and bootstrap of all rows."""
    comparisons = {
        row.title: [
            compared(sequence, frames)
            for sequence, frames in zip(sequences, row.frames, strict=True)
        ]
        for row in rows
    }
    precision: dict[int, Scores] = {}
    scores: dict[str, dict[str, Scores]] = {}
    for row in rows:
        scores[row.title] = {}
        for place, sequence in enumerate(sequences):
            recording = row.recordings[place]
            if id(recording) not in precision:
                precision[id(recording)] = detection_precision(
                    [sequence], [recording], class_index
                )
            found = score_sequences({sequence.name: comparisons[row.title][place].data})
            whole_ms = float(recording.detector_ms.mean()) + row.tracker_ms[place]
            scores[row.title][sequence.name] = {
                **{name: found[name] for name in METRICS},
                **precision[id(recording)],
                'tracker_ms': round(row.tracker_ms[place], 3),
                'fps': round(1e3 / whole_ms, 2),
            }
    counts = [len(recording) for recording in rows[0].recordings]
    means = {title: _means(list(found.values()), counts) for title, found in scores.items()}
    units: dict[str, list[Contributions]] = {row.title: [] for row in rows}
    for place in range(len(sequences)):
        parts = [comparisons[row.title][place] for row in rows]
        shared = shared_false_objects([(part.data, part.found) for part in parts])
        for row, part, false_objects in zip(rows, parts, shared, strict=True):
            units[row.title].append(contributions(part.data, false_objects))
    identity_counts = [part.data['num_gt_ids'] for part in comparisons[rows[0].title]]
    bootstrap = Bootstrap(units, identity_counts, seed=seed, resamples=resamples)
    return Results(scores, means, bootstrap)


def _means(scores: Sequence[Scores], counts: Sequence[int]) -> Scores:
    means = {name: round(float(np.mean([row[name] for row in scores])), 3) for name in FIGURES}
    for name in ('IDSW', 'Frag'):
        means[name] = sum(row[name] for row in scores)
    seconds = np.sum(np.divide(counts, [row['fps'] for row in scores]))
    means['fps'] = round(float(sum(counts) / seconds), 2)
    tracker_ms = np.average([row['tracker_ms'] for row in scores], weights=counts)
    means['tracker_ms'] = round(float(tracker_ms), 3)
    return means
