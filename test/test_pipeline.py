"""The loop on the shipped model and a real clip."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from row_by_row import RowByRow

from centertrack_ros.decoding import decode
from centertrack_ros.factory import assemble_pipeline, build_pipeline, find_model, update_pipeline
from centertrack_ros.pipeline import STAGES, batches, step_batch
from centertrack_ros.settings import Settings

CLIP = Path(__file__).resolve().parent.parent / 'samples' / 'pets09_s2l1.mp4'


@pytest.fixture(scope='module')
def frames():
    capture = cv2.VideoCapture(str(CLIP))
    return [capture.read()[1] for _ in range(6)]


@pytest.fixture(scope='module')
def shared_pipeline():
    return build_pipeline(Settings.from_mapping({'threads': 1, 'class_filter': ['person']}))


@pytest.fixture
def pipeline(shared_pipeline):
    shared_pipeline.reset()
    update_pipeline(shared_pipeline, Settings.from_mapping({'class_filter': ['person']}))
    return shared_pipeline


def _ids(result):
    return result.tracks.ids[result.tracks.reported].tolist()


def test_people_keep_their_ids(pipeline, frames):
    results = [pipeline.step(frame, index * 0.1) for index, frame in enumerate(frames)]
    first, last = _ids(results[1]), _ids(results[-1])
    assert len(first) >= 3
    assert len(set(first) & set(last)) >= len(first) - 1
    for result in results:
        reported = result.tracks[result.tracks.reported]
        assert len(set(reported.ids.tolist())) == len(reported)
        assert (reported.classes == 0).all()
        height, width = frames[0].shape[:2]
        assert (reported.boxes >= 0).all()
        assert (reported.boxes <= [width, height, width, height]).all()
        assert set(result.stage_ms) == set(STAGES)
        assert result.reset_reason == ''


def test_same_input_gives_same_output(pipeline, frames):
    runs = []
    for _ in range(2):
        pipeline.reset()
        results = [pipeline.step(frame, index * 0.1) for index, frame in enumerate(frames)]
        runs.append([result.tracks for result in results])
    for first, second in zip(*runs, strict=True):
        for name, array in vars(first).items():
            np.testing.assert_array_equal(array, getattr(second, name))


def test_the_camera_is_followed_where_the_tracker_asks_for_it(pipeline, frames, monkeypatch):
    """The second image is the first one, 12 pixels to the right."""
    moved = np.roll(frames[0], 12, axis=1)
    given = []
    update = pipeline.tracker.update
    monkeypatch.setattr(
        pipeline.tracker,
        'update',
        lambda seen, dt, *, camera: given.append(camera) or update(seen, dt, camera=camera),
    )
    pipeline.step(frames[0], 0.0)
    pipeline.step(moved, 0.1)
    assert given[0] is None
    np.testing.assert_allclose(given[1][:, 2], [12, 0], atol=1.0)
    np.testing.assert_allclose(given[1][:, :2], np.eye(2), atol=0.005)
    update_pipeline(pipeline, Settings.from_mapping({'camera_motion': False}))
    pipeline.step(frames[0], 0.2)
    update_pipeline(pipeline, Settings())
    pipeline.step(moved, 0.3)
    # The picture from before it was switched off is too old to compare with.
    assert given[2] is None
    assert given[3] is None
    pipeline.reset()
    pipeline.step(frames[0], 0.4)
    assert given[4] is None


def test_the_loop_feeds_itself(pipeline, frames, monkeypatch):
    calls = []
    run = pipeline.engine.run
    monkeypatch.setattr(
        pipeline.engine, 'run', lambda *inputs: calls.append(inputs) or run(*inputs)
    )
    for index, frame in enumerate(frames[:3]):
        pipeline.step(frame, index * 0.1)
    # The first image stands for its own previous one, and nothing is known.
    np.testing.assert_array_equal(calls[0][1], calls[0][0])
    assert not calls[0][2].any()
    assert calls[1][1] is calls[0][0]
    assert calls[2][1] is calls[1][0]
    assert calls[2][2].max() == 1.0


@pytest.mark.parametrize(
    ('stamp', 'scale', 'reason'),
    [
        (-5.0, 1.0, 'time went back by 5.200 s'),
        (60.0, 1.0, r'no image for 59.800 s \(max_gap 2 s\)'),
        (0.3, 0.5, 'image size changed from 768x576 to 384x288'),
    ],
)
def test_resets(pipeline, frames, stamp, scale, reason):
    for index, frame in enumerate(frames[:3]):
        pipeline.step(frame, index * 0.1)
    result = pipeline.step(cv2.resize(frames[3], None, fx=scale, fy=scale), stamp)
    assert re.fullmatch(reason, result.reset_reason)
    assert sorted(_ids(result)) == list(range(1, len(_ids(result)) + 1))
    assert pipeline.step(cv2.resize(frames[4], None, fx=scale, fy=scale), stamp + 0.1)


def test_equal_stamps_are_no_reset(pipeline, frames):
    first = pipeline.step(frames[0], 1.0)
    again = pipeline.step(frames[0], 1.0)
    assert again.reset_reason == ''
    assert set(_ids(first)) <= set(again.tracks.ids.tolist())


def test_a_bad_image_leaves_the_state_alone(pipeline, frames):
    pipeline.step(frames[0], 0.0)
    before = _ids(pipeline.step(frames[1], 0.1))
    with pytest.raises(ValueError, match='expected shape'):
        pipeline.step(frames[0][..., 0], 0.2)
    after = _ids(pipeline.step(frames[2], 0.2))
    assert set(before) & set(after)


def test_a_step_keeps_what_the_threshold_dropped(pipeline, frames):
    result = pipeline.step(frames[0], 0.0)
    spec = pipeline.spec
    detected = decode(
        result.candidates,
        result.transform,
        stride=spec.stride,
        threshold=pipeline.detection_threshold,
        class_indices=pipeline.class_indices,
    )
    np.testing.assert_array_equal(detected.boxes, result.detections.boxes)
    assert len(result.candidates.scores[0]) == spec.max_candidates > len(result.detections) > 0


def test_a_pipeline_around_an_engine_that_runs(pipeline, frames):
    settings = Settings.from_mapping({'class_filter': ['person'], 'detection_threshold': 0.6})
    other = assemble_pipeline(pipeline.engine, pipeline.spec, settings)
    strict = other.step(frames[0], 0.0).detections
    assert 0 < len(strict) < len(pipeline.step(frames[0], 0.0).detections)
    with pytest.raises(ValueError, match="'unicorn'"):
        assemble_pipeline(
            pipeline.engine, pipeline.spec, Settings.from_mapping({'class_filter': ['unicorn']})
        )


def test_black_image_has_no_tracks(pipeline):
    result = pipeline.step(np.zeros((480, 640, 3), np.uint8), 0.0)
    assert len(result.detections) == 0
    assert len(result.tracks) == 0


def test_live_settings_keep_the_tracks(pipeline, frames):
    for index, frame in enumerate(frames[:3]):
        ids = _ids(pipeline.step(frame, index * 0.1))
    update_pipeline(
        pipeline, Settings.from_mapping({'class_filter': ['person'], 'track_threshold': 0.35})
    )
    assert set(ids) & set(_ids(pipeline.step(frames[3], 0.3)))
    update_pipeline(pipeline, Settings.from_mapping({'class_filter': ['giraffe']}))
    assert len(pipeline.step(frames[4], 0.4).detections) == 0


def test_unknown_class_is_named_and_nothing_changed(pipeline):
    before = pipeline.class_indices
    with pytest.raises(ValueError, match="'unicorn'"):
        update_pipeline(pipeline, Settings.from_mapping({'class_filter': ['unicorn']}))
    assert pipeline.class_indices is before


def test_shipped_models_have_a_short_name():
    assert find_model('mobilenetv3') == find_model('centertrack_mobilenetv3')


def test_unknown_model_lists_the_short_names_of_the_shipped_ones():
    with pytest.raises(FileNotFoundError, match=r"'nothing': .*\['mobilenetv3'|, 'mobilenetv3'"):
        find_model('nothing')
    with pytest.raises(FileNotFoundError, match=r'gone\.onnx'):
        find_model('/gone.onnx')


SIZES = ((768, 576), (640, 480), (1280, 720), (768, 576))


@pytest.fixture(scope='module')
def cameras(shared_pipeline):
    """Four cameras around one engine that takes batches, and the same four as single ones."""
    settings = Settings.from_mapping({'class_filter': ['person']})
    engine = RowByRow(shared_pipeline.engine)
    return [
        [assemble_pipeline(chosen, shared_pipeline.spec, settings) for _ in SIZES]
        for chosen in (engine, shared_pipeline.engine)
    ]


def _reset(cameras):
    together, alone = cameras
    for camera in (*together, *alone):
        camera.reset()
    engine = together[0].engine
    engine.calls.clear()
    return together, alone, engine


def _views(frames, index):
    """What the cameras see: parts of the clip, each at its own size."""
    return [
        cv2.resize(frames[(index + shift) % len(frames)], size) for shift, size in enumerate(SIZES)
    ]


def _same(first, second):
    for part in ('tracks', 'detections', 'candidates'):
        for name, array in vars(getattr(first, part)).items():
            np.testing.assert_array_equal(array, getattr(getattr(second, part), name))


def test_cameras_in_one_batch_give_what_each_gives_alone(cameras, frames):
    together, alone, engine = _reset(cameras)
    for index in range(4):
        images, stamps = _views(frames, index), [index * 0.1, 5.0, 7.0 + index, index * 0.2]
        results = step_batch(together, images, stamps)
        for camera, image, stamp, result in zip(alone, images, stamps, results, strict=True):
            _same(result, camera.step(image, stamp))
            assert len(result.candidates.scores) == 1
    # 640x480 has the input of 768x576, 1280x720 has another.
    assert batches(together, images) == [[0, 1, 3], [2]]
    assert engine.sizes == [3, 1] * 4


def test_the_array_of_the_batch_is_its_previous_image(cameras, frames):
    together, _, engine = _reset(cameras)
    for index in range(3):
        step_batch(together, _views(frames, index), [index * 0.1] * 4)
    first, second, third = engine.calls[::2]
    assert first[1] is first[0]
    assert second[1] is first[0]
    assert third[1] is second[0]
    assert not np.shares_memory(third[0], second[0])
    # Other cameras together: each has its own previous image all the same.
    engine.calls.clear()
    images = _views(frames, 3)
    step_batch([together[3], together[1]], [images[3], images[1]], [0.3, 0.3])
    np.testing.assert_array_equal(engine.calls[0][1], third[0][[2, 1]])
    # One of them was reset: it stands for its own previous image.
    together[1].reset()
    step_batch([together[3], together[1]], [images[3], images[1]], [0.4, 0.4])
    np.testing.assert_array_equal(engine.calls[1][1][0], engine.calls[0][0][0])
    np.testing.assert_array_equal(engine.calls[1][1][1], engine.calls[1][0][1])


def test_a_batch_is_as_large_as_the_engine_takes(cameras, frames, monkeypatch):
    together, _, engine = _reset(cameras)
    images = _views(frames, 0)
    for most, expected in ((2, [[0, 1], [3], [2]]), (1, [[0], [1], [3], [2]])):
        monkeypatch.setattr(engine, 'max_batch', most)
        assert batches(together, images) == expected
    results = step_batch(together, images, [0.0] * 4)
    assert engine.sizes == [1, 1, 1, 1]
    assert [result.transform.image_width for result in results] == [768, 640, 1280, 768]
    assert batches([], []) == step_batch([], [], []) == []


def test_a_bad_image_of_one_camera_changes_none(cameras, frames):
    together, _, engine = _reset(cameras)
    images = _views(frames, 0)
    step_batch(together, images, [0.0] * 4)
    before = [camera.previous for camera in together]
    with pytest.raises(ValueError, match='expected shape'):
        step_batch(together, [*images[:3], images[3][..., 0]], [0.1] * 4)
    assert [camera.previous for camera in together] == before
    assert len(engine.calls) == 2


def test_several_cameras_on_the_shipped_model_as_it_is(shared_pipeline, frames):
    settings = Settings.from_mapping({'class_filter': ['person']})
    pair = [
        assemble_pipeline(shared_pipeline.engine, shared_pipeline.spec, settings) for _ in range(2)
    ]
    for index in range(3):
        results = step_batch(pair, [frames[index], frames[index + 2]], [index * 0.1] * 2)
    single = assemble_pipeline(shared_pipeline.engine, shared_pipeline.spec, settings)
    for index in range(3):
        expected = single.step(frames[index + 2], index * 0.1)
    assert _ids(results[1]) == _ids(expected)
    np.testing.assert_allclose(results[1].tracks.boxes, expected.tracks.boxes, atol=0.05)
    assert len(_ids(results[0])) >= 3
