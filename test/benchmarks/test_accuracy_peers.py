"""The trackers of the other library get our detections, and what they say is understood."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from benchmarks.comparison.peers import PEERS, camera_motions, run_peer
from benchmarks.comparison.recordings import Recording
from benchmarks.comparison.sequences import LabelledSequence
from benchmarks.comparison.tuning import tune
from centertrack_ros.datatypes import Detections, Tracks
from centertrack_ros.replay.mot_files import FrameBoxes
from centertrack_ros.replay.sources import Frame

needs_library = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ('trackers', 'supervision')),
    reason='needs trackers and supervision (requirements/test-no-deps.txt)',
)
FPS = 10.0
IMAGES = 20


class _Pictures:
    """A textured picture that moves by 3 pixels from image to image."""

    description = 'moving picture'
    fps = FPS
    count = IMAGES

    def __iter__(self):
        noise = np.random.default_rng(0).integers(0, 255, (30, 40), np.uint8)
        canvas = np.kron(noise, np.ones((12, 12), np.uint8))
        for index in range(IMAGES):
            part = canvas[:240, 3 * index : 3 * index + 320]
            yield Frame(np.repeat(part[..., None], 3, axis=2), round(index * 1e9 / FPS))


def _boxes(index):
    """Two people, far apart."""
    return np.array([[5 * index, 50, 5 * index + 40, 150], [200, 50, 240, 150]], np.float32)


def _recording(scores=(0.9, 0.9), seen=lambda index: True, stamps=None, class_index=0):
    detections = []
    for index in range(IMAGES):
        rows = 2 if seen(index) else 0
        # A car beside them: peers get the people only.
        boxes = np.concatenate((_boxes(index)[:rows], [[0, 200, 90, 239]])).astype(np.float32)
        detections.append(
            Detections(
                boxes,
                np.array([*scores[:rows], 0.9], np.float32),
                np.array([class_index] * rows + [class_index + 1]),
                np.zeros((rows + 1, 2), np.float32),
                np.zeros((rows + 1, 2), np.float32),
            )
        )
    stamps = np.arange(IMAGES) / FPS if stamps is None else stamps
    times = np.ones(IMAGES)
    return Recording(stamps, [Tracks.empty()] * IMAGES, detections, times, times)


def _truth():
    return [
        FrameBoxes(np.array([1, 2]), _boxes(index).astype(float), np.ones(2))
        for index in range(IMAGES)
    ]


@needs_library
@pytest.mark.parametrize('key', PEERS)
def test_two_people_get_two_ids(key):
    run = run_peer(PEERS[key], _recording(), 0, FPS, source=_Pictures())
    assert len(run.frames) == len(run.tracker_ms) == IMAGES
    assert (run.tracker_ms > 0).all()
    ids = [sorted(frame.ids.tolist()) for frame in run.frames]
    assert len(ids[-1]) == 2
    assert all(min(row, default=0) >= 0 for row in ids)
    assert {number for row in ids for number in row} == set(ids[-1])
    last = run.frames[-1]
    found = last.boxes[np.argsort(last.boxes[:, 0])]
    assert found == pytest.approx(_boxes(IMAGES - 1)[[0, 1]].astype(float), abs=1e-3)


@needs_library
def test_unconfirmed_tracks_are_no_output():
    peer = PEERS['bytetrack']
    late = run_peer(peer, _recording(), 0, FPS, parameters={'minimum_consecutive_frames': 4})
    counts = [len(frame) for frame in late.frames]
    assert counts[:3] == [0, 0, 0]
    assert counts[4:] == [2] * (IMAGES - 4)
    # Scores below the threshold of activation start nothing.
    assert sum(map(len, run_peer(peer, _recording((0.5, 0.5)), 0, FPS).frames)) == 0


@needs_library
def test_the_frame_rate_scales_the_buffer():
    """Unseen for 8 images: too long for 0.2 s at 10 images per second, and not at 100."""
    recording = _recording(seen=lambda index: not 8 <= index < 16)
    for frame_rate, ids in ((10.0, 4), (100.0, 2)):
        run = run_peer(
            PEERS['bytetrack'], recording, 0, frame_rate, parameters={'lost_track_buffer': 6}
        )
        assert len({number for frame in run.frames for number in frame.ids.tolist()}) == ids


@needs_library
def test_uneven_stamps_are_told():
    """As many images, but the gap in time is longer than the buffer."""
    stamps = np.arange(IMAGES) / FPS
    stamps[10:] += 30.0
    run = run_peer(PEERS['bytetrack'], _recording(stamps=stamps), 0, FPS)
    even = run_peer(PEERS['bytetrack'], _recording(), 0, FPS)
    counts = [
        len({number for frame in one.frames for number in frame.ids.tolist()})
        for one in (run, even)
    ]
    assert counts == [4, 2]


@needs_library
def test_known_camera_motion_gives_the_same_tracks():
    pictures = _Pictures()
    motions = camera_motions(pictures)
    assert motions[5][:, 2] == pytest.approx([-3.0, 0.0], abs=0.3)
    peer = PEERS['botsort']
    live = run_peer(peer, _recording(), 0, FPS, source=pictures)
    known = run_peer(peer, _recording(), 0, FPS, motions=motions)
    for one, other in zip(live.frames, known.frames, strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        assert one.boxes.tolist() == other.boxes.tolist()


@needs_library
def test_botsort_needs_images():
    with pytest.raises(ValueError, match='BoT-SORT: expected the images'):
        run_peer(PEERS['botsort'], _recording(), 0, FPS)


@needs_library
def test_tuning_finds_what_the_defaults_miss():
    """Detections of score 0.5 start no track with the defaults."""
    sequence = LabelledSequence('walk', None, _Pictures(), _truth(), [])
    recording = _recording((0.5, 0.5))
    lines = []
    best, quality = tune(PEERS['bytetrack'], [sequence], [recording], 0, progress=lines.append)
    assert best['track_activation_threshold'] <= 0.5
    assert quality > 80.0
    assert lines


def test_without_the_library_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'trackers', None)
    with pytest.raises(ImportError, match=r'requirements/test-no-deps\.txt'):
        run_peer(PEERS['sort'], _recording(), 0, FPS)
