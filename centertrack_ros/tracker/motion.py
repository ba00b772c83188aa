"""Constant-velocity Kalman filter for boxes, all tracks at once.

Every box is filtered in units of its own size (square root of its area): noise, and with it the
covariance, then mean the same for near and far objects. Axes do not influence each other, x and y
share one covariance and so do width and height; three numbers per group and track remain.
Time steps are real ones, so frame rate and dropped images need no tuning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from centertrack_ros.datatypes import BoolArray, FloatArray, IntArray

# Standard deviations; the first number is for the centre, the second for width and height.
# Measurement: sizes. Four pixels for a person of 40 x 100, and pose changes the width more.
MEASUREMENT = np.array([0.07, 0.1], np.float32)
# Drift of the velocity: sizes per second after one second of random acceleration. Smaller values
# bridge longer gaps, larger ones follow turns; people and cars lie between 0.2 and 0.7.
ACCELERATION = np.array([0.35, 0.2], np.float32)
# Velocity of a new object: sizes per second. A walking person makes about 1.2.
FIRST_VELOCITY = np.array([1.0, 0.3], np.float32)
# Seconds after which a lost object's change of size has faded: extrapolated longer, sizes explode.
SIZE_RATE_LIFE = 0.3


@dataclass(frozen=True)
class Motion:
    """Filtered boxes of N tracks.

    Attributes:
        values: (N, 4) float32, centre x, centre y, width, height, image pixels.
        rates: (N, 4) float32, their change, image pixels per second.
        covariances: (N, 2, 3) float32; for centre and size the variance of the value, its
            covariance with the rate and the variance of the rate, in sizes and seconds.
    """

    values: FloatArray
    rates: FloatArray
    covariances: FloatArray

    def __getitem__(self, index: IntArray | BoolArray | slice) -> Motion:
        """Rows chosen by an index array, a mask or a slice."""
        return Motion(self.values[index], self.rates[index], self.covariances[index])


def values_from_boxes(boxes: FloatArray) -> FloatArray:
    """Centre, width and height (N, 4) of boxes (N, 4) xyxy."""
    return np.concatenate(
        ((boxes[:, :2] + boxes[:, 2:]) * np.float32(0.5), boxes[:, 2:] - boxes[:, :2]), axis=1
    )


def boxes_from_values(values: FloatArray) -> FloatArray:
    """Boxes (N, 4) xyxy of centres, widths and heights (N, 4)."""
    half = values[:, 2:] * np.float32(0.5)
    boxes = np.empty_like(values)
    np.subtract(values[:, :2], half, out=boxes[:, :2])
    np.add(values[:, :2], half, out=boxes[:, 2:])
    return boxes


def start(values: FloatArray) -> Motion:
    """Motion of objects seen once, values (N, 4): at rest, with an uncertain velocity."""
    covariance = np.stack((MEASUREMENT**2, np.zeros(2, np.float32), FIRST_VELOCITY**2), axis=1)
    return Motion(values, np.zeros_like(values), np.repeat(covariance[None], len(values), axis=0))


def predict(motion: Motion, dt: float, lost: BoolArray) -> Motion:
    """Where the objects are `dt` seconds (at least 0) later.

    Args:
        motion: state at the image before.
        dt: seconds since then.
        lost: (N,) bool, objects not seen in the image before; their size settles.
    """
    step = np.float32(dt)
    rates = motion.rates.copy()
    if lost.any():
        rates[lost, 2:] *= np.float32(np.exp(-dt / SIZE_RATE_LIFE))
    values = rates * step
    values += motion.values
    # A box never more than halves or doubles in one step, so it cannot turn inside out.
    sizes, before = values[:, 2:], motion.values[:, 2:]
    np.maximum(sizes, before * np.float32(0.5), out=sizes)
    np.minimum(sizes, before * np.float32(2), out=sizes)
    # Value, mixed and rate of F P F' with F = (1, dt; 0, 1), one column each.
    spread = np.array([[1, 0, 0], [2 * dt, 1, 0], [dt**2, dt, 1]], np.float32)
    growth = np.array([dt**3 / 3, dt**2 / 2, dt], np.float32)
    covariances = (motion.covariances.reshape(-1, 3) @ spread).reshape(motion.covariances.shape)
    covariances += np.multiply.outer(ACCELERATION**2, growth)
    return Motion(values, rates, covariances)


def through_camera(motion: Motion, camera: FloatArray) -> Motion:
    """What the motion looks like after the camera moved.

    Args:
        motion: state before.
        camera: (2, 3) affine map of image pixels, as `camera_motion.estimate_motion` returns it.
    """
    matrix, shift = camera[:, :2], camera[:, 2]
    (a, b), (c, d) = matrix.tolist()
    zoom = np.float32(math.sqrt(abs(a * d - b * c)))
    values, rates = motion.values * zoom, motion.rates * zoom
    values[:, :2] = motion.values[:, :2] @ matrix.T + shift
    rates[:, :2] = motion.rates[:, :2] @ matrix.T
    return Motion(values, rates, motion.covariances)


def correct(motion: Motion, measured: FloatArray, noise: FloatArray | None = None) -> Motion:
    """Take the measured values (N, 4) of the same N objects.

    Args:
        motion: state predicted for this image.
        measured: centres, widths and heights, image pixels.
        noise: (N,) float32, factor for the standard deviation of each; None = 1.
    """
    before = motion.covariances
    variance = MEASUREMENT**2
    total = before[..., 0] + (variance if noise is None else variance * np.square(noise)[:, None])
    # (N, group, value and rate), (N, group, axis).
    gains = before[..., :2] / total[..., None]
    errors = (measured - motion.values).reshape(-1, 2, 2)
    covariances = np.empty_like(before)
    np.multiply(1 - gains[..., :1], before[..., :2], out=covariances[..., :2])
    np.subtract(before[..., 2], gains[..., 1] * before[..., 1], out=covariances[..., 2])
    return Motion(
        motion.values + (gains[..., :1] * errors).reshape(-1, 4),
        motion.rates + (gains[..., 1:] * errors).reshape(-1, 4),
        covariances,
    )
