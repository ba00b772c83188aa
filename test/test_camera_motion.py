"""Camera motion from two pictures: known motions are found, what says nothing gives none."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from centertrack_ros.camera_motion import estimate_motion, grey_picture
from centertrack_ros.datatypes import FrameTransform

# An image of 1280 x 720 in an input of 640 x 480 with bars above and below.
TRANSFORM = FrameTransform(0.5, 0.5, 0.0, 60.0, 1280, 720, 640, 480)
NOBODY = np.zeros((0, 4), np.float32)


@pytest.fixture(scope='module')
def scene():
    """A random texture, larger than the image, coarse and fine as those of photos are."""
    random = np.random.default_rng(5)
    layers = [
        cv2.resize(random.uniform(0, 85, (rows, columns, 3)), (2000, 1200))
        for rows, columns in ((6, 10), (24, 40), (72, 120))
    ]
    return np.sum(layers, axis=0).astype(np.uint8)


def motion(zoom: float, angle: float, shift: tuple[float, float]) -> np.ndarray:
    """Affine map (2, 3) of image pixels around the middle of the image."""
    matrix = cv2.getRotationMatrix2D((640, 360), angle, zoom)
    matrix[:, 2] += shift
    return matrix


def view(scene, matrix: np.ndarray) -> np.ndarray:
    """Grey picture of the image whose content went through `matrix`."""
    whole = np.vstack((matrix, [0, 0, 1])) @ np.array([[1, 0, -300], [0, 1, -200], [0, 0, 1.0]])
    image = cv2.warpAffine(scene, whole[:2], (1280, 720))
    small = cv2.resize(image, (640, 360), interpolation=cv2.INTER_AREA)
    return grey_picture(np.pad(small, ((60, 60), (0, 0), (0, 0))))


STILL = motion(1.0, 0.0, (0, 0))
SHIFTED = motion(1.0, 0.0, (40, 0))


def largest_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Pixels by which the two maps differ at most in the corners of the image."""
    corners = np.array([[0, 0, 1], [1280, 0, 1], [0, 720, 1], [1280, 720, 1.0]])
    return float(np.abs(corners @ (found - expected).T).max())


@pytest.mark.parametrize(
    ('zoom', 'angle', 'shift'),
    [(1.0, 0.0, (24, -10)), (1.0, 0.0, (-80, 40)), (1.03, 0.0, (6, 0)), (1.0, 1.5, (10, 5))],
)
def test_known_motions_are_found_in_image_pixels(scene, zoom, angle, shift) -> None:
    expected = motion(zoom, angle, shift)
    found = estimate_motion(view(scene, STILL), view(scene, expected), TRANSFORM, NOBODY)
    assert found.dtype == np.float32
    assert found.shape == (2, 3)
    # A quarter of a pixel of the small picture.
    assert largest_error(found, expected) < 2.0


def test_a_still_camera_stands_still(scene) -> None:
    picture = view(scene, STILL)
    noise = np.random.default_rng(0).integers(-2, 3, picture.shape)
    noisy = (picture + noise).clip(0, 255).astype(np.uint8)
    for after in (picture, noisy):
        assert estimate_motion(picture, after, TRANSFORM, NOBODY) is None


@pytest.mark.parametrize('shift', [(2.4, 0.0), (0.0, -1.6), (-1.2, 1.2)])
def test_small_shakes_are_not_taken_for_standing_still(scene, shift) -> None:
    """From 1.5 times the step that counts as standing still; a picture pixel is 8 image pixels."""
    expected = motion(1.0, 0.0, shift)
    found = estimate_motion(view(scene, STILL), view(scene, expected), TRANSFORM, NOBODY)
    assert found is not None
    assert largest_error(found, expected) < 1.0


def test_zooming_and_turning_around_the_middle_are_seen(scene) -> None:
    """The middle of the picture hardly moves."""
    for expected in (motion(1.02, 0.0, (0, 0)), motion(1.0, 1.0, (0, 0))):
        found = estimate_motion(view(scene, STILL), view(scene, expected), TRANSFORM, NOBODY)
        assert found is not None
        assert largest_error(found, expected) < 2.0


@pytest.mark.parametrize('size', [(128, 96), (320, 256), (417, 545), (544, 960), (1088, 1920)])
def test_pictures_of_all_sizes(size) -> None:
    """Halved until they are small, with the same content and proportions."""
    image = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    picture = grey_picture(image)
    assert picture.dtype == np.uint8
    assert min(112, size[1]) <= picture.shape[1] < 224
    assert picture.shape[0] / picture.shape[1] == pytest.approx(size[0] / size[1], rel=0.02)
    slow = cv2.resize(
        cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32),
        picture.shape[::-1],
        interpolation=cv2.INTER_AREA,
    )
    # Each halving rounds to whole grey levels; odd sides lose a pixel.
    if size != (417, 545):
        assert np.abs(picture - slow).max() <= 2.0


def test_pictures_that_say_nothing_give_no_motion(scene) -> None:
    flat = np.full((120, 160), 90, np.uint8)
    picture = view(scene, STILL)
    other = view(scene[::-1].copy(), STILL)
    for pair in ((flat, flat), (picture, flat), (picture, other)):
        assert estimate_motion(*pair, TRANSFORM, NOBODY) is None
    everywhere = np.array([[-1, -200, 1281, 900]], np.float32)
    assert estimate_motion(picture, view(scene, SHIFTED), TRANSFORM, everywhere) is None


def test_a_crowd_walking_one_way_is_not_the_camera(scene) -> None:
    """People cover more than half of the image: the rest decides."""
    box = np.array([[150, 0, 1000, 720]], np.float32)
    image, walked = (view(scene, motion(1.0, 0.0, shift)) for shift in ((0, 0), (32, 0)))
    after = image.copy()
    after[:, 23:121] = walked[:, 23:121]
    found = estimate_motion(image, after, TRANSFORM, box)
    assert found is None or largest_error(found, STILL) < 2.0
    assert largest_error(estimate_motion(image, after, TRANSFORM, NOBODY), STILL) > 10


def test_arguments_stay_as_they_are(scene) -> None:
    first, second = view(scene, STILL), view(scene, motion(1.0, 0.0, (8, 0)))
    boxes = np.array([[100, 100, 200, 300]], np.float32)
    kept = [array.copy() for array in (first, second, boxes)]
    estimate_motion(first, second, TRANSFORM, boxes)
    for array, copy in zip((first, second, boxes), kept, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_it_takes_a_small_part_of_a_frame(scene) -> None:
    """The budget is 1 ms; five times that still says that nothing is badly wrong."""
    network_input = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    first, second = view(scene, STILL), view(scene, motion(1.0, 0.0, (8, 0)))
    times = []
    for _ in range(20):
        start = time.perf_counter()
        grey_picture(network_input)
        estimate_motion(first, second, TRANSFORM, NOBODY)
        times.append(time.perf_counter() - start)
    assert min(times) < 5e-3
