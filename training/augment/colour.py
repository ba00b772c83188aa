"""Changes of colour: those of a camera between two places, or those of CenterTrack."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from centertrack_ros.datatypes import Image
from training.augment.settings import AugmentSettings
from training.data.labels import Reals

ImageChange = Callable[[Image], Image]

# Share of blue, green and red in grey.
_GREY = np.array([0.114, 0.587, 0.299])
# Main axes (columns) of the colours of ImageNet and the spread along them, grey levels of 0..1.
_COLOUR_AXES = np.array(
    [
        [-0.58752847, -0.69563484, 0.41340352],
        [-0.5832747, 0.00994535, -0.81221408],
        [-0.56089297, 0.71832671, 0.41158938],
    ]
)
_COLOUR_SPREADS = np.array([0.2141788, 0.01817699, 0.00341571])


def camera_colours(
    settings: AugmentSettings, generator: np.random.Generator
) -> tuple[ImageChange, ImageChange]:
    """Changes of the current and of the previous image: one camera, a little flicker.

    The bars of a letterbox stay black, as they are at run time.
    """
    tables = _tone_tables(settings, generator)
    factor = float(generator.uniform(0.3, 1.5))
    saturate = generator.random() < settings.saturation
    tone = settings.colour > 0 or settings.flicker > 0

    def change(image: Image, table: Image) -> Image:
        if saturate:
            image = change_saturation(image, factor)
        return _toned(image, table) if tone else image

    return lambda image: change(image, tables[0]), lambda image: change(image, tables[1])


def centertrack_colour(settings: AugmentSettings, generator: np.random.Generator) -> ImageChange:
    """Brightness, contrast and saturation in random order, then a shift along the main colours.

    `color_aug` in `utils/image.py` of CenterTrack and CenterNet; each of the two frames has its
    own. Grey and its mean are those of the unchanged image whatever comes first, so the whole is
    one affine map of the colours. Here the result is cut at 0 and 255, there it is not.
    """
    if settings.colour_range == 0 and settings.lighting == 0:
        return lambda image: image
    own, grey, mean = 1.0, 0.0, 0.0
    for kind in generator.permutation(3):
        factor = 1 + generator.uniform(-settings.colour_range, settings.colour_range)
        own, grey, mean = own * factor, grey * factor, mean * factor
        if kind == 1:
            mean += 1 - factor
        elif kind == 2:
            grey += 1 - factor
    axis = generator.normal(0, 1, 3) * settings.lighting * _COLOUR_SPREADS
    matrix = own * np.eye(3) + grey * _GREY
    light = 255 * _COLOUR_AXES @ axis

    def change(image: Image) -> Image:
        shift = mean * (_GREY @ cv2.mean(image)[:3]) + light
        return cv2.transform(image, np.column_stack([matrix, shift]).astype(np.float32))

    return change


def change_saturation(image: Image, factor: float) -> Image:
    """Colours `factor` times as far from grey."""
    matrix: Reals = factor * np.eye(3) + (1 - factor) * _GREY
    return cv2.transform(image, matrix.astype(np.float32))


def _toned(image: Image, table: Image) -> Image:
    """`cv2.LUT` with a table of three channels, which takes twice as long at once."""
    return cv2.merge(
        [
            cv2.LUT(channel, np.ascontiguousarray(table[..., number]))
            for number, channel in enumerate(cv2.split(image))
        ]
    )


def _tone_tables(settings: AugmentSettings, generator: np.random.Generator) -> tuple[Image, Image]:
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
