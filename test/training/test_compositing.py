"""Pasting: who covers whom, alpha, shadows, motion blur."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.compositing import Canvas, motion_blur


def test_canvas_counts_visible_pixels() -> None:
    canvas = Canvas(np.zeros((40, 60, 3), np.uint8))
    sprite = np.full((10, 10, 4), 255, np.uint8)
    shift = [np.array([[1.0, 0, x], [0, 1.0, 5.0]]) for x in (10.0, 15.0, 100.0, -5.0)]
    numbers = [canvas.paste(sprite, matrix, np.ones(3)) for matrix in shift]
    np.testing.assert_allclose(canvas.visibilities()[numbers], [0.5, 1.0, 0.0, 1.0])
    np.testing.assert_allclose(canvas.uncovered(np.array([[10, 5, 30, 15], [90, 0, 99, 9]])),
                               [0.25, 0.0])  # fmt: skip
    full = Canvas(np.zeros((4, 4, 3), np.uint8))
    for _ in range(255):
        full.paste(sprite, shift[0], np.ones(3))
    with pytest.raises(ValueError, match='255'):
        full.paste(sprite, shift[0], np.ones(3))


def test_paste_mixes_by_alpha() -> None:
    canvas = Canvas(np.full((20, 20, 3), 100, np.uint8))
    half = np.zeros((10, 10, 4), np.uint8)
    half[:] = (100, 100, 100, 128)
    canvas.paste(half, np.array([[1.0, 0, 5], [0, 1.0, 5]]), np.ones(3))
    assert canvas.image[10, 10, 0] == pytest.approx(150, abs=1)
    assert canvas.image[0, 0, 0] == 100
    canvas.shade(np.full((10, 10, 4), 255, np.uint8), np.array([[1.0, 0, 5], [0, 1, 5]]), 0.5)
    assert canvas.image[10, 10, 0] == pytest.approx(75, abs=1)


def test_motion_blur_keeps_brightness_and_place() -> None:
    image = np.zeros((21, 21, 3), np.uint8)
    image[10, 10] = 250
    blurred = motion_blur(image, np.array([4.0, 0.0]))
    assert blurred[10, :, 0].sum() == pytest.approx(250, abs=5)
    rows, columns = np.nonzero(blurred[..., 0])
    assert set(rows) == {10}
    assert columns.mean() == 10
    assert motion_blur(image, np.array([1.0, 0.0])) is image
