"""Child process that tracks turns of images with one engine: `benchmarks.speed.protocol`."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.memory import resident_mib
from benchmarks.speed.frames import read_turn
from benchmarks.speed.protocol import Answer, serve
from benchmarks.speed.steps import TimedStep
from centertrack_ros.factory import assemble_pipeline, build_pipeline
from centertrack_ros.pipeline import TrackingPipeline
from centertrack_ros.replay.evaluation import load_ground_truth
from centertrack_ros.replay.records import FrameRecord, ReplayRun
from centertrack_ros.settings import Settings

# Their tracks are forgotten; the engine has then seen the size of these images.
_WARM_UP_IMAGES = 3
_SCORES = ('HOTA', 'MOTA', 'IDF1')


class TrackingWorker:
    """Handlers of the questions `open`, `run` and `score`, to be asked in this order."""

    def __init__(self) -> None:
        """Nothing is loaded yet."""
        self._cameras: list[TrackingPipeline] = []
        self._tracked: tuple[str, ...] = ()
        self._records: list[FrameRecord] = []
        self._step: TimedStep | None = None

    def open(self, settings: dict[str, Any], cameras: int) -> Answer:
        """Load the engine.

        Args:
            settings: what `Settings.from_mapping` takes.
            cameras: how many share the engine; all of them see the same images.
        """
        checked = Settings.from_mapping(settings)
        before_mib, start = resident_mib(os.getpid()), time.perf_counter()
        first = build_pipeline(checked)
        load_s = time.perf_counter() - start
        engine, spec = first.engine, first.spec
        more = [assemble_pipeline(engine, spec, checked) for _ in range(cameras - 1)]
        self._cameras = [first, *more]
        self._tracked = checked.class_filter
        self._step = TimedStep(self._cameras)
        return {
            'name': engine.name,
            'device': engine.device,
            'precision': engine.precision,
            'before_mib': before_mib,
            'load_s': load_s,
        }

    def run(self, path: str) -> Answer:
        """Track the images of a turn.

        Returns:
            For each image `step_ms` (step of all cameras and their messages), `stage_ms` (by
            stage, `message` where there is ROS), `objects` (tracks of the first camera); and
            `rss_mib`.
        """
        assert self._step is not None, 'asked before `open`'
        images, stamps_ns = read_turn(Path(path))
        if not self._records:
            for image, stamp_ns in zip(images[:_WARM_UP_IMAGES], stamps_ns, strict=False):
                self._step(image, stamp_ns)
            for camera in self._cameras:
                camera.reset()
        records = [self._step(*given) for given in zip(images, stamps_ns, strict=True)]
        self._records += records
        del images
        return {
            'step_ms': [record.latency_ms for record in records],
            'stage_ms': {
                stage: [record.stage_ms[stage] for record in records]
                for stage in records[0].stage_ms
            },
            'objects': [len(record.tracks) for record in records],
            'rss_mib': resident_mib(os.getpid()),
        }

    def score(self, ground_truth: str) -> Answer:
        """HOTA, MOTA and IDF1 in percent on what the first camera has seen, maybe not all."""
        pipeline = self._cameras[0]
        truth = load_ground_truth(Path(ground_truth), pipeline.spec.classes, self._tracked)
        seen = replace(truth, frames=truth.frames[: len(self._records)])
        engine = pipeline.engine
        run = ReplayRun('offline', self._records, 0.0, engine.name, engine.device, {})
        scores = seen.score(run)
        return {name.lower(): scores[name] for name in _SCORES}


if __name__ == '__main__':
    worker = TrackingWorker()
    serve(
        {'open': worker.open, 'run': worker.run, 'score': worker.score},
        expected=(ImportError, OSError, RuntimeError, ValueError),
    )
