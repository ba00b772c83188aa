"""Augmentation in CenterTrack's way: what is drawn how often, and that labels follow pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from centertrack_ros.model_spec import ResizeRule
from training.augment import NO_AUGMENTATION, AugmentSettings, augment_pair
from training.augment.colour import centertrack_colour
from training.augment.framing import centertrack_framing, runtime_scale
from training.data.labels import FrameLabels, FramePair, LabelledFrame

SIZE = (192, 320)
SHARP = {'blur': 0.0, 'low_resolution': 0.0, 'noise': 0.0, 'jpeg': 0.0}
PLACE_ONLY = replace(AugmentSettings.original(), colour_range=0.0, lighting=0.0, flip=0.0)
JITTER = replace(PLACE_ONLY, shift=0.05, scale=0.05)


def marked_frame(
    left: tuple[float, float],
    right: tuple[float, float],
    size: tuple[int, int] = (240, 360),
    *,
    pixel_middle: float = 0.5,
) -> LabelledFrame:
    """A blue mark at `left` and a green one at `right`, which are everything that is labelled."""
    rows, columns = np.mgrid[: size[0], : size[1]] + pixel_middle
    image = np.zeros((*size, 3), np.uint8)
    for channel, (x, y) in enumerate((left, right)):
        image[..., channel] = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 4.0**2))
    corners = np.array([np.minimum(left, right), np.maximum(left, right)])
    labels = replace(
        FrameLabels.from_rows(corners.reshape(1, 4), [0], [1]),
        joints=np.array([[[*left, 2], [*right, 2]]], np.float32),
        joint_pairs=((0, 1),),
        amodal_centers=np.array([left], np.float32),
        depth=np.array([10.0], np.float32),
        outlines=((np.array([left, right, left], np.float32),),),
    )
    return LabelledFrame(image, labels)


def mark(frame: LabelledFrame, channel: int, pixel_middle: float) -> np.ndarray | None:
    """Place of a mark in the picture; None where a part of it is cut off."""
    light = frame.image[..., channel].astype(float)
    border = max(light[0].max(), light[-1].max(), light[:, 0].max(), light[:, -1].max())
    if border > 0 or light.max() < 150:
        return None
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]] + pixel_middle
    return np.array([(columns * light).sum(), (rows * light).sum()]) / light.sum()


OPTIONS: dict[str, dict[str, Any]] = {
    'crop': {},
    'jitter': {'shift': 0.05, 'scale': 0.05},
    'same': {'shift': 0.05, 'scale': 0.05, 'same_previous': True},
    'no crop': {'crop_scales': (), 'shift': 0.1, 'scale': 0.2},
    'turned': {'shift': 0.05, 'scale': 0.05, 'rotation': 0.2, 'rotation_chance': 0.7},
    'flipped': {'shift': 0.05, 'scale': 0.05, 'flip': 1.0},
    'flipped and turned': {'rotation': 0.3, 'flip': 1.0},
}


@pytest.mark.parametrize('pixel_middle', [0.5, 0.0])
@pytest.mark.parametrize('still', [True, False])
@pytest.mark.parametrize('name', OPTIONS)
def test_labels_follow_the_pixels(name: str, still: bool, pixel_middle: float) -> None:
    first = marked_frame((150.5, 90.25), (210, 140), pixel_middle=pixel_middle)
    second = marked_frame((160, 110), (200.75, 133.5), pixel_middle=pixel_middle)
    pair = FramePair(first, first if still else second, simulate_motion=still)
    settings = replace(PLACE_ONLY, **OPTIONS[name])
    flipped, found = settings.flip == 1, 0
    for seed in range(12):
        generator = np.random.default_rng(seed)
        moved = augment_pair(pair, settings, SIZE, generator, pixel_middle=pixel_middle)
        for frame in (moved.current, moved.previous):
            assert frame.image.shape == (*SIZE, 3)
            assert frame.image.dtype == np.uint8
            for channel in (0, 1):
                place = mark(frame, channel, pixel_middle)
                if place is None:
                    continue
                found += 1
                joint = 1 - channel if flipped else channel
                labels = frame.labels
                np.testing.assert_allclose(labels.joints[0, joint, :2], place, atol=0.1)
                np.testing.assert_allclose(labels.outlines[0][0][channel], place, atol=0.1)
                if channel == 0:
                    np.testing.assert_allclose(labels.amodal_centers[0], place, atol=0.1)
                if settings.rotation == 0:
                    corners = labels.boxes[0].reshape(2, 2)
                    np.testing.assert_allclose(
                        np.abs(corners - place).min(axis=0), [0, 0], atol=0.1
                    )
    assert found >= 16


@pytest.mark.parametrize('resize', ['letterbox', 'centertrack'])
@pytest.mark.parametrize('image_size', [(120, 400), (300, 300), (400, 200)])
@pytest.mark.parametrize('settings', [PLACE_ONLY, JITTER, NO_AUGMENTATION])
def test_depth_is_that_of_things_as_large_at_run_time(
    settings: AugmentSettings, image_size: tuple[int, int], resize: ResizeRule
) -> None:
    frame = marked_frame((80, 60), (120, 100), image_size)
    for seed in range(8):
        pair = FramePair(frame, frame, simulate_motion=True)
        labels = augment_pair(
            pair, settings, SIZE, np.random.default_rng(seed), resize=resize
        ).current.labels
        scale = (labels.boxes[0, 2] - labels.boxes[0, 0]) / 40
        depth = 10 * runtime_scale(image_size, SIZE, resize) / scale
        np.testing.assert_allclose(labels.depth, depth, rtol=1e-4)


def test_depth_is_multiplied_with_the_scale_of_the_crop() -> None:
    frame = marked_frame((80, 60), (120, 100), (400, 200))
    pair = FramePair(frame, frame, simulate_motion=True)
    settings = replace(PLACE_ONLY, crop_scales=(1.3,))
    moved = augment_pair(
        pair, settings, SIZE, np.random.default_rng(0), resize='centertrack'
    ).current.labels
    np.testing.assert_allclose(moved.depth, 13.0, rtol=1e-5)


def draws(
    settings: AugmentSettings, count: int, image_size: tuple[int, int], *, same_frame: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Middles (N, 2) and sides (N,) of the crops of the current and of the previous frame."""
    generator = np.random.default_rng(3)
    crops: list[tuple[np.ndarray, float]] = []
    for _ in range(count):
        framing = centertrack_framing(image_size, SIZE, settings, generator, same_frame=same_frame)
        for matrix in (framing.current, framing.previous):
            back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
            middle = back[:2, :2] @ [SIZE[1] / 2, SIZE[0] / 2] + back[:2, 2]
            crops.append((middle, SIZE[1] * np.sqrt(np.linalg.det(back[:2, :2]))))
    middles = np.array([crop[0] for crop in crops]).reshape(-1, 2, 2)
    sides = np.array([crop[1] for crop in crops]).reshape(-1, 2)
    return middles[:, 0], sides[:, 0], middles[:, 1], sides[:, 1]


@pytest.mark.parametrize(
    ('image_size', 'borders'),
    [((480, 640), (128, 128)), ((100, 200), (64, 32)), ((257, 256), (64, 128)), ((1, 3), (1, 0))],
)
def test_crops_are_spread_as_in_the_original(
    image_size: tuple[int, int], borders: tuple[int, int]
) -> None:
    middles, sides, previous_middles, previous_sides = draws(PLACE_ONLY, 1500, image_size)
    shares = sides / max(image_size)
    values, counts = np.unique(shares.round(3), return_counts=True)
    np.testing.assert_allclose(values, [0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3], atol=2e-3)
    np.testing.assert_allclose(counts / 1500, 1 / 8, atol=0.035)
    for axis, (length, border) in enumerate(zip(image_size[::-1], borders, strict=True)):
        # Whole pixels, from the border to one before the other border.
        low, high = border, length - border - 1
        places = middles[:, axis]
        np.testing.assert_allclose(places, places.round(), atol=5e-3)
        assert places.min() >= low - 0.01
        assert places.max() <= high + 0.01
        assert places.mean() == pytest.approx((low + high) / 2, abs=0.03 * (high - low) + 0.01)
        spread = np.sqrt(((high - low + 1) ** 2 - 1) / 12)
        assert places.std() == pytest.approx(spread, rel=0.06, abs=0.01)
    # Without shift and scale the previous frame is cut alike.
    np.testing.assert_allclose(previous_middles, middles, atol=5e-3)
    np.testing.assert_allclose(previous_sides, sides, rtol=1e-4)


def test_previous_frame_is_jittered_in_sides_of_the_crop() -> None:
    middles, sides, previous_middles, previous_sides = draws(JITTER, 2000, (480, 640))
    shifts = (previous_middles - middles) / sides[:, None]
    assert np.abs(shifts).max() == pytest.approx(0.1, abs=1e-4)
    # 0.959 is the deviation of a normal variable cut at 2; a share of 0.0455 lies there.
    np.testing.assert_allclose(shifts.std(axis=0), 0.05 * 0.9594, rtol=0.05)
    np.testing.assert_allclose(shifts.mean(axis=0), 0, atol=0.004)
    assert (np.abs(shifts) > 0.0999).mean() == pytest.approx(0.0455, abs=0.01)
    growths = previous_sides / sides - 1
    assert np.abs(growths).max() == pytest.approx(0.05, abs=1e-4)
    assert (np.abs(growths) > 0.0499).mean() == pytest.approx(0.3173, abs=0.03)
    assert growths.mean() == pytest.approx(0, abs=0.004)


def test_same_previous_is_for_two_frames_only() -> None:
    settings = replace(JITTER, same_previous=True)
    middles, sides, previous, previous_sides = draws(settings, 50, (480, 640), same_frame=False)
    np.testing.assert_array_equal(previous, middles)
    np.testing.assert_array_equal(previous_sides, sides)
    middles, _, previous, _ = draws(settings, 50, (480, 640), same_frame=True)
    assert (previous != middles).all()
    # Without it, two frames of a video are cut differently on top of their own motion.
    middles, _, previous, _ = draws(JITTER, 50, (480, 640), same_frame=False)
    assert (previous != middles).all()


def test_without_a_random_crop_the_current_frame_is_jittered() -> None:
    settings = replace(JITTER, crop_scales=())
    middles, sides, _, _ = draws(settings, 1500, (480, 640))
    shifts = (middles - [320, 240]) / 640
    np.testing.assert_allclose(shifts.std(axis=0), 0.05 * 0.9594, rtol=0.05)
    assert np.abs(sides / 640 - 1).max() == pytest.approx(0.05, abs=1e-4)


def test_both_frames_turn_alike_and_not_always() -> None:
    settings = replace(JITTER, rotation=0.1, rotation_chance=0.4)
    generator = np.random.default_rng(0)
    angles = []
    for _ in range(3000):
        framing = centertrack_framing((480, 640), SIZE, settings, generator, same_frame=True)
        pair = [np.arctan2(matrix[1, 0], matrix[0, 0])
                for matrix in (framing.current, framing.previous)]  # fmt: skip
        assert pair[0] == pytest.approx(pair[1], abs=1e-4)
        angles.append(pair[0])
    turned = np.abs(angles) > 1e-6
    assert turned.mean() == pytest.approx(0.4, abs=0.03)
    assert np.std(np.array(angles)[turned]) == pytest.approx(0.1 * 0.9594, rel=0.06)
    assert np.abs(angles).max() == pytest.approx(0.2, abs=1e-3)


def test_flip_is_shared() -> None:
    frame = marked_frame((150, 90), (210, 140))
    settings = replace(PLACE_ONLY, flip=0.5, crop_scales=(1.0,))
    turned = 0
    for seed in range(300):
        moved = augment_pair(
            FramePair(frame, frame, simulate_motion=True),
            settings,
            SIZE,
            np.random.default_rng(seed),
        )
        sides = [
            np.sign(np.subtract(*labels.joints[0, :, 0]))
            for labels in (moved.current.labels, moved.previous.labels)
        ]
        assert sides[0] == sides[1]
        # The left joint lies left of the right one in the picture, and in its mirror image too.
        assert sides[0] < 0
        first, second = moved.current.labels.outlines[0][0][:2]
        turned += int(first[0] > second[0])
    assert turned / 300 == pytest.approx(0.5, abs=0.09)


@pytest.mark.parametrize('seed', range(12))
def test_colour_is_the_three_changes_one_after_the_other(seed: int) -> None:
    image = np.random.default_rng(100).integers(90, 150, (40, 50, 3)).astype(np.uint8)
    settings = AugmentSettings.original()
    changed = centertrack_colour(settings, np.random.default_rng(seed))(image)
    # The same numbers in the same order, pixel by pixel in floating point.
    generator = np.random.default_rng(seed)
    values = image / 255.0
    grey = values @ [0.114, 0.587, 0.299]
    for kind in generator.permutation(3):
        factor = generator.uniform(0.6, 1.4)
        values = values * factor
        if kind == 1:
            values = values + (1 - factor) * grey.mean()
        elif kind == 2:
            values = values + (1 - factor) * grey[..., None]
    spreads = np.array([0.2141788, 0.01817699, 0.00341571])
    axes = np.array([[-0.58752847, -0.69563484, 0.41340352],
                     [-0.5832747, 0.00994535, -0.81221408],
                     [-0.56089297, 0.71832671, 0.41158938]])  # fmt: skip
    values = values + axes @ (spreads * generator.normal(0, 0.1, 3))
    # OpenCV's sums are in fixed point.
    np.testing.assert_allclose(changed, np.clip(255 * values, 0, 255), atol=0.75)


def _brightness(settings: AugmentSettings, count: int) -> np.ndarray:
    """Mean levels (N, 2) of a grey current and previous frame of level 100."""
    frame = LabelledFrame(np.full((8, 8, 3), 100, np.uint8), FrameLabels.from_rows())
    pair = FramePair(frame, frame, framed=True)
    pairs = (
        augment_pair(pair, settings, (8, 8), np.random.default_rng(seed)) for seed in range(count)
    )
    return np.array([[p.current.image.mean(), p.previous.image.mean()] for p in pairs])


def test_each_frame_has_its_own_colour_in_the_original_only() -> None:
    original = _brightness(replace(AugmentSettings.original(), lighting=0.0), 1500) / 100
    # On an even grey only the brightness counts; contrast and saturation, one third of the time
    # one of them and one third both, blend its result with the grey from before.
    even = 0.8**2 / 12
    spread = np.sqrt(even * (1 + (1 + even) + (1 + even) ** 2) / 3)
    np.testing.assert_allclose(original.mean(axis=0), 1, atol=0.02)
    np.testing.assert_allclose(original.std(axis=0), spread, rtol=0.05)
    assert abs(np.corrcoef(original.T)[0, 1]) < 0.08
    ours = _brightness(AugmentSettings(framing='centertrack', **SHARP), 300)
    assert np.corrcoef(ours.T)[0, 1] > 0.98
    lit = _brightness(replace(AugmentSettings.original(), colour_range=0.0), 1500) / 255
    # The first main colour is nearly grey: 0.577 of its spread in each channel.
    np.testing.assert_allclose(lit.std(axis=0), 0.1 * 0.2141788 * 0.577, rtol=0.1)


@pytest.mark.parametrize('framing', ['letterbox', 'centertrack'])
def test_exposure_flickers_between_the_frames(framing: Any) -> None:
    settings = AugmentSettings(framing=framing, colour=0.0, saturation=0.0, flicker=0.05, **SHARP)
    levels = _brightness(settings, 1500)
    np.testing.assert_allclose(levels[:, 0], 100, atol=1)
    change = levels[:, 1] / levels[:, 0] - 1
    # Three times as strong in every tenth pair.
    assert change.std() == pytest.approx(0.05 * np.sqrt(0.9 + 0.1 * 9), rel=0.1)
    assert (np.abs(change) > 0.02).mean() > 0.5


@pytest.mark.parametrize(
    'moving',
    [
        replace(NO_AUGMENTATION, blur=1.0, motion_shift=0.1, still=0.0, flip=0.5),
        replace(JITTER, blur=1.0, flip=0.5, crop_scales=(1.0,)),
    ],
)
def test_motion_blur_lies_along_the_motion(moving: AugmentSettings) -> None:
    image = np.zeros((400, 640, 3), np.uint8)
    image[198:203, 318:323] = 255
    labels = replace(
        FrameLabels.from_rows([[300, 180, 341, 221]], [0], [1]),
        joints=np.array([[[320.5, 200.5, 2]]], np.float32),
    )
    frame = LabelledFrame(image, labels)
    smeared = 0
    for seed in range(80):
        moved = augment_pair(
            FramePair(frame, frame, simulate_motion=True),
            moving,
            (400, 640),
            np.random.default_rng(seed),
        )
        way = moved.current.labels.joints[0, 0, :2] - moved.previous.labels.joints[0, 0, :2]
        place = moved.current.labels.joints[0, 0, :2]
        if np.hypot(*way) < 8 or (place < 30).any() or (place > [610, 370]).any():
            continue
        light = moved.current.image[..., 0].astype(float)
        points = np.argwhere(light > 0)[:, ::-1] + 0.5 - place
        weights = light[light > 0]
        spread = (points * weights[:, None]).T @ points / weights.sum()
        sizes, axes = np.linalg.eigh(spread)
        if sizes[1] > 2.0 * sizes[0]:
            smeared += 1
            assert abs(axes[:, 1] @ way) / np.hypot(*way) > 0.9
            # No longer than 9 pixels beside the mark of 5.
            assert np.ptp(points @ axes[:, 1]) < 18
    assert smeared >= 8


def test_same_seed_same_pair_and_arguments_unchanged() -> None:
    frame = marked_frame((150, 90), (210, 140))
    before = frame.image.copy()
    frame.image.flags.writeable = False
    settings = replace(
        AugmentSettings.original(shift=0.05, scale=0.05),
        rotation=0.1, blur=1.0, low_resolution=1.0, noise=1.0, jpeg=1.0,
    )  # fmt: skip
    pair = FramePair(frame, frame, simulate_motion=True)
    first, second, other = (
        augment_pair(pair, settings, SIZE, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    for name in ('current', 'previous'):
        ours, theirs = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(ours.image, theirs.image)
        np.testing.assert_array_equal(ours.labels.joints, theirs.labels.joints)
        assert (getattr(other, name).image != ours.image).any()
    np.testing.assert_array_equal(frame.image, before)


_ORIGINAL = {'framing': 'centertrack', 'colour_rule': 'centertrack', **SHARP}


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ({'shift': 0.05, 'scale': 0.05}, AugmentSettings.original(shift=0.05, scale=0.05)),
        ({'shift': 0.01, 'scale': 0.05}, AugmentSettings.original(shift=0.01, scale=0.05)),
        ({'same_previous': True}, AugmentSettings.original(same_previous=True)),
        ({}, AugmentSettings.original()),
        ({'crop_scales': []}, replace(AugmentSettings.original(), crop_scales=())),
    ],
)
def test_every_experiment_of_the_original_can_be_written(
    values: dict[str, Any], expected: AugmentSettings
) -> None:
    read = TypeAdapter(AugmentSettings).validate_python(_ORIGINAL | values)
    assert read == expected


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'shift': 0.05}, 'shift: only `framing: centertrack` reads it, received 0.05'),
        ({'same_previous': True}, 'same_previous: only `framing: centertrack`'),
        ({**_ORIGINAL, 'smallest_scale': 0.8}, 'smallest_scale: only `framing: letterbox`'),
        ({**_ORIGINAL, 'colour': 0.4}, 'colour: only `colour_rule: camera` reads it'),
        ({'flip': 1.5}, 'flip: expected 0 to 1, received 1.5'),
        ({'noise': -0.1}, 'noise: expected 0 to 1'),
        ({'flicker': float('nan')}, 'flicker: expected 0 or more'),
        ({'smallest_scale': 2.0}, 'expected positive and in this order, received 2.0 and 1.5'),
        ({**_ORIGINAL, 'crop_scales': [0.5, 0]}, 'crop_scales: expected positive'),
        ({'shfit': 0.1}, 'shfit'),
        ({'framing': 'mosaic'}, 'letterbox'),
    ],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(AugmentSettings).validate_python(values)
    assert message in str(error.value)


def test_an_input_that_is_stretched_at_run_time_is_refused() -> None:
    frame = marked_frame((150, 90), (210, 140))
    with pytest.raises(ValueError, match="expected 'letterbox' or 'centertrack', received 'str"):
        augment_pair(
            FramePair(frame, frame),
            NO_AUGMENTATION,
            SIZE,
            np.random.default_rng(0),
            resize='stretch',
        )
