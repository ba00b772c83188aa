"""The default tracker: what it promises, on scenes with known identities."""

from __future__ import annotations

import numpy as np
import pytest
from tracker_scenes import Scene, crowd, make_detections, parameters, people, switches

from centertrack_ros.association import intersection_over_union
from centertrack_ros.datatypes import Detections, Tracks
from centertrack_ros.tracker import CenterTrackTracker, RobustTracker, create_tracker
from centertrack_ros.tracker.tuning import Tuning

FRAME_RATES = [1.0, 5.0, 10.0, 30.0, 60.0]


def new_tracker(**values: float) -> RobustTracker:
    return RobustTracker(parameters(**values))


def check_invariants(tracks: Tracks, detections: Detections) -> None:
    count = len(tracks)
    assert len(set(tracks.ids.tolist())) == count
    assert (np.diff(tracks.ids) > 0).all()
    taken = tracks.detection_indices[tracks.detection_indices >= 0]
    assert len(set(taken.tolist())) == len(taken)
    assert (taken < len(detections)).all()
    np.testing.assert_array_equal(tracks.misses == 0, tracks.detection_indices >= 0)
    seen = tracks[tracks.reported & (tracks.misses == 0)]
    for box in tracks.boxes[tracks.reported & (tracks.misses > 0)]:
        assert intersection_over_union(box, seen.boxes).max() > Tuning().hidden_overlap
    assert ((tracks.prior_weights >= 0) & (tracks.prior_weights <= 1)).all()
    expected = vars(Tracks.empty())
    for name, array in vars(tracks).items():
        assert array.dtype == expected[name].dtype, name
        assert array.shape == (count, *expected[name].shape[1:]), name
        assert np.isfinite(array).all(), name
    sizes = tracks.boxes[:, 2:] - tracks.boxes[:, :2]
    assert (sizes > 0).all()


def walk(
    tracker: RobustTracker, fps: float, seconds: float, *, speed: float = 60.0, start: float = 0.0
) -> Tracks:
    """One person walking to the right."""
    for step in range(max(1, int(seconds * fps))):
        x = start + speed * step / fps
        tracks = tracker.update(people([[x, 300]]), 1 / fps if step else 0.0)
    return tracks


def test_ids_count_from_one_and_best_scores_come_first() -> None:
    tracker = new_tracker()
    tracks = tracker.update(people([[100, 300], [300, 300]], score=[0.9, 0.8]), 0.0)
    assert tracks.ids.tolist() == [1, 2]
    assert tracks.detection_indices.tolist() == [0, 1]
    assert tracks.reported.all()
    more = tracker.update(people([[301, 300], [101, 300], [600, 300]]), 0.1)
    assert more.ids.tolist() == [1, 2, 3]
    assert more.detection_indices.tolist() == [1, 0, 2]
    assert more.hits.tolist() == [2, 2, 1]


@pytest.mark.parametrize('fps', FRAME_RATES)
def test_random_scenes_keep_the_invariants(fps: float) -> None:
    tracker = new_tracker()
    scene = crowd(int(fps), fps, seconds=max(6.0, 30 / fps), shake=5.0, false_per_image=2.0)
    for number, detections in enumerate(scene.images):
        tracks = tracker.update(detections, scene.dt if number else 0.0)
        check_invariants(tracks, detections)


@pytest.mark.parametrize('fps', [5.0, 10.0, 30.0])
@pytest.mark.parametrize('learned_offsets', [True, False])
def test_far_fewer_switches_than_the_original(fps: float, learned_offsets: bool) -> None:
    ours, original = 0, 0
    for seed in range(3):
        scene = crowd(seed, fps, shake=3.0, learned_offsets=learned_offsets)
        ours += switches(new_tracker(), scene)
        original += switches(CenterTrackTracker(parameters()), scene)
    assert ours <= original / 5


@pytest.mark.parametrize('fps', [5.0, 10.0, 30.0, 60.0])
@pytest.mark.parametrize('hidden', [0.0, 0.5])
def test_ids_survive_a_crossing(fps: float, hidden: float) -> None:
    """Two people pass each other; for `hidden` seconds only the nearer one is seen."""
    tracker = new_tracker()
    for step in range(int(4 * fps)):
        time = step / fps
        nearer, farther = 100 + 100 * time, 500 - 100 * time
        centers = [[nearer, 300], [farther, 285]]
        if abs(time - 2.0) < hidden / 2:
            centers = centers[:1]
        tracks = tracker.update(people(centers), 1 / fps if step else 0.0)
    assert tracks.ids.tolist() == [1, 2]
    assert tracks.detection_indices.tolist() == [0, 1]


@pytest.mark.parametrize('fps', [5.0, 10.0, 30.0, 60.0])
def test_a_lost_track_coasts_and_is_found_again(fps: float) -> None:
    tracker = new_tracker()
    seen = walk(tracker, fps, 2.0)
    weights = [seen.prior_weights[0]]
    x = seen.centers[0, 0]
    for miss in range(1, int(0.8 * fps) + 1):
        x += 60 / fps
        lost = tracker.update(Detections.empty(), 1 / fps)
        assert lost.ids.tolist() == [1]
        assert lost.misses.tolist() == [miss]
        assert not lost.reported[0]
        assert abs(lost.centers[0, 0] - x) < 15
        assert abs((lost.boxes[0, 0] + lost.boxes[0, 2]) / 2 - x) < 15
        weights.append(lost.prior_weights[0])
    assert weights[0] == 1
    assert (np.diff(weights) < 0).all()
    found = tracker.update(people([[x + 60 / fps, 300]]), 1 / fps)
    assert found.ids.tolist() == [1]
    assert found.reported[0]
    assert found.misses[0] == 0
    assert found.prior_weights[0] == 1


@pytest.mark.parametrize('fps', FRAME_RATES)
def test_lost_tracks_die_by_time_not_by_images(fps: float) -> None:
    tracker = new_tracker(max_age=1.52)
    walk(tracker, fps, max(2.0, 3 / fps))
    for _ in range(int(1.52 * fps)):
        assert len(tracker.update(Detections.empty(), 1 / fps)) == 1
    assert len(tracker.update(Detections.empty(), 1 / fps)) == 0


def test_low_scores_continue_tracks_but_start_none() -> None:
    tracker = new_tracker()
    for step in range(5):
        tracks = tracker.update(people([[100, 300]], score=0.8 - 0.1 * step), 0.1)
    tracks = tracker.update(people([[100, 300], [400, 300]], score=[0.25, 0.2]), 0.1)
    assert tracks.ids.tolist() == [1]
    assert tracks.detection_indices.tolist() == [0]
    assert tracks.reported[0]
    assert 0 < tracks.prior_weights[0] < 1


def test_low_scores_alone_do_not_keep_a_track_for_ever() -> None:
    """A pole where somebody stood: after a second of weak peaks the track is lost."""
    tracker = new_tracker()
    walk(tracker, 10, 1, speed=0.0, start=100)
    weak = people([[100, 300]], score=0.25)
    reported = [bool(tracker.update(weak, 0.1).reported[0]) for _ in range(20)]
    assert reported == sorted(reported, reverse=True)
    assert 9 <= sum(reported) <= 11
    assert tracker.update(people([[100, 300]]), 0.1).ids.tolist() == [1]
    assert tracker.update(weak, 0.1).reported.tolist() == [True]
    for_ever = RobustTracker(parameters(), Tuning(low_score_life=np.inf))
    walk(for_ever, 10, 1, speed=0.0, start=100)
    assert all(for_ever.update(weak, 0.1).reported.all() for _ in range(50))


def test_what_never_scores_well_again_is_not_reported_for_ever() -> None:
    tracker = new_tracker()
    walk(tracker, 10, 1, speed=0.0, start=100)
    poor = people([[100, 300]], score=0.38)
    reported = [bool(tracker.update(poor, 0.1).reported[0]) for _ in range(30)]
    assert reported == sorted(reported, reverse=True)
    assert 9 <= sum(reported) <= 11
    good = tracker.update(people([[100, 300]], score=0.45), 0.1)
    assert good.ids.tolist() == [1]
    assert good.reported.tolist() == [True]


def test_a_pole_that_flickers_does_not_become_a_track() -> None:
    tracker = new_tracker(birth_threshold=0.4)
    for step in range(40):
        score = (0.45, 0.3)[step % 2]
        assert not tracker.update(people([[100, 300]], score=score), 0.1).reported.any()


def test_weak_boxes_are_smoothed_and_sure_ones_are_not() -> None:
    """Half of a person is hidden and the box jumps aside by a quarter of a width."""

    def published(score: float, **tuning: float) -> float:
        tracker = RobustTracker(parameters(), Tuning(**tuning))
        walk(tracker, 10, 2, speed=0.0, start=100)
        tracks = tracker.update(people([[110, 300]], score=score), 0.1)
        assert tracks.reported.tolist() == [True]
        return float(tracks.boxes[0, 0] + tracks.boxes[0, 2]) / 2

    assert published(0.9) == published(0.6) == 110
    assert 100 < published(0.2) < 102.5
    assert published(0.2) < published(0.45) < 110
    assert published(0.2, weak_noise=0, weak_smoothing=0) == 110


@pytest.mark.parametrize('fps', [10.0, 30.0])
def test_a_shaking_camera_loses_no_ids(fps: float) -> None:
    """Neighbours stand a width apart and the image jumps by as much; offsets say nothing."""
    random = np.random.default_rng(3)
    places = np.array([[100.0 + 45 * number, 300.0] for number in range(6)])

    def ids(tracker: RobustTracker) -> list[int]:
        before = np.zeros(2)
        order: list[int] = []
        for step in range(40):
            shift = random.uniform(-45, 45, 2) * [1, 0.5] * (step > 0)
            camera = np.eye(2, 3, dtype=np.float32)
            camera[:, 2] = shift - before
            tracks = tracker.update(
                people(places + shift), 1 / fps if step else 0.0, camera=camera if step else None
            )
            order = tracks.ids[np.argsort(tracks.detection_indices)].tolist()
            before = shift
        return order

    assert ids(new_tracker()) == [1, 2, 3, 4, 5, 6]
    assert ids(RobustTracker(parameters(), Tuning(use_camera=False))) != [1, 2, 3, 4, 5, 6]
    assert ids(new_tracker(camera_motion=False)) != [1, 2, 3, 4, 5, 6]


def test_only_the_default_method_asks_for_the_camera() -> None:
    assert new_tracker().follows_camera
    assert not new_tracker(camera_motion=False).follows_camera
    assert not CenterTrackTracker(parameters()).follows_camera
    camera = np.array([[1, 0, 500], [0, 1, 0]], np.float32)
    original = CenterTrackTracker(parameters())
    original.update(people([[100, 300]]), 0.0)
    assert original.update(people([[100, 300]]), 0.1, camera=camera).ids.tolist() == [1]


def test_flicker_is_not_reported_and_weak_objects_are_after_two_images() -> None:
    tracker = new_tracker()
    weak = people([[100, 300]], score=0.55)
    assert not tracker.update(weak, 0.0).reported.any()
    assert len(tracker.update(Detections.empty(), 0.1)) == 0
    tracker.update(weak, 0.1)
    tracks = tracker.update(weak, 0.1)
    assert tracks.reported.tolist() == [True]
    assert tracks.ids.tolist() == [2]


def test_births_need_more_than_the_threshold() -> None:
    tracker = new_tracker(birth_threshold=0.5)
    assert len(tracker.update(people([[100, 300]], score=0.5), 0.0)) == 0
    raised = new_tracker(birth_threshold=0.2, track_threshold=0.4)
    assert len(raised.update(people([[100, 300]], score=0.3), 0.0)) == 0


def test_a_second_box_on_one_object_starts_no_track() -> None:
    tracker = new_tracker()
    twice = people([[100, 300], [105, 305]], score=[0.9, 0.8])
    assert tracker.update(twice, 0.0).ids.tolist() == [1]
    for _ in range(3):
        assert tracker.update(twice, 0.1).ids.tolist() == [1]
    beside = people([[100, 300], [135, 300]], score=[0.9, 0.8])
    assert tracker.update(beside, 0.1).ids.tolist() == [1, 2]


def test_one_box_under_two_names_is_one_track() -> None:
    boxes = [[0, 0, 100, 60], [0, 0, 100, 60], [300, 0, 400, 60]]
    centers = [[50, 30], [50, 30], [350, 30]]
    seen = make_detections(boxes, [0.9, 0.7, 0.6], [2, 7, 7], centers, np.zeros((3, 2)))
    tracks = new_tracker().update(seen, 0.0)
    assert tracks.classes.tolist() == [2, 7]


def test_the_class_is_a_majority_vote() -> None:
    def car(score: float, kind: int) -> Detections:
        return make_detections([[0, 0, 100, 60]], [score], [kind], [[50, 30]], [[0, 0]])

    tracker = new_tracker()
    for _ in range(3):
        tracker.update(car(0.8, 2), 0.1)
    assert tracker.update(car(0.7, 7), 0.1).classes.tolist() == [2]
    for _ in range(20):
        tracks = tracker.update(car(0.8, 7), 0.1)
    assert tracks.classes.tolist() == [7]
    assert tracks.ids.tolist() == [1]


@pytest.mark.parametrize('fps', [10.0, 30.0])
def test_who_is_hidden_is_reported_for_a_moment(fps: float) -> None:
    """Somebody steps behind a person who stands, and stays there."""
    tracker = new_tracker()
    reported = []
    for step in range(int(3 * fps)):
        x = 100 + 60 * step / fps
        centers = [[200, 300]] if x > 185 else [[x, 300], [200, 300]]
        tracks = tracker.update(people(centers, score=0.8), 1 / fps if step else 0.0)
        walker = tracks[tracks.ids == 1]
        if len(walker) and walker.misses[0]:
            reported.append(bool(walker.reported[0]))
    assert reported == sorted(reported, reverse=True)
    assert sum(reported) / fps == pytest.approx(Tuning().hidden_time, abs=1.01 / fps)
    # The other one was seen all the time, and nobody hides who leaves alone.
    assert tracks.reported[tracks.ids == 2].tolist() == [True]
    assert not tracker.update(Detections.empty(), 1 / fps).reported.any()


def test_objects_of_other_size_are_not_taken() -> None:
    tracker = new_tracker()
    tracker.update(people([[100, 300]]), 0.0)
    tracks = tracker.update(people([[100, 300]], height=40), 0.1)
    assert tracks.ids.tolist() == [1, 2]
    assert tracks.misses.tolist() == [1, 0]


def test_learned_offsets_hold_fast_objects_at_few_images_per_second() -> None:
    """Two people run past each other by several widths per image; boxes never overlap."""

    def run(offsets: bool) -> list[int]:
        tracker = new_tracker()
        for step in range(4):
            x = np.array([100.0 + 120 * step, 460.0 - 120 * step])
            shift = np.array([[-120.0, 0], [120.0, 0]]) * (offsets and step > 0)
            seen = people(np.stack((x, [300, 300]), axis=1), offsets=shift)
            tracks = tracker.update(seen, 0.5 if step else 0.0)
        return tracks.ids[np.argsort(tracks.detection_indices)][-2:].tolist()

    assert run(offsets=True) == [1, 2]
    assert run(offsets=False) != [1, 2]


def test_standing_stamps() -> None:
    """A source without stamps: everything works, and lost tracks still die."""
    tracker = new_tracker(max_age=0.1)
    for _ in range(5):
        tracks = tracker.update(people([[100, 300], [300, 300]]), 0.0)
        check_invariants(tracks, people([[100, 300], [300, 300]]))
    assert tracks.ids.tolist() == [1, 2]
    for _ in range(20):
        tracks = tracker.update(Detections.empty(), 0.0)
    assert len(tracks) == 0
    assert len(new_tracker().update(people([[0, 0]]), -1.0)) == 1


def test_empty_images_and_reset() -> None:
    tracker = new_tracker()
    for dt in (0.0, 0.1):
        tracks = tracker.update(Detections.empty(), dt)
        check_invariants(tracks, Detections.empty())
        assert len(tracks) == 0
    walk(tracker, 10, 1)
    tracker.update(people([[500, 300]]), 0.1)
    tracker.reset()
    assert tracker.update(people([[500, 300]]), 0.0).ids.tolist() == [1]


def test_parameters_change_while_running() -> None:
    tracker = new_tracker()
    walk(tracker, 10, 1)
    tracker.parameters = parameters(birth_threshold=0.95, track_threshold=0.6)
    tracks = tracker.update(people([[60, 300], [400, 300]]), 0.1)
    assert tracks.ids.tolist() == [1]
    tracker.parameters = parameters(max_age=0.0)
    assert tracker.update(people([[66, 300]]), 0.1).ids.tolist() == [1]
    assert len(tracker.update(Detections.empty(), 0.1)) == 0


def test_new_tracks_below_the_prior_threshold_are_not_drawn() -> None:
    tracker = new_tracker(prior_threshold=0.7)
    tracks = tracker.update(people([[100, 300], [300, 300]], score=[0.9, 0.55]), 0.0)
    assert tracks.prior_weights.tolist() == [1, 0]
    always = new_tracker(prior_threshold=0.0)
    assert always.update(people([[100, 300]]), 0.0).prior_weights.tolist() == [1]


def test_detections_and_earlier_results_stay_as_they_are() -> None:
    tracker = new_tracker()
    scene: Scene = crowd(3, 10, seconds=3)
    results, copies = [], []
    for number, detections in enumerate(scene.images):
        given = {name: array for name, array in vars(detections).items() if array is not None}
        before = {name: array.copy() for name, array in given.items()}
        results.append(tracker.update(detections, scene.dt if number else 0.0))
        copies.append({name: array.copy() for name, array in vars(results[-1]).items()})
        for name, array in given.items():
            np.testing.assert_array_equal(array, before[name])
    for result, copy in zip(results, copies, strict=True):
        for name, array in vars(result).items():
            np.testing.assert_array_equal(array, copy[name])


def test_same_input_gives_the_same_output() -> None:
    scene = crowd(4, 10, seconds=3)
    first = [new.ids.tolist() for new in map(new_tracker().update, scene.images, [0.1] * 99)]
    second = [new.ids.tolist() for new in map(new_tracker().update, scene.images, [0.1] * 99)]
    assert first == second


def test_factory_knows_the_methods() -> None:
    values = vars(parameters())
    assert isinstance(create_tracker('robust', **values), RobustTracker)
    assert isinstance(create_tracker('centertrack', **values), CenterTrackTracker)
    assert create_tracker('centertrack_hungarian', **values).parameters == parameters()
    with pytest.raises(ValueError, match=r"expected 'robust'.*received 'sort'"):
        create_tracker('sort', **values)
    with pytest.raises(ValueError, match=r'birth_threshold: expected 0 to 1, received 2'):
        parameters(birth_threshold=2)
    with pytest.raises(ValueError, match='max_age'):
        parameters(max_age=-1)
