"""Late confirmation without losing the first images: what only a replay can do.

The tracker reports a new track after some images, when it is sure of it, and has given it an id
from the first one on. A node cannot call back what it did not publish; a replay that has seen the
whole recording can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from centertrack_ros.datatypes import BoolArray
from centertrack_ros.replay.records import FrameRecord


def backdated(records: Sequence[FrameRecord]) -> list[FrameRecord]:
    """Report tracks from their first detection on, if they are reported at any time.

    Args:
        records: the replay, with all tracks of each image, the unreported ones included; where
            `reset_reason` is not empty, ids started anew.

    Returns:
        The same records, of whose tracks more are `reported`.
    """
    confirmed: set[int] = set()
    later: list[BoolArray] = []
    # From the end, where it is known which tracks were confirmed.
    for record in reversed(records):
        tracks = record.tracks
        confirmed.update(tracks.ids[tracks.reported].tolist())
        later.append((tracks.misses == 0) & np.isin(tracks.ids, list(confirmed)))
        if record.reset_reason:
            confirmed = set()
    results: list[FrameRecord] = []
    begun: set[int] = set()
    for record, known in zip(records, reversed(later), strict=True):
        tracks = record.tracks
        if record.reset_reason:
            begun = set()
        begun.update(tracks.ids[tracks.reported].tolist())
        # What the tracker held back once a track had begun was held back for a reason.
        reported = tracks.reported | (known & ~np.isin(tracks.ids, list(begun)))
        results.append(replace(record, tracks=replace(tracks, reported=reported)))
    return results
