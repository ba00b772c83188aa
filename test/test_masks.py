from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from centertrack_ros.datatypes import FrameTransform
from centertrack_ros.masks import masks_to_image

# Input of 40 x 24 pixels from an image of 60 x 32: half a pixel for one, 4 cells of 4 pixels.
TRANSFORM = FrameTransform(0.5, 0.5, 4.0, 4.0, 60, 32, 40, 24)


@pytest.mark.parametrize('half_pixel_centers', [True, False])
def test_where_cells_begin(half_pixel_centers):
    masks = np.zeros((3, 6, 10), np.float32)
    masks[1, :, 3:] = 1
    masks[2, 2:] = 1
    transform = replace(TRANSFORM, half_pixel_centers=half_pixel_centers)
    pixels = masks_to_image(masks, transform, stride=4)
    assert pixels.shape == (3, 32, 60)
    assert pixels.dtype == np.bool_
    assert not pixels[0].any()
    # Cell 3 begins at x = (3 * 4 - 4) / 0.5 = 16, cell 2 at y = 8. Where whole numbers are
    # mapped, the pixels at x = (2.5 * 4 - 4) / 0.5 = 12 and y = 4 are the border, out at 0.5.
    left, top = (16, 8) if half_pixel_centers else (13, 5)
    np.testing.assert_array_equal(np.flatnonzero(pixels[1, 16, :40]), np.arange(left, 40))
    np.testing.assert_array_equal(np.flatnonzero(pixels[2, :20, 30]), np.arange(top, 20))


def test_pixels_outside_the_input_belong_to_nothing():
    cropped = FrameTransform(0.5, 0.5, 0.0, 0.0, 100, 32, 40, 24)
    pixels = masks_to_image(np.ones((1, 6, 10), np.float32), cropped, stride=4)
    assert pixels[0, 16, 40]
    assert not pixels[0, :, 80:].any()


def test_no_masks():
    pixels = masks_to_image(np.zeros((0, 6, 10), np.float32), TRANSFORM, stride=4)
    assert pixels.shape == (0, 32, 60)
