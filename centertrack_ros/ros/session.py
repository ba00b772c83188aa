"""What exists from configure to cleanup: the loaded model, its topics, its worker."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from rclpy.lifecycle import LifecycleNode

from centertrack_ros.factory import build_pipeline, update_pipeline
from centertrack_ros.pipeline import TrackingPipeline
from centertrack_ros.ros.outputs import Outputs
from centertrack_ros.ros.statistics import Statistics
from centertrack_ros.ros.worker import Worker
from centertrack_ros.settings import Settings

WARM_UP_STEPS = 2


@dataclass(frozen=True)
class Session:
    """One configured model.

    Attributes:
        pipeline: belongs to the worker while that runs.
        outputs: the publishers.
        statistics: counted from here on.
        worker: the thread.
    """

    pipeline: TrackingPipeline
    outputs: Outputs
    statistics: Statistics
    worker: Worker

    @classmethod
    def create(cls, node: LifecycleNode, settings: Settings) -> Session:
        """Load the model, warm it up, and advertise its topics.

        Raises:
            FileNotFoundError, ImportError, RuntimeError, ValueError: as `build_pipeline`.
        """
        started = time.monotonic()
        pipeline = build_pipeline(settings)
        try:
            _warm_up(pipeline)
            outputs = Outputs(node, pipeline.spec, settings.class_id_format)
        except Exception:
            pipeline.engine.close()
            raise
        statistics = Statistics()
        worker = Worker(pipeline, outputs, statistics, node.get_logger())
        spec, engine = pipeline.spec, pipeline.engine
        node.get_logger().info(
            f'{spec.name} ({spec.input_width}x{spec.input_height}, {len(spec.classes)} classes) '
            f'on {engine.name}, ready after {time.monotonic() - started:.1f} s'
        )
        return cls(pipeline, outputs, statistics, worker)

    def start(self) -> None:
        """Say which model runs, and track with an empty tracker."""
        self.outputs.forget()
        self.outputs.publish_info(self.pipeline.detection_threshold)
        self.worker.start()

    def update(self, settings: Settings, *, announce: bool) -> None:
        """Take over live settings between two images.

        Args:
            settings: all settings.
            announce: publish the new threshold as well; the publishers must be active.

        Raises:
            ValueError: one of them does not fit the model; nothing was changed.
        """
        self.worker.call(lambda: update_pipeline(self.pipeline, settings))
        if announce:
            self.outputs.publish_info(self.pipeline.detection_threshold)

    def reset(self, reason: str) -> None:
        """Forget all tracks before the next image."""

        def reset() -> None:
            self.pipeline.reset()
            self.outputs.forget()

        self.worker.call(reset)
        self.statistics.tracker_reset(reason)

    def close(self) -> None:
        """Free everything."""
        self.worker.stop()
        self.outputs.destroy()
        self.pipeline.engine.close()


def _warm_up(pipeline: TrackingPipeline) -> None:
    """Let the engine allocate and tune before the first image; `Worker.start` resets after it."""
    shape = (pipeline.spec.input_height, pipeline.spec.input_width, 3)
    for _ in range(WARM_UP_STEPS):
        pipeline.step(np.zeros(shape, np.uint8), 0.0)
