"""What a live replay sent and what came back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from centertrack_ros.replay.sources import NANOSECONDS


@dataclass(frozen=True)
class Published:
    """An image that was sent.

    Attributes:
        stamp_ns: its stamp, nanoseconds.
        frame_id: its camera frame.
        time: `time.perf_counter()` before it was published.
    """

    stamp_ns: int
    frame_id: str
    time: float


@dataclass(frozen=True)
class Answer:
    """Tracks, joints or boxes in space that came back.

    Attributes:
        message: Detection2DArray or Detection3DArray.
        time: `time.perf_counter()` at reception.
    """

    message: Any
    time: float

    @property
    def stamp_ns(self) -> int:
        """Stamp of the image it belongs to, nanoseconds."""
        stamp = self.message.header.stamp
        return int(stamp.sec * NANOSECONDS + stamp.nanosec)


@dataclass
class SessionLog:
    """What was sent and what came back.

    Attributes:
        published: in the order of sending.
        answers: tracks, in the order of reception.
        keypoints, tracks_3d: the same; None where nobody waits for them.
        diagnostics: values of the node's status, one mapping per second.
    """

    published: list[Published] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    keypoints: list[Answer] | None = None
    tracks_3d: list[Answer] | None = None
    diagnostics: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether everything that is waited for has come."""
        count = len(self.published)
        extra = [row for row in (self.keypoints, self.tracks_3d) if row is not None]
        return all(len(row) >= count for row in (self.answers, *extra))
