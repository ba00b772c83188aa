"""Who is there and goes where: random ways that touch neither each other nor the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.data.labels import Reals
from training.data.world.bodies import CAR, CLASSES, CLUTTER, CYCLIST, PEDESTRIAN, SHAPES, Body
from training.data.world.camera import RATE, View
from training.data.world.looks import looks


@dataclass(frozen=True)
class _Kind:
    """How the objects of a class are.

    Attributes:
        dimensions: height, width, length, metres.
        slowest, fastest: metres per second of those that move.
        still: share of those that do not.
        bend: most curvature of the way, 1 / metre.
        share: of all objects.
    """

    dimensions: tuple[float, float, float]
    slowest: float
    fastest: float
    still: float
    bend: float
    share: float


KINDS = {
    PEDESTRIAN: _Kind((1.72, 0.62, 0.5), 0.6, 1.8, 0.15, 0.6, 0.36),
    CAR: _Kind((1.5, 1.78, 4.2), 1.5, 6.5, 0.3, 0.12, 0.38),
    CYCLIST: _Kind((1.74, 0.6, 1.75), 1.5, 4.5, 0.1, 0.2, 0.26),
}
# Standard deviation of the sizes, as a share.
_VARIETY = 0.035
# Metres ahead of the camera at the moment that an object is placed for.
_NEAREST, _FARTHEST = 4.5, 26.0
_MARGIN, _FROM_CAMERA = 0.25, 1.6
_TRIES = 40
_OBJECTS, _CLUTTER = (7, 13), (5, 14)
# Height, width and length in metres, least and most, and the shape.
_CLUTTER_KINDS = (
    ('box', (2.5, 0.12, 0.12), (4.5, 0.25, 0.25)),
    ('box', (0.5, 0.5, 0.5), (1.3, 1.6, 1.8)),
    ('tree', (2.2, 1.4, 1.4), (5.0, 3.0, 3.0)),
    ('box', (0.5, 0.3, 2.0), (1.1, 0.5, 3.0)),
)


def populate(views: Sequence[View], generator: np.random.Generator) -> tuple[Body, ...]:
    """Objects first, then clutter; as many of what was drawn as there is room for."""
    bodies: list[Body] = []
    kinds, shares = list(KINDS), [kind.share for kind in KINDS.values()]
    for _ in range(generator.integers(*_OBJECTS)):
        kind = int(generator.choice(kinds, p=shares))
        _add(bodies, views, lambda kind=kind: _object(kind, views, generator))
    for _ in range(generator.integers(*_CLUTTER)):
        _add(bodies, views, lambda: _clutter(views, generator))
    return tuple(bodies)


def _add(bodies: list[Body], views: Sequence[View], cast: object) -> None:
    assert callable(cast)
    for _ in range(_TRIES):
        body = cast()
        if _stands_free(body, bodies, views):
            bodies.append(body)
            return


def _stands_free(body: Body, others: Sequence[Body], views: Sequence[View]) -> bool:
    """Whether its circle touches none of the others, and the camera stays out of it."""
    eyes = np.stack([view.position for view in views])
    away = np.hypot(*(body.positions - eyes)[:, [0, 2]].T)
    if away.min() < body.radius + _FROM_CAMERA:
        return False
    gaps = (np.linalg.norm(body.positions - x.positions, axis=1).min() for x in others)
    return all(
        gap > body.radius + other.radius + _MARGIN for gap, other in zip(gaps, others, strict=True)
    )


def _place(view: View, nearest: float, farthest: float, generator: np.random.Generator) -> Reals:
    """A point (3,) on the ground that the camera sees, nearer places more often."""
    depth = nearest * (farthest / nearest) ** generator.uniform(0, 1) ** 0.7
    focal, middle = view.matrix[0, 0], view.matrix[0, 2]
    across = generator.uniform(-1.15, 1.15) * depth * middle / focal
    sine, cosine = np.sin(view.heading), np.cos(view.heading)
    x, z = cosine * across + sine * depth, cosine * depth - sine * across
    return np.array([view.position[0] + x, 0.0, view.position[2] + z])


def _object(kind: int, views: Sequence[View], generator: np.random.Generator) -> Body:
    rules, frames = KINDS[kind], len(views)
    times = np.arange(frames) / RATE
    speed = 0.0
    if generator.random() >= rules.still:
        speed = generator.uniform(rules.slowest, rules.fastest)
    phase, pace = generator.uniform(0, 6), generator.uniform(0.3, 1)
    speeds = speed * (1 + 0.3 * np.sin(phase + pace * times))
    bends = rules.bend * generator.uniform(-1, 1) + 0.3 * rules.bend * np.sin(
        generator.uniform(0, 6) + generator.uniform(0.3, 1.2) * times
    )
    yaws = generator.uniform(-np.pi, np.pi) + np.cumsum(speeds * bends) / RATE
    velocities = speeds[:, None] * np.stack(
        [np.cos(yaws), np.zeros(frames), -np.sin(yaws)], axis=1
    )
    way = np.cumsum(velocities, axis=0) / RATE
    moment = int(generator.integers(frames))
    place = _place(views[moment], _NEAREST, _FARTHEST, generator)
    name = CLASSES[kind]
    return Body(
        kind=kind,
        dimensions=np.array(rules.dimensions) * (1 + _VARIETY * _normal(3, generator)),
        prisms=SHAPES[name],
        textures=looks(name, generator),
        positions=way - way[moment] + place,
        yaws=np.mod(yaws + np.pi, 2 * np.pi) - np.pi,
        velocities=velocities,
    )


def _clutter(views: Sequence[View], generator: np.random.Generator) -> Body:
    name, low, high = _CLUTTER_KINDS[int(generator.integers(len(_CLUTTER_KINDS)))]
    frames = len(views)
    place = _place(views[int(generator.integers(frames))], 5.0, 45.0, generator)
    return Body(
        kind=CLUTTER,
        dimensions=generator.uniform(low, high),
        prisms=SHAPES[name],
        textures=looks(name, generator),
        positions=np.repeat(place[None], frames, axis=0),
        yaws=np.full(frames, generator.uniform(-np.pi, np.pi)),
        velocities=np.zeros((frames, 3)),
    )


def _normal(count: int, generator: np.random.Generator) -> Reals:
    """(count,) of standard deviation 1, without outliers."""
    return np.clip(generator.normal(0, 1, count), -2, 2)
