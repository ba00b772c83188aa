"""Joints that follow the tracks: smoothed over time, and kept through short misses.

An alpha-beta filter for each joint, the steady state of the constant-velocity Kalman filter, with
the gains of Kalata ("The tracking index", IEEE Transactions on Aerospace and Electronic Systems
20(2), 1984). Its acceleration grows with the speed of the joint, which is the idea of the One-Euro
filter (Casiez et al., CHI 2012). Motion is measured in sizes of the person (longer side of the
box), so it means the same at all distances; of the noise, most is cells of the network's output,
so far people are smoothed more. Steps are the real ones between stamps. The constants are those
that predict the next image best on real people, far and near, and not a model of them.

Measured on an exact model of walking (0.8 sizes a second; of a person 50 cells high with noise of
0.004 sizes, and of one of 13 cells with 0.025, as real ones have it), in parentheses a One-Euro
filter (1.5 Hz, 8 Hz more per size a second):

|                              | 50 cells, 30 Hz | 10 Hz       | 13 cells, 30 Hz | 10 Hz       |
|------------------------------|-----------------|-------------|-----------------|-------------|
| steps of a standing person   | 0.32 (0.21)     | 0.70 (0.43) | 0.20 (0.34)     | 0.51 (0.55) |
| error of all joints, walking | 1.23 (2.32)     | 1.07 (2.71) | 0.76 (0.81)     | 0.89 (0.95) |
| a joint wrong in one image   | 0.40 (0.54)     | 0.78 (0.74) | 0.26 (0.54)     | 0.59 (0.74) |
| delay of the body            | 0 ms (14)       | 0 ms (18)   | 0 ms (14)       | 0 ms (18)   |
| delay of swinging ankles     | 6 ms (14)       | 2 ms (14)   | 34 ms (14)      | 28 ms (22)  |

The first three rows are shares of what is measured. On real videos at 10 Hz the changes of speed
from image to image fall to 0.74 (people who walk, 70 pixels) and 0.78 (one who stands, 340).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import BoolArray, FloatArray, IntArray, TrackedJoints, Tracks
from centertrack_ros.tracker.ids import rows_of_ids
from centertrack_ros.tracker.robust import SHORTEST_STEP

# Standard deviation of a measured joint: sizes, and cells of the network's output.
SIZE_NOISE = 0.005
CELL_NOISE = 0.33
# Acceleration of a joint, sizes per square second: at rest, and more per size a second.
REST_ACCELERATION = 1.0
SPEED_ACCELERATION = 2.0
# Seconds for which a joint that is not seen is shown. Carried along with its box it is wrong by
# 0.05, 0.06 and 0.07 sizes after 0.1, 0.2 and 0.3 s on people who walk, 0.01 to 0.02 on others;
# carried on with its own velocity by twice that.
HOLD_TIME = 0.3
# Seconds: gains are 1 long before, and infinity has none.
LONGEST_STEP = 100.0
# Pixels: no box is smaller.
LEAST_SIZE = 1.0

# x + iy, image pixels: numpy chooses and scales whole points in a fifth of the time of pairs.
Points = NDArray[np.complex64]


@dataclass(frozen=True)
class _State:
    """Joints of N tracks after an image.

    Attributes:
        ids: (N,) int64.
        boxes: (N, 4) float32 xyxy, image pixels.
        positions: (N, J).
        rates: (N, J), image pixels per second.
        scores: (N, J) float32, when last seen.
        ages: (N, J) float32, seconds since last seen, infinite before that.
    """

    ids: IntArray
    boxes: FloatArray
    positions: Points
    rates: Points
    scores: FloatArray
    ages: FloatArray

    @classmethod
    def empty(cls, joint_count: int) -> _State:
        points = np.zeros((0, joint_count), np.complex64)
        values = np.zeros((0, joint_count), np.float32)
        boxes = np.zeros((0, 4), np.float32)
        return cls(np.zeros(0, np.int64), boxes, points, points, values, values)

    def of(self, ids: IntArray) -> _State:
        """Rows of tracks with these ids (N,), of unknown ones as they begin."""
        rows = rows_of_ids(ids, self.ids)
        return _State(
            ids=ids,
            boxes=_rows(self.boxes, rows, 0.0),
            positions=_rows(self.positions, rows, 0.0),
            rates=_rows(self.rates, rows, 0.0),
            scores=_rows(self.scores, rows, 0.0),
            ages=_rows(self.ages, rows, np.inf),
        )


class JointFilter:
    """All tracks of one camera at once. Not thread-safe.

    Attributes:
        threshold: score from which a joint counts as seen; may be assigned between updates.
        smooth: False gives seen joints as measured; may be assigned between updates.
    """

    def __init__(self, joint_count: int, *, threshold: float = 0.0, smooth: bool = True) -> None:
        """Start with no tracks.

        Args:
            joint_count: J, joints of an object.
            threshold: see the class, 0 to 1.
            smooth: see the class.
        """
        self.threshold = threshold
        self.smooth = smooth
        self._joint_count = joint_count
        self.reset()

    def reset(self) -> None:
        """Forget all joints."""
        self._state = _State.empty(self._joint_count)

    def update(
        self, tracks: Tracks, keypoints: FloatArray | None, dt: float, *, cell: float
    ) -> TrackedJoints:
        """Follow the tracks of one image.

        A joint that is not seen, because its score is below the threshold or its track was
        missed, moves and scales with the box of its track; its score fades to 0 in `HOLD_TIME`,
        until which it stays visible. From then on it is where the image says, with the score
        that it has there, and not visible.

        Args:
            tracks: after this image; `detection_indices` are rows of `keypoints`.
            keypoints: (D, J, 3) float32 x, y in image pixels and score, of this image's
                detections; None = they have none.
            dt: seconds since the image before; 0 for the first one.
            cell: image pixels that a cell of the network's output covers.

        Returns:
            A row for each track.

        Raises:
            ValueError: another number of joints; the state is unchanged.
        """
        places, scores, known = self._measured(tracks, keypoints)
        before = self._state.of(tracks.ids)
        elapsed = max(dt, SHORTEST_STEP)
        ages = before.ages + np.float32(elapsed)
        seen = known & (scores >= self.threshold)
        held = ~seen & (ages < HOLD_TIME)
        filtered, rates = places, before.rates
        if self.smooth:
            # What was not seen for long begins anew, with the velocity of its track.
            goes_on = before.ages < HOLD_TIME
            rates = np.where(goes_on, rates, _points(tracks.velocities)[:, None])
            predicted = np.where(goes_on, before.positions + rates * np.float32(elapsed), places)
            sizes = _sizes(tracks.boxes)
            filtered, rates = _corrected(predicted, rates, places, ages, sizes=sizes, cell=cell)
        moved = _moved(before.positions, before.boxes, tracks.boxes)
        positions = np.where(seen, filtered, np.where(held | ~known, moved, places))
        last_scores = np.where(seen, scores, before.scores)
        faded = last_scores * (1 - np.minimum(ages * np.float32(1 / HOLD_TIME), 1))
        self._state = _State(
            ids=tracks.ids,
            boxes=tracks.boxes,
            positions=positions,
            rates=np.where(seen, rates, before.rates),
            scores=last_scores,
            ages=np.where(seen, np.float32(0), ages),
        )
        return TrackedJoints(
            positions=_pairs(positions),
            scores=np.where(held, faded, scores),
            visible=seen | held,
        )

    def _measured(
        self, tracks: Tracks, keypoints: FloatArray | None
    ) -> tuple[Points, FloatArray, BoolArray]:
        """Places, scores, and which there are, (N, J) each; 0 where there are none."""
        values = np.zeros((len(tracks), self._joint_count, 3), np.float32)
        if keypoints is None:
            keypoints = values[:0]
        if keypoints.shape[1:] != values.shape[1:]:
            raise ValueError(
                f'keypoints: expected (detections, {self._joint_count}, 3), '
                f'received {keypoints.shape}'
            )
        rows = tracks.detection_indices
        seen = (rows >= 0) & (len(keypoints) > 0)
        values[seen] = keypoints[rows[seen]]
        # A confused network says anything.
        known: BoolArray = np.isfinite(values[..., 0] + values[..., 1] + values[..., 2])
        known &= seen[:, None]
        values[~known] = 0
        return _points(values), values[..., 2], known


def _corrected(
    predicted: Points,
    rates: Points,
    places: Points,
    steps: FloatArray,
    *,
    sizes: FloatArray,
    cell: float,
) -> tuple[Points, Points]:
    """Positions and rates (N, J) after measurements `places` (N, J).

    Args:
        predicted, rates: what was known before.
        places: what is seen.
        steps: (N, J) seconds since the last measurement.
        sizes: (N,) of the objects, image pixels.
        cell: see `JointFilter.update`.
    """
    steps = np.minimum(steps, np.float32(LONGEST_STEP))
    speeds = np.abs(rates) / sizes[:, None]
    accelerations = np.float32(REST_ACCELERATION) + np.float32(SPEED_ACCELERATION) * speeds
    # Kalata's tracking index, and the root of his equation between 0 and 1.
    noise = np.hypot(np.float32(SIZE_NOISE), np.float32(CELL_NOISE * cell) / sizes)
    index = accelerations * np.square(steps) / noise[:, None]
    root = np.maximum(4 + index - np.sqrt(index * (8 + index)), 0) * np.float32(0.25)
    errors = places - predicted
    gains, rate_gains = 1 - np.square(root), 2 * np.square(1 - root) / steps
    return predicted + gains * errors, rates + rate_gains * errors


def _moved(positions: Points, before: FloatArray, after: FloatArray) -> Points:
    """Positions (N, J) carried along by boxes (N, 4) that move and change their size."""
    old_sizes = np.maximum(before[:, 2:] - before[:, :2], np.float32(LEAST_SIZE))
    scales = (after[:, 2:] - after[:, :2]) / old_sizes
    shifts = after[:, :2] - before[:, :2] * scales
    return _points(_pairs(positions) * scales[:, None] + shifts[:, None])


def _points(values: FloatArray) -> Points:
    """Points (...) of arrays (..., 2 or more) whose first two columns are x and y."""
    points = np.empty(values.shape[:-1], np.complex64)
    points.real, points.imag = values[..., 0], values[..., 1]
    return points


def _pairs(points: Points) -> FloatArray:
    """Pairs x, y (..., 2) of points (...), the same memory."""
    return points.view(np.float32).reshape(*points.shape, 2)


def _sizes(boxes: FloatArray) -> FloatArray:
    """Longer sides (N,) of boxes (N, 4)."""
    sides = boxes[:, 2:] - boxes[:, :2]
    longer: FloatArray = np.maximum(sides[:, 0], sides[:, 1])
    return np.maximum(longer, np.float32(LEAST_SIZE), out=longer)


def _rows(array: NDArray[Any], rows: IntArray, unknown: float) -> NDArray[Any]:
    """Rows of an array, filled with `unknown` where the row is -1."""
    if len(array) == 0:
        return np.full((len(rows), *array.shape[1:]), unknown, array.dtype)
    taken: NDArray[Any] = array[rows]
    taken[rows < 0] = unknown
    return taken
