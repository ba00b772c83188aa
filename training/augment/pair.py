"""The pair as seen by one randomly placed, imperfect camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from centertrack_ros.model_spec import ResizeRule
from training.augment.colour import ImageChange, camera_colours, centertrack_colour
from training.augment.faults import camera_faults
from training.augment.frames import flip_frame, warp_frame
from training.augment.framing import (
    PairFraming,
    centertrack_framing,
    letterbox_framing,
    runtime_scale,
)
from training.augment.settings import AugmentSettings
from training.data.labels import FramePair, LabelledFrame, Reals


def augment_pair(
    pair: FramePair,
    settings: AugmentSettings,
    input_size: tuple[int, int],
    generator: np.random.Generator,
    *,
    pixel_middle: float = 0.5,
    previous_hulls: bool = True,
    resize: ResizeRule = 'letterbox',
) -> FramePair:
    """The pair as seen by one randomly placed, imperfect camera, at the size of the input.

    Depths become those of things seen as large by the camera of the run-time's `resize`.

    Args:
        pair: two frames; not changed. Its two images may have different sizes.
        settings: how much is changed.
        input_size: (height, width) of the images of the result.
        generator: source of randomness.
        pixel_middle, previous_hulls, resize: see `training.targets.TargetRules`.

    Raises:
        ValueError: the pair is framed for another size of input.
    """
    current, previous, motion = pair.current, pair.previous, np.zeros(2)
    if pair.framed:
        if current.image.shape[:2] != input_size:
            raise ValueError(
                f'framed pair: expected images of {input_size}, received {current.image.shape[:2]}'
            )
    else:
        reference = runtime_scale(current.image.shape[:2], input_size, resize)
        framing = _framing(pair, settings, input_size, resize, generator)
        current = warp_frame(current, framing.current, input_size, pixel_middle=pixel_middle)
        nearer = current.labels.zoomed(framing.scale / reference)
        current = replace(current, labels=nearer)
        previous = warp_frame(
            previous,
            framing.previous,
            input_size,
            pixel_middle=pixel_middle,
            hulls=previous_hulls,
        )
        if pair.simulate_motion:
            motion = framing.motion(input_size)
    if generator.random() < settings.flip:
        current = flip_frame(current, pixel_middle=pixel_middle)
        previous = flip_frame(previous, pixel_middle=pixel_middle)
        motion = motion * [-1, 1]
    changes = _image_changes(settings, motion, generator)
    return replace(pair, current=_shot(current, changes[0]), previous=_shot(previous, changes[1]))


def _framing(
    pair: FramePair,
    settings: AugmentSettings,
    size: tuple[int, int],
    resize: ResizeRule,
    generator: np.random.Generator,
) -> PairFraming:
    image_size = pair.current.image.shape[:2]
    if settings.framing == 'centertrack':
        return centertrack_framing(
            image_size, size, settings, generator, same_frame=pair.simulate_motion
        )
    return letterbox_framing(
        image_size, size, settings, resize, generator, moving=pair.simulate_motion
    )


def _image_changes(
    settings: AugmentSettings, motion: Reals, generator: np.random.Generator
) -> tuple[list[ImageChange], list[ImageChange]]:
    """What happens to the current and to the previous image."""
    if settings.colour_rule == 'centertrack':
        colours = (
            centertrack_colour(settings, generator),
            centertrack_colour(settings, generator),
        )
    else:
        colours = camera_colours(settings, generator)
    faults = camera_faults(settings, motion, generator)
    return [colours[0], *faults], [colours[1], *faults]


def _shot(frame: LabelledFrame, changes: list[ImageChange]) -> LabelledFrame:
    image = frame.image
    for change in changes:
        image = change(image)
    return replace(frame, image=image)
