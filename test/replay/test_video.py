from __future__ import annotations

import cv2
import numpy as np
import pytest
from replay_helpers import FPS, FRAME_COUNT, make_run, make_tracks

from centertrack_ros.replay.sources import Frame, open_source
from centertrack_ros.replay.video import busiest_image, draw_recording


class _Images:
    description = 'images'
    fps = 9.99999997
    count = None

    def __init__(self, images):
        self._images = images

    def __iter__(self):
        return (Frame(image, index) for index, image in enumerate(self._images))


def _read(path):
    capture = cv2.VideoCapture(str(path))
    fps = capture.get(cv2.CAP_PROP_FPS)
    images = []
    while True:
        found, image = capture.read()
        if not found:
            return images, fps
        images.append(image)


def test_annotated_video_shows_every_image(tmp_path, video_path, frames):
    box = [200, 200, 300, 400]
    run = make_run([make_tracks([4], boxes=[box])] * FRAME_COUNT)
    path = tmp_path / 'annotated.mp4'
    sample = draw_recording(
        open_source(video_path), run.records, ['person'], sample_index=2, video_path=path
    )
    images, fps = _read(path)
    assert (len(images), fps) == (FRAME_COUNT, FPS)
    assert images[0].shape == frames[0].shape
    # The lossy codec keeps the box and what surrounds it.
    assert np.abs(images[2].astype(int) - sample).mean() < 6.0
    assert np.abs(images[2].astype(int) - frames[2])[200:400, 198:203].mean() > 30.0


def test_sample_alone(video_path, frames):
    run = make_run([make_tracks([4])] * FRAME_COUNT)
    sample = draw_recording(open_source(video_path), run.records, ['person'], sample_index=5)
    np.testing.assert_array_equal(sample[300:], frames[5][300:])
    assert (sample != frames[5]).any()


def test_dropped_image_says_so(video_path, frames):
    nothing = make_tracks([])
    latencies = [None, *[5.0] * (FRAME_COUNT - 1)]
    run = make_run([nothing] * FRAME_COUNT, latencies=latencies)
    samples = [
        draw_recording(open_source(video_path), run.records, ['person'], sample_index=index)
        for index in (0, 1)
    ]
    changed = (samples[0] != frames[0]).any(axis=2)
    assert changed[:15, :100].mean() > 0.5
    assert not changed[40:].any()
    np.testing.assert_array_equal(samples[1], frames[1])


def test_odd_and_changing_sizes(tmp_path):
    sizes = [(61, 81), (61, 81), (122, 162), (30, 40), (10, 200)]
    images = [np.full((*size, 3), 128, np.uint8) for size in sizes]
    run = make_run([make_tracks([])] * len(sizes))
    path = tmp_path / 'odd.mp4'
    draw_recording(_Images(images), run.records, ['person'], sample_index=0, video_path=path)
    written, fps = _read(path)
    assert [image.shape for image in written] == [(62, 82, 3)] * len(sizes)
    assert fps == pytest.approx(10.0)
    assert abs(int(written[0][30, 40, 0]) - 128) < 12
    assert abs(int(written[3][30, 40, 0]) - 128) < 12


def test_busiest_image():
    counts = [make_tracks(range(1, count + 1)) for count in (1, 3, 2, 3)]
    assert busiest_image(make_run(counts).records) == 1


def test_recording_that_shrinks(video_path):
    run = make_run([make_tracks([1])] * FRAME_COUNT)
    with pytest.raises(ValueError, match='cannot be read again'):
        draw_recording(_Images([]), run.records, ['person'], sample_index=3)


def test_video_that_cannot_be_written(tmp_path, video_path):
    run = make_run([make_tracks([1])] * FRAME_COUNT)
    with pytest.raises(ValueError, match='leave out --video'):
        draw_recording(
            open_source(video_path),
            run.records,
            ['person'],
            sample_index=0,
            video_path=tmp_path / 'no' / 'such' / 'folder.mp4',
        )
