"""Augmentation of frame pairs: one crop, flip and camera for both, simulated motion for stills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from centertrack_ros.datatypes import Image
from training.data.compositing import motion_blur
from training.data.labels import FramePair, LabelledFrame, Reals, opencv_matrix
from training.data.scene import compose

ImageChange = Callable[[Image], Image]


@dataclass(frozen=True)
class AugmentSettings:
    """How much is changed; zero chances and a scale of 1 leave a pair as it is.

    Attributes:
        smallest_scale, largest_scale: size of the picture against one that fits the input.
        fill: up to which share of the way from a letterbox to filling the input "fits" is drawn.
        flip: chance of turning left to right.
        rotation: standard deviation of the roll, radians.
        motion_shift: standard deviation of the simulated motion of stills where it is strongest,
            in input sizes. It is drawn down to a tenth of that: between two frames of a video most
            things move little, and little has to be measured as well as much.
        motion_scale: the same of its growth, as logarithm.
        still: chance that a still is left without motion.
        colour: strength of the change of exposure, contrast, gamma and white balance.
        flicker: the same between the two frames.
        saturation: chance of a change of saturation.
        blur, low_resolution, noise, jpeg: chances of these faults of cameras.
    """

    smallest_scale: float = 0.6
    largest_scale: float = 1.5
    fill: float = 1.0
    flip: float = 0.5
    rotation: float = 0.0
    motion_shift: float = 0.08
    motion_scale: float = 0.05
    still: float = 0.15
    colour: float = 0.2
    flicker: float = 0.03
    saturation: float = 0.4
    blur: float = 0.15
    low_resolution: float = 0.1
    noise: float = 0.25
    jpeg: float = 0.1


NO_AUGMENTATION = AugmentSettings(
    smallest_scale=1.0,
    largest_scale=1.0,
    fill=0.0,
    flip=0.0,
    motion_shift=0.0,
    motion_scale=0.0,
    colour=0.0,
    flicker=0.0,
    saturation=0.0,
    blur=0.0,
    low_resolution=0.0,
    noise=0.0,
    jpeg=0.0,
)


def augment_pair(
    pair: FramePair,
    settings: AugmentSettings,
    input_size: tuple[int, int],
    generator: np.random.Generator,
    *,
    pixel_middle: float = 0.5,
    previous_hulls: bool = True,
) -> FramePair:
    """The pair as seen by one randomly placed, imperfect camera, at the size of the input.

    Depths become those of things seen as large by the camera of the run-time letterbox.

    Args:
        pair: two frames; not changed. Its two images may have different sizes.
        settings: how much is changed.
        input_size: (height, width) of the images of the result.
        generator: source of randomness.
        pixel_middle, previous_hulls: see `training.targets.TargetRules`.
    """
    moved = _place(pair, settings, input_size, generator, pixel_middle, previous_hulls)
    if generator.random() < settings.flip:
        flip = partial(flip_frame, pixel_middle=pixel_middle)
        moved = _mapped(moved, flip, flip)
    shared = _camera_faults(settings, generator)
    tables = _colour_tables(settings, generator)
    saturation = float(generator.uniform(0.3, 1.5))
    saturate = generator.random() < settings.saturation

    def shoot(image: Image, table: Image) -> Image:
        if saturate:
            image = change_saturation(image, saturation)
        if settings.colour > 0:
            image = cv2.LUT(image, table)
        for change in shared:
            image = change(image)
        return image

    return _mapped(
        moved,
        lambda frame: replace(frame, image=shoot(frame.image, tables[0])),
        lambda frame: replace(frame, image=shoot(frame.image, tables[1])),
    )


def warp_frame(
    frame: LabelledFrame,
    matrix: Reals,
    size: tuple[int, int],
    *,
    pixel_middle: float = 0.5,
    hulls: bool = True,
) -> LabelledFrame:
    """The frame after an affine map (2, 3), cut to `size` (height, width); black outside.

    Args:
        frame: not changed.
        matrix: of coordinates, see `pixel_middle`.
        size: of the result.
        pixel_middle: coordinate of the middle of the first pixel; 0 in the originals.
        hulls: see `FrameLabels.warped`.
    """
    image = cv2.warpAffine(
        frame.image,
        opencv_matrix(matrix, pixel_middle),
        (size[1], size[0]),
        flags=cv2.INTER_LINEAR,
    )
    return LabelledFrame(image, frame.labels.warped(matrix, hulls=hulls))


def flip_frame(frame: LabelledFrame, *, pixel_middle: float = 0.5) -> LabelledFrame:
    """The frame turned left to right; `pixel_middle` as in `warp_frame`."""
    width = frame.image.shape[1]
    return LabelledFrame(
        cv2.flip(frame.image, 1), frame.labels.flipped(width, pixel_middle=pixel_middle)
    )


def change_saturation(image: Image, factor: float) -> Image:
    """Colours `factor` times as far from grey."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(image, factor, grey, 1 - factor, 0)


def _mapped(
    pair: FramePair,
    change_current: Callable[[LabelledFrame], LabelledFrame],
    change_previous: Callable[[LabelledFrame], LabelledFrame],
) -> FramePair:
    return replace(
        pair, current=change_current(pair.current), previous=change_previous(pair.previous)
    )


def _place(
    pair: FramePair,
    settings: AugmentSettings,
    size: tuple[int, int],
    generator: np.random.Generator,
    pixel_middle: float,
    previous_hulls: bool,
) -> FramePair:
    """Crop and scale both frames alike; move the previous one where it is the same still."""
    if pair.framed:
        if pair.current.image.shape[:2] != size:
            raise ValueError(
                f'framed pair: expected images of {size}, received {pair.current.image.shape[:2]}'
            )
        return pair
    height, width = pair.current.image.shape[:2]
    zoom = np.exp(
        generator.uniform(np.log(settings.smallest_scale), np.log(settings.largest_scale))
    )
    ratios = sorted((size[1] / width, size[0] / height))
    fit = ratios[0] * (ratios[1] / ratios[0]) ** generator.uniform(0, settings.fill)
    scale = zoom * fit
    # 0.5 centres, as the letterbox at run time does.
    where = np.array([0.5, 0.5]) if scale == ratios[0] else generator.uniform(0, 1, 2)
    left, top = where * [size[1] - scale * width, size[0] - scale * height]
    matrix = np.array([[scale, 0.0, left], [0.0, scale, top]])
    if settings.rotation > 0:
        angle = generator.normal(0, settings.rotation)
        matrix = compose(_about_middle(size, 1.0, float(angle), np.zeros(2)), matrix)
    previous_matrix = matrix
    if pair.simulate_motion and generator.random() >= settings.still:
        strength = np.exp(generator.uniform(np.log(0.1), 0.0))
        growth = np.clip(generator.normal(0, 1), -2, 2) * settings.motion_scale * strength
        shift = np.clip(generator.normal(0, 1, 2), -2.5, 2.5) * settings.motion_shift * strength
        motion = _about_middle(size, float(np.exp(growth)), 0.0, shift * [size[1], size[0]])
        previous_matrix = compose(motion, matrix)
    current = warp_frame(pair.current, matrix, size, pixel_middle=pixel_middle)
    previous = warp_frame(
        pair.previous, previous_matrix, size, pixel_middle=pixel_middle, hulls=previous_hulls
    )
    nearer = replace(current, labels=current.labels.zoomed(scale / ratios[0]))
    return replace(pair, current=nearer, previous=previous)


def _about_middle(size: tuple[int, int], scale: float, angle: float, shift: Reals) -> Reals:
    """Affine map (2, 3): scale and turn about the middle of an image of `size`, then shift."""
    middle = np.array([size[1] / 2, size[0] / 2])
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.concatenate([linear, (middle - linear @ middle + shift)[:, None]], axis=1)


def _colour_tables(
    settings: AugmentSettings, generator: np.random.Generator
) -> tuple[Image, Image]:
    """Look-up tables (1, 256, 3) for the current and the previous image."""
    strength = settings.colour
    gamma = np.exp(generator.normal(0, strength))
    contrast = np.exp(generator.normal(0, strength, 1) + generator.normal(0, strength / 4, 3))
    brightness = generator.normal(0, strength / 3)
    change = settings.flicker * generator.normal(0, 1) * (3 if generator.random() < 0.1 else 1)
    levels = np.arange(256)[:, None] / 255
    toned = (levels**gamma - 0.5) * contrast + 0.5 + brightness
    tables = [np.clip(255 * toned * gain, 0, 255).astype(np.uint8) for gain in (1, 1 + change)]
    for table in tables:
        # The bars of a letterbox are black at run time too.
        table[0] = 0
    return tables[0][None], tables[1][None]


def _camera_faults(settings: AugmentSettings, generator: np.random.Generator) -> list[ImageChange]:
    """Faults that both frames share, because one camera took them."""
    chances = (settings.blur, settings.low_resolution, settings.noise, settings.jpeg)
    happens = generator.random(4) < chances
    faults: list[ImageChange] = []
    if happens[0]:
        faults.append(_blur(generator))
    if happens[1]:
        share = float(generator.uniform(0.4, 0.8))
        faults.append(lambda image: _low_resolution(image, share))
    if happens[2]:
        strength = float(generator.uniform(4, 20))
        noise = np.random.default_rng(generator.integers(1 << 62))
        faults.append(lambda image: _add_noise(image, strength, noise))
    if happens[3]:
        quality = int(generator.integers(25, 80))
        faults.append(lambda image: _compress(image, quality))
    return faults


def _blur(generator: np.random.Generator) -> ImageChange:
    """Out of focus, or moved while the shutter was open."""
    if generator.random() < 0.5:
        sigma = float(generator.uniform(0.5, 1.5))
        return lambda image: cv2.GaussianBlur(image, (5, 5), sigma)
    angle, length = generator.uniform(0, np.pi), generator.uniform(2, 7)
    motion = length * np.array([np.cos(angle), np.sin(angle)])
    return lambda image: motion_blur(image, motion)


def _low_resolution(image: Image, share: float) -> Image:
    height, width = image.shape[:2]
    small = cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _add_noise(image: Image, strength: float, generator: np.random.Generator) -> Image:
    """Uniform noise of +-`strength`; an order of magnitude cheaper than normal noise."""
    noise = generator.integers(0, 256, image.shape, np.uint8)
    return cv2.addWeighted(image, 1.0, noise, strength / 127.5, -strength)


def _compress(image: Image, quality: int) -> Image:
    done, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f'OpenCV could not compress an image of shape {image.shape}')
    return cv2.imdecode(data, cv2.IMREAD_COLOR)
