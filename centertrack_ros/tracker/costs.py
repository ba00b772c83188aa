"""What it costs to give a track a detection: everything the robust tracker knows about a pair."""

from __future__ import annotations

import numpy as np

from centertrack_ros.association import box_costs, squared_distances
from centertrack_ros.datatypes import Detections, FloatArray
from centertrack_ros.tracker.motion import MEASUREMENT, Motion, boxes_from_values
from centertrack_ros.tracker.rows import Rows
from centertrack_ros.tracker.tuning import Tuning


def pair_costs(
    rows: Rows,
    predicted: Motion,
    detections: Detections,
    measured: FloatArray,
    *,
    dt: float,
    tuning: Tuning,
) -> FloatArray:
    """Costs (M, N) of all pairs: boxes, direction, scores, classes.

    Args:
        rows: M tracks as they were in the image before, but for `seen_at`, which is in this one.
        predicted: where the motion model expects them in this image.
        detections: N detections of this image.
        measured: (N, 4) their centres, widths and heights.
        dt: seconds between the images.
        tuning: weights of the parts.

    Returns:
        Infinite for too different heights.
    """
    costs = _place_costs(rows, predicted, detections, measured, dt, tuning)
    if tuning.turn_cost:
        costs += _turn_costs(rows, predicted, measured, tuning)
    contrast: FloatArray = rows.scores[:, None] - detections.scores[None, :]
    np.abs(contrast, out=contrast)
    contrast *= np.float32(tuning.score_cost)
    costs += contrast
    other_class = rows.classes[:, None] != detections.classes[None, :]
    costs += other_class * np.float32(tuning.class_cost)
    heights, seen = predicted.values[:, 3, None], measured[None, :, 3]
    forbidden = np.minimum(heights, seen) < tuning.height_ratio * np.maximum(heights, seen)
    np.putmask(costs, forbidden, np.inf)
    return costs


def _place_costs(
    rows: Rows,
    predicted: Motion,
    detections: Detections,
    measured: FloatArray,
    dt: float,
    tuning: Tuning,
) -> FloatArray:
    """Costs (M, N) of the boxes.

    The motion model compares boxes in this image, the learned offset compares them in the
    image before. Each cost is weighted by the variance of the other: a new track has no
    velocity yet and is led by the offset, a long seen one by its motion.
    """
    costs = box_costs(boxes_from_values(predicted.values), detections.boxes)
    # A model without a tracking head gives zeros, which say nothing.
    if not (tuning.use_offsets and detections.offsets.any()):
        return costs
    before = measured.copy()
    before[:, :2] = detections.centers + detections.offsets
    learned = box_costs(boxes_from_values(rows.motion.values), boxes_from_values(before))
    offset_noise = tuning.offset_noise + tuning.offset_drift * dt
    motion_variance = predicted.covariances[:, 0, 0] + MEASUREMENT[0] ** 2
    offset_variance = rows.motion.covariances[:, 0, 0] + offset_noise**2
    share = (motion_variance / (motion_variance + offset_variance))[:, None]
    learned -= costs
    learned *= share
    costs += learned
    return costs


def _turn_costs(rows: Rows, predicted: Motion, measured: FloatArray, tuning: Tuning) -> FloatArray:
    """Costs (M, N) of turning: 0 = straight on, `turn_cost` = straight back.

    `(1 - cos) / 2` of the angle between the velocity and the step from where the track was last
    seen, times how sure these two are: `min(speed, scale) * min(step, scale) / scale^2`.
    """
    values, velocities = predicted.values, predicted.rates[:, :2]
    # Boxes without an area, or with a negative one as an untrained network gives them, have a
    # scale as well.
    areas = np.maximum(values[:, 2] * values[:, 3], np.float32(1e-6))
    scales = np.float32(tuning.turn_scale) * np.sqrt(areas)
    speeds = np.sqrt(np.square(velocities).sum(axis=1))
    along = velocities @ measured[:, :2].T
    along -= (velocities * rows.seen_at).sum(axis=1)[:, None]
    steps = squared_distances(rows.seen_at, measured[:, :2])
    np.sqrt(steps, out=steps)
    # |v| |s| (1 - cos) = |v| |s| - v . s, so no angle is needed.
    straight = speeds[:, None] * steps
    turned: FloatArray = np.subtract(straight, along, out=along)
    turned /= np.maximum(straight, np.float32(1e-6), out=straight)
    np.minimum(steps, scales[:, None], out=steps)
    turned *= steps
    turned *= (0.5 * tuning.turn_cost * np.minimum(speeds, scales) / scales**2)[:, None]
    return turned
