"""Methods `centertrack` and `centertrack_hungarian` against recordings of the original."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tracker_scenes import make_detections
from tracker_scenes import parameters as scene_parameters

from centertrack_ros.datatypes import Detections, Tracks
from centertrack_ros.tracker import CenterTrackTracker, TrackerParameters

ROOT = Path(__file__).resolve().parent
SMALL = ROOT / 'data' / 'tracker_conformance.json.gz'
FULL = ROOT.parent.parent / 'shared' / 'conformance' / 'tracker.json'

Json = dict[str, Any]


def parameters(**values: Any) -> TrackerParameters:
    return scene_parameters(
        **{'track_threshold': 0.0, 'birth_threshold': 0.4, 'prior_threshold': 0.5, **values}
    )


def recorded_detections(frame: Json) -> Detections:
    return make_detections(
        frame['bbox'], frame['score'], frame['class'], frame['ct'], frame['tracking']
    )


def public_detections(frame: Json) -> Detections:
    boxes = np.array(frame['public_bbox'], np.float32).reshape(-1, 4)
    count = len(boxes)
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    return make_detections(boxes, [1.0] * count, [1] * count, centers, [[0, 0]] * count)


def runs(document: Json, group: str) -> Iterator[tuple[Json, Json]]:
    for sequence in document[group]:
        for run in sequence['runs']:
            yield sequence, run


def replay(sequence: Json, run: Json) -> Iterator[Tracks]:
    options = run['options']
    tracker = CenterTrackTracker(
        parameters(birth_threshold=options['new_thresh'], max_age_frames=options['max_age']),
        hungarian=options['hungarian'],
    )
    frames = sequence['frames']
    if options['public_det']:
        begun = tracker.initialise(public_detections(frames[0]))
        assert begun.ids.tolist() == run['init_track_ids']
    for frame in frames:
        public = public_detections(frame) if options['public_det'] else None
        yield tracker.update(recorded_detections(frame), 0.1, public)


class ActiveCounter:
    """The original's `active`: images in a row in which the track was seen; 0 while lost."""

    def __init__(self, born: list[int]) -> None:
        self._active = dict.fromkeys(born, 1)

    def of(self, tracks: Tracks) -> list[int]:
        self._active = {
            identity: 0 if missed else self._active.get(identity, 0) + 1
            for identity, missed in zip(tracks.ids.tolist(), tracks.misses.tolist(), strict=True)
        }
        return list(self._active.values())


def check_content(sequence: Json, tracks: Tracks, expected: Json) -> None:
    """Boxes, centres, scores and classes are those of the detection that a track carries."""
    lost = iter(expected['coasted_from'])
    for row, detection in enumerate(expected['det']):
        # A track of a seen object carries this image's detection.
        source, index = next(lost) if detection < 0 else (None, detection)
        if source is None:
            frame = expected['frame']
        elif source < 0:
            np.testing.assert_array_equal(
                tracks.boxes[row],
                np.array(sequence['frames'][0]['public_bbox'][index], np.float32),
            )
            continue
        else:
            frame = sequence['frames'][source]
        np.testing.assert_array_equal(
            tracks.boxes[row], np.array(frame['bbox'][index], np.float32)
        )
        np.testing.assert_array_equal(
            tracks.centers[row], np.array(frame['ct'][index], np.float32)
        )
        assert tracks.scores[row] == np.float32(frame['score'][index])
        assert tracks.classes[row] == frame['class'][index]


def check_exact(sequence: Json, run: Json) -> None:
    active = ActiveCounter(run['init_track_ids'])
    updates = zip(replay(sequence, run), run['out'], sequence['frames'], strict=True)
    for tracks, expected, frame in updates:
        assert tracks.ids.tolist() == expected['tracking_id']
        assert active.of(tracks) == expected['active']
        assert (tracks.misses + 1).tolist() == expected['age']
        assert tracks.detection_indices.tolist() == expected['det']
        assert tracks.reported.tolist() == [value > 0 for value in expected['active']]
        drawn = (tracks.scores >= np.float32(0.5)) & (np.array(expected['active']) != 0)
        assert tracks.prior_weights.tolist() == drawn.astype(float).tolist()
        check_content(sequence, tracks, {**expected, 'frame': frame})


def check_up_to_renaming(sequence: Json, run: Json) -> None:
    """Same matches; ids may differ, as which of two births comes first depends on the solver."""
    active = ActiveCounter(run['init_track_ids'])
    ours_to_original: dict[int, int] = {}
    for tracks, expected in zip(replay(sequence, run), run['out'], strict=True):
        ours = sorted(
            zip(
                tracks.detection_indices.tolist(),
                tracks.ids.tolist(),
                active.of(tracks),
                (tracks.misses + 1).tolist(),
                strict=True,
            )
        )
        names = ('det', 'tracking_id', 'active', 'age')
        original = sorted(zip(*(expected[name] for name in names), strict=True))
        assert [row[0] for row in ours] == [row[0] for row in original]
        assert sorted(row[2:] for row in ours) == sorted(row[2:] for row in original)
        for our_row, original_row in zip(ours, original, strict=True):
            if our_row[0] >= 0:
                name = ours_to_original.setdefault(our_row[1], original_row[1])
                assert name == original_row[1]
                assert our_row[2:] == original_row[2:]
    assert len(set(ours_to_original.values())) == len(ours_to_original)


@pytest.fixture(scope='module')
def small() -> Json:
    with gzip.open(SMALL, 'rt', encoding='utf-8') as file:
        document: Json = json.load(file)
    return document


@pytest.fixture(scope='module')
def full() -> Json:
    if not FULL.is_file():
        pytest.skip(f'{FULL} does not exist: only the small recording was compared')
    document: Json = json.loads(FULL.read_text(encoding='utf-8'))
    return document


def test_small_recording_is_reproduced(small: Json) -> None:
    for sequence, run in runs(small, 'sequences'):
        check_exact(sequence, run)


def test_small_hungarian_recording_is_reproduced(small: Json) -> None:
    for sequence, run in runs(small, 'hungarian_robust'):
        check_exact(sequence, run)
        check_up_to_renaming(sequence, run)


def test_full_recording_is_reproduced(full: Json) -> None:
    assert sum(1 for _ in runs(full, 'sequences')) > 100
    for sequence, run in runs(full, 'sequences'):
        check_exact(sequence, run)


def test_full_hungarian_recording_is_reproduced(full: Json) -> None:
    for sequence, run in runs(full, 'hungarian_robust'):
        check_up_to_renaming(sequence, run)


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
