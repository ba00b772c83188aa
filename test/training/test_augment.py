"""Augmentation: pictures and boxes stay together, both frames share one camera."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import fit_transform, to_input
from training.augment import (
    NO_AUGMENTATION,
    AugmentSettings,
    augment_pair,
    flip_frame,
    warp_frame,
)
from training.augment.colour import change_saturation
from training.augment.frames import warp_image
from training.data.labels import FrameLabels, FramePair, LabelledFrame, opencv_matrix

SIZE = (96, 160)
MOVING = replace(NO_AUGMENTATION, smallest_scale=0.5, largest_scale=2.0, fill=1.0, flip=0.5)


def square_frame(
    box: tuple[int, int, int, int], size: tuple[int, int] = (120, 200)
) -> LabelledFrame:
    """A white rectangle on grey, labelled."""
    image = np.full((*size, 3), 60, np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 255
    return LabelledFrame(image, FrameLabels.from_rows([box], [0], [1]))


def white_box(frame: LabelledFrame) -> list[float]:
    """Edges of what is white in a frame, to a fraction of a pixel."""
    white = np.clip((frame.image[..., 0].astype(float) - 60) / 195, 0, 1)
    columns, rows = white.max(axis=0), white.max(axis=1)
    x, y = np.flatnonzero(columns > 0.5), np.flatnonzero(rows > 0.5)
    return [x[0], y[0], x[-1] + 1, y[-1] + 1]


def still(frame: LabelledFrame) -> FramePair:
    """A still as both frames."""
    return FramePair(frame, frame, simulate_motion=True)


@pytest.mark.parametrize('seed', range(20))
def test_boxes_follow_the_picture(seed: int) -> None:
    pair = still(square_frame((70, 40, 110, 90)))
    settings = replace(MOVING, motion_shift=0.1, motion_scale=0.1, still=0.0)
    moved = augment_pair(pair, settings, SIZE, np.random.default_rng(seed))
    for frame in (moved.current, moved.previous):
        assert frame.image.shape == (*SIZE, 3)
        left, top, right, bottom = frame.labels.boxes[0]
        inside = left >= 1 and top >= 1 and right <= SIZE[1] - 1 and bottom <= SIZE[0] - 1
        if inside:
            np.testing.assert_allclose(frame.labels.boxes[0], white_box(frame), atol=1.0)


def test_warp_is_exact_to_a_fraction_of_a_pixel() -> None:
    # Three times as large: without the half pixel shift the box would be off by one.
    frame = square_frame((10, 10, 20, 30), (40, 60))
    large = warp_frame(frame, np.array([[3.0, 0, 0], [0, 3.0, 0]]), (120, 180))
    np.testing.assert_allclose(large.labels.boxes[0], [30, 30, 60, 90])
    np.testing.assert_allclose(white_box(large), [30, 30, 60, 90])


@pytest.mark.parametrize('pixel_middle', [0.5, 0.0])
def test_warp_is_that_of_opencv(pixel_middle: float) -> None:
    generator = np.random.default_rng(2)
    image = generator.integers(0, 256, (150, 230, 3), np.uint8)
    for _ in range(60):
        scale, angle = np.exp(generator.normal(0, 0.8)), generator.choice([0.0, 0.3, 3.0])
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        shift = generator.uniform(-250, 250, 2)
        matrix = np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])
        expected = cv2.warpAffine(image, opencv_matrix(matrix, pixel_middle), SIZE[::-1])
        warped = warp_image(image, matrix, SIZE, pixel_middle=pixel_middle)
        np.testing.assert_array_equal(warped, expected)


def test_no_augmentation_is_the_letterbox_of_the_runtime(spec: ModelSpec) -> None:
    generator = np.random.default_rng(0)
    image = generator.integers(0, 255, (150, 200, 3), np.uint8)
    frame = LabelledFrame(image, FrameLabels.from_rows([[10, 20, 60, 100]], [0], [1]))
    transform = fit_transform(image.shape[:2], spec)
    placed = augment_pair(still(frame), NO_AUGMENTATION, SIZE, generator)
    np.testing.assert_allclose(
        placed.current.labels.boxes, transform.boxes_to_input(frame.labels.boxes), atol=1e-4
    )
    difference = placed.current.image.astype(int) - to_input(image, transform)
    assert np.abs(difference).max() <= 8
    assert np.abs(difference).mean() < 0.6
    np.testing.assert_array_equal(placed.current.image, placed.previous.image)


def test_flip_twice_is_nothing() -> None:
    frame = square_frame((70, 40, 110, 90))
    once = flip_frame(frame)
    np.testing.assert_array_equal(once.labels.boxes, [[90, 40, 130, 90]])
    np.testing.assert_allclose(white_box(once), once.labels.boxes[0])
    twice = flip_frame(once)
    np.testing.assert_array_equal(twice.image, frame.image)
    np.testing.assert_array_equal(twice.labels.boxes, frame.labels.boxes)


def test_only_stills_get_motion() -> None:
    current, previous = square_frame((70, 40, 110, 90)), square_frame((60, 40, 100, 90))
    settings = replace(MOVING, motion_shift=0.2, motion_scale=0.2, still=0.0, flip=0.0)
    video = augment_pair(FramePair(current, previous), settings, SIZE, np.random.default_rng(1))
    sizes = [frame.labels.boxes[0, 2:] - frame.labels.boxes[0, :2]
             for frame in (video.current, video.previous)]  # fmt: skip
    np.testing.assert_allclose(sizes[0], sizes[1], rtol=1e-5)
    moved = augment_pair(still(current), settings, SIZE, np.random.default_rng(1))
    assert (moved.current.labels.boxes != moved.previous.labels.boxes).any()


def test_framed_pairs_keep_their_place() -> None:
    frame = square_frame((70, 40, 110, 90), SIZE)
    settings = replace(AugmentSettings(), flip=0.0)
    pair = FramePair(frame, frame, framed=True)
    moved = augment_pair(pair, settings, SIZE, np.random.default_rng(0))
    np.testing.assert_array_equal(moved.current.labels.boxes, frame.labels.boxes)
    other = square_frame((70, 40, 110, 90))
    wrong = FramePair(other, other, framed=True)
    with pytest.raises(ValueError, match=r'\(96, 160\).*\(120, 200\)'):
        augment_pair(wrong, settings, SIZE, np.random.default_rng(0))


def test_same_seed_same_pair_and_arguments_unchanged() -> None:
    frame = square_frame((70, 40, 110, 90))
    before = frame.image.copy()
    frame.image.flags.writeable = False
    settings = AugmentSettings(
        rotation=0.1, saturation=1.0, blur=1.0, low_resolution=1.0, noise=1.0, jpeg=1.0
    )
    first, second = (
        augment_pair(still(frame), settings, SIZE, np.random.default_rng(5)) for _ in range(2)
    )
    np.testing.assert_array_equal(first.current.image, second.current.image)
    np.testing.assert_array_equal(first.previous.image, second.previous.image)
    np.testing.assert_array_equal(frame.image, before)
    other = augment_pair(still(frame), settings, SIZE, np.random.default_rng(6))
    assert (other.current.image != first.current.image).any()


def test_bars_of_a_letterbox_stay_black() -> None:
    settings = replace(NO_AUGMENTATION, colour=0.5)
    frame = LabelledFrame(np.full((100, 40, 3), 128, np.uint8), FrameLabels.from_rows())
    for seed in range(10):
        moved = augment_pair(still(frame), settings, SIZE, np.random.default_rng(seed))
        assert not moved.current.image[:, :40].any()


def test_saturation_leaves_grey_alone() -> None:
    grey = np.full((4, 4, 3), 90, np.uint8)
    np.testing.assert_allclose(change_saturation(grey, 1.7), grey, atol=1)
    colour = np.full((4, 4, 3), (200, 100, 50), np.uint8)
    assert np.ptp(change_saturation(colour, 0.0)[0, 0]) <= 1


def test_frame_without_objects() -> None:
    frame = LabelledFrame(np.zeros((50, 70, 3), np.uint8), FrameLabels.from_rows())
    moved = augment_pair(still(frame), AugmentSettings(), SIZE, np.random.default_rng(0))
    assert len(moved.current.labels) == 0


def test_pixels_whose_middle_is_a_whole_number() -> None:
    # The convention of the originals: pixel i is in the picture of i, and turns to W - 1 - i.
    image = np.zeros((8, 12, 3), np.uint8)
    image[3, 5] = 200
    labels = replace(
        FrameLabels.from_rows([[5, 3, 9, 7]], [0], [1]),
        joints=np.float32([[[5, 3, 2], [6, 4, 2]]]),
        joint_pairs=((0, 1),),
    )
    frame = LabelledFrame(image, labels)
    moved = warp_frame(frame, np.array([[2.0, 0, 1], [0, 2.0, 0]]), (16, 26), pixel_middle=0.0)
    np.testing.assert_array_equal(np.argwhere(moved.image[..., 0] == 200), [[6, 11]])
    np.testing.assert_array_equal(moved.labels.joints[0, 0, :2], [11, 6])
    turned = flip_frame(frame, pixel_middle=0.0)
    np.testing.assert_array_equal(np.argwhere(turned.image[..., 0] == 200), [[3, 6]])
    np.testing.assert_array_equal(turned.labels.joints[0, :, :2], [[5, 4], [6, 3]])
    np.testing.assert_array_equal(turned.labels.boxes, [[2, 3, 6, 7]])


@pytest.mark.parametrize('seed', range(5))
def test_things_that_look_larger_are_nearer(seed: int) -> None:
    frame = square_frame((70, 40, 110, 90))
    labels = replace(frame.labels, depth=np.float32([10]))
    frame = replace(frame, labels=labels)
    moved = augment_pair(still(frame), MOVING, SIZE, np.random.default_rng(seed))
    letterbox = min(160 / 200, 96 / 120)
    box = moved.current.labels.boxes[0]
    enlargement = (box[2] - box[0]) / 40 / letterbox
    np.testing.assert_allclose(moved.current.labels.depth, 10 / enlargement, rtol=1e-5)


def test_joints_and_boxes_stay_together_whatever_happens() -> None:
    corners = np.float32([[[70, 40, 2], [110, 90, 2]]])
    frame = square_frame((70, 40, 110, 90))
    frame = replace(frame, labels=replace(frame.labels, joints=corners, joint_pairs=((0, 1),)))
    for seed in range(10):
        moved = augment_pair(still(frame), MOVING, SIZE, np.random.default_rng(seed))
        for labels in (moved.current.labels, moved.previous.labels):
            places = np.sort(labels.joints[0, :, 0])
            np.testing.assert_allclose(places, labels.boxes[0, [0, 2]], rtol=1e-5)
            np.testing.assert_allclose(np.sort(labels.joints[0, :, 1]), labels.boxes[0, [1, 3]])
