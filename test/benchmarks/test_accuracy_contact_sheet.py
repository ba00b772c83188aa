"""Hard moments are found where they are, and drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.comparison.contact_sheet import write_contact_sheet
from benchmarks.comparison.hard_moments import APART, choose_moments, hard_moments
from benchmarks.comparison.recordings import Recording
from benchmarks.comparison.rows import Row
from benchmarks.comparison.scoring import compared, frames_of_class
from benchmarks.comparison.sequences import LabelledSequence
from centertrack_ros.datatypes import Detections, Tracks
from centertrack_ros.replay.mot_files import FrameBoxes
from centertrack_ros.replay.sources import Frame

IMAGES = 80
SWITCH, LOST, FOUND, MEETING = 15, 30, 45, 65


class _Grey:
    description, fps, count = 'grey', 10.0, IMAGES

    def __iter__(self):
        for index in range(IMAGES):
            yield Frame(np.full((240, 400, 3), 128, np.uint8), index * 100_000_000)


def _truth(index):
    """Three people: one walks past another in image `MEETING`."""
    x = 300 - 4 * abs(index - MEETING)
    return np.array([[x, 60, x + 30, 140], [300, 58, 330, 138], [20, 100, 60, 220]], np.float32)


def _tracks(index):
    ids = np.array([1, 2, 3 if index < SWITCH else 7])
    rows = np.array([0, 1, 2] if not LOST <= index < FOUND else [0, 1])
    count = len(rows)
    return Tracks(
        ids=ids[rows],
        boxes=_truth(index)[rows],
        scores=np.full(count, 0.9, np.float32),
        classes=np.zeros(count, np.int64),
        centers=np.zeros((count, 2), np.float32),
        velocities=np.zeros((count, 2), np.float32),
        hits=np.ones(count, np.int64),
        misses=np.zeros(count, np.int64),
        reported=np.ones(count, np.bool_),
        detection_indices=np.arange(count),
        prior_weights=np.zeros(count, np.float32),
    )


@pytest.fixture
def sequence():
    truth = [
        FrameBoxes(np.array([1, 2, 3]), _truth(index).astype(float), np.ones(3))
        for index in range(IMAGES)
    ]
    return LabelledSequence('grey', None, _Grey(), truth, [])


@pytest.fixture
def row():
    times = np.ones(IMAGES)
    tracks = [_tracks(index) for index in range(IMAGES)]
    none = [Detections.empty()] * IMAGES
    recording = Recording(np.arange(IMAGES) / 10, tracks, none, times, times)
    return Row('ours', [recording], [frames_of_class(recording, 0)], [1.0])


def test_moments_are_where_they_happen(sequence, row):
    moments = hard_moments(0, sequence.truth, compared(sequence, row.frames[0]), 10.0)
    by_kind = {
        kind: [moment for moment in moments if moment.kind == kind]
        for kind in ('switch', 'found again', 'crossing')
    }
    (switch,) = by_kind['switch']
    assert (switch.image, switch.ids) == (SWITCH, (3, 7))
    (found,) = by_kind['found again']
    assert (found.image, found.ids) == (FOUND, (7,))
    assert found.caption == 'found again: 7 after 1.6 s'
    hardest = max(by_kind['crossing'], key=lambda moment: moment.hardness)
    assert (hardest.image, hardest.ids) == (MEETING, (1, 2))
    assert hardest.box.tolist() == [300, 58, 330, 140]


def test_chosen_moments_are_apart_and_of_all_kinds(sequence, row):
    comparison = compared(sequence, row.frames[0])
    moments = [
        moment
        for place in range(3)
        for moment in hard_moments(place, sequence.truth, comparison, 10.0)
    ]
    chosen = choose_moments(moments, 9)
    assert len(chosen) == 9
    assert {moment.kind for moment in chosen} == {'switch', 'found again', 'crossing'}
    assert [sum(moment.sequence == place for moment in chosen) for place in range(3)] == [3] * 3
    for place in range(3):
        images = sorted(moment.image for moment in chosen if moment.sequence == place)
        assert min(np.diff(images)) >= APART


def test_the_sheet(sequence, row, tmp_path):
    path = tmp_path / 'sheet.png'
    chosen = write_contact_sheet(path, [sequence], row, 0, ('person',))
    assert len(chosen) >= 3
    sheet = cv2.imread(str(path))
    assert sheet.shape == (3 * 516 + 6, 4 * 646 + 6, 3)
    # Tiles that no moment fills stay white.
    assert (sheet[-300:, -300:] == 255).all()
    assert (sheet[6:486, 6:646] != 255).any(axis=2).mean() > 0.9


def test_nothing_hard(tmp_path):
    truth = [FrameBoxes(np.array([1]), np.array([[0.0, 0, 20, 40]]), np.ones(1))]
    still = LabelledSequence('still', None, _Grey(), truth, [])
    times = np.ones(1)
    recording = Recording(times, [Tracks.empty()], [Detections.empty()], times, times)
    row = Row('ours', [recording], [[FrameBoxes.empty()]], [1.0])
    with pytest.raises(ValueError, match='found none'):
        write_contact_sheet(tmp_path / 'x.png', [still], row, 0, ('person',))
