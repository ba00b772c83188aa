"""The calibration of one camera: what its camera_info said last."""

from __future__ import annotations

import time
from collections.abc import Callable

from sensor_msgs.msg import CameraInfo

from centertrack_ros.camera_info import Calibration, CameraInfoError, calibration_from_msg
from centertrack_ros.datatypes import FloatArray
from centertrack_ros.ros.statistics import Statistics

LOG_INTERVAL = 5.0
# An image may come a moment before the first camera_info.
PATIENCE = 1.0


class CalibrationSlot:
    """Takes camera_info in ROS's thread, gives camera matrices in the worker's.

    Images and camera_info need not come at the same time: the last usable one counts.

    Attributes:
        problem: why there are no boxes in space, '' where there are.
    """

    def __init__(self, topic: str, statistics: Statistics, warn: Callable[[str], object]) -> None:
        """Wait for the first one.

        Args:
            topic: full name, for people.
            statistics: counts those that cannot be used.
            warn: logs what a person should look at.
        """
        self._topic = topic
        self._statistics = statistics
        self._warn = warn
        # When the next line may be logged; None = there was nothing to wait for yet.
        self._next_waiting: float | None = None
        self._next_rejected = 0.0
        # Replaced as a whole: a thread sees the old or the new one.
        self._calibration: Calibration | None = None
        self._rejected = ''
        self.problem = f'tracks_3d waits for camera_info on {topic}'

    def take(self, message: CameraInfo) -> None:
        """Use a message from now on, or count why it cannot be used."""
        try:
            self._calibration = calibration_from_msg(message)
        except CameraInfoError as error:
            self._reject(error)

    def matrix(self, width: int, height: int) -> FloatArray | None:
        """Camera matrix (3, 4) for images of this size, None where there is none yet."""
        calibration, matrix = self._calibration, None
        if calibration is not None:
            try:
                matrix = calibration.for_image(width, height)
            except CameraInfoError as error:
                self._reject(error)
        if matrix is not None:
            self.problem = self._rejected = ''
            return matrix
        self.problem = f'tracks_3d waits for camera_info on {self._topic}'
        if self._rejected:
            self.problem += f'; the last one was rejected: {self._rejected}'
        now = time.monotonic()
        if self._next_waiting is None:
            self._next_waiting = now + PATIENCE
        if now >= self._next_waiting:
            self._next_waiting = now + LOG_INTERVAL
            self._warn(self.problem)
        return None

    def _reject(self, error: CameraInfoError) -> None:
        count = self._statistics.camera_info_rejected(error.reason)
        self._rejected = str(error)
        now = time.monotonic()
        if now >= self._next_rejected:
            self._next_rejected = now + LOG_INTERVAL
            self._warn(
                f'camera_info on {self._topic} rejected ({error.reason}, {count} so far): {error}'
            )
