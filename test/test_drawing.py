from __future__ import annotations

import time

import numpy as np
import pytest

from centertrack_ros.datatypes import Tracks
from centertrack_ros.drawing import Trails, draw_note, draw_tracks, track_color

CLASSES = ('person', 'car')


def _tracks(boxes, ids=None, *, misses=0, reported=True):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    count = len(boxes)
    return Tracks(
        ids=np.array(ids if ids is not None else range(1, count + 1), np.int64),
        boxes=boxes,
        scores=np.full(count, 0.87, np.float32),
        classes=np.zeros(count, np.int64),
        centers=boxes.reshape(-1, 2, 2).mean(axis=1),
        velocities=np.zeros((count, 2), np.float32),
        hits=np.ones(count, np.int64),
        misses=np.full(count, misses, np.int64),
        reported=np.full(count, reported, np.bool_),
        detection_indices=np.arange(count),
        prior_weights=np.ones(count, np.float32),
    )


@pytest.fixture
def image():
    return np.full((576, 768, 3), 90, np.uint8)


def _painted(before, after, color):
    return ((after == color).all(axis=2) & (before != color).any(axis=2)).sum()


def test_box_and_label_in_the_colour_of_the_id(image):
    box = [300, 200, 400, 400]
    drawn = draw_tracks(image, _tracks([box], [7]), CLASSES)
    color = track_color(7)
    for x, y in ((300, 300), (400, 300), (350, 200), (350, 400)):
        assert tuple(drawn[y, x].tolist()) == color
    assert (drawn[250:390, 310:390] == 90).all()  # the object itself stays visible
    assert (drawn[195, 300:340] == color).all(axis=1).any()  # ground of the label


def test_tracks_without_a_frame_have_their_label(image):
    tracks = _tracks([[100, 200, 200, 400], [300, 200, 400, 400]], [7, 8])
    drawn = draw_tracks(image, tracks, CLASSES, framed=np.array([False, True]))
    assert (drawn[400, 350] == track_color(8)).all()
    assert (drawn[390:, 100:210] == image[390:, 100:210]).all()
    assert _painted(image, drawn, track_color(7)) > 100


def test_argument_is_not_written_to(image):
    before = image.copy()
    image.flags.writeable = False
    drawn = draw_tracks(image, _tracks([[10, 10, 90, 90]]), CLASSES)
    np.testing.assert_array_equal(image, before)
    assert drawn.flags.writeable
    assert not np.shares_memory(drawn, image)


def test_note(image):
    before = image.copy()
    drawn = draw_note(image, 'image 7: dropped')
    np.testing.assert_array_equal(image, before)
    assert (drawn[:15, :60] != image[:15, :60]).any(axis=2).mean() > 0.5
    np.testing.assert_array_equal(drawn[60:], image[60:])


def test_nothing_to_draw(image):
    for tracks in (Tracks.empty(), _tracks([[10, 10, 90, 90]], reported=False)):
        np.testing.assert_array_equal(draw_tracks(image, tracks, CLASSES, Trails()), image)


def test_coasted_track_is_dashed(image):
    box = [300, 200, 400, 400]
    seen = draw_tracks(image, _tracks([box], [3]), CLASSES)
    coasted = draw_tracks(image, _tracks([box], [3], misses=2), CLASSES)
    color = track_color(3)
    side = (coasted[220:390, 300] == color).all(axis=1)
    assert (seen[220:390, 300] == color).all()
    assert 0.3 < side.mean() < 0.8


def test_views_and_padded_rows(image):
    view = np.zeros((576, 800, 3), np.uint8)[:, 16:784]
    view[:] = 90
    tracks = _tracks([[300, 200, 400, 400]])
    expected = draw_tracks(image, tracks, CLASSES)
    np.testing.assert_array_equal(draw_tracks(view, tracks, CLASSES), expected)


@pytest.mark.parametrize(
    'box',
    [
        [-50, -80, 40, 60],
        [740, 500, 900, 700],
        [0, 0, 768, 576],
        [100, 0, 140, 30],
        [300, 300, 300, 300],
        [-1e9, -1e9, 1e9, 1e9],
        [np.nan, 0, 50, 50],
    ],
)
def test_boxes_at_and_over_the_edge(image, box):
    assert draw_tracks(image, _tracks([box]), CLASSES).shape == image.shape


@pytest.mark.parametrize('shape', [(1, 1, 3), (20, 30, 3), (2160, 3840, 3)])
def test_images_of_every_size(shape):
    drawn = draw_tracks(np.zeros(shape, np.uint8), _tracks([[2, 2, 15, 15]]), CLASSES)
    assert drawn.shape == shape


def test_colors_are_stable_and_differ():
    colors = [track_color(track_id) for track_id in range(1, 13)]
    assert colors == [track_color(track_id) for track_id in range(1, 13)]
    distances = np.abs(np.array(colors)[:, None] - np.array(colors)[None]).sum(axis=2)
    assert distances[~np.eye(12, dtype=bool)].min() > 40
    assert all(0 <= value <= 255 for color in colors for value in color)


def test_trails_follow_the_lower_edge_and_are_short(image):
    trails = Trails(length=3)
    for step in range(5):
        tracks = _tracks([[100 + 10 * step, 50, 140 + 10 * step, 150 + step]], [4])
        trails.update(tracks)
    assert trails.points(4).tolist() == [[140, 152], [150, 153], [160, 154]]
    drawn = draw_tracks(image, tracks, CLASSES, trails)
    # A point of the trail that no box covers.
    assert tuple(drawn[153, 145].tolist()) == track_color(4) or _painted(
        image[150:156, 138:142], drawn[150:156, 138:142], track_color(4)
    )


def test_trails_forget():
    trails = Trails(length=2)
    trails.update(_tracks([[0, 0, 10, 10]], [1]))
    assert len(trails.points(1)) == 1
    trails.update(Tracks.empty())
    trails.update(_tracks([[0, 0, 10, 10]], [1], reported=False))
    assert trails.points(1).shape == (0, 2)
    trails.update(_tracks([[0, 0, 10, 10]], [1]))
    trails.clear()
    assert trails.points(1).shape == (0, 2)
    with pytest.raises(ValueError, match='length'):
        Trails(length=0)


def test_fast_enough_for_every_image(image):
    boxes = [[60 * row, 100, 60 * row + 50, 250] for row in range(10)]
    tracks, trails = _tracks(boxes), Trails()
    for _ in range(30):
        trails.update(tracks)
    durations = []
    for _ in range(30):
        start = time.perf_counter()
        draw_tracks(image, tracks, CLASSES, trails)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.003
