from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from centertrack_ros.preprocessing import (
    check_image,
    fit_transform,
    fixed_placement,
    input_size,
    normalised,
    padded_placement,
    scaled_image,
    short_side_placement,
    to_input,
    with_mirrored,
)

SIZES = [(96, 160), (480, 640), (640, 480), (97, 333), (1080, 1920), (1, 7)]


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('resize', ['letterbox', 'stretch', 'centertrack'])
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


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('resize', ['letterbox', 'stretch', 'centertrack'])
def test_an_image_is_written_into_a_row_of_a_batch(size, resize, spec):
    transform = fit_transform(size, replace(spec, resize=resize))
    image = np.random.default_rng(3).integers(0, 255, (*size, 3), np.uint8)
    # What was there before is gone, the bars too.
    batch = np.full((3, transform.input_height, transform.input_width, 3), 77, np.uint8)
    row = to_input(image, transform, batch[1])
    assert np.shares_memory(row, batch)
    np.testing.assert_array_equal(batch[1], to_input(image, transform))
    assert (batch[[0, 2]] == 77).all()


BUDGET = {'input_height': 416, 'input_width': 544, 'resize': 'adaptive'}


@pytest.mark.parametrize(
    ('size', 'expected'),
    [
        ((480, 640), (416, 544)),
        ((576, 768), (416, 544)),
        ((1080, 1920), (352, 640)),
        ((1920, 1080), (640, 352)),
        ((1000, 1000), (480, 480)),
        ((60, 80), (416, 544)),
        ((6000, 8000), (416, 544)),
    ],
)
def test_adaptive_input_takes_the_proportions_of_the_image(size, expected, spec):
    spec = replace(spec, **BUDGET)
    assert input_size(size, spec) == expected
    transform = fit_transform(size, spec)
    assert (transform.input_height, transform.input_width) == expected
    assert transform.scale_x == pytest.approx(transform.scale_y, rel=0.02)


@pytest.mark.parametrize('size', [*SIZES, (10, 1000), (1000, 10), (1, 1), (5, 20000), (20000, 5)])
def test_adaptive_input_is_the_best_within_the_budget(size, spec):
    spec = replace(spec, **BUDGET)
    height, width = input_size(size, spec)
    assert height % 32 == width % 32 == 0
    assert min(height, width) >= 32
    budget = 1.05 * 416 * 544
    assert height * width <= budget
    scale = min(height / size[0], width / size[1])
    # No bar is a whole step wide, but for images that are thinner than one.
    for side, length in zip((height, width), size, strict=True):
        assert side - scale * length < 32 or side == 32
    others = ((32 * rows, 32 * columns) for rows in range(1, 233) for columns in range(1, 233))
    best = max(min(h / size[0], w / size[1]) for h, w in others if h * w <= budget)
    assert scale == pytest.approx(best)
    result = to_input(np.full((*size, 3), 255, np.uint8), fit_transform(size, spec))
    assert result.shape == (height, width, 3)
    assert result.any()


def test_adaptive_loses_less_than_the_letterbox(spec):
    for size in ((1080, 1920), (1920, 1080), (375, 1242)):
        adaptive = fit_transform(size, replace(spec, **BUDGET))
        fixed = fit_transform(size, replace(spec, **{**BUDGET, 'resize': 'letterbox'}))
        assert adaptive.scale_x > 1.1 * fixed.scale_x


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


def bilinear(image: np.ndarray, matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    """Plain bilinear reading where the map leads, pixel `i` at `i`, black outside."""
    rows, columns = np.mgrid[:height, :width]
    x = (columns - matrix[0, 2]) / matrix[0, 0]
    y = (rows - matrix[1, 2]) / matrix[1, 1]
    result = np.zeros((height, width, 3))
    for row in (0, 1):
        for column in (0, 1):
            left, top = np.floor(x).astype(int) + column, np.floor(y).astype(int) + row
            weight = (1 - np.abs(x - left)) * (1 - np.abs(y - top))
            inside = (left >= 0) & (left < image.shape[1]) & (top >= 0) & (top < image.shape[0])
            result[inside] += weight[inside][:, None] * image[top[inside], left[inside]].astype(
                float
            )
    return result


@pytest.mark.parametrize('size', [(97, 131), (60, 200), (120, 50)])
def test_pixels_of_the_originals_rule(size, spec):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    transform = fit_transform(size, replace(spec, resize='centertrack'))
    matrix = fixed_placement(size, (spec.input_height, spec.input_width)).matrix()
    network_input = to_input(image, transform)
    expected = bilinear(image, matrix, spec.input_height, spec.input_width)
    assert network_input.dtype == np.uint8
    # OpenCV's versions differ by up to two grey levels.
    assert np.abs(network_input - expected).max() <= 2.5


def test_the_originals_rule_cuts_off_what_is_above_and_below(spec):
    transform = fit_transform((480, 640), replace(spec, resize='centertrack'))
    corners = transform.boxes_to_input(np.array([[0, 0, 640, 480]], np.float32))[0]
    np.testing.assert_allclose(corners, [0, -12, 160, 108])


@pytest.mark.parametrize(
    ('size', 'multiple', 'scale', 'input_size', 'center'),
    [
        ((480, 640), 32, 1.0, (512, 672), (320, 240)),
        ((97, 131), 32, 1.0, (128, 160), (65, 48)),
        ((97, 131), 128, 1.0, (128, 256), (65, 48)),
        ((97, 131), 32, 0.5, (64, 96), (32, 24)),
        ((32, 31), 32, 1.0, (64, 32), (15, 16)),
    ],
)
def test_padded_inputs_are_larger_and_unscaled(size, multiple, scale, input_size, center):
    placement = padded_placement(size, multiple=multiple, test_scale=scale)
    assert placement.input_size == input_size
    assert placement.center == center
    transform = placement.transform
    offsets = (input_size[1] / 2 - center[0], input_size[0] / 2 - center[1])
    assert (transform.scale_x, transform.scale_y) == pytest.approx((1, 1))
    assert (transform.offset_x, transform.offset_y) == pytest.approx(offsets)


@pytest.mark.parametrize(
    ('size', 'input_size'),
    [((375, 1242), (320, 1088)), ((720, 405), (576, 320)), ((9, 9), (320, 320))],
)
def test_short_side_is_fixed_and_the_long_one_rounded_up(size, input_size):
    placement = short_side_placement(size, 320)
    assert placement.input_size == input_size
    assert placement.transform.scale_x == pytest.approx(input_size[1] / size[1])


def test_window_of_a_scaled_test_is_that_of_the_whole_image():
    placement = fixed_placement((480, 640), (96, 160), test_scale=0.5)
    assert placement.image_size == (240, 320)
    assert placement.center == (160, 120)
    assert placement.window == (640, 640)
    image = np.zeros((480, 640, 3), np.uint8)
    assert scaled_image(image, placement.image_size).shape == (240, 320, 3)
    assert scaled_image(image, (480, 640)) is image


def test_map_of_the_output_is_that_of_the_input_by_the_stride():
    placement = fixed_placement((97, 131), (96, 160))
    np.testing.assert_allclose(placement.matrix(4), placement.matrix() / 4)


def test_mirror_images_follow_the_images():
    batch = np.arange(12).reshape(2, 1, 6)
    doubled = with_mirrored(batch, width_axis=2)
    assert doubled.shape == (4, 1, 6)
    np.testing.assert_array_equal(doubled[:2], batch)
    np.testing.assert_array_equal(doubled[2:, 0], batch[:, 0, ::-1])


def test_normalised_images_are_planes_of_each_channel():
    image = np.full((1, 2, 3, 3), (10, 20, 40), np.uint8)
    values = normalised(image, (10, 0, 0), (1, 2, 10))
    assert values.shape == (1, 3, 2, 3)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[0, :, 0, 0], [0, 10, 4])
