"""The thread that tracks: takes the newest images, steps the pipelines, hands on the results."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from std_msgs.msg import Header

from centertrack_ros.datatypes import Image
from centertrack_ros.pipeline import batches, step_batch
from centertrack_ros.ros.camera import Camera
from centertrack_ros.ros.mailbox import Mailbox
from centertrack_ros.ros.messages import ImageError
from centertrack_ros.ros.serialised_images import Reader

Answer = TypeVar('Answer')


@dataclass(frozen=True)
class _Job:
    """A serialised image message and `time.monotonic()` of its reception."""

    data: bytes
    received_at: float


@dataclass(frozen=True)
class _Frame:
    """An image of a camera, ready to be tracked."""

    camera: Camera
    header: Header
    image: Image
    received_at: float
    stamp: float


class Worker:
    """Owns the cameras while it runs: nothing else touches them but through `call`.

    It never waits for a camera: of whatever images are there when it is free, those of the
    cameras that wait longest go into the network together.

    Images are read and resized by this thread too. A thread of its own for that, beside the
    network on the image before, brought nothing on two cores with a network on the CPU: a raw
    image takes half a millisecond, and of a JPEG camera it decodes images that a newer one
    replaces (20 against 27 tracked images a second at 30 Hz, 1920x1080).
    """

    def __init__(
        self, cameras: Sequence[Camera], read: Reader, *, largest_batch: int | None
    ) -> None:
        """Take over the cameras.

        Args:
            cameras: at least one; their pipelines share the engine.
            read: gives header and pixels of a serialised message.
            largest_batch: images that are tracked at once, None = as many as there are.
        """
        self._cameras = tuple(cameras)
        self._read = read
        self._largest_batch = largest_batch
        self._mailbox: Mailbox[_Job] = Mailbox()
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin to take images, with trackers that know nothing yet."""
        for camera in self._cameras:
            camera.restart()
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

    def submit(self, data: bytes, camera: int = 0) -> None:
        """Leave a serialised image for the next step; the one that waits for it is dropped.

        Args:
            data: the message.
            camera: index of the camera that it is from.
        """
        statistics = self._cameras[camera].statistics
        statistics.image_received()
        if self._mailbox.put(_Job(data, time.monotonic()), camera):
            statistics.image_overwritten()

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
            # No more than fit into one batch: the others may get newer images meanwhile.
            jobs = self._mailbox.take(self._largest_batch)
            self._answer_calls()
            if jobs and not self._stopping:
                self._process(jobs)

    def _answer_calls(self) -> None:
        while True:
            try:
                answer = self._calls.get_nowait()
            except queue.Empty:
                return
            answer()

    def _process(self, jobs: Mapping[int, _Job]) -> None:
        """Turn images into messages. Whatever goes wrong is counted: the node lives on."""
        frames = [
            frame
            for index, job in jobs.items()
            if (frame := self._frame(self._cameras[index], job)) is not None
        ]
        pipelines = [frame.camera.pipeline for frame in frames]
        for rows in batches(pipelines, [frame.image for frame in frames]):
            self._track([frames[row] for row in rows])

    def _frame(self, camera: Camera, job: _Job) -> _Frame | None:
        try:
            header, image = self._read(job.data)
        except ImageError as error:
            camera.reject(error.reason, str(error))
            return None
        stamp = camera.stamps.seconds(header, job.received_at)
        camera.calibrate(image)
        return _Frame(camera, header, image, job.received_at, stamp)

    def _track(self, frames: Sequence[_Frame]) -> None:
        """One batch: tracks of all cameras in it are published when it is done."""
        try:
            results = step_batch(
                [frame.camera.pipeline for frame in frames],
                [frame.image for frame in frames],
                [frame.stamp for frame in frames],
            )
        except Exception as error:  # engines raise what their libraries please
            for frame in frames:
                frame.camera.reject('engine', f'{type(error).__name__}: {error}')
            return
        for frame, result in zip(frames, results, strict=True):
            try:
                frame.camera.publish(frame.header, frame.image, frame.received_at, result)
            except Exception as error:  # a middleware that shuts down under us, mostly
                if not self._stopping:
                    frame.camera.reject('output', f'{type(error).__name__}: {error}')
