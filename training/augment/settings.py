"""How much is changed, in our way or in CenterTrack's."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, Literal

Framing = Literal['letterbox', 'centertrack']
ColourRule = Literal['camera', 'centertrack']

_CHANCES = (
    'flip', 'rotation_chance', 'still', 'saturation', 'blur', 'low_resolution', 'noise', 'jpeg',
)  # fmt: skip
_STRENGTHS = (
    'rotation', 'motion_shift', 'motion_scale', 'shift', 'scale', 'colour', 'flicker',
    'colour_range', 'lighting',
)  # fmt: skip
# Settings that only one value of another one reads.
_READ_BY: dict[tuple[str, str], tuple[str, ...]] = {
    ('framing', 'letterbox'): (
        'smallest_scale', 'largest_scale', 'fill', 'motion_shift', 'motion_scale', 'still',
    ),
    ('framing', 'centertrack'): ('crop_scales', 'shift', 'scale', 'same_previous'),
    ('colour_rule', 'camera'): ('colour', 'flicker', 'saturation'),
    ('colour_rule', 'centertrack'): ('colour_range', 'lighting'),
}  # fmt: skip
# Values that change nothing, where that is not 0.
_NEUTRAL: dict[str, float | tuple[float, ...]] = {
    'smallest_scale': 1.0,
    'largest_scale': 1.0,
    'crop_scales': (),
}


@dataclass(frozen=True)
class AugmentSettings:
    """How much is changed; zero chances and a scale of 1 leave a pair as it is.

    Attributes:
        framing: how frames are cut and scaled. `letterbox`: pictures of any size, anywhere in or
            around the input, with simulated motion for stills; `centertrack`: as CenterTrack.
        flip: chance of turning both frames left to right.
        rotation: standard deviation of the roll of both frames, radians.
        rotation_chance: chance that there is a roll at all (`aug_rot`).

        smallest_scale, largest_scale: size of the picture against one that fits the input.
        fill: up to which share of the way from a letterbox to filling the input "fits" is drawn.
        motion_shift: standard deviation of the simulated motion of stills where it is strongest,
            in input sizes. It is drawn down to a tenth of that: between two frames of a video most
            things move little, and little has to be measured as well as much.
        motion_scale: the same of its growth, as logarithm.
        still: chance that a still is left without motion.

        crop_scales: what the side of the crop is multiplied with, one of them by chance: 1 is the
            longer side of the picture over the width of the input. The middle of the crop lies at
            most 128 pixels, less in small pictures, from the edges. Without any, the current
            frame gets `shift` and `scale` too (`not_rand_crop`).
        shift: standard deviation of the middle of the previous frame's crop against that of the
            current one, in sides of the crop; cut off at twice that.
        scale: the same of its side, as a share; cut off at once that.
        same_previous: whether the previous frame is cut as the current one (`same_aug_pre`), but
            where it is the same picture, which would not move at all.

        colour_rule: `camera`: tone and white balance of one camera for both frames, and a slight
            change of exposure between them; `centertrack`: a change of its own for each frame.
        colour: strength of the change of exposure, contrast, gamma and white balance.
        flicker: standard deviation of the change of exposure between the two frames, as a share;
            three times as strong in every tenth pair.
        saturation: chance of a change of saturation.
        colour_range: brightness, contrast and saturation change by up to this share, in random
            order.
        lighting: standard deviation of the shift along the main axes of natural colours.

        blur: chance that both frames are not sharp: one half out of focus (gaussian, 0.5 to 1.5
            pixels), one half moved while the shutter was open, for 0.2 to 1 times the time
            between the frames along the motion that stills are given, up to 9 pixels; where
            there is no such motion in any direction, 2 to 7 pixels.
        low_resolution: chance of 0.4 to 0.8 times the resolution.
        noise: chance of uniform noise of 4 to 20 grey levels.
        jpeg: chance of compression with a quality of 25 to 80.

    Raises:
        ValueError: a number out of range, or a setting that the chosen framing or colour rule
            does not read.
    """

    # Read from configurations by pydantic: unknown keys are errors.
    __pydantic_config__: ClassVar[dict[str, str]] = {'extra': 'forbid'}

    framing: Framing = 'letterbox'
    flip: float = 0.5
    rotation: float = 0.0
    rotation_chance: float = 1.0

    smallest_scale: float = 0.6
    largest_scale: float = 1.5
    fill: float = 1.0
    motion_shift: float = 0.08
    motion_scale: float = 0.05
    still: float = 0.15

    crop_scales: tuple[float, ...] = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
    shift: float = 0.0
    scale: float = 0.0
    same_previous: bool = False

    colour_rule: ColourRule = 'camera'
    colour: float = 0.2
    flicker: float = 0.03
    saturation: float = 0.4
    colour_range: float = 0.4
    lighting: float = 0.1

    blur: float = 0.15
    low_resolution: float = 0.1
    noise: float = 0.25
    jpeg: float = 0.1

    def __post_init__(self) -> None:
        for name in _CHANCES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name}: expected 0 to 1, received {getattr(self, name)}')
        for name in _STRENGTHS:
            if not getattr(self, name) >= 0:
                raise ValueError(f'{name}: expected 0 or more, received {getattr(self, name)}')
        if not 0 < self.smallest_scale <= self.largest_scale:
            raise ValueError(
                'smallest_scale, largest_scale: expected positive and in this order, '
                f'received {self.smallest_scale} and {self.largest_scale}'
            )
        if not all(side > 0 for side in self.crop_scales):
            raise ValueError(f'crop_scales: expected positive, received {self.crop_scales}')
        self._refuse_unread()

    def _refuse_unread(self) -> None:
        """A setting without effect is a mistake, unless it is the default or changes nothing."""
        defaults = {field.name: field.default for field in fields(self)}
        for (switch, value), names in _READ_BY.items():
            if getattr(self, switch) == value:
                continue
            for name in names:
                received = getattr(self, name)
                if received not in (defaults[name], _NEUTRAL.get(name, 0.0)):
                    raise ValueError(
                        f'{name}: only `{switch}: {value}` reads it, received {received} '
                        f'with `{switch}: {getattr(self, switch)}`'
                    )

    @classmethod
    def original(
        cls, *, shift: float = 0.0, scale: float = 0.0, same_previous: bool = False
    ) -> AugmentSettings:
        """What the experiments of CenterTrack use but for the arguments."""
        return cls(
            framing='centertrack',
            shift=shift,
            scale=scale,
            same_previous=same_previous,
            colour_rule='centertrack',
            blur=0.0,
            low_resolution=0.0,
            noise=0.0,
            jpeg=0.0,
        )


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
