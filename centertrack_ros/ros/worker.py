"""The thread that tracks: takes the newest image, steps the pipeline, hands on the result."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sensor_msgs.msg import CompressedImage as CompressedImageMsg
from std_msgs.msg import Header

from centertrack_ros.datatypes import Image
from centertrack_ros.pipeline import StepResult, TrackingPipeline
from centertrack_ros.ros.mailbox import Mailbox
from centertrack_ros.ros.messages import (
    ImageError,
    compressed_image_from_msg,
    image_from_msg,
)
from centertrack_ros.ros.statistics import Statistics

Answer = TypeVar('Answer')

# A camera that sends nothing but rubbish would fill the disk with log lines otherwise.
LOG_INTERVAL = 5.0


class Logger(Protocol):
    """The part of a ROS logger that is used here."""

    def info(self, message: str) -> Any:
        """Log what is worth knowing."""

    def warning(self, message: str) -> Any:
        """Log what a person should look at."""


class Output(Protocol):
    """Where results go; called by the worker's thread."""

    def publish_tracks(self, header: Header, result: StepResult) -> None:
        """Publish the tracks of an image."""

    def publish_overlay(self, header: Header, image: Image, result: StepResult) -> None:
        """Publish a picture of them, if anybody wants it."""


@dataclass(frozen=True)
class _Job:
    """An image message and `time.monotonic()` of its reception."""

    message: Any
    received_at: float


class StampReader:
    """Seconds of a header's stamp; of the steady clock for a camera that stamps nothing.

    A stream that begins at 0 (a simulation, a file) and one that is 0 for ever look the same at
    first. So the first zero counts as zero, and those that follow it at once as the time since.
    """

    def __init__(self) -> None:
        self._zero_at: float | None = None

    def seconds(self, header: Header, received_at: float) -> float:
        """Time of exposure.

        Args:
            header: of the image.
            received_at: `time.monotonic()` when it came.
        """
        if header.stamp.sec or header.stamp.nanosec:
            self._zero_at = None
            return float(header.stamp.sec + header.stamp.nanosec * 1e-9)
        if self._zero_at is None:
            self._zero_at = received_at
        return received_at - self._zero_at


class Worker:
    """Owns the pipeline while it runs: nothing else touches it but through `call`."""

    def __init__(
        self,
        pipeline: TrackingPipeline,
        output: Output,
        statistics: Statistics,
        logger: Logger,
    ) -> None:
        self.pipeline = pipeline
        self._output = output
        self._statistics = statistics
        self._logger = logger
        self._mailbox: Mailbox[_Job] = Mailbox()
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._stamps = StampReader()
        self._logged_at: dict[str, float] = {}

    def start(self) -> None:
        """Begin to take images, with a tracker that knows nothing yet."""
        self.pipeline.reset()
        self._stamps = StampReader()
        self._mailbox.clear()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name='tracker', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the step that is under way; does nothing if it was not started."""
        if self._thread is None:
            return
        self._stopping = True
        self._mailbox.wake()
        self._thread.join()
        self._thread = None
        self._answer_calls()

    def submit(self, message: Any) -> None:
        """Leave an image message for the next step; the one that waits for it is dropped."""
        self._statistics.image_received()
        if self._mailbox.put(_Job(message, time.monotonic())):
            self._statistics.image_overwritten()

    def call(self, function: Callable[[], Answer]) -> Answer:
        """Run `function` between two steps and return what it returns, or raise what it raises."""
        if self._thread is None:
            return function()
        future: Future[Answer] = Future()

        def answer() -> None:
            try:
                future.set_result(function())
            except Exception as error:  # to be raised where the caller waits
                future.set_exception(error)

        self._calls.put(answer)
        self._mailbox.wake()
        return future.result()

    def _run(self) -> None:
        while not self._stopping:
            job = self._mailbox.take()
            self._answer_calls()
            if job is not None and not self._stopping:
                self._process(job)

    def _answer_calls(self) -> None:
        while True:
            try:
                answer = self._calls.get_nowait()
            except queue.Empty:
                return
            answer()

    def _process(self, job: _Job) -> None:
        """Turn one image into messages. Whatever goes wrong is counted: the node lives on."""
        header = job.message.header
        try:
            image = _image(job.message)
        except ImageError as error:
            self._reject(error.reason, str(error))
            return
        try:
            result = self.pipeline.step(image, self._stamps.seconds(header, job.received_at))
        except Exception as error:  # engines raise what their libraries please
            self._reject('engine', f'{type(error).__name__}: {error}')
            return
        if result.reset_reason:
            self._statistics.tracker_reset(result.reset_reason)
            self._logger.warning(f'tracker reset: {result.reset_reason}')
        try:
            self._output.publish_tracks(header, result)
            tracks = int(result.tracks.reported.sum())
            self._statistics.tracks_published(job.received_at, result.stage_ms, tracks)
            self._output.publish_overlay(header, image, result)
        except Exception as error:  # a middleware that shuts down under us, mostly
            if not self._stopping:
                self._reject('output', f'{type(error).__name__}: {error}')

    def _reject(self, reason: str, text: str) -> None:
        count = self._statistics.image_rejected(reason)
        now = time.monotonic()
        if now - self._logged_at.get(reason, -LOG_INTERVAL) >= LOG_INTERVAL:
            self._logged_at[reason] = now
            self._logger.warning(f'image rejected ({reason}, {count} so far): {text}')


def _image(message: Any) -> Image:
    if isinstance(message, CompressedImageMsg):
        return compressed_image_from_msg(message)
    return image_from_msg(message)
