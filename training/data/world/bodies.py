"""What things are made of: prisms in a box, with a texture on each face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from centertrack_ros.datatypes import Image
from training.data.labels import Reals

CLASSES = ('pedestrian', 'car', 'cyclist')
PEDESTRIAN, CAR, CYCLIST = range(3)
# Index of what has no class.
CLUTTER = -1
# Vertices of a prism: bottom, then top; back left, front left, front right, back right. Corners of
# each face: of the upper side, then of the lower one backwards.
FACES = {
    'front': (5, 6, 2, 1),
    'back': (7, 4, 0, 3),
    'left': (4, 5, 1, 0),
    'right': (7, 6, 2, 3),
    'top': (4, 5, 6, 7),
}


@dataclass(frozen=True)
class Prism:
    """A prism in shares of the box: length -0.5 (back) to 0.5, height 0 to 1, width -0.5 to 0.5.

    Attributes:
        low, high: back, front, half of the width, height of its bottom and its top.
    """

    low: tuple[float, float, float, float]
    high: tuple[float, float, float, float]

    def vertices(self) -> Reals:
        """(8, 3) ahead, up, aside; see `FACES` for their order."""
        rows = []
        for back, front, side, up in (self.low, self.high):
            rows += [(back, up, -side), (front, up, -side), (front, up, side), (back, up, side)]
        return np.array(rows)


def block(back: float, front: float, side: float, bottom: float, top: float) -> Prism:
    """A prism with upright sides."""
    return Prism((back, front, side, bottom), (back, front, side, top))


# From bottom to top; neighbours touch in one horizontal plane, and together they fill the box.
SHAPES: dict[str, tuple[Prism, ...]] = {
    'pedestrian': (
        block(-0.32, 0.32, 0.36, 0.0, 0.48),
        block(-0.5, 0.5, 0.5, 0.48, 0.83),
        block(-0.3, 0.36, 0.2, 0.83, 1.0),
    ),
    'car': (
        block(-0.5, 0.5, 0.5, 0.0, 0.56),
        Prism((-0.46, 0.22, 0.48, 0.56), (-0.34, 0.06, 0.4, 1.0)),
    ),
    'cyclist': (
        block(-0.5, 0.5, 0.12, 0.0, 0.48),
        Prism((-0.2, 0.16, 0.3, 0.48), (-0.02, 0.28, 0.5, 0.82)),
        block(0.06, 0.27, 0.18, 0.82, 1.0),
    ),
    'box': (block(-0.5, 0.5, 0.5, 0.0, 1.0),),
    'tree': (
        block(-0.12, 0.12, 0.12, 0.0, 0.35),
        Prism((-0.5, 0.5, 0.5, 0.35), (-0.25, 0.25, 0.25, 1.0)),
    ),
}


@dataclass(frozen=True)
class Body:
    """One thing in all frames.

    Attributes:
        kind: index of its class, or `CLUTTER`.
        dimensions: (3,) height, width, length, metres.
        prisms: its parts, from bottom to top.
        textures: per part and face (in the order of `FACES`) a picture (h, w, 3) uint8 BGR.
        positions: (F, 3) metres, world, middle of the bottom.
        yaws: (F,) radians, world.
        velocities: (F, 3) metres per second, world.
    """

    kind: int
    dimensions: Reals
    prisms: tuple[Prism, ...]
    textures: tuple[tuple[Image, ...], ...]
    positions: Reals
    yaws: Reals
    velocities: Reals

    @property
    def radius(self) -> float:
        """Metres, of the circle on the ground in which it can turn."""
        return float(np.hypot(self.dimensions[1], self.dimensions[2]) / 2)

    def vertices(self, frame: int) -> Reals:
        """(P, 8, 3) metres, world, of its parts."""
        shares = np.stack([prism.vertices() for prism in self.prisms])
        return self.placed(shares, frame)

    def corners(self, frame: int) -> Reals:
        """(8, 3) metres, world, of its box."""
        return self.placed(block(-0.5, 0.5, 0.5, 0.0, 1.0).vertices(), frame)

    def placed(self, shares: Reals, frame: int) -> Reals:
        """Points (..., 3) in shares of length, height and width, as points of the world."""
        height, width, length = self.dimensions
        sine, cosine = np.sin(self.yaws[frame]), np.cos(self.yaws[frame])
        ahead = (length * cosine, 0.0, -length * sine)
        aside = (width * sine, 0.0, width * cosine)
        axes = np.array([ahead, (0.0, -height, 0.0), aside])
        placed: Reals = shares @ axes + self.positions[frame]
        return placed
