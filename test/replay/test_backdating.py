"""Tracks that are confirmed late and reported from their first image on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from replay_helpers import make_tracks

from centertrack_ros.replay.backdating import backdated
from centertrack_ros.replay.records import FrameRecord


def run(images, resets=()):
    """Ids per image after back-dating; `images` are lists of (id, reported, misses)."""
    records = []
    for number, rows in enumerate(images):
        tracks = make_tracks([row[0] for row in rows], misses=[row[2] for row in rows])
        tracks = replace(tracks, reported=np.array([row[1] for row in rows], np.bool_))
        records.append(
            FrameRecord(number, 'camera', tracks, 1.0, {}, 'reset' * (number in resets))
        )
    results = backdated(records)
    assert [record.stamp_ns for record in results] == list(range(len(images)))
    return [record.tracks.ids[record.tracks.reported].tolist() for record in results]


def test_a_late_track_gets_its_first_images() -> None:
    images = [[(1, True, 0), (2, False, 0)], [(1, True, 0), (2, False, 0)], [(2, True, 0)]]
    assert run(images) == [[1, 2], [1, 2], [2]]


def test_what_was_never_confirmed_stays_out() -> None:
    assert run([[(1, True, 0), (2, False, 0)], [(1, True, 0)]]) == [[1], [1]]


def test_predicted_boxes_stay_out() -> None:
    assert run([[(1, False, 0)], [(1, False, 1)], [(1, True, 0)]]) == [[1], [], [1]]


def test_what_was_held_back_after_the_start_stays_out() -> None:
    images = [[(1, False, 0)], [(1, True, 0)], [(1, False, 0)], [(1, True, 0)]]
    assert run(images) == [[1], [1], [], [1]]


def test_ids_of_before_a_reset_are_others() -> None:
    images = [[(1, False, 0)], [(1, False, 0)], [(1, True, 0)]]
    assert run(images, resets=(1,)) == [[], [1], [1]]
    assert run(images, resets=(2,)) == [[], [], [1]]


def test_no_images_and_no_tracks() -> None:
    assert run([]) == []
    assert run([[], []]) == [[], []]
