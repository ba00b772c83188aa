"""Which part of the two frames the network sees, and how large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from centertrack_ros.affine import affine_matrix
from centertrack_ros.model_spec import ResizeRule
from centertrack_ros.preprocessing import letterbox_transform
from training.augment.settings import AugmentSettings
from training.data.labels import Reals
from training.data.scene import compose

Size = tuple[int, int]

# Pixels between the edges of a picture and the middle of a crop.
_CROP_BORDER = 128


@dataclass(frozen=True)
class PairFraming:
    """Affine maps (2, 3) from the pixels of the frames to those of the input.

    Attributes:
        current, previous: maps of the two frames.
        scale: input pixels per pixel of the current frame.
    """

    current: Reals
    previous: Reals
    scale: float

    def motion(self, size: Size) -> Reals:
        """How far (2,) the middle of the input moved since the previous frame, if stills do."""
        middle = np.array([size[1] / 2, size[0] / 2])
        source = np.linalg.solve(self.current[:, :2], middle - self.current[:, 2])
        earlier: Reals = self.previous[:, :2] @ source + self.previous[:, 2]
        return middle - earlier


def runtime_scale(image_size: Size, size: Size, resize: ResizeRule) -> float:
    """Input pixels per image pixel where the tracker runs.

    Raises:
        ValueError: `stretch`, which has two scales.
    """
    if resize == 'centertrack':
        return size[1] / max(image_size)
    if resize == 'letterbox':
        return min(size[1] / image_size[1], size[0] / image_size[0])
    raise ValueError(f"resize: expected 'letterbox' or 'centertrack', received {resize!r}")


def letterbox_framing(
    image_size: Size,
    size: Size,
    settings: AugmentSettings,
    resize: ResizeRule,
    generator: np.random.Generator,
    *,
    moving: bool,
) -> PairFraming:
    """Any size, anywhere; `moving` frames get a motion between them.

    Pictures of the size that they have at run time lie exactly where they lie then.

    Args:
        image_size: (height, width) of the frames.
        size: (height, width) of the input.
        settings: how much.
        resize: how the tracker does it, see `runtime_scale`.
        generator: source of randomness.
        moving: whether to simulate a motion.
    """
    height, width = image_size
    reference = runtime_scale(image_size, size, resize)
    zoom = np.exp(
        generator.uniform(np.log(settings.smallest_scale), np.log(settings.largest_scale))
    )
    filled = max(size[1] / width, size[0] / height, reference)
    scale = zoom * reference * (filled / reference) ** generator.uniform(0, settings.fill)
    if scale == reference and resize == 'letterbox':
        placed = letterbox_transform(image_size, size)
        matrix = np.array(
            [[placed.scale_x, 0.0, placed.offset_x], [0.0, placed.scale_y, placed.offset_y]]
        )
    else:
        where = np.array([0.5, 0.5]) if scale == reference else generator.uniform(0, 1, 2)
        left, top = where * [size[1] - scale * width, size[0] - scale * height]
        matrix = np.array([[scale, 0.0, left], [0.0, scale, top]])
    angle = _roll(settings, generator)
    if angle != 0:
        matrix = compose(_about_middle(size, 1.0, angle, np.zeros(2)), matrix)
    previous = matrix
    if moving and generator.random() >= settings.still:
        strength = np.exp(generator.uniform(np.log(0.1), 0.0))
        growth = np.clip(generator.normal(0, 1), -2, 2) * settings.motion_scale * strength
        shift = np.clip(generator.normal(0, 1, 2), -2.5, 2.5) * settings.motion_shift * strength
        motion = _about_middle(size, float(np.exp(growth)), 0.0, shift * [size[1], size[0]])
        previous = compose(motion, matrix)
    return PairFraming(matrix, previous, float(scale))


def centertrack_framing(
    image_size: Size,
    size: Size,
    settings: AugmentSettings,
    generator: np.random.Generator,
    *,
    same_frame: bool,
) -> PairFraming:
    """A square of the picture over the width of the input, as `_get_aug_param` of CenterTrack.

    Args:
        image_size: (height, width) of the frames.
        size: (height, width) of the input.
        settings: how much.
        generator: source of randomness.
        same_frame: whether the previous frame is the current one.
    """
    height, width = image_size
    center, side = np.array([width / 2, height / 2]), float(max(image_size))
    if settings.crop_scales:
        side *= settings.crop_scales[generator.integers(len(settings.crop_scales))]
        center = np.array([_crop_middle(length, generator) for length in (width, height)], float)
    else:
        center, side = _jittered(center, side, settings, generator)
    degrees = np.degrees(_roll(settings, generator))
    output = (size[1], size[0])
    current = affine_matrix(center, side, degrees, output)
    if settings.same_previous and not same_frame:
        return PairFraming(current, current, size[1] / side)
    moved, grown = _jittered(center, side, settings, generator)
    return PairFraming(current, affine_matrix(moved, grown, degrees, output), size[1] / side)


def _crop_middle(length: int, generator: np.random.Generator) -> int:
    """A place along a side of `length` pixels; the border is halved until something is left."""
    border = _CROP_BORDER
    while length <= 2 * border:
        border //= 2
    return int(generator.integers(border, length - border))


def _jittered(
    center: Reals, side: float, settings: AugmentSettings, generator: np.random.Generator
) -> tuple[Reals, float]:
    """Middle and side of a crop a little beside another one."""
    shift = np.clip(generator.normal(0, 1, 2), -2, 2) * settings.shift
    growth = np.clip(generator.normal(0, 1), -1, 1) * settings.scale
    return center + side * shift, side * float(1 + growth)


def _roll(settings: AugmentSettings, generator: np.random.Generator) -> float:
    """Angle by which both frames turn, radians."""
    if settings.rotation == 0 or generator.random() >= settings.rotation_chance:
        return 0.0
    return float(np.clip(generator.normal(0, 1), -2, 2) * settings.rotation)


def _about_middle(size: Size, scale: float, angle: float, shift: Reals) -> Reals:
    """Affine map (2, 3): scale and turn about the middle of an image of `size`, then shift."""
    middle = np.array([size[1] / 2, size[0] / 2])
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.concatenate([linear, (middle - linear @ middle + shift)[:, None]], axis=1)
