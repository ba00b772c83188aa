"""What exists from configure to cleanup: the loaded model, the cameras, their worker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rclpy.lifecycle import LifecycleNode

from centertrack_ros.engines.base import Engine
from centertrack_ros.factory import assemble_pipeline, build_pipeline, update_pipeline
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.pipeline import TrackingPipeline, step_batch
from centertrack_ros.ros.calibration import CalibrationSlot
from centertrack_ros.ros.camera import Camera
from centertrack_ros.ros.outputs import ModelInfo, Outputs
from centertrack_ros.ros.serialised_images import reader_of
from centertrack_ros.ros.statistics import Statistics
from centertrack_ros.ros.subscription import camera_info_topic
from centertrack_ros.ros.worker import Worker
from centertrack_ros.settings import Settings

WARM_UP_STEPS = 2


@dataclass(frozen=True)
class Session:
    """One configured model and the cameras that share it.

    Attributes:
        spec: the model.
        engine: runs it; belongs to the worker while that runs, as the cameras do.
        cameras: at least one.
        model_info: says which model runs.
        worker: the thread.
    """

    spec: ModelSpec
    engine: Engine
    cameras: tuple[Camera, ...]
    model_info: ModelInfo
    worker: Worker

    @classmethod
    def create(cls, node: LifecycleNode, settings: Settings) -> Session:
        """Load the model, warm it up, and advertise the topics of all cameras.

        Raises:
            FileNotFoundError, ImportError, RuntimeError, ValueError: as `build_pipeline`.
        """
        started = time.monotonic()
        first = build_pipeline(settings)
        spec, engine = first.spec, first.engine
        names = settings.cameras or ('',)
        try:
            others = [assemble_pipeline(engine, spec, settings) for _ in names[1:]]
            pipelines = [first, *others]
            largest_batch = _largest_batch(engine)
            _warm_up(pipelines, largest_batch or len(pipelines))
            model_info = ModelInfo(node, spec)
            outputs = [Outputs(node, spec, settings.class_id_format, name) for name in names]
        except Exception:
            engine.close()
            raise
        cameras = tuple(
            _camera(node, name, pipeline, output)
            for name, pipeline, output in zip(names, pipelines, outputs, strict=True)
        )
        read = reader_of(settings.image_transport)
        worker = Worker(cameras, read, largest_batch=largest_batch)
        node.get_logger().info(
            f'{spec.name} ({spec.input_width}x{spec.input_height}, {len(spec.classes)} classes) '
            f'on {engine.name}, ready after {time.monotonic() - started:.1f} s'
        )
        return cls(spec, engine, cameras, model_info, worker)

    def start(self) -> None:
        """Say which model runs, and track with empty trackers."""
        for camera in self.cameras:
            camera.output.forget()
        self._announce()
        self.worker.start()

    def update(self, settings: Settings, *, announce: bool) -> None:
        """Take over live settings between two images.

        Args:
            settings: all settings.
            announce: publish the new threshold as well; the publishers must be active.

        Raises:
            ValueError: one of them does not fit the model; nothing was changed.
        """

        def update() -> None:
            # All have the same model: what does not fit is found with the first.
            for camera in self.cameras:
                update_pipeline(camera.pipeline, settings)

        self.worker.call(update)
        if announce:
            self._announce()

    def reset(self, reason: str, cameras: Sequence[Camera]) -> None:
        """Forget all tracks of some cameras before their next images."""

        def reset() -> None:
            for camera in cameras:
                camera.reset(reason)

        self.worker.call(reset)

    def stop(self) -> None:
        """End after the step under way, and take markers back while they can be."""
        self.worker.stop()
        for camera in self.cameras:
            camera.output.forget()

    def close(self) -> None:
        """Free everything."""
        self.worker.stop()
        for camera in self.cameras:
            camera.output.destroy()
        self.model_info.destroy()
        self.engine.close()

    def _announce(self) -> None:
        self.model_info.publish(self.cameras[0].pipeline.detection_threshold)


def _camera(node: LifecycleNode, name: str, pipeline: TrackingPipeline, output: Outputs) -> Camera:
    statistics, logger = Statistics(), node.get_logger()
    calibration = None
    if pipeline.spec.has_boxes_3d:
        calibration = CalibrationSlot(camera_info_topic(node, name), statistics, logger.warning)
    return Camera(name, pipeline, output, statistics, logger, calibration)


def _largest_batch(engine: Engine) -> int | None:
    """How many cameras are tracked at once; None = all.

    On a CPU one after the other: a batch costs as much per image (1.1 times as much with OpenVINO
    in bf16, 0.8 times with ONNX Runtime, 4 images, 2 cores), and all would wait for the last.
    """
    return 1 if engine.device == 'cpu' else engine.max_batch


def _warm_up(pipelines: Sequence[TrackingPipeline], largest_batch: int) -> None:
    """Let the engine allocate and tune for every size of batch before the first image.

    `Worker.start` resets after it.
    """
    spec = pipelines[0].spec
    black = np.zeros((spec.input_height, spec.input_width, 3), np.uint8)
    for count in range(1, min(len(pipelines), largest_batch) + 1):
        for _ in range(WARM_UP_STEPS):
            step_batch(pipelines[:count], [black] * count, [0.0] * count)
