"""What the node counts and measures while it runs; plain numbers, no ROS."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

# About ten seconds of a 25 Hz camera: long enough for a p99, short enough to show a change.
WINDOW = 256


@dataclass(frozen=True)
class Report:
    """State of the counters at one moment; totals count from the configuration of the node.

    Attributes:
        received: images taken from the middleware.
        published: images for which tracks were published.
        overwritten: images replaced by a newer one before the worker was free.
        rejected: images by the reason for which they were not used.
        resets: how often the tracker started anew.
        last_reset: why it last did, '' if it never did.
        rate_hz: tracks published per second since the report before.
        new_received: images received since the report before.
        new_rejected: images rejected since the report before.
        seconds_since_image: since the last image came, None before the first.
        latency_ms: p50, p95, p99 from reception to publication, empty before the first.
        stage_ms: median of each stage, empty before the first.
        tracks: reported in the last image.
        camera_info_rejected: camera_info by the reason for which it was not used.
    """

    received: int
    published: int
    overwritten: int
    rejected: Mapping[str, int]
    resets: int
    last_reset: str
    rate_hz: float
    new_received: int
    new_rejected: int
    seconds_since_image: float | None
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    tracks: int = 0
    camera_info_rejected: Mapping[str, int] = field(default_factory=dict)


class Statistics:
    """Counters of one configuration. Thread-safe: the worker writes, a timer reads.

    Latencies are measured by a steady clock, so simulated time and clock steps do not touch them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = 0
        self._published = 0
        self._overwritten = 0
        self._rejected: Counter[str] = Counter()
        self._camera_info_rejected: Counter[str] = Counter()
        self._resets = 0
        self._last_reset = ''
        self._tracks = 0
        self._last_image: float | None = None
        self._latencies_ms: deque[float] = deque(maxlen=WINDOW)
        self._stages_ms: deque[Mapping[str, float]] = deque(maxlen=WINDOW)
        self._before = (time.monotonic(), 0, 0, 0)

    def image_received(self) -> None:
        """Count an image from the middleware."""
        with self._lock:
            self._received += 1
            self._last_image = time.monotonic()

    def image_overwritten(self) -> None:
        """Count an image that a newer one replaced before it was used."""
        with self._lock:
            self._overwritten += 1

    def image_rejected(self, reason: str) -> int:
        """Count an image that could not be used; returns how many there were for this reason."""
        with self._lock:
            self._rejected[reason] += 1
            return self._rejected[reason]

    def camera_info_rejected(self, reason: str) -> int:
        """Count a camera_info that cannot be used; returns how many there were for this reason."""
        with self._lock:
            self._camera_info_rejected[reason] += 1
            return self._camera_info_rejected[reason]

    def tracker_reset(self, reason: str) -> None:
        """Count a new start of the tracker."""
        with self._lock:
            self._resets += 1
            self._last_reset = reason

    def tracks_published(
        self, received_at: float, stage_ms: Mapping[str, float], tracks: int
    ) -> None:
        """Count published tracks.

        Args:
            received_at: `time.monotonic()` when the image came.
            stage_ms: milliseconds of each stage.
            tracks: how many were reported.
        """
        latency_ms = (time.monotonic() - received_at) * 1e3
        with self._lock:
            self._published += 1
            self._tracks = tracks
            self._latencies_ms.append(latency_ms)
            self._stages_ms.append(stage_ms)

    def report(self) -> Report:
        """Read everything and begin the next interval of the rates."""
        now = time.monotonic()
        with self._lock:
            rejected = sum(self._rejected.values())
            before, published, received, rejected_before = self._before
            self._before = (now, self._published, self._received, rejected)
            latencies, stages = list(self._latencies_ms), list(self._stages_ms)
            return Report(
                received=self._received,
                published=self._published,
                overwritten=self._overwritten,
                rejected=dict(self._rejected),
                resets=self._resets,
                last_reset=self._last_reset,
                rate_hz=(self._published - published) / max(now - before, 1e-6),
                new_received=self._received - received,
                new_rejected=rejected - rejected_before,
                seconds_since_image=None if self._last_image is None else now - self._last_image,
                latency_ms=_percentiles(latencies),
                stage_ms=_medians(stages),
                tracks=self._tracks,
                camera_info_rejected=dict(self._camera_info_rejected),
            )


def _percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    return {f'p{rank}': float(np.percentile(values, rank)) for rank in (50, 95, 99)}


def _medians(rows: list[Mapping[str, float]]) -> dict[str, float]:
    if not rows:
        return {}
    return {name: float(np.median([row[name] for row in rows])) for name in rows[0]}
