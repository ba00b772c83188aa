"""Boxes in space over time: constant velocity, yaw that may be the wrong way round, mean sizes.

All tracks at once, in float64: 6x6 covariances lose digits in float32. Time steps are real ones,
so frame rate and dropped images need no tuning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import IntArray, TrackedBoxes3D

Doubles = NDArray[np.float64]

# Standard deviation of a measured yaw, radians.
YAW = 0.2
# Seconds for which an error of a measurement lasts: networks err alike in images that are alike.
# Images that follow each other faster say less each, so that the frame rate makes no difference.
ERROR_LIFE = 0.3
# Shortest time between two images, seconds.
LEAST_STEP = 1e-3
# Share of the variance of a measurement that other images do not average away.
LASTING = 0.25
# Drift of the velocity, metres per second after one second, and of the yaw, radians.
ACCELERATION = 2.0
TURN = 0.5
# Standard deviation of the velocity of an object seen once, metres per second, and of what the
# network says of it.
FIRST_VELOCITY = 8.0
SAID_VELOCITY = 2.5
# Squared distance (Mahalanobis, three axes) that a measurement exceeds once in a thousand images.
# It is believed less from there on, so that one wild depth does not throw a box.
FARTHEST = 16.3
# Images after which the mean of the dimensions is a sliding one, and the most votes for a heading.
DIMENSION_IMAGES = 30
MOST_VOTES = 5.0


@dataclass(frozen=True)
class Measured:
    """What the detections of M tracks say.

    Attributes:
        tracks: (M,) int64, rows of the tracks.
        middles: (M, 3) metres.
        covariances: (M, 3, 3) of them, square metres.
        yaws: (M,) radians.
        dimensions: (M, 3) height, width, length, metres.
        velocities: (M, 3) metres per second; None for models that do not say them.
        attributes: (M,) int64, see `TrackedBoxes3D`; None for models without.
    """

    tracks: IntArray
    middles: Doubles
    covariances: Doubles
    yaws: Doubles
    dimensions: Doubles
    velocities: Doubles | None = None
    attributes: IntArray | None = None

    def __getitem__(self, index: Any) -> Measured:
        """Rows chosen by an index array or a mask."""
        rows: dict[str, Any] = {
            name: None if values is None else values[index] for name, values in vars(self).items()
        }
        return Measured(**rows)


class Motion3D:
    """State of N tracks; it changes in place.

    Attributes:
        lifts: (N,) int64, measurements taken so far; with 0 the rest says nothing.
        motion: (N, 6) middle and its velocity, metres and metres per second.
        covariances: (N, 6, 6) of them.
        noise: (N, 3, 3) covariance of the last measured middle.
        yaws, yaw_variances: (N,) radians and square radians.
        heading_votes: (N,) how much more often the yaw was measured this way round than turned by
            half a turn; at most `MOST_VOTES`.
        dimensions: (N, 3) height, width, length, metres.
        attributes: (N,) int64, the last ones, -1 = none.
    """

    def __init__(self, count: int) -> None:
        """Tracks of which nothing is known."""
        self.lifts = np.zeros(count, np.int64)
        self.motion = np.zeros((count, 6))
        self.covariances = np.zeros((count, 6, 6))
        self.noise = np.zeros((count, 3, 3))
        self.yaws = np.zeros(count)
        self.yaw_variances = np.zeros(count)
        self.heading_votes = np.zeros(count)
        self.dimensions = np.zeros((count, 3))
        self.attributes = np.full(count, -1, np.int64)
        self._repetition = 1.0

    def rearranged(self, rows: IntArray) -> Motion3D:
        """A state of its own whose row `i` is row `rows[i]` of this one, -1 = a new track."""
        new = Motion3D(len(rows))
        kept = rows >= 0
        for name, values in vars(new).items():
            if isinstance(values, np.ndarray):
                values[kept] = getattr(self, name)[rows[kept]]
        return new

    def predict(self, dt: float) -> None:
        """Let `dt` seconds (at least 0) pass."""
        # Of N white errors and of N that last, the latter average out this much worse.
        self._repetition = max(2 * ERROR_LIFE / max(dt, LEAST_STEP), 1.0)
        self.motion[:, :3] += dt * self.motion[:, 3:]
        step = np.eye(6)
        step[:3, 3:] = dt * np.eye(3)
        # Of random acceleration, as in `tracker.motion`.
        drift = np.kron([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]], np.eye(3))
        self.covariances = step @ self.covariances @ step.T + ACCELERATION**2 * drift
        # The variance of an angle of which nothing is known.
        self.yaw_variances = np.minimum(self.yaw_variances + TURN**2 * dt, np.pi**2 / 3)

    def take(self, measured: Measured) -> None:
        """Start or correct the tracks that were measured, each at most once."""
        first = self.lifts[measured.tracks] == 0
        self._start(measured[first])
        self._correct(measured[~first])

    def boxes(self, *, with_attributes: bool) -> TrackedBoxes3D:
        """The state in the form in which it is published."""
        known = self.lifts > 0
        covariances = np.zeros((len(known), 4, 4))
        covariances[known, :3, :3] = (self.covariances[:, :3, :3] + LASTING * self.noise)[known]
        covariances[known, 3, 3] = self.yaw_variances[known] + LASTING * YAW**2
        return TrackedBoxes3D(
            middles=self.motion[:, :3].astype(np.float32),
            dimensions=self.dimensions.astype(np.float32),
            yaws=self.yaws.astype(np.float32),
            velocities=self.motion[:, 3:].astype(np.float32),
            covariances=covariances.astype(np.float32),
            known=known,
            attributes=self.attributes.copy() if with_attributes else None,
        )

    def _start(self, measured: Measured) -> None:
        """Take objects that are measured for the first time.

        The network's velocity is believed here and never again. What is wrong with it lasts: it
        comes of the same two images, and nuScenes' is the velocity over the ground and not
        that relative to the camera. Taken in every image it would overrule the positions.
        """
        at = measured.tracks
        self.lifts[at] = 1
        self.motion[at, :3] = measured.middles
        self.motion[at, 3:] = 0.0
        deviations = np.full(len(at), FIRST_VELOCITY)
        if measured.velocities is not None:
            said = np.isfinite(measured.velocities).all(axis=1)
            self.motion[at[said], 3:] = measured.velocities[said]
            deviations[said] = SAID_VELOCITY
        covariances = np.zeros((len(at), 6, 6))
        covariances[:, :3, :3] = measured.covariances
        covariances[:, 3:, 3:] = np.square(deviations)[:, None, None] * np.eye(3)
        self.covariances[at] = covariances
        self.noise[at] = measured.covariances
        self.yaws[at] = measured.yaws
        self.yaw_variances[at] = YAW**2
        self.heading_votes[at] = 1.0
        self.dimensions[at] = measured.dimensions
        if measured.attributes is not None:
            self.attributes[at] = measured.attributes

    def _correct(self, measured: Measured) -> None:
        """Take objects that are known."""
        at = measured.tracks
        before = self.covariances[at]
        errors = (measured.middles - self.motion[at, :3])[..., None]
        total = before[:, :3, :3] + self._repetition * measured.covariances
        distances = (errors.transpose(0, 2, 1) @ np.linalg.solve(total, errors))[:, 0, 0]
        # As if the variance were so large that the distance is just believed.
        total *= np.maximum(distances / FARTHEST, 1.0)[:, None, None]
        gains = np.linalg.solve(total, before[:, :3]).transpose(0, 2, 1)
        self.motion[at] += (gains @ errors)[..., 0]
        self.covariances[at] = before - gains @ before[:, :3]
        self.noise[at] = measured.covariances
        self._correct_yaws(at, measured.yaws)
        self.lifts[at] += 1
        weights = 1.0 / np.minimum(self.lifts[at], DIMENSION_IMAGES)
        self.dimensions[at] += weights[:, None] * (measured.dimensions - self.dimensions[at])
        if measured.attributes is not None:
            self.attributes[at] = measured.attributes

    def _correct_yaws(self, at: IntArray, yaws: Doubles) -> None:
        """Networks take front for back: a yaw far off is turned round, and the majority wins."""
        errors = _wrapped(yaws - self.yaws[at])
        turned = np.abs(errors) > np.pi / 2
        errors = np.where(turned, _wrapped(errors + np.pi), errors)
        gains = self.yaw_variances[at] / (self.yaw_variances[at] + self._repetition * YAW**2)
        votes = self.heading_votes[at] + np.where(turned, -1.0, 1.0)
        half_turns = np.where(votes < 0, np.pi, 0.0)
        self.yaws[at] = _wrapped(self.yaws[at] + gains * errors + half_turns)
        self.yaw_variances[at] *= 1.0 - gains
        self.heading_votes[at] = np.minimum(np.abs(votes), MOST_VOTES)


def _wrapped(angles: Doubles) -> Doubles:
    """Angles moved by whole turns to within -pi and pi."""
    wrapped: Doubles = np.arctan2(np.sin(angles), np.cos(angles))
    return wrapped
