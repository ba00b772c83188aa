from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from centertrack_ros.datatypes import FrameTransform, Tracks
from centertrack_ros.rendering import (
    gaussian_kernel,
    gaussian_radius,
    peak_radii,
    prior_cells,
    render_peaks,
    render_prior_heatmap,
    render_round_peaks,
)


@pytest.mark.parametrize(
    ('height', 'width', 'original', 'exact'),
    [(4, 4, 1, 0), (25, 25, 6, 2), (60, 25, 9, 2), (128, 128, 34, 10), (200, 80, 31, 9)],
)
def test_radius_rules_differ_as_published(height, width, original, exact):
    sizes = np.array([height]), np.array([width])
    assert peak_radii(*sizes, 'centertrack') == [original]
    assert peak_radii(*sizes, 'exact') == [exact]


def test_exact_radius_keeps_the_overlap():
    radius = gaussian_radius(np.array([80.0]), np.array([40.0]), 'exact')[0]
    inner = (80 - 2 * radius) * (40 - 2 * radius) / (80 * 40)
    outer = 80 * 40 / ((80 + 2 * radius) * (40 + 2 * radius))
    shifted = (80 - radius) * (40 - radius)
    shifted /= 2 * 80 * 40 - shifted
    assert min(inner, outer, shifted) == pytest.approx(0.7)


@pytest.mark.parametrize('rule', ['centertrack', 'exact'])
def test_radii_equal_those_of_each_equation_alone(rule):
    """To the last bit: they are cut to whole cells."""
    random = np.random.default_rng(0)
    heights, widths = np.ceil(random.uniform(0, 300, (2, 500)).astype(np.float32)).astype(float)
    expected = []
    for height, width in zip(heights, widths, strict=True):
        total, area = height + width, height * width
        together, inwards, outwards = (
            (1.0, total, area * (1 - 0.7) / (1 + 0.7), -1),
            (4.0, 2 * total, (1 - 0.7) * area, -1),
            (4 * 0.7, -2 * 0.7 * total, (0.7 - 1) * area, 1),
        )
        radii = []
        for a, b, c, sign in (together, inwards, outwards):
            root = np.sqrt(max(b**2 - 4 * a * c, 0))
            radii.append((b + root) / 2 if rule == 'centertrack' else (b + sign * root) / (2 * a))
        expected.append(min(radii))
    np.testing.assert_array_equal(gaussian_radius(heights, widths, rule), expected)
    none = np.zeros(0)
    assert gaussian_radius(none, none, rule).shape == (0,)


@pytest.mark.parametrize('radius', [0, 1, 5])
def test_kernel_is_a_gaussian_of_three_sigma(radius):
    kernel = gaussian_kernel(radius)
    sigma = (2 * radius + 1) / 6
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    expected = np.exp(-(rows**2 + columns**2) / (2 * sigma**2))
    np.testing.assert_allclose(kernel, expected, atol=1e-7)
    assert kernel[radius, radius] == 1
    assert kernel.dtype == np.float32
    assert not kernel.flags.writeable


@pytest.mark.parametrize(
    ('center', 'cell'), [((3.9, 2.1), (2, 3)), ((-0.6, 4.0), (4, 0)), ((7.0, -0.9), (0, 7))]
)
def test_centers_are_truncated_towards_zero(center, cell):
    heatmap = render_peaks(np.array([center]), np.array([1]), np.array([1.0]), (6, 9))
    assert heatmap[cell] == 1
    assert np.count_nonzero(heatmap == 1) == 1


def test_peaks_are_cut_at_the_edges():
    heatmap = render_peaks(np.array([[-2.0, 3.0]]), np.array([3]), np.array([0.5]), (6, 9))
    np.testing.assert_allclose(heatmap[:, :2], 0.5 * gaussian_kernel(3)[:6, 5:], atol=1e-7)
    assert not heatmap[:, 2:].any()
    outside = np.array([[-4.0, 3.0], [13.0, 2.0], [2.0, 30.0]])
    assert not render_peaks(outside, np.full(3, 3), np.ones(3), (6, 9)).any()


def test_round_peaks_have_the_given_width_at_the_nearest_cell():
    heatmap = render_round_peaks(np.array([[19.6, 10.4]]), np.array([2]), (24, 40))
    assert np.unravel_index(heatmap.argmax(), heatmap.shape) == (10, 20)
    assert heatmap[10, 22] == pytest.approx(np.exp(-0.5))
    assert heatmap[16, 26] == pytest.approx(np.exp(-9.0))
    assert not heatmap[17:].any()
    assert not render_round_peaks(np.array([[-9.0, 4.0]]), np.array([1]), (24, 40)).any()


def test_higher_peak_wins_and_zero_is_not_drawn():
    centers = np.array([[10.0, 10.0], [12.0, 10.0], [30.0, 5.0]])
    heatmap = render_peaks(centers, np.array([6, 6, 3]), np.array([1.0, 0.5, 0.0]), (20, 40))
    alone = render_peaks(centers[:1], np.array([6]), np.array([1.0]), (20, 40))
    assert heatmap[10, 10] == 1.0
    assert heatmap[10, 12] == max(0.5, alone[10, 12])
    assert not heatmap[:, 25:].any()


def _tracks(boxes, weights) -> Tracks:
    count = len(boxes)
    return replace(
        Tracks(**{name: np.repeat(array, 0, 0) for name, array in vars(Tracks.empty()).items()}),
        ids=np.arange(1, count + 1),
        boxes=np.asarray(boxes, np.float32).reshape(-1, 4),
        scores=np.ones(count, np.float32),
        classes=np.zeros(count, np.int64),
        centers=np.zeros((count, 2), np.float32),
        velocities=np.zeros((count, 2), np.float32),
        hits=np.ones(count, np.int64),
        misses=np.zeros(count, np.int64),
        reported=np.ones(count, bool),
        detection_indices=np.arange(count),
        prior_weights=np.asarray(weights, np.float32),
    )


def test_prior_heatmap_has_a_peak_at_the_middle_of_each_clipped_box(spec):
    full_size = replace(spec, prior_heatmap_stride=1)
    transform = FrameTransform(0.25, 0.25, 0.0, 8.0, 640, 320, 160, 96)
    # In the input: 10, 18 to 40, 58, and 140, 18 to 159, 58 of what ends at 170.
    tracks = _tracks([[40, 40, 160, 200], [560, 40, 680, 200], [80, 40, 90, 50]], [1, 1, 0])
    heatmap = render_prior_heatmap(tracks, transform, full_size)
    assert heatmap.shape == (96, 160)
    peaks = np.argwhere(heatmap == 1)
    np.testing.assert_array_equal(peaks, [[38, 25], [38, 149]])
    radius = int(peak_radii(np.array([40.0]), np.array([30.0]), 'centertrack')[0])
    assert heatmap[38, 25 - radius] > 0
    assert heatmap[38, 25 - radius - 1] == 0


def test_prior_heatmap_equals_peaks_drawn_cell_by_cell(spec):
    random = np.random.default_rng(3)
    transform = FrameTransform(0.25, 0.25, 0.0, 8.0, 640, 320, 160, 96)
    corners = random.uniform(-60, 640, (60, 2))
    boxes = np.concatenate((corners, corners + random.uniform(2, 400, (60, 2))), axis=1)
    tracks = _tracks(boxes, random.choice([0.0, 0.4, 1.0], 60))
    expected = np.zeros((24, 40))
    rows, columns = np.mgrid[:24, :40]
    for box, weight in zip(tracks.boxes, tracks.prior_weights, strict=True):
        x1, y1, x2, y2 = (transform.boxes_to_input(box[None])[0]).tolist()
        x1, x2 = (min(max(x, 0), 159) / 4 for x in (x1, x2))
        y1, y2 = (min(max(y, 0), 95) / 4 for y in (y1, y2))
        if x2 <= x1 or y2 <= y1:
            continue
        radius = int(peak_radii(np.array([y2 - y1]), np.array([x2 - x1]), spec.radius_rule)[0])
        away = columns - int((x1 + x2) / 2), rows - int((y1 + y2) / 2)
        sigma = (2 * radius + 1) / 6
        peak = weight * np.exp(-(away[0] ** 2 + away[1] ** 2) / (2 * sigma**2))
        peak[(np.abs(away[0]) > radius) | (np.abs(away[1]) > radius)] = 0
        expected = np.maximum(expected, peak)
    assert np.count_nonzero(expected) > 200
    np.testing.assert_allclose(render_prior_heatmap(tracks, transform, spec), expected, atol=1e-6)


def test_prior_cells_are_those_of_the_drawn_tracks(spec):
    transform = FrameTransform(0.25, 0.25, 0.0, 8.0, 640, 320, 160, 96)
    boxes = [[40, 40, 160, 200], [560, 40, 680, 200], [80, 40, 90, 50], [700, 40, 800, 90]]
    tracks = _tracks(boxes, [1, 0.5, 0, 1])
    # The second ends at column 42.5 of a map with 40.
    assert prior_cells(tracks, transform, spec).tolist() == [9 * 40 + 6, 9 * 40 + 37]
    assert prior_cells(Tracks.empty(), transform, spec).tolist() == []


def test_the_size_of_the_input_is_that_of_the_transform(spec):
    # As an `adaptive` model sees an image that is wide and low.
    transform = FrameTransform(0.5, 0.5, 0.0, 0.0, 640, 64, 320, 32)
    tracks = _tracks([[560, 20, 600, 52]], [1])
    heatmap = render_prior_heatmap(tracks, transform, spec)
    assert heatmap.shape == (8, 80)
    assert np.argwhere(heatmap == 1).tolist() == [[4, 72]]
    assert prior_cells(tracks, transform, spec).tolist() == [4 * 80 + 72]


def test_prior_heatmap_without_tracks_is_black(spec):
    transform = FrameTransform(1, 1, 0, 0, 160, 96, 160, 96)
    heatmap = render_prior_heatmap(Tracks.empty(), transform, spec)
    assert heatmap.shape == (24, 40)
    assert not heatmap.any()


def test_boxes_outside_the_input_are_not_drawn(spec):
    transform = FrameTransform(1, 1, 0, 0, 160, 96, 160, 96)
    tracks = _tracks([[-50, 10, -5, 30], [200, 10, 240, 30]], [1, 1])
    assert not render_prior_heatmap(tracks, transform, spec).any()


def test_fading_weight_is_the_height_of_the_peak(spec):
    transform = FrameTransform(1, 1, 0, 0, 160, 96, 160, 96)
    heatmap = render_prior_heatmap(_tracks([[40, 20, 80, 60]], [0.5]), transform, spec)
    assert heatmap.max() == pytest.approx(0.5)
    assert np.unravel_index(heatmap.argmax(), heatmap.shape) == (10, 15)
