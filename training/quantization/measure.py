"""Accuracy and speed of a model in one precision and another, by the runtime's own loop."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.engines import create_engine
from centertrack_ros.engines.base import Engine
from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.replay.evaluation import load_ground_truth
from centertrack_ros.replay.offline import run_offline
from centertrack_ros.replay.progress import progress_bar
from centertrack_ros.replay.sources import open_source
from centertrack_ros.settings import Settings
from training.evaluation.detection import detection_scores
from training.evaluation.runner import run_tracking
from training.evaluation.sets import EvaluationSet, images_folder
from training.quantization.samples import Inputs

_TRACKING = ('HOTA', 'MOTA', 'IDF1')
_ARGUMENTS = ('image', 'previous_image', 'prior_heatmap')
_CALLS = 10
# Of each turn; meanwhile the threads of the engine before stop waiting for work.
_UNCOUNTED = 3


@dataclass(frozen=True)
class Speed:
    """Time of one engine in two precisions.

    Attributes:
        engine: its name.
        before_ms, after_ms: fp32 and INT8, the 20th percentile: neighbours on the machine make
            calls slower, never faster.
    """

    engine: str
    before_ms: float
    after_ms: float

    @property
    def ratio(self) -> float:
        """How many times as fast INT8 is."""
        return self.before_ms / self.after_ms


def tracking_accuracy(
    engine: Engine, spec: ModelSpec, video: Path, ground_truth: Path
) -> dict[str, float]:
    """HOTA, MOTA and IDF1 (percent) of the default tracker on a labelled recording.

    Raises:
        FileNotFoundError, ValueError: recording or truth are missing or do not fit each other.
    """
    truth = load_ground_truth(ground_truth, spec.classes, ())
    source = open_source(video)
    if source.count is not None:
        truth.check_length(source.count)
    pipeline = assemble_pipeline(engine, spec, Settings())
    with progress_bar(source.count, source.description) as bar:
        scores = truth.score(run_offline(source, pipeline, bar.update))
    return {name: scores[name] for name in _TRACKING}


def detection_accuracy(
    engine: Engine, spec: ModelSpec, dataset: Path, images: Path | None
) -> dict[str, float]:
    """COCO's AP of boxes, in [0, 1], over all classes.

    Raises:
        FileNotFoundError, ValueError: no such set, or none of the classes of the model.
    """
    labelled = EvaluationSet.load(
        dataset,
        images or images_folder(dataset),
        class_names=spec.classes,
        joint_names=spec.joints,
        outlines=False,
    )
    pipeline = assemble_pipeline(engine, spec, Settings())
    with progress_bar(len(labelled), labelled.name) as bar:
        results = run_tracking(pipeline, labelled, progress=bar.update)
    return {'AP': detection_scores(labelled, results).overall['AP']}


def compare_speed(
    model: Path, spec: ModelSpec, samples: Sequence[Inputs], threads: int, turns: int
) -> list[Speed]:
    """Time of the network in every installed CPU engine, precisions in turns.

    Args:
        model: fp32, with its INT8 file beside it.
        spec: of the model.
        samples: inputs to run, one for each turn.
        threads: of the engines, 0 = all cores.
        turns: of each precision.
    """
    found = []
    for name in ('onnxruntime', 'openvino'):
        if importlib.util.find_spec(name) is None:
            continue
        engines = {
            precision: create_engine(
                model, spec, engine=name, device='cpu', precision=precision, threads=threads
            )
            for precision in ('fp32', 'int8')
        }
        times: dict[str, list[float]] = {precision: [] for precision in engines}
        for turn in range(turns):
            sample = samples[turn % len(samples)]
            for precision, engine in engines.items():
                times[precision] += _times(engine, sample)
        for engine in engines.values():
            engine.close()
        before, after = (float(np.percentile(times[key], 20)) for key in ('fp32', 'int8'))
        found.append(Speed(name, before, after))
    return found


def _times(engine: Engine, sample: Inputs) -> list[float]:
    """Milliseconds of the counted calls."""
    given: dict[str, Any] = {name: sample.get(name) for name in _ARGUMENTS}
    times = []
    for call in range(_CALLS):
        start = time.perf_counter()
        engine.run(**given)
        if call >= _UNCOUNTED:
            times.append((time.perf_counter() - start) * 1e3)
    return times
