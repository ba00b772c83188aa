"""Shapes and rules of the targets, and the faults of the prior heatmap."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar

from centertrack_ros.model_spec import EdgeRule, RadiusRule, ResizeRule
from training.heads import HEADS


@dataclass(frozen=True)
class TargetRules:
    """Where we encode targets in another way than CenterTrack; the defaults are ours.

    Attributes:
        pixel_middle: coordinate of the middle of the first pixel. 0.5: a map of w cells reaches
            from 0 to w. In the original it is 0, so the map ends at w - 1, where boxes are
            clipped, and a mirror takes x to w - 1 - x.
        edges: what the head `ltrb` holds, see `DecodeRules.edges`.
        every_object: whether all objects are learnt that have a box on the map: also those that
            are hidden, cut off or tiny, and all that share a cell. `visibilities` count nothing.
        annotation_rows: whether row k belongs to the k-th annotation of the image, ignored ones
            included, and those after the M-th are not read at all.
        ignore_touched: whether cells that an ignored region only touches are ignored as well.
        prior_of_ignored: whether things in ignored regions, but for crowds, have a peak in the
            prior heatmap and a previous place.
        previous_hulls: whether a turned previous frame keeps the hulls of its boxes, see
            `FrameLabels.warped`.
        resize: how pictures become inputs at run time, see `ModelSpec`: frames that are not
            augmented are cut so, and depths are those of things as large as they are then.
    """

    pixel_middle: float = 0.5
    edges: EdgeRule = 'distances'
    every_object: bool = False
    annotation_rows: bool = False
    ignore_touched: bool = False
    prior_of_ignored: bool = False
    previous_hulls: bool = True
    resize: ResizeRule = 'letterbox'

    @classmethod
    def original(cls) -> TargetRules:
        """Those of `generic_dataset.py`, to the last digit."""
        return cls(
            pixel_middle=0.0,
            edges='offsets',
            every_object=True,
            annotation_rows=True,
            ignore_touched=True,
            prior_of_ignored=True,
            previous_hulls=False,
            resize='centertrack',
        )


@dataclass(frozen=True)
class TargetSettings:
    """Shape of the targets, and what counts as an object.

    Attributes:
        input_height, input_width: pixels of the network input.
        class_count: C, channels of the heatmap.
        stride: input pixels per output cell.
        prior_heatmap_stride: input pixels per cell of the prior heatmap.
        max_objects: M, rows of the per-object arrays.
        radius_rule: see `rendering.gaussian_radius`.
        min_visibility: objects of which less is visible are no targets, but not background.
        min_inside: the same for objects of which less than this share of the box is inside.
        min_side: the same for objects narrower or lower than this many input pixels.
        heads: names of the heads of `training.heads` to make targets for, or a mapping from them
            to their channels.
        joint_count: J, needed for the heads `hps`, `hm_hp` and `hp_offset`.
        rules: see `TargetRules`; the three thresholds above count only where it says so.

    Raises:
        ValueError: an unknown head, or a head of joints without `joint_count`.
    """

    input_height: int
    input_width: int
    class_count: int
    stride: int = 4
    prior_heatmap_stride: int = 4
    max_objects: int = 128
    radius_rule: RadiusRule = 'centertrack'
    min_visibility: float = 0.25
    min_inside: float = 0.15
    min_side: float = 4.0
    heads: Collection[str] = ('hm', 'ltrb', 'reg', 'tracking')
    joint_count: int = 0
    rules: TargetRules = field(default_factory=TargetRules)

    def __post_init__(self) -> None:
        for name in self.heads:
            if name not in HEADS:
                raise ValueError(f'heads: expected some of {sorted(HEADS)}, received {name!r}')
            if name in ('hps', 'hm_hp', 'hp_offset') and self.joint_count < 1:
                raise ValueError(f'joint_count: expected 1 or more for {name!r}, received 0')

    @property
    def output_shape(self) -> tuple[int, int]:
        """Rows and columns of the output map."""
        return self.input_height // self.stride, self.input_width // self.stride

    @property
    def prior_shape(self) -> tuple[int, int]:
        """Rows and columns of the prior heatmap."""
        return (
            self.input_height // self.prior_heatmap_stride,
            self.input_width // self.prior_heatmap_stride,
        )


@dataclass(frozen=True)
class PriorNoise:
    """What goes wrong in the prior heatmap, so that the network learns not to trust it blindly.

    Attributes:
        jitter: standard deviation of a peak's place, in widths and heights of its box.
        lost: chance that a fully visible object has no peak.
        false_near: chance that an object has a second peak beside it.
        false_spread: standard deviation of its place, as `jitter`; 0.05 in the original.
        false_of_lost: whether an object without a peak may have that one; not in the original,
            where both vanish together.
        false_anywhere: mean number of peaks where no object is.
        faded: chance that a peak is drawn lower than the others, at any height, as that of an
            unsure or lost track is at run time; not in the original.
        empty: chance that there is no peak at all, as in the first frame.

    Raises:
        ValueError: a chance that is none, or a negative number.
    """

    # Read from configurations by pydantic: unknown keys are errors.
    __pydantic_config__: ClassVar[dict[str, str]] = {'extra': 'forbid'}

    jitter: float = 0.05
    lost: float = 0.3
    false_near: float = 0.1
    false_spread: float = 0.25
    false_of_lost: bool = True
    false_anywhere: float = 0.3
    faded: float = 0.0
    empty: float = 0.05

    def __post_init__(self) -> None:
        for name in ('lost', 'false_near', 'faded', 'empty'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name}: expected 0 to 1, received {getattr(self, name)}')
        for name in ('jitter', 'false_spread', 'false_anywhere'):
            if not getattr(self, name) >= 0:
                raise ValueError(f'{name}: expected 0 or more, received {getattr(self, name)}')
