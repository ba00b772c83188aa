"""Who walks where in the sequences of the suite: walks laid out on purpose, not drawn at random.

A part of a cast says how many people do something; on a `Stage` it becomes their walks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from training.data.labels import Reals
from training.data.scene import Ground, Walk

_STILL = np.zeros(2)
_USUAL_SPEEDS = (0.8, 1.5)


@dataclass(frozen=True)
class Stage:
    """The ground on which people walk, for a time.

    Attributes:
        ground: the ground in the picture.
        width: of the picture in pixels.
        duration: seconds.
        overscan: share of the width that the camera sees beyond each side at some time.
    """

    ground: Ground
    width: int
    duration: float
    overscan: float = 0.0

    def place(self, column: float, nearness: float) -> Reals:
        """Point (2,) of the ground, metres.

        Args:
            column: share of the picture's width, 0 to 1 is in the picture.
            nearness: share of the way from the farthest to the nearest row.
        """
        near, far = 1 / self.ground.nearest, 1 / self.ground.farthest
        distance = 1 / (far + nearness * (near - far))
        right = (column * self.width - self.ground.center_px) * distance / self.ground.focal_px
        return np.array([right, distance])

    def column(self, generator: np.random.Generator) -> float:
        """A column that the camera sees at some time."""
        return float(generator.uniform(-self.overscan, 1 + self.overscan))


class CastPart(Protocol):
    """People who do the same."""

    def walks(self, stage: Stage, generator: np.random.Generator) -> list[Walk]:
        """One walk for each of them."""
        ...


@dataclass(frozen=True)
class Passing:
    """People who walk across the picture, every other one to the left.

    Attributes:
        count: number of people.
        speeds: slowest and fastest, metres per second.
        nearness: least and most, see `Stage.place`.
    """

    count: int
    speeds: tuple[float, float] = _USUAL_SPEEDS
    nearness: tuple[float, float] = (0.0, 1.0)

    def walks(self, stage: Stage, generator: np.random.Generator) -> list[Walk]:
        """Straight walks, spread evenly over rows and time."""
        spread = generator.permutation(self.count) + generator.uniform(0.2, 0.8, self.count)
        low, high = self.nearness
        walks = []
        for number, share in enumerate(spread / self.count):
            place = stage.place(stage.column(generator), low + (high - low) * share)
            time = stage.duration * generator.uniform(number, number + 1) / self.count
            walks.append(_straight(time, place, _across(number, self.speeds, generator)))
        return walks


@dataclass(frozen=True)
class Crossing:
    """Pairs of people who meet and pass within half a metre: one hides the other.

    Attributes:
        pairs: number of pairs.
        speeds: slowest and fastest, metres per second.
        nearness: least and most, see `Stage.place`.
    """

    pairs: int
    speeds: tuple[float, float] = _USUAL_SPEEDS
    nearness: tuple[float, float] = (0.0, 1.0)

    def walks(self, stage: Stage, generator: np.random.Generator) -> list[Walk]:
        """Two straight walks for each pair."""
        walks = []
        for pair in range(self.pairs):
            time = stage.duration * (pair + generator.uniform(0.3, 0.7)) / self.pairs
            nearness = generator.uniform(*self.nearness)
            meeting = stage.place(generator.uniform(0.3, 0.7), nearness)
            aside = np.array([0.0, generator.uniform(0.25, 0.5)])
            walks.append(_straight(time, meeting, _across(0, self.speeds, generator)))
            walks.append(_straight(time, meeting + aside, _across(1, self.speeds, generator)))
        return walks


@dataclass(frozen=True)
class Group:
    """People who walk together, two or three abreast.

    Attributes:
        count: number of people.
        column, nearness: where the group is at `share` of the sequence, see `Stage.place`.
        share: share of the duration.
        speed: metres per second, below 0 to the left.
    """

    count: int
    column: float
    nearness: float
    share: float
    speed: float

    def walks(self, stage: Stage, generator: np.random.Generator) -> list[Walk]:
        """The same walk for all, in ranks that keep the distance of people who talk."""
        leader = _straight(
            self.share * stage.duration,
            stage.place(self.column, self.nearness),
            np.array([self.speed, generator.normal(0, 0.04)]),
        )
        abreast = 2 if self.count < 5 else 3
        walks = []
        for number in range(self.count):
            rank, file = divmod(number, abreast)
            offset = np.array([0.75 * rank + 0.2 * file, 0.55 * file])
            walks.append(leader.shifted(offset + generator.uniform(-0.12, 0.12, 2)))
        return walks


@dataclass(frozen=True)
class Approaching:
    """People who walk towards the camera or away from it, every other one.

    Attributes:
        count: number of people.
        speeds: slowest and fastest, metres per second.
    """

    count: int
    speeds: tuple[float, float] = _USUAL_SPEEDS

    def walks(self, stage: Stage, generator: np.random.Generator) -> list[Walk]:
        """They turn aside before they leave the ground at its near or far end."""
        near, far = stage.ground.nearest, stage.ground.farthest
        walks = []
        for number in range(self.count):
            away = 1 if number % 2 else -1
            speed = generator.uniform(*self.speeds)
            start = generator.uniform(0.0, 0.3) if away < 0 else generator.uniform(0.7, 1.0)
            place = stage.place(generator.uniform(0.15, 0.85), start)
            room = far - place[1] if away > 0 else place[1] - near
            aside = _across(number, self.speeds, generator)
            velocity = np.array([generator.normal(0, 0.15), away * speed])
            walks.append(Walk(0.0, place, float(room / speed), velocity, aside))
        return walks


@dataclass(frozen=True)
class StopAndTurn:
    """People who walk, stop or turn sharply in the picture, or stand and set off.

    Attributes:
        count: number of people; a third of them each.
    """

    count: int

    def walks(self, stage: Stage, generator: np.random.Generator) -> list[Walk]:
        """Walks of two legs that change in the middle half of the sequence."""
        walks = []
        for number in range(self.count):
            place = stage.place(generator.uniform(0.12, 0.88), (number + 0.5) / self.count)
            time = float(stage.duration * generator.uniform(0.25, 0.7))
            arriving = _across(number, _USUAL_SPEEDS, generator)
            turned = _across(number + 1, _USUAL_SPEEDS, generator)
            legs = ((arriving, _STILL), (arriving, turned), (_STILL, turned))[number % 3]
            walks.append(Walk(time, place, time, *legs))
        return walks


@dataclass(frozen=True)
class StandingRow:
    """People who stand shoulder to shoulder.

    Attributes:
        count: number of people.
        column, nearness: the middle of the row, see `Stage.place`.
        spacing: metres from one to the next.
    """

    count: int
    column: float
    nearness: float
    spacing: float = 0.5

    def walks(self, stage: Stage, generator: np.random.Generator) -> list[Walk]:
        """Walks without motion."""
        middle = stage.place(self.column, self.nearness)
        walks = []
        for number in range(self.count):
            aside = np.array([self.spacing * (number - (self.count - 1) / 2), 0.0])
            place = middle + aside + generator.uniform(-0.06, 0.06, 2)
            walks.append(_straight(0.0, place, _STILL))
        return walks


@dataclass(frozen=True)
class PassingBehind:
    """People who walk past one point one after the other, behind what stands there.

    Attributes:
        count: number of people.
        column, nearness: the point, see `Stage.place`.
        speeds: slowest and fastest, metres per second.
        behind: least and most metres by which they pass farther away.
    """

    count: int
    column: float
    nearness: float
    speeds: tuple[float, float] = (0.8, 1.2)
    behind: tuple[float, float] = (0.5, 1.3)

    def walks(self, stage: Stage, generator: np.random.Generator) -> list[Walk]:
        """Straight walks, spread evenly over time, every other one to the left."""
        point = stage.place(self.column, self.nearness)
        walks = []
        for number in range(self.count):
            time = stage.duration * (number + generator.uniform(0.4, 0.6)) / self.count
            away = np.array([0.0, generator.uniform(*self.behind)])
            velocity = _across(number, self.speeds, generator) * [1.0, 0.0]
            walks.append(_straight(time, point + away, velocity))
        return walks


def _straight(time: float, position: Reals, velocity: Reals) -> Walk:
    return Walk(float(time), position, 0.0, velocity, velocity)


def _across(number: int, speeds: tuple[float, float], generator: np.random.Generator) -> Reals:
    """Velocity (2,) across the picture: to the right for even numbers, to the left for odd."""
    direction = -1.0 if number % 2 else 1.0
    speed, drift = generator.uniform(*speeds), generator.normal(0, 0.05)
    return np.array([direction * speed, drift * speed])
