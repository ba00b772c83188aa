"""The moving pinhole camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.data.labels import Reals

# Frames per second.
RATE = 10.0
HEIGHT = 1.6
# Focal length of the training camera in widths of the picture, and where its axis meets the
# picture, in heights.
FOCAL, PRINCIPAL_ROW = 0.8, 0.45
# Metres per second, radians per second; how the camera shakes, radians.
_FASTEST, _TURN, _STANDS = 3.5, 0.12, 0.15
_SHAKE = np.radians((0.15, 0.2))
# Share of its shake that is left after a frame.
_STEADINESS = 0.8


@dataclass(frozen=True)
class View:
    """The camera at one moment.

    Attributes:
        matrix: (3, 4), pixels.
        rotation: (3, 3) from the axes of the world to those of the camera.
        position: (3,) metres, world.
        heading: radians; 0 looks along z, growing to the right.
    """

    matrix: Reals
    rotation: Reals
    position: Reals
    heading: float

    def to_camera(self, points: Reals) -> Reals:
        """Points (..., 3) of the world in the optical frame of the camera."""
        moved: Reals = (points - self.position) @ self.rotation.T
        return moved


def camera_matrix(size: tuple[int, int], focal: float = FOCAL) -> Reals:
    """The (3, 4) camera of pictures of `size` (height, width), `focal` in widths."""
    length = focal * size[1]
    return np.array(
        [
            [length, 0.0, size[1] / 2, 0.0],
            [0.0, length, size[0] * PRINCIPAL_ROW, 0.0],
            [0.0, 0.0, 1.0, 0.0],
        ]
    )


def drive(frames: int, matrix: Reals, generator: np.random.Generator) -> tuple[View, ...]:
    """The views of a camera that drives ahead, turns and shakes a little."""
    times = np.arange(frames) / RATE
    standing = generator.random() < _STANDS
    fastest = 0.0 if standing else generator.uniform(0.5, _FASTEST)
    speeds = fastest * (1 + 0.4 * np.sin(times * generator.uniform(0.2, 0.8)))
    turn = 0.0 if standing else generator.uniform(-_TURN, _TURN)
    phase, pace = generator.uniform(0, 2 * np.pi), generator.uniform(0.3, 0.9)
    headings = np.cumsum(turn * np.sin(phase + pace * times)) / RATE
    ways = np.stack([np.sin(headings), np.zeros(frames), np.cos(headings)], axis=1)
    positions = np.cumsum(speeds[:, None] * ways, axis=0) / RATE - (0, HEIGHT, 0)
    shakes = _shakes(frames, generator)
    return tuple(
        View(matrix, _rotation(heading, *shake), position, float(heading))
        for heading, shake, position in zip(headings, shakes, positions, strict=True)
    )


def _shakes(frames: int, generator: np.random.Generator) -> Reals:
    """Pitch and roll (F, 2), radians, each frame near the one before."""
    shakes = generator.normal(0, 1, (frames, 2))
    fresh = np.sqrt(1 - _STEADINESS**2)
    for frame in range(1, frames):
        shakes[frame] = _STEADINESS * shakes[frame - 1] + fresh * shakes[frame]
    return np.clip(shakes, -2.5, 2.5) * _SHAKE


def _rotation(heading: float, pitch: float, roll: float) -> Reals:
    """(3, 3) from the world to the camera: about y, then x, then z."""
    sine, cosine = np.sin(heading), np.cos(heading)
    turned = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    sine, cosine = np.sin(pitch), np.cos(pitch)
    pitched = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    sine, cosine = np.sin(roll), np.cos(roll)
    rolled = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    return rolled @ pitched @ turned
