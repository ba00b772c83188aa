"""Tracks that begin at public detections alone, as the original's, and the files of them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from format_scenes import make_detections, make_set

from centertrack_ros.datatypes import Detections
from centertrack_ros.factory import build_pipeline
from centertrack_ros.replay.mot_files import FrameBoxes, write_mot
from centertrack_ros.settings import Settings
from centertrack_ros.tracker import CenterTrackTracker, TrackerParameters, create_tracker
from training.evaluation.public import (
    PublicDetectionsTracker,
    feed_public,
    load_public_detections,
)
from training.evaluation.runner import run_tracking

CLIP = Path(__file__).resolve().parents[3] / 'samples' / 'pets09_s2l1.mp4'
PUBLIC_ROWS = '2,-1,10,20,30,40,-13.5,-1,-1,-1\n1,-1,1,2,3,4,7,-1,-1,-1\n9,-1,0,0,5,5,1,-1,-1,-1\n'


def _parameters(birth=0.4, max_age_frames=-1):
    return TrackerParameters(
        track_threshold=0.0,
        birth_threshold=birth,
        prior_threshold=0.5,
        max_age=0.0,
        max_age_frames=max_age_frames,
    )


def _recorded_runs(shared_folder):
    document = json.loads((shared_folder / 'conformance' / 'tracker.json').read_text())
    for sequence in document['sequences']:
        for run in sequence['runs']:
            if run['options']['public_det']:
                yield sequence['frames'], run


def test_ids_are_those_of_the_original(shared_folder):
    compared = 0
    for frames, run in _recorded_runs(shared_folder):
        options = run['options']
        tracker = PublicDetectionsTracker(
            CenterTrackTracker(
                _parameters(options['new_thresh'], options['max_age']),
                hungarian=options['hungarian'],
            )
        )
        # The original calls persons class 1.
        public = [
            make_detections(
                frame['public_bbox'], np.ones(len(frame['public_bbox'])),
                [1] * len(frame['public_bbox']),
            )
            for frame in frames
        ]  # fmt: skip
        assert tracker.initialise(public[0]).ids.tolist() == run['init_track_ids']
        for frame, seen, out in zip(frames, public, run['out'], strict=True):
            tracker.announce(seen)
            detections = Detections(
                boxes=np.float32(frame['bbox']).reshape(-1, 4),
                scores=np.float32(frame['score']),
                classes=np.array(frame['class'], np.int64),
                centers=np.float32(frame['ct']).reshape(-1, 2),
                offsets=np.float32(frame['tracking']).reshape(-1, 2),
            )
            tracks = tracker.update(detections, 0.1)
            assert tracks.ids.tolist() == out['tracking_id']
            compared += len(tracks)
    assert compared > 1000


def test_only_detections_near_a_public_one_begin_a_track():
    tracker = PublicDetectionsTracker(CenterTrackTracker(_parameters()))
    seen = make_detections([[0, 0, 10, 10], [50, 0, 60, 10]])
    tracker.announce(make_detections())
    assert len(tracker.update(seen, 0.0)) == 0
    tracker.announce(make_detections([[52, 0, 62, 10]]))
    tracks = tracker.update(seen, 0.1)
    assert tracks.boxes.tolist() == [[50, 0, 60, 10]]
    # A track goes on without public ones.
    tracker.announce(make_detections())
    assert tracker.update(seen, 0.1).ids.tolist() == tracks.ids.tolist()


def test_every_image_must_be_announced_and_a_reset_keeps_that():
    tracker = PublicDetectionsTracker(CenterTrackTracker(_parameters()))
    seen = make_detections([[0, 0, 10, 10]])
    tracker.announce(seen)
    tracker.reset()
    assert len(tracker.update(seen, 0.0)) == 1
    with pytest.raises(ValueError, match='announce'):
        tracker.update(seen, 0.1)


def test_parameters_are_those_of_the_tracker():
    inner = CenterTrackTracker(_parameters())
    tracker = PublicDetectionsTracker(inner)
    tracker.parameters = _parameters(birth=0.95)
    assert inner.parameters is tracker.parameters
    tracker.announce(make_detections([[0, 0, 10, 10]]))
    assert len(tracker.update(make_detections([[0, 0, 10, 10]]), 0.0)) == 0


def test_other_methods_have_no_rule_for_them():
    robust = create_tracker('robust', **vars(_parameters()))
    with pytest.raises(ValueError, match='RobustTracker'):
        PublicDetectionsTracker(robust)
    pipeline = build_pipeline(Settings.from_mapping({'threads': 1}))
    with pytest.raises(ValueError, match='PublicDetectionsTracker'):
        feed_public(pipeline, [])


@pytest.fixture(scope='module')
def clip_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp('frames')
    capture = cv2.VideoCapture(str(CLIP))
    names = [str(folder / f'{number:06d}.png') for number in range(1, 4)]
    for name in names:
        assert cv2.imwrite(name, capture.read()[1])
    return make_set(names, class_names=('person',), videos={'clip': [0, 1, 2]})


def test_the_pipeline_begins_a_video_with_them(clip_set, monkeypatch):
    settings = {'threads': 1, 'class_filter': ['person'], 'tracker_method': 'centertrack'}
    pipeline = build_pipeline(Settings.from_mapping(settings))
    free = run_tracking(pipeline, clip_set)
    assert len(free[0].tracks) >= 3
    pipeline.tracker = PublicDetectionsTracker(pipeline.tracker)
    heatmaps = []
    run = pipeline.engine.run
    monkeypatch.setattr(
        pipeline.engine, 'run', lambda *given: heatmaps.append(given[2]) or run(*given)
    )
    # Public is one person of the first image alone.
    chosen = free[0].tracks.boxes[:1]
    public = [make_detections(chosen, [1.0]), make_detections(), make_detections()]
    results = run_tracking(pipeline, clip_set, before_image=feed_public(pipeline, public))
    assert heatmaps[0].max() == pytest.approx(1, abs=0.01)
    for result in results:
        assert result.tracks.ids.tolist() == [1]
    np.testing.assert_allclose(results[0].tracks.boxes, chosen, atol=3)
    # Twice gives the same: nothing is left of the first time.
    again = run_tracking(pipeline, clip_set, before_image=feed_public(pipeline, public))
    assert [result.tracks.ids.tolist() for result in again] == [[1]] * 3
    pipeline.tracker.announce(make_detections())
    pipeline.step(np.zeros((64, 64, 3), np.uint8), 0.0)
    with pytest.raises(ValueError, match='just reset'):
        pipeline.begin_with(results[0].tracks)


@pytest.mark.parametrize('name', ['S/det/det.txt', 'S.txt'])
def test_a_folder_of_mot_files(name, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PUBLIC_ROWS)
    evaluation_set = make_set(
        ['S/000001.jpg', 'S/000002.jpg', 'S/000003.jpg'], videos={'S': [0, 1, 2]}
    )
    first, second, third = load_public_detections(tmp_path, evaluation_set)
    assert first.boxes.tolist() == [[1, 2, 4, 6]]
    assert second.boxes.tolist() == [[10, 20, 40, 60]]
    assert second.centers.tolist() == [[25, 40]]
    # However sure the detector was.
    assert (second.scores.tolist(), second.classes.tolist()) == ([1], [0])
    assert len(third) == 0


def test_results_of_another_tracker_in_mot_files(tmp_path):
    """Ids and the numbers of a second half are understood."""
    frames = [
        FrameBoxes(np.array([4]), np.array([[n, 0.0, n + 5, 5]]), np.ones(1)) for n in (1, 2)
    ]
    write_mot(tmp_path / 'S.txt', frames)
    evaluation_set = make_set(['S/000002.jpg'], videos={'S': [0]})
    (only,) = load_public_detections(tmp_path, evaluation_set)
    assert only.boxes.tolist() == [[2, 0, 7, 5]]


def test_coco_results(tmp_path):
    path = tmp_path / 'results.json'
    entry = {'image_id': 2, 'category_id': 2, 'bbox': [1, 2, 3, 4], 'score': 0.25}
    path.write_text(json.dumps([entry]))
    evaluation_set = make_set(['a.jpg', 'b.jpg'], class_names=('cat', 'dog'))
    first, second = load_public_detections(path, evaluation_set)
    assert len(first) == 0
    assert second.boxes.tolist() == [[1, 2, 4, 6]]
    assert (second.scores.tolist(), second.classes.tolist()) == ([0.25], [1])


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'image_id': 7}, r'\[0\]: image_id: expected an image of the set, received 7'),
        ({'category_id': [1]}, r'\[0\]: category_id: expected that of a class'),
        ({'bbox': [1, 2, -3, 4]}, r'\[0\]: expected bbox'),
        ({'score': None}, r'\[0\]: expected bbox'),
        ({'bbox': [1, 2, float('nan'), 4]}, r'\[0\]: expected bbox'),
    ],
)
def test_wrong_results_are_named(changed, message, tmp_path):
    path = tmp_path / 'results.json'
    entry = {'image_id': 1, 'category_id': 1, 'bbox': [1, 2, 3, 4], 'score': 0.25} | changed
    path.write_text(json.dumps([entry]))
    with pytest.raises(ValueError, match=message):
        load_public_detections(path, make_set(['a.jpg']))


def test_missing_and_malformed_files_are_named(tmp_path):
    evaluation_set = make_set(['S/000001.jpg'], videos={'S': [0]})
    with pytest.raises(FileNotFoundError, match='nowhere do not exist'):
        load_public_detections(tmp_path / 'nowhere', evaluation_set)
    with pytest.raises(FileNotFoundError, match=r'S\.txt does not exist.*S/det/det\.txt'):
        load_public_detections(tmp_path, evaluation_set)
    (tmp_path / 'S.txt').write_text('1,-1,1,2,3,4,1\n1,-1,1,2,-3,4,1\n')
    with pytest.raises(ValueError, match=r'S\.txt, line 2: expected frame, id'):
        load_public_detections(tmp_path, evaluation_set)
    for text, message in (('{}', 'expected a list'), ('[', 'is not JSON')):
        (tmp_path / 'x.json').write_text(text)
        with pytest.raises(ValueError, match=message):
            load_public_detections(tmp_path / 'x.json', evaluation_set)
