"""Offline replay: every image through the pipeline, as fast as it goes, the same every time."""

from __future__ import annotations

import time
from collections.abc import Callable

from centertrack_ros.datatypes import Tracks
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
) -> ReplayRun:
    """Track a recording.

    Args:
        source: the recording.
        pipeline: a fresh or reset one.
        progress: called after each image.
        backdate: report tracks from their first detection on, not from when the tracker was
            sure of them; the figures are then better than those of a node.

    Raises:
        ValueError: the recording is broken or has no images.
    """
    records: list[FrameRecord] = []
    seen: list[Tracks] = []
    for frame in source:
        start = time.perf_counter()
        result = pipeline.step(frame.image, frame.stamp)
        elapsed_ms = (time.perf_counter() - start) * 1e3
        records.append(
            FrameRecord(
                stamp_ns=frame.stamp_ns,
                frame_id=frame.frame_id,
                tracks=result.tracks[result.tracks.reported],
                latency_ms=elapsed_ms,
                stage_ms=result.stage_ms,
                reset_reason=result.reset_reason,
            )
        )
        if backdate:
            seen.append(result.tracks)
        progress()
    if not records:
        raise ValueError(f'{source.description}: expected images, found none')
    if backdate:
        records = backdated(records, seen)
    return ReplayRun(
        mode='offline',
        records=records,
        seconds=sum(record.latency_ms or 0.0 for record in records) * 1e-3,
        engine=pipeline.engine.name,
        device=pipeline.engine.device,
        stage_ms=median_stages(records),
        backdated=backdate,
    )
