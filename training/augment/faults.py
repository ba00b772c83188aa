"""Faults that both frames share, because one camera took them."""

from __future__ import annotations

import cv2
import numpy as np

from centertrack_ros.datatypes import Image
from training.augment.colour import ImageChange
from training.augment.settings import AugmentSettings
from training.data.compositing import motion_blur
from training.data.labels import Reals

# Pixels. Longer kernels take OpenCV's way through the Fourier transform, 8 times as slow.
_LONGEST_BLUR = 9.0


def camera_faults(
    settings: AugmentSettings, motion: Reals, generator: np.random.Generator
) -> list[ImageChange]:
    """Changes of both images, in this order.

    Args:
        settings: chances, see there for the strengths.
        motion: (2,) input pixels by which the picture moved between the frames; 0 = unknown.
        generator: source of randomness.
    """
    chances = (settings.blur, settings.low_resolution, settings.noise, settings.jpeg)
    happens = generator.random(4) < chances
    faults: list[ImageChange] = []
    if happens[0]:
        faults.append(_blur(motion, generator))
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


def _blur(motion: Reals, generator: np.random.Generator) -> ImageChange:
    """Out of focus, or moved while the shutter was open."""
    if generator.random() < 0.5:
        sigma = float(generator.uniform(0.5, 1.5))
        return lambda image: cv2.GaussianBlur(image, (5, 5), sigma)
    angle, length = generator.uniform(0, np.pi), generator.uniform(2, 7)
    way = length * np.array([np.cos(angle), np.sin(angle)])
    if motion.any():
        way = motion * generator.uniform(0.2, 1.0)
        way = way * min(1.0, _LONGEST_BLUR / float(np.hypot(*way)))
    return lambda image: motion_blur(image, way)


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
