"""`BoxFilter3D` on objects whose truth is known, with the errors that its model states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from centertrack_ros.attributes import ATTRIBUTES
from centertrack_ros.camera_geometry import alpha_from_yaw, project_points
from centertrack_ros.datatypes import Detections, Tracks
from centertrack_ros.tracker.boxes_3d import DEPTH_SHARE, BoxFilter3D, middle_covariances
from centertrack_ros.tracker.motion_3d import ACCELERATION, ERROR_LIFE, SAID_VELOCITY

CAMERA = np.array([[800, 0, 640, 40], [0, 820, 360, -8], [0, 0, 1, 0.003]], np.float32)
SIZES = np.array([1.5, 1.7, 4.1], np.float32)


def seen(middles, yaws=None, *, sizes=None, velocities=None, attributes=None, classes=None):
    """What a perfect network says of objects with middles (N, 3)."""
    middles = np.asarray(middles, np.float64).reshape(-1, 3)
    count = len(middles)
    yaws = np.zeros(count) if yaws is None else np.asarray(yaws, np.float64)
    centers = project_points(middles, CAMERA.astype(np.float64))
    half = np.stack((900 / middles[:, 2], 700 / middles[:, 2]), axis=1)
    return Detections(
        boxes=np.concatenate((centers - half, centers + half), axis=1).astype(np.float32),
        scores=np.full(count, 0.9, np.float32),
        classes=np.zeros(count, np.int64) if classes is None else np.array(classes),
        centers=centers.astype(np.float32),
        offsets=np.zeros((count, 2), np.float32),
        depth=(middles[:, 2] + CAMERA[2, 3]).astype(np.float32),
        dimensions=np.tile(SIZES, (count, 1)) if sizes is None else np.float32(sizes),
        alpha=alpha_from_yaw(yaws, centers[:, 0], CAMERA).astype(np.float32),
        amodal_centers=centers.astype(np.float32),
        velocity=None if velocities is None else np.float32(velocities).reshape(-1, 3),
        attributes=None if attributes is None else np.float32(attributes),
    )


class Noise:
    """Errors of the stated model: its covariance, and so lasting."""

    def __init__(self, count, dt, generator):
        self.generator, self.share = generator, np.exp(-dt / ERROR_LIFE)
        self.units = generator.normal(0, 1, (count, 3))

    def __call__(self, middles):
        """Positions (N, 3) as they are measured in the next image."""
        fresh = self.generator.normal(0, np.sqrt(1 - self.share**2), self.units.shape)
        self.units = self.share * self.units + fresh
        covariances = middle_covariances(np.asarray(middles), seen(middles).boxes, CAMERA)
        return middles + (np.linalg.cholesky(covariances) @ self.units[..., None])[..., 0]


def tracks_of(ids, rows=None):
    """Tracks with these ids; `rows` (default: one each, in order) are their detections."""
    count = len(ids)
    rows = np.arange(count) if rows is None else np.asarray(rows, np.int64)
    return Tracks(
        ids=np.asarray(ids, np.int64),
        boxes=np.zeros((count, 4), np.float32),
        scores=np.ones(count, np.float32),
        classes=np.zeros(count, np.int64),
        centers=np.zeros((count, 2), np.float32),
        velocities=np.zeros((count, 2), np.float32),
        hits=np.ones(count, np.int64),
        misses=(rows < 0).astype(np.int64),
        reported=np.ones(count, np.bool_),
        detection_indices=rows,
        prior_weights=np.ones(count, np.float32),
    )


def fleet(count, generator):
    """Positions and velocities (N, 3) of objects in view."""
    depths = generator.uniform(8, 50, count)
    starts = np.stack((generator.uniform(-0.4, 0.4, count) * depths, np.ones(count), depths), 1)
    speeds = generator.normal(0, [3, 0.1, 4], (count, 3))
    return starts, speeds


def drive(box_filter, starts, speeds, dt, images, generator):
    """Straight motion; per image the truth, what was measured and what was said."""
    noise = Noise(len(starts), dt, generator)
    for image in range(images):
        truth = starts + image * dt * speeds
        truth[:, 2] = np.maximum(truth[:, 2], 5)
        measured = noise(truth)
        boxes = box_filter.update(
            tracks_of(np.arange(1, len(truth) + 1)), seen(measured), dt if image else 0.0, CAMERA
        )
        yield truth, measured, boxes


@pytest.mark.parametrize('fps', [1, 5, 10, 30, 60])
def test_straight_motion_is_known_better_than_it_is_measured(fps):
    generator = np.random.default_rng(fps)
    starts, speeds = fleet(60, generator)
    starts[:, 2] += 20
    seconds = 3 if fps > 5 else 8
    images = seconds * fps
    if fps == 1:
        speeds /= 4
    errors, raw = [], []
    for image, (truth, measured, boxes) in enumerate(
        drive(BoxFilter3D(), starts, speeds, 1 / fps, images, generator)
    ):
        if image > images // 2:
            errors.append(np.linalg.norm(boxes.middles - truth, axis=1))
            raw.append(np.linalg.norm(measured - truth, axis=1))
    gain = np.mean(errors) / np.mean(raw)
    assert gain < 0.9
    said = np.linalg.norm(boxes.velocities - speeds, axis=1)
    # Whatever the frame rate: errors last, so more images say hardly more.
    assert np.median(said) < 1.2
    assert boxes.known.all()
    assert boxes.middles.dtype == boxes.covariances.dtype == boxes.yaws.dtype == np.float32


@pytest.mark.parametrize('fps', [2, 15, 60])
def test_covariances_fit_the_errors(fps):
    """Mean squared error over its covariance, of three axes: 3 of a consistent filter.

    Where images come fast it is on the safe side: errors that last are made up for by a larger
    variance of errors that do not.
    """
    generator = np.random.default_rng(40 + fps)
    box_filter, dt = BoxFilter3D(), 1 / fps
    places, speeds = fleet(150, generator)
    places[:, 2] += 30
    ratios, noise, images = [], Noise(150, dt, generator), max(20, 2 * fps)
    for image in range(images):
        if image:
            turn = generator.normal(0, ACCELERATION * np.sqrt(dt), speeds.shape)
            places, speeds = places + dt * (speeds + turn / 2), speeds + turn
        boxes = box_filter.update(
            tracks_of(range(150)), seen(noise(places)), dt if image else 0, CAMERA
        )
        if image < images // 2:
            continue
        # Without what is added for errors that last, of which there are none here.
        inside = box_filter._motion.covariances[:, :3, :3]
        errors = (boxes.middles - places)[..., None]
        ratios.append((errors.transpose(0, 2, 1) @ np.linalg.solve(inside, errors)).ravel())
        published = boxes.covariances[:, :3, :3].astype(np.float64)
        assert (np.linalg.eigvalsh(published - inside) > -1e-5).all()
    assert 1.3 < np.mean(ratios) < 3.6


def test_errors_lie_along_the_ray():
    middle = np.array([[-12.0, 1.0, 30.0]])
    covariance = middle_covariances(middle, seen(middle).boxes, CAMERA)[0]
    variances, axes = np.linalg.eigh(covariance)
    ray = middle[0] / np.linalg.norm(middle)
    assert abs(axes[:, 2] @ ray) > 0.99
    assert np.sqrt(variances[2]) == pytest.approx(DEPTH_SHARE * np.linalg.norm(middle), rel=0.02)
    assert np.sqrt(variances[1]) < 0.2 * np.sqrt(variances[2])
    twice = middle_covariances(2 * middle, seen(2 * middle).boxes, CAMERA)[0]
    assert np.linalg.eigvalsh(twice)[2] == pytest.approx(4 * variances[2], rel=0.02)


def test_a_missed_track_goes_on_and_becomes_less_sure():
    box_filter, dt = BoxFilter3D(), 0.05
    start, speed = np.array([-3.0, 1.0, 15.0]), np.array([2.0, 0.0, 3.0])
    for image in range(60):
        boxes = box_filter.update(tracks_of([4]), seen(start + image * dt * speed), dt, CAMERA)
    np.testing.assert_allclose(boxes.velocities[0], speed, atol=0.05)
    variances = [np.trace(boxes.covariances[0, :3, :3])]
    yaw_variances = [boxes.covariances[0, 3, 3]]
    for image in range(60, 70):
        boxes = box_filter.update(tracks_of([4], [-1]), seen(np.zeros((0, 3))), dt, CAMERA)
        np.testing.assert_allclose(boxes.middles[0], start + image * dt * speed, atol=0.1)
        variances.append(np.trace(boxes.covariances[0, :3, :3]))
        yaw_variances.append(boxes.covariances[0, 3, 3])
    assert (np.diff(variances) > 0).all()
    assert (np.diff(yaw_variances) > 0).all()
    np.testing.assert_allclose(boxes.dimensions[0], SIZES, rtol=1e-5)
    boxes = box_filter.update(tracks_of([4]), seen(start + 70 * dt * speed), dt, CAMERA)
    assert np.trace(boxes.covariances[0, :3, :3]) < variances[-1]


def test_a_yaw_that_passes_half_a_turn():
    box_filter = BoxFilter3D()
    errors = []
    for image in range(120):
        yaw = np.pi - 0.6 + 0.01 * image
        boxes = box_filter.update(tracks_of([1]), seen([0, 1, 12], [yaw]), 0.05, CAMERA)
        errors.append(abs(np.angle(np.exp(1j * (boxes.yaws[0] - yaw)))))
        assert -np.pi <= boxes.yaws[0] <= np.pi
    assert max(errors) < 0.1


def test_front_taken_for_back_now_and_then():
    box_filter = BoxFilter3D()
    generator = np.random.default_rng(3)
    for image in range(60):
        yaw = 0.4 + generator.normal(0, 0.1) + (np.pi if image % 5 == 2 else 0.0)
        boxes = box_filter.update(tracks_of([1]), seen([2, 1, 12], [yaw]), 0.05, CAMERA)
        assert abs(boxes.yaws[0] - 0.4) < 0.35


def test_the_heading_that_most_images_say_wins():
    box_filter = BoxFilter3D()
    for image in range(8):
        yaw = 0.4 if image else 0.4 - np.pi
        boxes = box_filter.update(tracks_of([1]), seen([2, 1, 12], [yaw]), 0.05, CAMERA)
    assert boxes.yaws[0] == pytest.approx(0.4, abs=0.02)


def test_dimensions_are_a_mean():
    box_filter = BoxFilter3D()
    for factor in (0.8, 1.2, 0.9, 1.1):
        detections = seen([0, 1, 20], sizes=[factor * SIZES])
        boxes = box_filter.update(tracks_of([1]), detections, 0.1, CAMERA)
    np.testing.assert_allclose(boxes.dimensions[0], SIZES, rtol=1e-5)


def test_ids_in_another_order():
    box_filter = BoxFilter3D()
    middles = np.array([[0, 1, 10], [5, 1, 20], [-6, 1, 30.0]])
    ids = np.array([7, 3, 11])
    box_filter.update(tracks_of(ids), seen(middles), 0.1, CAMERA)
    order = [2, 0, 1]
    # The middle one is missed, a fourth is new, and its detection comes first.
    fresh = seen(np.concatenate(([[8, 1, 15]], middles[[0, 2]])))
    boxes = box_filter.update(tracks_of([*ids[order], 20], [2, 1, -1, 0]), fresh, 0.1, CAMERA)
    expected = np.concatenate((middles[order], [[8, 1, 15]]))
    np.testing.assert_allclose(boxes.middles, expected, atol=1e-3)
    boxes = box_filter.update(tracks_of([3]), seen(middles[1]), 0.1, CAMERA)
    np.testing.assert_allclose(boxes.middles, middles[[1]], atol=1e-3)
    assert box_filter._motion.lifts.tolist() == [2]


def test_nothing_is_known_before_the_first_lift():
    box_filter = BoxFilter3D()
    boxes = box_filter.update(tracks_of([1], [-1]), seen(np.zeros((0, 3))), 0.1, CAMERA)
    assert boxes.known.tolist() == [False]
    for values in (boxes.middles, boxes.dimensions, boxes.velocities, boxes.covariances):
        assert not values.any()
    boxes = box_filter.update(tracks_of([1]), seen([1, 1, 9]), 0.1, CAMERA)
    assert boxes.known.tolist() == [True]
    np.testing.assert_allclose(boxes.middles, [[1, 1, 9]], atol=1e-4)


@pytest.mark.parametrize('depth', [np.nan, np.inf, 0.0, -1.0])
def test_a_depth_that_means_nothing_is_a_miss(depth):
    box_filter = BoxFilter3D()
    box_filter.update(tracks_of([1, 2]), seen([[1, 1, 9], [4, 1, 9]]), 0.1, CAMERA)
    detections = seen([[1, 1, 9], [4, 1, 9]])
    detections.depth[0] = depth
    boxes = box_filter.update(tracks_of([1, 2]), detections, 0.1, CAMERA)
    np.testing.assert_allclose(boxes.middles, [[1, 1, 9], [4, 1, 9]], atol=1e-3)
    assert boxes.covariances[0, 2, 2] > boxes.covariances[1, 2, 2]


def test_one_wild_depth_moves_a_box_little():
    box_filter = BoxFilter3D()
    for _ in range(20):
        box_filter.update(tracks_of([1]), seen([1, 1, 10]), 0.05, CAMERA)
    boxes = box_filter.update(tracks_of([1]), seen([6, 6, 60]), 0.05, CAMERA)
    assert np.linalg.norm(boxes.middles[0] - [1, 1, 10]) < 1.5


def test_the_velocity_that_a_network_says():
    said = np.array([[4.0, 0.0, -3.0], [np.nan, 0, 0]])
    detections = seen([[0, 1, 20], [5, 1, 20]], velocities=said)
    boxes = BoxFilter3D().update(tracks_of([1, 2]), detections, 0.0, CAMERA)
    np.testing.assert_allclose(boxes.velocities, [said[0], [0, 0, 0]])
    # It is a beginning: where it contradicts the positions, they win.
    box_filter, dt = BoxFilter3D(), 0.05
    speed = np.array([0.0, 0.0, -4.0])
    for image in range(60):
        detections = seen([0, 1, 40] + image * dt * speed, velocities=[0, 0, SAID_VELOCITY])
        boxes = box_filter.update(tracks_of([1]), detections, dt, CAMERA)
    np.testing.assert_allclose(boxes.velocities[0], speed, atol=0.3)


def test_attributes_are_those_of_the_class():
    box_filter = BoxFilter3D(('car', 'pedestrian', 'kiosk'))
    logits = np.zeros((3, len(ATTRIBUTES)))
    logits[:, [0, 4, 6]] = 5, 1, 2
    detections = seen([[0, 1, 9], [3, 1, 9], [6, 1, 9]], attributes=logits, classes=[0, 1, 2])
    boxes = box_filter.update(tracks_of([1, 2, 3]), detections, 0.1, CAMERA)
    assert boxes.attributes.tolist() == [6, 4, -1]
    boxes = box_filter.update(tracks_of([3, 2, 9], [-1] * 3), detections[:0], 0.1, CAMERA)
    assert boxes.attributes.tolist() == [-1, 4, -1]
    assert BoxFilter3D().update(tracks_of([1]), seen([0, 1, 9]), 0.1, CAMERA).attributes is None


def test_no_tracks_and_reset():
    box_filter = BoxFilter3D()
    boxes = box_filter.update(Tracks.empty(), seen(np.zeros((0, 3))), 0.1, CAMERA)
    assert len(boxes) == 0
    assert boxes.covariances.shape == (0, 4, 4)
    box_filter.update(tracks_of([1]), seen([1, 1, 9]), 0.1, CAMERA)
    box_filter.reset()
    boxes = box_filter.update(tracks_of([1], [-1]), seen(np.zeros((0, 3))), 0.1, CAMERA)
    assert boxes.known.tolist() == [False]


def test_what_was_given_and_what_was_handed_out_stay():
    box_filter = BoxFilter3D()
    tracks, detections = tracks_of([1]), seen([1, 1, 9])
    first = box_filter.update(tracks, detections, 0.1, CAMERA)
    copies = [first.middles.copy(), first.yaws.copy(), first.dimensions.copy()]
    box_filter.update(tracks, seen([3, 1, 12], [1.0]), 0.1, CAMERA)
    for values, copy in zip((first.middles, first.yaws, first.dimensions), copies, strict=True):
        np.testing.assert_array_equal(values, copy)
    np.testing.assert_array_equal(detections.depth, seen([1, 1, 9]).depth)


def test_detections_without_depth_change_nothing():
    box_filter = BoxFilter3D()
    box_filter.update(tracks_of([1]), seen([1, 1, 9]), 0.1, CAMERA)
    with pytest.raises(ValueError, match='are missing'):
        box_filter.update(tracks_of([1]), replace(seen([1, 1, 9]), depth=None), 0.1, CAMERA)
    boxes = box_filter.update(tracks_of([1]), seen([1, 1, 9]), 0.1, CAMERA)
    np.testing.assert_allclose(boxes.middles, [[1, 1, 9]], atol=1e-4)
