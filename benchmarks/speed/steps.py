"""The timed step: from an image to its tracks and, where there is ROS, their message."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from centertrack_ros.datatypes import Image, Tracks
from centertrack_ros.pipeline import STAGES, StepResult, TrackingPipeline, batches, step_batch
from centertrack_ros.replay.records import FrameRecord

# Stage of the messages, beside those of the pipeline.
MESSAGE = 'message'

Message = Callable[[Tracks, int], object]


def message_builder(classes: tuple[str, ...]) -> Message | None:
    """Builds the ROS message of an image's tracks; None where there is no ROS."""
    try:
        from std_msgs.msg import Header

        from centertrack_ros.ros.messages import tracks_to_msg
    except ImportError:
        return None

    def build(tracks: Tracks, stamp_ns: int) -> object:
        header = Header(frame_id='camera')
        header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
        return tracks_to_msg(tracks, header, classes)

    return build


class TimedStep:
    """Runs cameras that share one engine, and takes the time.

    Args:
        cameras: all of them see the same images.
    """

    def __init__(self, cameras: Sequence[TrackingPipeline]) -> None:
        self._cameras = cameras
        self._message = message_builder(cameras[0].spec.classes)

    def __call__(self, image: Image, stamp_ns: int) -> FrameRecord:
        """Track an image.

        Returns:
            The tracks of the first camera; as latency the milliseconds of all cameras and their
            messages, and those of each stage, `MESSAGE` only where there is ROS.
        """
        count = len(self._cameras)
        start = time.perf_counter()
        results = step_batch(self._cameras, [image] * count, [stamp_ns * 1e-9] * count)
        stepped = time.perf_counter()
        if self._message is not None:
            for result in results:
                self._message(result.tracks, stamp_ns)
        end = time.perf_counter()
        stage_ms = self._stages(results, image)
        if self._message is not None:
            stage_ms[MESSAGE] = (end - stepped) * 1e3
        tracks = results[0].tracks
        return FrameRecord(stamp_ns, '', tracks[tracks.reported], (end - start) * 1e3, stage_ms)

    def _stages(self, results: list[StepResult], image: Image) -> dict[str, float]:
        """Of all cameras together; those of one batch all say how long its network ran."""
        sums = {stage: sum(result.stage_ms[stage] for result in results) for stage in STAGES}
        groups = batches(self._cameras, [image] * len(self._cameras))
        sums['network'] = sum(results[rows[0]].stage_ms['network'] for rows in groups)
        return sums
