"""Gaussian peaks: radius, kernel, and maps drawn from boxes. Training draws with it too."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import FloatArray, FrameTransform, IntArray, Tracks
from centertrack_ros.model_spec import ModelSpec, RadiusRule


def gaussian_radius(
    heights: NDArray[np.floating[Any]],
    widths: NDArray[np.floating[Any]],
    rule: RadiusRule,
    min_overlap: float = 0.7,
) -> NDArray[np.float64]:
    """Radius of the peaks of boxes with `heights` and `widths` (N,): (N,) in the same unit.

    CornerNet asks how far both corners may move until the box overlaps the true one by an IoU
    of only `min_overlap`. Moved together, both inwards, both outwards: three quadratic equations.

    `centertrack` takes the larger root and divides by 2 instead of 2a, as `utils/image.py` of
    CenterTrack and CenterNet; its peaks are about 3.4 times as wide, and the released weights
    were trained with them. `exact` solves the equations.
    """
    total = np.asarray(heights, np.float64) + np.asarray(widths, np.float64)
    area = np.asarray(heights, np.float64) * np.asarray(widths, np.float64)
    cases = (
        (1.0, total, area * (1 - min_overlap) / (1 + min_overlap), -1.0),
        (4.0, 2 * total, (1 - min_overlap) * area, -1.0),
        (4 * min_overlap, -2 * min_overlap * total, (min_overlap - 1) * area, 1.0),
    )
    radii = []
    for a, b, c, exact_sign in cases:
        root = np.sqrt(np.maximum(b * b - 4 * a * c, 0.0))
        exact = (b + exact_sign * root) / (2 * a)
        radii.append((b + root) / 2 if rule == 'centertrack' else exact)
    smallest: NDArray[np.float64] = np.minimum.reduce(radii)
    return smallest


def peak_radii(
    heights: NDArray[np.floating[Any]], widths: NDArray[np.floating[Any]], rule: RadiusRule
) -> IntArray:
    """Whole-cell radius (N,) with which boxes of `heights` and `widths` (N,) cells are drawn."""
    radii = gaussian_radius(np.ceil(heights), np.ceil(widths), rule)
    return np.maximum(radii, 0.0).astype(np.int64)


@lru_cache(maxsize=1024)
def gaussian_kernel(radius: int) -> FloatArray:
    """Peak of height 1 as a read-only (2 radius + 1, 2 radius + 1) array; 3 sigma at the edge.

    `radius` must be a Python int: a NumPy scalar would make the kernel float64 (NEP 50).
    """
    sigma = (2 * radius + 1) / 6
    steps = np.arange(-radius, radius + 1, dtype=np.float64)
    line = np.exp(-steps * steps / (2 * sigma * sigma))
    kernel = np.outer(line, line).astype(np.float32)
    kernel.setflags(write=False)
    return kernel


def render_peaks(
    centers: NDArray[Any],
    radii: NDArray[Any],
    amplitudes: NDArray[Any],
    shape: tuple[int, int],
) -> FloatArray:
    """Draw one peak per row into a new map; where peaks overlap the higher value wins.

    Args:
        centers: (N, 2) x, y in cells; truncated towards zero, as the original does.
        radii: (N,) whole cells.
        amplitudes: (N,) height of each peak; rows with 0 are not drawn.
        shape: (height, width) of the map.
    """
    heatmap = np.zeros(shape, np.float32)
    height, width = shape
    # Plain Python numbers: element access to arrays would cost more than the drawing.
    rows = zip(
        np.trunc(centers).astype(np.int64).tolist(),
        np.asarray(radii).tolist(),
        np.asarray(amplitudes).tolist(),
        strict=True,
    )
    for (x, y), radius, amplitude in rows:
        left, right = min(x, radius), min(width - x, radius + 1)
        top, bottom = min(y, radius), min(height - y, radius + 1)
        # A centre outside the map is normal, as long as a part of the peak lies inside.
        if left + right <= 0 or top + bottom <= 0 or amplitude <= 0:
            continue
        peak = gaussian_kernel(radius)[
            radius - top : radius + bottom, radius - left : radius + right
        ]
        if amplitude != 1:
            peak = peak * np.float32(amplitude)
        target = heatmap[y - top : y + bottom, x - left : x + right]
        cv2.max(target, peak, dst=target)
    return heatmap


def render_prior_heatmap(tracks: Tracks, transform: FrameTransform, spec: ModelSpec) -> FloatArray:
    """The map that tells the network where objects were: one peak per track, all classes alike.

    The peak sits at the centre of the box after clipping to the input, as in `detector.py` of
    the original; its height is the track's `prior_weights`.

    Returns:
        (input_height / p, input_width / p) float32, p = `spec.prior_heatmap_stride`.
    """
    tracks = tracks[tracks.prior_weights > 0]
    if not len(tracks):
        return np.zeros(spec.prior_heatmap_shape, np.float32)
    limit = np.array([spec.input_width - 1, spec.input_height - 1] * 2, np.float32)
    boxes_in = np.clip(transform.boxes_to_input(tracks.boxes), 0, limit)
    cells = boxes_in / np.float32(spec.prior_heatmap_stride)
    sizes = cells[:, 2:] - cells[:, :2]
    drawn = (sizes > 0).all(axis=1)
    return render_peaks(
        (cells[:, :2] + cells[:, 2:]) / 2,
        peak_radii(sizes[:, 1], sizes[:, 0], spec.radius_rule),
        tracks.prior_weights * drawn,
        spec.prior_heatmap_shape,
    )
