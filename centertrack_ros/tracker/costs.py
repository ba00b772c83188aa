"""What it costs to give a track a detection: everything the robust tracker knows about a pair."""

from __future__ import annotations

import numpy as np

from centertrack_ros.association import Pairs, box_costs, near_pairs
from centertrack_ros.datatypes import Detections, FloatArray
from centertrack_ros.tracker.motion import MEASUREMENT, Motion, boxes_from_values
from centertrack_ros.tracker.rows import Rows
from centertrack_ros.tracker.tuning import Tuning


def pair_costs(
    rows: Rows,
    before: Motion,
    detections: Detections,
    measured: FloatArray,
    *,
    dt: float,
    tuning: Tuning,
) -> tuple[Pairs, FloatArray]:
    """Costs of boxes, direction, scores and classes of all pairs that may be matched.

    Args:
        rows: M tracks as they are expected in this image.
        before: where they were in the image before.
        detections: N detections of this image.
        measured: (N, 4) their centres, widths and heights.
        dt: seconds between the images.
        tuning: weights of the parts.

    Returns:
        P pairs, among them all that cost less than the limits of `tuning`, and their costs (P,),
        infinite for too different heights.
    """
    pairs, costs = _place_costs(rows, before, detections, measured, dt, tuning)
    tracks, seen = pairs
    if tuning.turn_cost:
        costs += _turn_costs(rows, measured, pairs, tuning)
    contrast: FloatArray = rows.scores[tracks] - detections.scores[seen]
    np.abs(contrast, out=contrast)
    contrast *= np.float32(tuning.score_cost)
    costs += contrast
    other_class = rows.classes[tracks] != detections.classes[seen]
    costs += other_class * np.float32(tuning.class_cost)
    heights, heights_seen = rows.motion.values[tracks, 3], measured[seen, 3]
    largest = np.maximum(heights, heights_seen)
    costs[np.minimum(heights, heights_seen) < tuning.height_ratio * largest] = np.inf
    return pairs, costs


def _place_costs(
    rows: Rows,
    before: Motion,
    detections: Detections,
    measured: FloatArray,
    dt: float,
    tuning: Tuning,
) -> tuple[Pairs, FloatArray]:
    """Pairs that are near each other, and the costs (P,) of their boxes.

    The motion model compares boxes in this image, the learned offset compares them in the
    image before. Each cost is weighted by the variance of the other: a new track has no
    velocity yet and is led by the offset, a long seen one by its motion. The mean of both is
    below a limit only if one of them is, so pairs that are apart in both images are left out.
    """
    limit = max(tuning.cost_limit, tuning.low_cost_limit)
    # A model without a tracking head gives zeros, which say nothing.
    if not (tuning.use_offsets and detections.offsets.any()):
        expected, found = rows.boxes[None], detections.boxes[None]
        pairs = near_pairs(expected, found, limit)
        return pairs, box_costs(expected[0, pairs.tracks], found[0, pairs.detections])
    expected = np.array((rows.boxes, boxes_from_values(before.values)))
    led_back = measured.copy()
    led_back[:, :2] = detections.centers + detections.offsets
    found = np.array((detections.boxes, boxes_from_values(led_back)))
    pairs = near_pairs(expected, found, limit)
    costs, learned = box_costs(expected[:, pairs.tracks], found[:, pairs.detections])
    offset_noise = tuning.offset_noise + tuning.offset_drift * dt
    motion_variance = rows.motion.covariances[:, 0, 0] + MEASUREMENT[0] ** 2
    offset_variance = before.covariances[:, 0, 0] + offset_noise**2
    share = motion_variance / (motion_variance + offset_variance)
    learned -= costs
    learned *= share[pairs.tracks]
    costs += learned
    return pairs, costs


def _turn_costs(rows: Rows, measured: FloatArray, pairs: Pairs, tuning: Tuning) -> FloatArray:
    """Costs (P,) of turning: 0 = straight on, `turn_cost` = straight back.

    `(1 - cos) / 2` of the angle between the velocity and the step from where the track was last
    seen, times how sure these two are: `min(speed, scale) * min(step, scale) / scale^2`.
    """
    values, velocities = rows.motion.values, rows.motion.rates[:, :2]
    # Boxes without an area, or with a negative one as an untrained network gives them, have a
    # scale as well.
    areas = np.maximum(values[:, 2] * values[:, 3], np.float32(1e-6))
    scales = np.float32(tuning.turn_scale) * np.sqrt(areas)
    speeds = np.hypot(velocities[:, 0], velocities[:, 1])
    weights = 0.5 * tuning.turn_cost * np.minimum(speeds, scales) / scales**2
    tracks = pairs.tracks
    velocity, step = velocities[tracks], measured[pairs.detections, :2] - rows.seen_at[tracks]
    along = velocity[:, 0] * step[:, 0] + velocity[:, 1] * step[:, 1]
    steps = np.hypot(step[:, 0], step[:, 1])
    # |v| |s| (1 - cos) = |v| |s| - v . s, so no angle is needed.
    straight = speeds[tracks] * steps
    turned: FloatArray = np.subtract(straight, along, out=along)
    turned /= np.maximum(straight, np.float32(1e-6), out=straight)
    turned *= np.minimum(steps, scales[tracks], out=steps)
    turned *= weights[tracks]
    return turned
