"""Gaussian peaks: radius, kernel, and maps drawn from boxes. Training draws with it too."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import BoolArray, FloatArray, FrameTransform, IntArray, Tracks
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
    were trained with them. `exact` solves the equations; so does simple-CenterNet, which left the
    third as it was, but that one never gives the smallest radius.
    """
    total = np.asarray(heights, np.float64) + np.asarray(widths, np.float64)
    area = np.asarray(heights, np.float64) * np.asarray(widths, np.float64)
    # The three equations a x^2 + b x + c = 0 at once, along the last axis.
    a = np.array([1.0, 4.0, 4 * min_overlap])
    b = total[..., None] * np.array([1.0, 2.0, -2 * min_overlap])
    c = area[..., None] * np.array([1 - min_overlap, 1 - min_overlap, min_overlap - 1])
    c[..., 0] /= 1 + min_overlap
    root = np.sqrt(np.maximum(b * b - 4 * a * c, 0.0))
    if rule == 'centertrack':
        radii = (b + root) / 2
    else:
        radii = (b + root * np.array([-1.0, -1.0, 1.0])) / (2 * a)
    smallest: NDArray[np.float64] = radii.min(axis=-1)
    return smallest


def peak_radii(
    heights: NDArray[np.floating[Any]], widths: NDArray[np.floating[Any]], rule: RadiusRule
) -> IntArray:
    """Whole-cell radius (N,) with which boxes of `heights` and `widths` (N,) cells are drawn."""
    radii = gaussian_radius(np.ceil(heights), np.ceil(widths), rule)
    return np.maximum(radii, 0.0).astype(np.int64)


@lru_cache(maxsize=1024)
def gaussian_kernel(radius: int, sigma: float | None = None) -> FloatArray:
    """Peak of height 1 as a read-only (2 radius + 1, 2 radius + 1) array.

    Without `sigma` the edge of the peak lies at 3 sigma. `radius` must be a Python int: a NumPy
    scalar would make the kernel float64 (NEP 50).
    """
    sigma = (2 * radius + 1) / 6 if sigma is None else sigma
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
    sigmas: NDArray[Any] | None = None,
) -> FloatArray:
    """Draw one peak per row into a new map; where peaks overlap the higher value wins.

    Args:
        centers: (N, 2) x, y in cells; truncated towards zero, as the original does.
        radii: (N,) whole cells.
        amplitudes: (N,) height of each peak; rows with 0 are not drawn.
        shape: (height, width) of the map.
        sigmas: (N,) cells; None = those that go with the radii.
    """
    heatmap = np.zeros(shape, np.float32)
    height, width = shape
    # Plain Python numbers: element access to arrays would cost more than the drawing.
    rows = zip(
        np.asarray(centers).astype(np.int64).tolist(),
        np.asarray(radii).tolist(),
        np.asarray(amplitudes).tolist(),
        [None] * len(radii) if sigmas is None else np.asarray(sigmas).tolist(),
        strict=True,
    )
    for (x, y), radius, amplitude, sigma in rows:
        if amplitude <= 0:
            continue
        left, right = min(x, radius), min(width - x, radius + 1)
        top, bottom = min(y, radius), min(height - y, radius + 1)
        # A centre outside the map is normal, as long as a part of the peak lies inside.
        if left + right <= 0 or top + bottom <= 0:
            continue
        peak = gaussian_kernel(radius, sigma)[
            radius - top : radius + bottom, radius - left : radius + right
        ]
        if amplitude != 1:
            peak = peak * np.float32(amplitude)
        target = heatmap[y - top : y + bottom, x - left : x + right]
        cv2.max(target, peak, dst=target)
    return heatmap


def render_round_peaks(
    centers: NDArray[Any], sigmas: NDArray[Any], shape: tuple[int, int]
) -> FloatArray:
    """Draw peaks of height 1 with a given width, out to 3 sigma, at the nearest cells.

    The target of human pose networks, `draw_msra_gaussian` in CenterNet's `utils/image.py`, with
    which that trains under a squared error (its option `mse_loss`).

    Args:
        centers: (N, 2) x, y in cells.
        sigmas: (N,) whole cells.
        shape: (height, width) of the map.
    """
    ones = np.ones(len(sigmas))
    return render_peaks(np.asarray(centers) + 0.5, 3 * np.asarray(sigmas), ones, shape, sigmas)


def render_prior_heatmap(tracks: Tracks, transform: FrameTransform, spec: ModelSpec) -> FloatArray:
    """The map that tells the network where objects were: one peak per track, all classes alike.

    The peak sits at the centre of the box after clipping to the input, as in `detector.py` of
    the original; its height is the track's `prior_weights`.

    Returns:
        (input_height / p, input_width / p) float32, p = `spec.prior_heatmap_stride`, the input's
        size that of `transform`.
    """
    stride = spec.prior_heatmap_stride
    shape = (transform.input_height // stride, transform.input_width // stride)
    if not len(tracks):
        return np.zeros(shape, np.float32)
    boxes_in, drawn = _boxes_in_input(tracks, transform)
    cells = boxes_in / np.float32(stride)
    sizes = cells[:, 2:] - cells[:, :2]
    return render_peaks(
        (cells[:, :2] + cells[:, 2:]) / 2,
        peak_radii(sizes[:, 1], sizes[:, 0], spec.radius_rule),
        tracks.prior_weights * drawn,
        shape,
    )


def prior_cells(tracks: Tracks, transform: FrameTransform, spec: ModelSpec) -> IntArray:
    """Cells of the output map, `row * width + column`, of the tracks in the prior heatmap: (P,).

    There the heads say what the network thinks of a track at its old place; the `pre_inds` of
    the original, from the box clipped to the output map.
    """
    tracks = tracks[tracks.prior_weights > 0]
    _, drawn = _boxes_in_input(tracks, transform)
    cells = transform.boxes_to_input(tracks.boxes[drawn]) / np.float32(spec.stride)
    height, width = transform.input_height // spec.stride, transform.input_width // spec.stride
    limit = np.array([width - 1, height - 1] * 2, np.float32)
    cells = np.clip(cells, 0, limit)
    columns, rows = ((cells[:, :2] + cells[:, 2:]) / 2).astype(np.int64).T
    indices: IntArray = rows * width + columns
    return indices


def _boxes_in_input(tracks: Tracks, transform: FrameTransform) -> tuple[FloatArray, BoolArray]:
    """Boxes (N, 4) clipped to the network input, and which of them have an area there (N,)."""
    limit = np.array([transform.input_width - 1, transform.input_height - 1] * 2, np.float32)
    boxes_in = np.maximum(transform.boxes_to_input(tracks.boxes), np.float32(0))
    np.minimum(boxes_in, limit, out=boxes_in)
    drawn: BoolArray = (boxes_in[:, 2] > boxes_in[:, 0]) & (boxes_in[:, 3] > boxes_in[:, 1])
    return boxes_in, drawn
