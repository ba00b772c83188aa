"""What a replay gives: one record per image, and the sums that the report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.camera_info import Calibration
from centertrack_ros.datatypes import BoolArray, TrackedBoxes3D, TrackedJoints, Tracks
from centertrack_ros.pipeline import STAGES
from centertrack_ros.replay.mot_files import FrameBoxes

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class FrameRecord:
    """The answer to one image.

    Attributes:
        stamp_ns: stamp of the image, nanoseconds.
        frame_id: camera frame of the image.
        tracks: the reported tracks only; none where the image was dropped.
        latency_ms: offline the time of the step, live from publishing the image to receiving
            its tracks; None = there was no answer.
        stage_ms: milliseconds per stage of this image, empty where they are not known.
        reset_reason: why the tracker was started anew before this image, '' if it was not.
        joints, boxes_3d: of `tracks`, row for row; None where the model or the input has none.
    """

    stamp_ns: int
    frame_id: str
    tracks: Tracks
    latency_ms: float | None
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    reset_reason: str = ''
    joints: TrackedJoints | None = None
    boxes_3d: TrackedBoxes3D | None = None

    def rows(self, chosen: BoolArray) -> FrameRecord:
        """The record with some of its tracks, by a mask (N,)."""
        return replace(
            self,
            tracks=self.tracks[chosen],
            joints=None if self.joints is None else self.joints[chosen],
            boxes_3d=None if self.boxes_3d is None else self.boxes_3d[chosen],
        )

    def boxes(self, class_index: int | None = None) -> FrameBoxes:
        """The tracks, of one class or of all, as numbers of the precision of a MOT file."""
        tracks = self.tracks
        if class_index is not None:
            tracks = tracks[tracks.classes == class_index]
        return FrameBoxes(
            ids=tracks.ids,
            boxes=tracks.boxes.astype(np.float64).round(3),
            scores=tracks.scores.astype(np.float64).round(4),
        )


@dataclass(frozen=True)
class ReplayRun:
    """A whole replay.

    Attributes:
        mode: `offline` or `live`.
        records: one per image, in the order of the recording.
        seconds: offline the time spent in the pipeline, live from the first image published to
            the last answer.
        engine: library and provider that ran the network.
        device: where it ran.
        stage_ms: median milliseconds per stage over the run.
        backdated: offline: tracks are reported from their first detection on, with what only
            later images told; no node can do that.
        calibration: of the camera, for models with boxes in space; None where nobody says it.
        camera: where the calibration is from, or what is missing; '' for models without 3D.
        rate: live: speed of playing relative to the recording; None offline.
    """

    mode: str
    records: Sequence[FrameRecord]
    seconds: float
    engine: str
    device: str
    stage_ms: Mapping[str, float]
    rate: float | None = None
    backdated: bool = False
    calibration: Calibration | None = None
    camera: str = ''

    @property
    def dropped(self) -> int:
        """Images without an answer."""
        return sum(record.latency_ms is None for record in self.records)

    @property
    def fps(self) -> float:
        """Answered images per second."""
        return (len(self.records) - self.dropped) / max(self.seconds, 1e-9)

    @property
    def boxes_3d_count(self) -> int:
        """Boxes in space of all images."""
        boxes = (record.boxes_3d for record in self.records)
        return sum(int(entry.known.sum()) for entry in boxes if entry is not None)

    @property
    def track_ids(self) -> list[int]:
        """The distinct ids, rising. Ids start again when the tracker is reset."""
        ids = {int(track_id) for record in self.records for track_id in record.tracks.ids}
        return sorted(ids)

    def latencies_ms(self) -> NDArray[np.float64]:
        """Latency of each image, nan where it was dropped."""
        return np.array(
            [np.nan if row.latency_ms is None else row.latency_ms for row in self.records]
        )

    def latency_percentiles(self) -> dict[str, float | None]:
        """`p50`, `p95`, `p99` in milliseconds; None when no image was answered."""
        known = self.latencies_ms()
        known = known[~np.isnan(known)]
        if len(known) == 0:
            return {f'p{percentile}': None for percentile in PERCENTILES}
        values = np.percentile(known, PERCENTILES).tolist()
        return {f'p{row}': round(value, 3) for row, value in zip(PERCENTILES, values, strict=True)}


def median_stages(records: Sequence[FrameRecord]) -> dict[str, float]:
    """Median milliseconds of each stage over the images that have it."""
    medians = {}
    for stage in STAGES:
        values = [record.stage_ms[stage] for record in records if stage in record.stage_ms]
        if values:
            medians[stage] = round(float(np.median(values)), 3)
    return medians
