"""Offline replay: every image through the pipeline, as fast as it goes, the same every time."""

from __future__ import annotations

import time
from collections.abc import Callable

from centertrack_ros.camera_info import Calibration
from centertrack_ros.pipeline import TrackingPipeline
from centertrack_ros.replay.backdating import backdated
from centertrack_ros.replay.records import FrameRecord, ReplayRun, median_stages
from centertrack_ros.replay.sources import Source


def run_offline(
    source: Source,
    pipeline: TrackingPipeline,
    progress: Callable[[], object] = lambda: None,
    *,
    backdate: bool = False,
    calibration: Calibration | None = None,
) -> ReplayRun:
    """Track a recording.

    Args:
        source: the recording.
        pipeline: a fresh or reset one.
        progress: called after each image.
        backdate: report tracks from their first detection on, not from when the tracker was
            sure of them; the figures are then better than those of a node.
        calibration: of the camera, for boxes in space; None = there are none.

    Raises:
        ValueError: the recording is broken or has no images, or none that the calibration is of.
    """
    # With all tracks, the unreported ones included.
    records: list[FrameRecord] = []
    for frame in source:
        if calibration is not None:
            height, width = frame.image.shape[:2]
            pipeline.camera_matrix = calibration.for_image(width, height)
        start = time.perf_counter()
        result = pipeline.step(frame.image, frame.stamp)
        elapsed_ms = (time.perf_counter() - start) * 1e3
        records.append(
            FrameRecord(
                stamp_ns=frame.stamp_ns,
                frame_id=frame.frame_id,
                tracks=result.tracks,
                latency_ms=elapsed_ms,
                stage_ms=result.stage_ms,
                reset_reason=result.reset_reason,
                joints=result.joints,
                boxes_3d=result.boxes_3d,
            )
        )
        progress()
    if not records:
        raise ValueError(f'{source.description}: expected images, found none')
    if backdate:
        records = backdated(records)
    records = [record.rows(record.tracks.reported) for record in records]
    return ReplayRun(
        mode='offline',
        records=records,
        seconds=sum(record.latency_ms or 0.0 for record in records) * 1e-3,
        engine=pipeline.engine.name,
        device=pipeline.engine.device,
        stage_ms=median_stages(records),
        backdated=backdate,
    )
