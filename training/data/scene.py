"""Where everything in a synthetic scene is at a given time: closed formulas, no simulation.

The ground is a plane seen by a level pinhole camera, so that people far away are smaller, stand
higher in the picture and move fewer pixels. A closed formula for every position means that two
frames of a long sequence cost two renderings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.data.labels import Reals

PERSON_HEIGHT = 1.7

# Height in metres and usual top speed in metres per second. Sizes matter only against each other.
CLASS_HEIGHTS_AND_SPEEDS: dict[str, tuple[float, float]] = {
    'person': (PERSON_HEIGHT, 1.8),
    'bicycle': (1.1, 5.0),
    'car': (1.5, 9.0),
    'motorcycle': (1.3, 9.0),
    'bus': (3.0, 8.0),
    'truck': (2.8, 8.0),
    'cat': (0.35, 2.0),
    'dog': (0.6, 3.0),
    'horse': (1.8, 4.0),
    'sheep': (0.9, 1.5),
    'cow': (1.5, 1.5),
    'elephant': (3.0, 2.0),
    'bear': (1.3, 2.0),
    'zebra': (1.5, 3.0),
    'giraffe': (4.5, 3.0),
}

VEHICLES = frozenset({'bicycle', 'car', 'motorcycle', 'bus', 'truck'})


@dataclass(frozen=True)
class Ground:
    """The ground plane in the picture: maps metres (right, away) to pixels.

    Attributes:
        focal_px: focal length.
        center_px: column of the optical axis.
        horizon_px: row of the horizon.
        camera_height: metres above the ground.
        nearest, farthest: distances in metres between which things are placed.
    """

    focal_px: float
    center_px: float
    horizon_px: float
    camera_height: float
    nearest: float
    farthest: float

    @classmethod
    def sample(cls, width: int, height: int, generator: np.random.Generator) -> Ground:
        """A view in which people near are 0.15 to 0.62 of the picture high, far ones less."""
        near_height = height * generator.uniform(0.15, 0.62)
        far_height = near_height * generator.uniform(0.25, 0.8)
        near_row = height * generator.uniform(0.9, 1.25)
        far_row = height * generator.uniform(0.3, 0.7)
        focal = width * generator.uniform(0.7, 1.6)
        return cls.through(width, (near_height, near_row), (far_height, far_row), focal)

    @classmethod
    def through(
        cls, width: int, near: tuple[float, float], far: tuple[float, float], focal_px: float
    ) -> Ground:
        """The view in which people have these heights at these rows.

        Args:
            width: of the picture in pixels.
            near, far: height of a person and row of the feet, pixels, at both ends.
            focal_px: least focal length. A steeper view than 45 degrees would not show people
                upright: the camera steps back then, with more zoom.
        """
        rise = (near[1] - far[1]) / (near[0] - far[0])
        focal = max(focal_px, rise * near[0])
        return cls(
            focal_px=focal,
            center_px=width / 2,
            horizon_px=far[1] - far[0] * rise,
            camera_height=PERSON_HEIGHT * rise,
            nearest=focal * PERSON_HEIGHT / near[0],
            farthest=focal * PERSON_HEIGHT / far[0],
        )

    def row_at(self, distance: float) -> float:
        """Row of the picture of ground that is `distance` metres away."""
        return self.horizon_px + self.focal_px * self.camera_height / distance

    def floor_of_pixel(self) -> Reals:
        """Homography (3, 3) from pixels below the horizon to metres (right, away)."""
        # distance = focal * height / (row - horizon), right = (column - center) * distance / focal
        return np.array(
            [
                [self.camera_height, 0.0, -self.camera_height * self.center_px],
                [0.0, 0.0, self.focal_px * self.camera_height],
                [0.0, 1.0, -self.horizon_px],
            ]
        )

    def feet_px(self, position: Reals) -> tuple[float, float, float]:
        """Pixel x, y of a point (2,) of the ground, and pixels per metre there."""
        scale = self.focal_px / float(position[1])
        x = self.center_px + scale * float(position[0])
        return x, self.horizon_px + scale * self.camera_height, scale

    def sample_position(self, width: int, generator: np.random.Generator) -> Reals:
        """A random point (2,) of the ground that is in the picture or just outside of it."""
        # Uniform in 1 / distance is uniform in rows of the picture.
        distance = 1 / generator.uniform(1 / self.farthest, 1 / self.nearest)
        column = generator.uniform(-0.05, 1.05) * width
        return np.array([(column - self.center_px) * distance / self.focal_px, distance])


@dataclass(frozen=True)
class Walk:
    """A walk on the ground: one straight leg until `turn_time`, another one from then on.

    A stop is a leg of no speed.

    Attributes:
        time: seconds at which the walker is at `position`.
        position: (2,) metres.
        turn_time: seconds.
        velocity_before, velocity_after: (2,) metres per second.
    """

    time: float
    position: Reals
    turn_time: float
    velocity_before: Reals
    velocity_after: Reals

    def at(self, time: float) -> Reals:
        """Position (2,) at `time`."""
        before = min(time, self.turn_time) - min(self.time, self.turn_time)
        after = max(time, self.turn_time) - max(self.time, self.turn_time)
        place: Reals = self.position + before * self.velocity_before + after * self.velocity_after
        return place

    def velocity(self, time: float) -> Reals:
        """Velocity (2,) at `time`."""
        return self.velocity_before if time < self.turn_time else self.velocity_after

    def shifted(self, offset: Reals) -> Walk:
        """The same walk `offset` (2,) metres beside it: someone of the same group."""
        return Walk(
            self.time,
            self.position + offset,
            self.turn_time,
            self.velocity_before,
            self.velocity_after,
        )


def sample_walk(
    ground: Ground,
    width: int,
    duration: float,
    top_speed: float,
    generator: np.random.Generator,
) -> Walk:
    """A walk that is in the picture at some time of the sequence.

    A fifth stands still, others walk straight on, turn, stop or set off once.
    """
    position = ground.sample_position(width, generator)
    return walk_through(position, duration, top_speed, generator)


def walk_through(
    position: Reals, duration: float, top_speed: float, generator: np.random.Generator
) -> Walk:
    """A random walk that is at `position` (2,) at a random time of the sequence."""
    speed = top_speed * generator.uniform(0.2, 1.0)
    # Twice as many walk across the picture as towards the camera.
    angle = generator.choice([0.0, np.pi]) + generator.normal(0, 0.6)
    if generator.random() < 0.33:
        angle += np.pi / 2
    first = speed * np.array([np.cos(angle), np.sin(angle)])
    turn = generator.normal(0, 0.8)
    second = speed * np.array([np.cos(angle + turn), np.sin(angle + turn)])
    kind = generator.choice(5, p=[0.2, 0.4, 0.16, 0.12, 0.12])
    if kind == 0:
        first = second = np.zeros(2)
    elif kind == 1:
        second = first
    elif kind == 3:
        second = np.zeros(2)
    elif kind == 4:
        first = np.zeros(2)
    time, turn_time = generator.uniform(0, duration, 2)
    return Walk(float(time), position, float(turn_time), first, second)


@dataclass(frozen=True)
class CameraMotion:
    """Pan, zoom, roll and shake of the camera as an affine map of the picture over time.

    Attributes:
        center: (2,) pixels, point about which the picture turns and grows.
        middle_time: seconds at which only the shake moves the picture.
        pan: (2,) pixels per second.
        zoom: growth per second, as logarithm.
        roll: radians per second.
        shake: (S, 2) amplitudes in pixels.
        frequency: (S,) hertz.
        phase: (S, 2) radians.
    """

    center: Reals
    middle_time: float
    pan: Reals
    zoom: float
    roll: float
    shake: Reals
    frequency: Reals
    phase: Reals

    @classmethod
    def sample(
        cls, width: int, height: int, duration: float, generator: np.random.Generator
    ) -> CameraMotion:
        """Half of the cameras stand still; the others pan, zoom, roll and shake, or some of it."""
        moves = generator.random(4) < generator.choice([0.0, 0.0, 0.5, 0.8])
        reach = 0.12 * width / max(duration, 0.5)
        return cls(
            center=np.array([width / 2, height / 2]),
            middle_time=duration / 2,
            pan=moves[0] * generator.normal(0, reach, 2) * [1.0, 0.3],
            zoom=float(moves[1] * generator.normal(0, 0.1 / max(duration, 0.5))),
            roll=float(moves[2] * generator.normal(0, 0.015 / max(duration, 0.5))),
            shake=moves[3] * generator.normal(0, 0.004 * width, (2, 2)),
            frequency=generator.uniform(0.5, 6.0, 2),
            phase=generator.uniform(0, 2 * np.pi, (2, 2)),
        )

    def matrix(self, time: float) -> Reals:
        """Affine map (2, 3) from scene pixels to the pixels of the frame at `time`."""
        elapsed = time - self.middle_time
        scale, angle = np.exp(self.zoom * elapsed), self.roll * elapsed
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        linear = np.array([[cosine, -sine], [sine, cosine]])
        turns = 2 * np.pi * self.frequency[:, None] * time + self.phase
        shift = self.pan * elapsed + (self.shake * np.sin(turns)).sum(axis=0)
        offset = self.center + shift - linear @ self.center
        return np.concatenate([linear, offset[:, None]], axis=1)

    def speed(self, time: float) -> Reals:
        """Velocity (2,) of the picture's centre in pixels per second."""
        pulse = 2 * np.pi * self.frequency[:, None]
        turns = pulse * time + self.phase
        moving: Reals = self.pan + (self.shake * pulse * np.cos(turns)).sum(axis=0)
        return moving


def compose(outer: Reals, inner: Reals) -> Reals:
    """The affine map (2, 3) that does `inner` first and `outer` then."""
    linear = outer[:, :2] @ inner[:, :2]
    offset = outer[:, :2] @ inner[:, 2] + outer[:, 2]
    return np.concatenate([linear, offset[:, None]], axis=1)
