"""Tracks and runs made by hand for the replay tests."""

from __future__ import annotations

import numpy as np

from centertrack_ros.datatypes import Tracks
from centertrack_ros.replay.records import FrameRecord, ReplayRun

FPS = 10.0
FRAME_COUNT = 12


def make_tracks(ids, *, classes=None, boxes=None, scores=None, misses=None):
    """Reported tracks; boxes in a row where none are given."""
    count = len(ids)
    if boxes is None:
        boxes = [[60 * row + 10, 100, 60 * row + 50, 220] for row in range(count)]
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Tracks(
        ids=np.array(ids, np.int64),
        boxes=boxes,
        scores=np.full(count, 0.9, np.float32) if scores is None else np.float32(scores),
        classes=np.array([0] * count if classes is None else classes, np.int64),
        centers=boxes.reshape(-1, 2, 2).mean(axis=1),
        velocities=np.zeros((count, 2), np.float32),
        hits=np.ones(count, np.int64),
        misses=np.array([0] * count if misses is None else misses, np.int64),
        reported=np.ones(count, np.bool_),
        detection_indices=np.arange(count),
        prior_weights=np.ones(count, np.float32),
    )


def make_run(tracks_per_image, *, latencies=None, mode='offline', step_ns=100_000_000):
    """A run with the given tracks; a latency of None is a dropped image."""
    latencies = latencies or [20.0 + index for index in range(len(tracks_per_image))]
    records = [
        FrameRecord(index * step_ns, 'camera', tracks, latency, {'network': 15.0, 'track': 0.5})
        for index, (tracks, latency) in enumerate(zip(tracks_per_image, latencies, strict=True))
    ]
    stage_ms = {'network': 15.0, 'track': 0.5}
    return ReplayRun(mode, records, 2.0, 'test engine', 'cpu', stage_ms, rate=1.0)
