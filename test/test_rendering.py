from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from centertrack_ros.datatypes import FrameTransform, Tracks
from centertrack_ros.rendering import (
    gaussian_kernel,
    gaussian_radius,
    peak_radii,
    render_peaks,
    render_prior_heatmap,
)


def test_radius_equals_the_original(data_folder):
    recorded = np.load(data_folder / 'geometry.npz')
    height, width = recorded['radius_hw'].T
    radii = gaussian_radius(height, width, 'centertrack')
    np.testing.assert_allclose(radii, recorded['radius_centertrack'], atol=1e-9)
    for index, overlap in enumerate(recorded['radius_min_overlap']):
        radius = gaussian_radius(height[index], width[index], 'centertrack', float(overlap))
        assert radius == pytest.approx(recorded['radius_centertrack_mo'][index], abs=1e-9)


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


@pytest.mark.parametrize('radius', [0, 1, 2, 5, 11])
def test_kernel_equals_the_original(data_folder, radius):
    expected = np.load(data_folder / 'geometry.npz')[f'gaussian2D_r{radius}']
    np.testing.assert_allclose(gaussian_kernel(radius), expected, atol=1e-7)
    assert gaussian_kernel(radius).dtype == np.float32


def test_peaks_equal_the_original(data_folder):
    recorded = np.load(data_folder / 'geometry.npz')
    for center, radius, height, expected in zip(
        *(recorded[f'draw_{name}'] for name in ('center_xy', 'radius', 'k', 'maps')), strict=True
    ):
        drawn = render_peaks(center[None], radius[None], height[None], expected.shape)
        np.testing.assert_allclose(drawn, expected, atol=1e-6)


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


def test_prior_heatmap_equals_the_original(data_folder, spec):
    recorded = np.load(data_folder / 'prior_heatmap.npz')
    full_size = replace(spec, prior_heatmap_stride=1)
    for case in sorted({name.split('__')[0] for name in recorded.files}):
        arrays = {
            name: recorded[f'{case}__{name}']
            for name in ('pre_hm', 'bbox', 'score', 'active', 'trans_input')
        }
        affine = arrays['trans_input']
        transform = FrameTransform(
            affine[0, 0], affine[1, 1], affine[0, 2], affine[1, 2], 480, 270, 160, 96
        )
        # The rule of the recording: drawn are active tracks with a score of at least 0.5.
        weights = (arrays['score'] >= 0.5) & (arrays['active'] != 0)
        heatmap = render_prior_heatmap(_tracks(arrays['bbox'], weights), transform, full_size)
        np.testing.assert_allclose(heatmap, arrays['pre_hm'][0, 0], atol=1e-5, err_msg=case)


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
