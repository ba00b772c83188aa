"""One camera of the node: its tracker, its topics, its counters."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, Protocol

from std_msgs.msg import Header

from centertrack_ros.datatypes import FloatArray, Image
from centertrack_ros.pipeline import StepResult, TrackingPipeline
from centertrack_ros.ros.calibration import CalibrationSlot
from centertrack_ros.ros.statistics import Statistics

# A camera that sends nothing but rubbish would fill the disk with log lines otherwise.
LOG_INTERVAL = 5.0
# A name becomes part of topic names.
NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*')


class Logger(Protocol):
    """The part of a ROS logger that is used here."""

    def info(self, message: str) -> Any:
        """Log what is worth knowing."""

    def warning(self, message: str) -> Any:
        """Log what a person should look at."""


class Output(Protocol):
    """Where results go; called by the worker's thread."""

    def publish_tracks(self, header: Header, result: StepResult) -> None:
        """Publish what was found in an image."""

    def publish_views(
        self,
        header: Header,
        image: Image,
        result: StepResult,
        camera_matrix: FloatArray | None,
    ) -> None:
        """Publish pictures of it, if anybody wants them."""

    def forget(self) -> None:
        """Drop what belongs to tracks that are no more."""

    def destroy(self) -> None:
        """Take the topics back."""


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


class Camera:
    """What belongs to one camera; used by the worker's thread while that runs.

    Attributes:
        name: '' for the only camera of a node without a list of them.
        pipeline: its state of the loop; all cameras share the engine.
        output: its topics.
        statistics: its counters.
        stamps: reads its stamps.
        calibration: what is known of its lens; None for models without 3D.
    """

    def __init__(
        self,
        name: str,
        pipeline: TrackingPipeline,
        output: Output,
        statistics: Statistics,
        logger: Logger,
        calibration: CalibrationSlot | None = None,
    ) -> None:
        self.name = name
        self.pipeline = pipeline
        self.output = output
        self.statistics = statistics
        self.stamps = StampReader()
        self.calibration = calibration
        self._logger = logger
        self._prefix = f'{name}: ' if name else ''
        self._logged_at: dict[str, float] = {}

    def restart(self) -> None:
        """Begin with a tracker that knows nothing yet."""
        self.pipeline.reset()
        self.stamps = StampReader()

    def reset(self, reason: str) -> None:
        """Forget all tracks before the next image."""
        self.pipeline.reset()
        self.output.forget()
        self.statistics.tracker_reset(reason)

    def reject(self, reason: str, text: str) -> None:
        """Count an image that cannot be used, and log it now and then."""
        count = self.statistics.image_rejected(reason)
        now = time.monotonic()
        if now - self._logged_at.get(reason, -LOG_INTERVAL) >= LOG_INTERVAL:
            self._logged_at[reason] = now
            self._logger.warning(
                f'{self._prefix}image rejected ({reason}, {count} so far): {text}'
            )

    def calibrate(self, image: Image) -> None:
        """Tell the pipeline the camera matrix of its next image (H, W, 3)."""
        if self.calibration is not None:
            self.pipeline.camera_matrix = self.calibration.matrix(image.shape[1], image.shape[0])

    def publish(
        self, header: Header, image: Image, received_at: float, result: StepResult
    ) -> None:
        """Publish and count what an image gave."""
        if result.reset_reason:
            self.statistics.tracker_reset(result.reset_reason)
            self._logger.warning(f'{self._prefix}tracker reset: {result.reset_reason}')
        self.output.publish_tracks(header, result)
        tracks = int(result.tracks.reported.sum())
        self.statistics.tracks_published(received_at, result.stage_ms, tracks)
        self.output.publish_views(header, image, result, self.pipeline.camera_matrix)


def check_names(names: Sequence[str]) -> None:
    """Make sure that names of cameras can be parts of topic names.

    Raises:
        ValueError: one cannot, or is there twice.
    """
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(
                'cameras: expected names of letters, digits and underscores that begin with a '
                f'letter (with / between parts), received {name!r}'
            )
        if names.count(name) > 1:
            raise ValueError(f'cameras: expected different names, received {name!r} twice')
