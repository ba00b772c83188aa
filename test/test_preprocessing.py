from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from centertrack_ros.preprocessing import check_image, fit_transform, to_input

SIZES = [(96, 160), (480, 640), (640, 480), (97, 333), (1080, 1920), (1, 7)]


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('resize', ['letterbox', 'stretch'])
def test_transform_is_undone_exactly(size, resize, spec):
    transform = fit_transform(size, replace(spec, resize=resize))
    generator = np.random.default_rng(0)
    boxes = (generator.random((20, 4)) * ([size[1], size[0]] * 2)).astype(np.float32)
    back = transform.boxes_to_image(transform.boxes_to_input(boxes))
    np.testing.assert_allclose(back, boxes, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize('size', SIZES)
def test_letterbox_crops_nothing(size, spec):
    transform = fit_transform(size, spec)
    corners = transform.boxes_to_input(np.array([[0, 0, size[1], size[0]]], np.float32))[0]
    assert corners.min() >= 0
    assert corners[2] <= spec.input_width
    assert corners[3] <= spec.input_height
    # One side fills the input.
    fills = (
        abs(corners[2] - corners[0] - spec.input_width),
        abs(corners[3] - corners[1] - spec.input_height),
    )
    assert min(fills) < 1e-3


def test_pixels_land_where_the_transform_says(spec):
    image = np.zeros((480, 640, 3), np.uint8)
    image[200:240, 320:400] = 255
    transform = fit_transform(image.shape[:2], spec)
    network_input = to_input(image, transform)
    assert network_input.shape == (96, 160, 3)
    assert network_input.flags.c_contiguous
    box = transform.boxes_to_input(np.array([[320, 200, 400, 240]], np.float32))[0]
    rows, columns = np.nonzero(network_input[..., 0] > 127)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(found, box, atol=0.51)


def test_bars_are_black_and_the_image_untouched(spec):
    image = np.full((480, 480, 3), 200, np.uint8)
    kept = image.copy()
    network_input = to_input(image, fit_transform(image.shape[:2], spec))
    assert not network_input[:, :32].any()
    assert not network_input[:, 128:].any()
    assert (network_input[:, 32:128] == 200).all()
    np.testing.assert_array_equal(image, kept)


@pytest.mark.parametrize(
    ('image', 'error', 'text'),
    [
        (None, TypeError, 'NoneType'),
        (np.zeros((4, 4, 3), np.float32), TypeError, 'float32'),
        (np.zeros((4, 4), np.uint8), ValueError, r'\(4, 4\)'),
        (np.zeros((0, 4, 3), np.uint8), ValueError, r'\(0, 4, 3\)'),
        (np.zeros((4, 4, 4), np.uint8), ValueError, r'\(4, 4, 4\)'),
    ],
)
def test_wrong_images_are_named(image, error, text):
    with pytest.raises(error, match=text):
        check_image(image)
