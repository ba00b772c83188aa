"""Methods `centertrack` and `centertrack_hungarian`, rule by rule.

Recordings of the original are replayed by `training.conformance.tracker`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tracker_scenes import make_detections
from tracker_scenes import parameters as scene_parameters

from centertrack_ros.datatypes import Detections
from centertrack_ros.tracker import CenterTrackTracker, TrackerParameters


def parameters(**values: Any) -> TrackerParameters:
    return scene_parameters(
        **{'track_threshold': 0.0, 'birth_threshold': 0.4, 'prior_threshold': 0.5, **values}
    )


def squares(
    centers: list[tuple[float, float]],
    *,
    size: float = 20.0,
    scores: list[float] | None = None,
    classes: list[int] | None = None,
    offsets: list[tuple[float, float]] | None = None,
) -> Detections:
    points = np.array(centers, np.float32).reshape(-1, 2)
    count = len(points)
    return make_detections(
        np.concatenate((points - size / 2, points + size / 2), axis=1),
        scores or [0.9] * count,
        classes or [0] * count,
        points,
        offsets or [(0, 0)] * count,
    )


def test_first_detection_takes_the_nearest_track_even_if_the_next_loses_by_it() -> None:
    """Squared distances: 25 + 324; the other way round they would be 49 + 36."""
    tracker = CenterTrackTracker(parameters())
    tracker.update(squares([(0, 0), (12, 0)]), 0.0)
    tracks = tracker.update(squares([(7, 0), (18, 0)]), 0.1)
    assert tracks.ids.tolist() == [2, 1]
    assert tracks.detection_indices.tolist() == [0, 1]


def test_optimal_matching_does_not() -> None:
    tracker = CenterTrackTracker(parameters(), hungarian=True)
    tracker.update(squares([(0, 0), (12, 0)]), 0.0)
    tracks = tracker.update(squares([(7, 0), (18, 0)]), 0.1)
    assert dict(zip(tracks.detection_indices.tolist(), tracks.ids.tolist(), strict=True)) == {
        0: 1,
        1: 2,
    }


def test_offset_leads_to_the_old_place() -> None:
    tracker = CenterTrackTracker(parameters())
    tracker.update(squares([(0, 0), (100, 0)]), 0.0)
    moved = squares([(100, 0), (200, 0)], offsets=[(-100, 0), (-100, 0)])
    assert tracker.update(moved, 0.1).ids.tolist() == [1, 2]


@pytest.mark.parametrize(('distance', 'matched'), [(20.0, True), (20.5, False)])
def test_reach_is_the_size_of_the_smaller_box(distance: float, matched: bool) -> None:
    for first, second in ((20.0, 40.0), (40.0, 20.0)):
        tracker = CenterTrackTracker(parameters())
        tracker.update(squares([(0, 0)], size=first), 0.0)
        tracks = tracker.update(squares([(distance, 0)], size=second), 0.1)
        assert tracks.ids.tolist() == [1 if matched else 2]


def test_classes_do_not_mix() -> None:
    tracker = CenterTrackTracker(parameters())
    tracker.update(squares([(0, 0)], classes=[1]), 0.0)
    assert tracker.update(squares([(0, 0)], classes=[2]), 0.1).ids.tolist() == [2]


def test_births_need_more_than_the_threshold() -> None:
    tracker = CenterTrackTracker(parameters(birth_threshold=0.5))
    seen = squares([(0, 0), (100, 0), (200, 0)], scores=[0.75, 0.5, 0.25])
    assert tracker.update(seen, 0.0).detection_indices.tolist() == [0]


@pytest.mark.parametrize(('max_age', 'images'), [(-1, 0), (1, 0), (2, 1), (4, 3)])
def test_lost_tracks_stand_still_for_one_image_less_than_their_age(
    max_age: int, images: int
) -> None:
    tracker = CenterTrackTracker(parameters(max_age_frames=max_age))
    tracker.update(squares([(5, 5)], offsets=[(-3, 0)]), 0.0)
    for image in range(images):
        tracks = tracker.update(Detections.empty(), 0.1)
        assert tracks.ids.tolist() == [1]
        assert tracks.centers.tolist() == [[5, 5]]
        assert tracks.misses.tolist() == [image + 1]
        assert not tracks.reported.any()
        assert not tracks.prior_weights.any()
    assert len(tracker.update(Detections.empty(), 0.1)) == 0
    # Numbers are not used again.
    assert tracker.update(squares([(5, 5)]), 0.1).ids.tolist() == [2]


def test_rows_are_matched_then_born_then_lost() -> None:
    tracker = CenterTrackTracker(parameters(max_age_frames=3))
    tracker.update(squares([(0, 0), (100, 0), (200, 0)]), 0.0)
    tracks = tracker.update(squares([(300, 0), (200, 0)]), 0.1)
    assert tracks.ids.tolist() == [3, 4, 1, 2]
    assert tracks.detection_indices.tolist() == [1, 0, -1, -1]


def test_sure_tracks_in_sight_are_drawn() -> None:
    tracker = CenterTrackTracker(parameters(prior_threshold=0.5))
    tracks = tracker.update(squares([(0, 0), (100, 0)], scores=[0.5, 0.45]), 0.0)
    assert tracks.prior_weights.tolist() == [1, 0]


def test_public_detections_decide_who_is_born() -> None:
    tracker = CenterTrackTracker(parameters())
    begun = tracker.initialise(squares([(0, 0)], scores=[1.0]))
    assert begun.ids.tolist() == [1]
    seen = squares([(1, 0), (100, 0), (200, 0)])
    public = squares([(203, 0), (0, 0), (150, 0)], scores=[1.0] * 3)
    tracks = tracker.update(seen, 0.1, public)
    # The track takes the first; nothing public is near the second.
    assert tracks.ids.tolist() == [1, 2]
    assert tracks.detection_indices.tolist() == [0, 2]


def test_earlier_results_do_not_change() -> None:
    """The original sets `active` of a result to 0 when its track is lost later on."""
    tracker = CenterTrackTracker(parameters(max_age_frames=5))
    first = tracker.update(squares([(0, 0)]), 0.0)
    tracker.update(Detections.empty(), 0.1)
    assert first.reported.all()
    assert first.misses.tolist() == [0]


@pytest.mark.parametrize('hungarian', [False, True])
def test_empty_images(hungarian: bool) -> None:
    tracker = CenterTrackTracker(parameters(), hungarian=hungarian)
    assert len(tracker.update(Detections.empty(), 0.0)) == 0
    assert len(tracker.update(Detections.empty(), 0.1, Detections.empty())) == 0
    seen = make_detections([[0, 0, 10, 10]], [0.9], [0], [[5, 5]], [[0, 0]])
    assert tracker.update(seen, 0.1).ids.tolist() == [1]
    assert len(tracker.update(Detections.empty(), 0.1)) == 0


def test_scores_at_the_track_threshold_are_ignored() -> None:
    """The original drops them before the tracker, and raises the birth threshold as well."""
    tracker = CenterTrackTracker(parameters(track_threshold=0.5, birth_threshold=0.2))
    boxes = [[0, 0, 10, 10], [50, 0, 60, 10], [90, 0, 99, 9]]
    seen = make_detections(
        boxes, [0.9, 0.5, 0.3], [0] * 3, [[5, 5], [55, 5], [95, 5]], [[0, 0]] * 3
    )
    tracks = tracker.update(seen, 0.1)
    assert tracks.detection_indices.tolist() == [0]


def test_reset_starts_ids_again_and_parameters_are_live() -> None:
    seen = make_detections([[0, 0, 10, 10]], [0.9], [0], [[5, 5]], [[0, 0]])
    tracker = CenterTrackTracker(parameters())
    assert tracker.update(seen, 0.0).ids.tolist() == [1]
    tracker.parameters = parameters(max_age_frames=5)
    kept = tracker.update(Detections.empty(), 0.1)
    assert kept.ids.tolist() == [1]
    assert kept.misses.tolist() == [1]
    assert not kept.reported.any()
    assert tracker.update(seen, 0.1).hits.tolist() == [2]
    tracker.reset()
    assert tracker.update(seen, 0.0).hits.tolist() == [1]
