"""Textures: each side of a thing looks different, so that its heading can be seen."""

from __future__ import annotations

import cv2
import numpy as np

from centertrack_ros.datatypes import Image
from training.data.labels import Reals
from training.data.world.bodies import FACES

# Texels along the sides of a face.
SIDE = 64
_Faces = tuple[tuple[Image, ...], ...]


def looks(name: str, generator: np.random.Generator) -> _Faces:
    """Textures of the parts of the shape `name`, per part in the order of `FACES`."""
    return {'pedestrian': _pedestrian, 'car': _car, 'cyclist': _cyclist, 'tree': _tree}.get(
        name, _box
    )(generator)


def cloth(colour: Reals, generator: np.random.Generator, contrast: float = 0.07) -> Image:
    """A colour (3,) with soft spots."""
    coarse = generator.normal(1, contrast, (8, 8)).astype(np.float32)
    fine = generator.normal(1, contrast / 2, (SIDE // 2, SIDE // 2)).astype(np.float32)
    tone = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    tone = tone * cv2.resize(fine, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return np.clip(tone[..., None] * colour, 0, 255).astype(np.uint8)


def paint(
    face: Image,
    left: float,
    top: float,
    right: float,
    bottom: float,
    colour: Reals | tuple[int, ...],
) -> None:
    """Fill a rectangle, in shares of the face."""
    rows = slice(round(top * SIDE), round(bottom * SIDE))
    face[rows, round(left * SIDE) : round(right * SIDE)] = colour


def _colour(generator: np.random.Generator, low: float = 40, high: float = 230) -> Reals:
    """Grey more often than bright colours."""
    grey = generator.uniform(low, high)
    return np.clip(grey + generator.normal(0, 1, 3) * generator.choice([8, 60]), 20, 245)


def _faces(colour: Reals, generator: np.random.Generator) -> dict[str, Image]:
    return {name: cloth(colour, generator) for name in FACES}


def _wheel(face: Image, across: float, axes: tuple[int, int], rim: float) -> None:
    """A wheel on the ground, half as wide and high in texels as `axes` says."""
    middle = (round(across * SIDE), SIDE - axes[1])
    cv2.ellipse(face, middle, axes, 0, 0, 360, (25, 25, 25), -1)
    inside = (round(axes[0] * rim), round(axes[1] * rim))
    cv2.ellipse(face, middle, inside, 0, 0, 360, (150, 150, 150), -1)


def _car(generator: np.random.Generator) -> _Faces:
    colour = _colour(generator)
    glass = generator.uniform(25, 70, 3)
    body, cabin = _faces(colour, generator), _faces(colour, generator)
    for side in ('left', 'right'):
        for across in (0.19, 0.8):
            _wheel(body[side], across, (6, 22), 0.5)
        paint(body[side], 0.93, 0.25, 1.0, 0.45, (215, 250, 255))
        paint(body[side], 0.0, 0.2, 0.05, 0.5, (35, 30, 200))
        paint(cabin[side], 0.12, 0.15, 0.5, 0.85, glass)
        paint(cabin[side], 0.55, 0.15, 0.88, 0.85, glass)
    paint(body['front'], 0.3, 0.35, 0.7, 0.7, (30, 30, 30))
    paint(body['back'], 0.35, 0.4, 0.65, 0.6, (235, 240, 240))
    for left in (0.03, 0.77):
        paint(body['front'], left, 0.25, left + 0.2, 0.5, (215, 250, 255))
        paint(body['back'], left, 0.2, left + 0.2, 0.48, (35, 30, 200))
    for end, low in (('front', 0.92), ('back', 0.75)):
        paint(body[end], 0.0, 0.85, 1.0, 1.0, colour * 0.4)
        paint(cabin[end], 0.08, 0.1, 0.92, low, glass)
    return tuple(body.values()), tuple(cabin.values())


def _pedestrian(generator: np.random.Generator) -> _Faces:
    trousers, coat = _colour(generator, 30, 140), _colour(generator)
    skin = np.array((120, 150, 195)) * generator.uniform(0.45, 1.1)
    hair, bag = generator.uniform(15, 90, 3), _colour(generator)
    legs, torso, head = (_faces(colour, generator) for colour in (trousers, coat, hair))
    for side in ('front', 'back'):
        paint(legs[side], 0.44, 0.1, 0.56, 1.0, trousers * 0.35)
    for side in legs.values():
        paint(side, 0.0, 0.88, 1.0, 1.0, (25, 25, 25))
    for side in ('left', 'right'):
        paint(torso[side], 0.3, 0.15, 0.65, 0.8, coat * 0.7)
        paint(torso[side], 0.3, 0.8, 0.65, 1.0, skin)
        paint(torso[side], 0.0, 0.1, 0.2, 0.85, bag)
        paint(head[side], 0.45, 0.25, 1.0, 1.0, skin)
    paint(torso['back'], 0.18, 0.08, 0.82, 0.85, bag)
    paint(torso['front'], 0.36, 0.0, 0.64, 0.75, np.clip(coat * 0.4 + 140, 0, 255))
    paint(head['front'], 0.05, 0.25, 0.95, 1.0, skin)
    for left in (0.2, 0.62):
        paint(head['front'], left, 0.42, left + 0.18, 0.54, (30, 30, 30))
    return tuple(legs.values()), tuple(torso.values()), tuple(head.values())


def _cyclist(generator: np.random.Generator) -> _Faces:
    frame, shirt = _colour(generator, 60, 230), _colour(generator)
    skin = np.array((120, 150, 195)) * generator.uniform(0.45, 1.1)
    helmet = _colour(generator, 60, 240)
    bike, torso, head = (_faces(colour, generator) for colour in (frame * 0.5 + 40, shirt, helmet))
    for side in ('left', 'right'):
        for across in (0.2, 0.8):
            _wheel(bike[side], across, (11, 25), 0.8)
        paint(bike[side], 0.25, 0.3, 0.75, 0.42, frame)
        paint(bike[side], 0.86, 0.05, 1.0, 0.25, (215, 250, 255))
        paint(bike[side], 0.0, 0.1, 0.12, 0.3, (35, 30, 200))
        paint(torso[side], 0.55, 0.35, 1.0, 0.6, skin)
        paint(head[side], 0.4, 0.5, 1.0, 1.0, skin)
    paint(bike['front'], 0.1, 0.05, 0.9, 0.3, (215, 250, 255))
    paint(bike['back'], 0.1, 0.1, 0.9, 0.35, (35, 30, 200))
    paint(torso['back'], 0.25, 0.15, 0.75, 0.7, np.clip(255 - shirt, 0, 255))
    for left in (0.0, 0.8):
        paint(torso['front'], left, 0.3, left + 0.2, 1.0, skin)
    paint(head['front'], 0.1, 0.45, 0.9, 1.0, skin)
    return tuple(bike.values()), tuple(torso.values()), tuple(head.values())


def _box(generator: np.random.Generator) -> _Faces:
    """A crate, a post, a bin: no side says where the front is."""
    colour = _colour(generator, 40, 200)
    faces = _faces(colour, generator)
    stripes = int(generator.integers(0, 4))
    for face in faces.values():
        for stripe in range(stripes):
            top = (stripe + 0.3) / max(stripes, 1)
            paint(face, 0.0, top, 1.0, top + 0.1, colour * 0.6)
    return (tuple(faces.values()),)


def _tree(generator: np.random.Generator) -> _Faces:
    bark = np.array((45, 60, 80)) * generator.uniform(0.7, 1.3)
    green = np.array((45, 110, 70)) * generator.uniform(0.6, 1.4, 3)
    leaves = {name: cloth(green, generator, 0.25) for name in FACES}
    return tuple(_faces(bark, generator).values()), tuple(leaves.values())
