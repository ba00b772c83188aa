"""Birth, matching, coasting, death and ids of tracks. No I/O, no images."""

from __future__ import annotations

from centertrack_ros.tracker.base import Tracker, TrackerParameters
from centertrack_ros.tracker.centertrack import CenterTrackTracker
from centertrack_ros.tracker.robust import RobustTracker

__all__ = ['CenterTrackTracker', 'RobustTracker', 'Tracker', 'TrackerParameters', 'create_tracker']


def create_tracker(
    method: str,
    *,
    track_threshold: float,
    birth_threshold: float,
    prior_threshold: float,
    max_age: float,
    max_age_frames: int,
    camera_motion: bool = True,
) -> Tracker:
    """Make the tracker called `method`; for the other arguments see `TrackerParameters`.

    Raises:
        ValueError: an unknown method, or a value out of range.
    """
    parameters = TrackerParameters(
        track_threshold=track_threshold,
        birth_threshold=birth_threshold,
        prior_threshold=prior_threshold,
        max_age=max_age,
        max_age_frames=max_age_frames,
        camera_motion=camera_motion,
    )
    if method == 'robust':
        return RobustTracker(parameters)
    if method == 'centertrack':
        return CenterTrackTracker(parameters)
    if method == 'centertrack_hungarian':
        return CenterTrackTracker(parameters, hungarian=True)
    raise ValueError(
        "tracker_method: expected 'robust', 'centertrack' or 'centertrack_hungarian', "
        f'received {method!r}'
    )
