"""Video of textured, shaded shapes that bounce, turn and pass in front of each other.

Two of them look alike: only from where they were and how they move one can tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from centertrack_ros.datatypes import Image
from training.data.tiny.canvas import (
    Layer,
    Points,
    Size,
    background,
    fine_size,
    fine_texture,
    overlaid,
    polygon_mask,
    shaded,
)
from training.data.tiny.scene import Demands, TinyFrame, TinyObject, bounced, chosen_video

CLASSES = ('disc', 'square', 'triangle')
_CORNERS = (40, 4, 3)
# The two that look alike, and the others.
_KINDS = (0, 0, 1, 2, 1)
_DEMANDS = Demands(least_inside=0.99, covered=0.15)


@dataclass(frozen=True)
class _Shape:
    """One shape.

    Attributes:
        kind: index of its class.
        radius: pixels, to the corners.
        colour: (3,).
        tone_seed: of its pattern.
        path: (F, 2) pixels, of its middle.
        turns: (F,) radians.
    """

    kind: int
    radius: float
    colour: Points
    tone_seed: int
    path: Points
    turns: Points

    def corners(self, frame: int) -> Points:
        """(P, 2) pixels."""
        angles = self.turns[frame] + np.arange(_CORNERS[self.kind]) * (
            2 * np.pi / _CORNERS[self.kind]
        )
        waves = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return np.asarray(self.path[frame] + self.radius * waves)

    def boxes(self) -> Points:
        """(F, 4) xyxy pixels."""
        corners = [self.corners(frame) for frame in range(len(self.path))]
        return np.array([np.concatenate([one.min(axis=0), one.max(axis=0)]) for one in corners])


def shape_video(frames: int, size: Size, generator: np.random.Generator) -> tuple[TinyFrame, ...]:
    """A video of `frames` frames of `size` (height, width)."""

    def draw(shapes: Sequence[_Shape], generator: np.random.Generator) -> Iterator[TinyFrame]:
        behind = background(size, generator)
        return (_frame(shapes, frame, behind, size) for frame in range(frames))

    castings = [partial(_cast, kind, frames, size) for kind in _KINDS]
    return chosen_video(castings, draw, size, _DEMANDS, generator)


def _cast(
    kind: int,
    frames: int,
    size: Size,
    generator: np.random.Generator,
    others: Sequence[_Shape],
) -> _Shape:
    radius = min(size) * generator.uniform(0.11, 0.2)
    direction = generator.uniform(0, 2 * np.pi)
    speed = min(size) * generator.uniform(0.05, 0.09)
    step = speed * np.array([np.cos(direction), np.sin(direction)])
    room = np.array([size[1], size[0]], np.float64)
    start = generator.uniform(radius, room - radius)
    line = start + np.arange(frames)[:, None] * step
    colour = others[0].colour if len(others) == 1 else generator.uniform(40, 255, 3)
    return _Shape(
        kind=kind,
        radius=float(radius),
        colour=colour,
        tone_seed=int(generator.integers(1 << 62)),
        path=bounced(line, np.full(2, radius), room - radius),
        turns=generator.uniform(0, 2 * np.pi) + np.arange(frames) * generator.normal(0, 0.1),
    )


def _frame(shapes: Sequence[_Shape], frame: int, behind: Image, size: Size) -> TinyFrame:
    picture = overlaid(behind, [_layer(shape, frame, size) for shape in shapes])
    objects = tuple(
        TinyObject(number, shape.kind, shape.boxes()[frame].astype(np.float32), visibility)
        for number, (shape, visibility) in enumerate(
            zip(shapes, picture.visibilities, strict=True), start=1
        )
    )
    return TinyFrame(picture.image, objects)


def _layer(shape: _Shape, frame: int, size: Size) -> Layer:
    """Lit from the upper left, with a pattern that moves along."""
    rows, columns = fine_size(size)
    y, x = np.mgrid[0:rows, 0:columns] * (size[0] / rows)
    center = shape.path[frame]
    light = 1 - 0.35 * ((x - center[0]) + (y - center[1])) / shape.radius
    pattern = fine_texture(size, 4, 0.15, np.random.default_rng(shape.tone_seed))
    shift = np.round((center - shape.path[0]) * rows / size[0]).astype(int)
    tone = np.roll(pattern, (shift[1], shift[0]), axis=(0, 1)) * np.clip(light, 0.4, 1.5)
    mask = polygon_mask(shape.corners(frame), size)
    return Layer(shaded(shape.colour, tone[..., None]), mask)
