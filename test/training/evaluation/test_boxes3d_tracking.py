"""AMOTA by hand, and of sets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from format_scenes import make_detections, make_result, make_set

from centertrack_ros.camera_geometry import alpha_from_yaw, project_points
from centertrack_ros.datatypes import TrackedBoxes3D
from training.data.labels import FrameLabels
from training.evaluation.boxes3d_tracking import (
    STEPS,
    SpaceFrame,
    amota,
    boxes3d_tracking_scores,
    pair_sequences,
)

CAMERA = np.array([[800, 0, 320, 0], [0, 800, 240, 0], [0, 0, 1, 0]], np.float32)


def frame(truth, found, scores=None, crossed=()):
    """Objects and tracks as {id: (x, z)}."""
    numbers = list(truth)
    return SpaceFrame(
        truth_ids=np.array(numbers, np.int64),
        truth=np.array([(x, 0, z) for x, z in truth.values()], float).reshape(-1, 3),
        crossed=np.isin(numbers, list(crossed)),
        ids=np.array(list(found), np.int64),
        middles=np.array([(x, 0, z) for x, z in found.values()], float).reshape(-1, 3),
        scores=np.ones(len(found)) if scores is None else np.array(scores, float),
    )


def test_the_truth_is_perfect():
    frames = [frame({1: (0, 10), 2: (5, 20)}, {7: (0, 10), 8: (5, 20)})] * 5
    values = amota([frames])
    assert values['AMOTA'] == values['tracked_center_error_share'] == 1
    assert values['AMOTP'] == values['switches_3d'] == 0


def test_nothing_found_and_nothing_there():
    assert amota([[frame({1: (0, 10)}, {})]])['AMOTA'] == 0
    pairing = pair_sequences([[frame({}, {})], []], 0.0)
    assert (pairing.objects, pairing.false, pairing.motar) == (0, 0, 0)


def test_recalls_that_are_not_reached_count_as_0():
    """One of two objects: recalls up to a half have MOTAR 1."""
    frames = [frame({1: (0, 10), 2: (5, 20)}, {7: (0, 10)})] * 4
    reached = (np.linspace(0.1, 1, STEPS) <= 0.5 + 1e-9).mean()
    assert amota([frames])['AMOTA'] == pytest.approx(reached)


def test_motar_of_false_tracks_and_switches():
    """Of 10 objects 8 are found, 3 tracks are false, 1 switch: 1 - (3 + 2 + 1 - 0.2 * 10) / 8."""
    truth = {1: (0, 10), 2: (5, 20)}
    frames = [frame(truth, {7: (0, 10), 8: (5, 21)})] * 3
    frames += [frame(truth, {9: (0, 10), 5: (-5, 9)})]
    frames += [frame(truth, {9: (0.5, 10), 5: (-5, 9), 6: (0, 30)})]
    pairing = pair_sequences([frames], 0.0)
    assert (pairing.objects, len(pairing.distances)) == (10, 8)
    assert (pairing.false, pairing.switches, pairing.uncrossed) == (3, 1, 1)
    assert pairing.motar == pytest.approx(1 - (3 + 2 + 1 - 2) / 8)
    # Off by 1 m of 20.6 and by 0.5 m of 10.
    np.testing.assert_allclose(sorted(pairing.shares)[-4:], [0.05] * 4)


def test_false_tracks_with_low_scores_cost_little():
    truth = {1: (0, 10)}
    good = [frame(truth, {7: (0, 10), 8: (5, 9)}, scores=[0.9, 0.2])] * 4
    bad = [frame(truth, {7: (0, 10), 8: (5, 9)}, scores=[0.2, 0.9])] * 4
    assert amota([good])['AMOTA'] == 1
    assert amota([bad])['AMOTA'] == 0


def test_a_track_stays_with_its_object_while_it_can():
    """The other track comes nearer, but both are within reach."""
    frames = [
        frame({1: (0, 10)}, {7: (0, 10), 8: (3, 10)}),
        frame({1: (0, 10)}, {7: (1, 10), 8: (0, 10)}),
    ]
    assert pair_sequences([frames], 0.0).switches == 0


def test_switches_at_crossings_are_told_apart():
    crossing = [
        frame({1: (0, 10)}, {7: (0, 10)}),
        frame({1: (0, 10)}, {}, crossed=[1]),
        frame({1: (0, 10)}, {8: (0, 10)}),
    ]
    pairing = pair_sequences([crossing], 0.0)
    assert (pairing.switches, pairing.uncrossed) == (1, 0)


def _set_and_results(offset=0.0, ids=(1, 1)):
    middle = np.float32([[1, 0.5, 20]])
    center = project_points(middle, CAMERA)
    box = np.concatenate((center - 20, center + 20), axis=1)
    size = np.float32([[1.5, 1.8, 4]])
    labels = replace(
        FrameLabels.from_rows(box, [0], [3]),
        depth=middle[:, 2],
        dimensions=size,
        alpha=alpha_from_yaw(np.array([0.3]), center[:, 0], CAMERA),
        amodal_centers=center,
    )
    found = TrackedBoxes3D(
        middles=middle + np.float32([offset, 0, 0]),
        dimensions=size,
        yaws=np.float32([0.3]),
        velocities=np.zeros((1, 3), np.float32),
        covariances=np.zeros((1, 4, 4), np.float32),
        known=np.ones(1, np.bool_),
    )
    evaluation_set = make_set(
        ['a.jpg', 'b.jpg'],
        labels=[labels, labels],
        class_names=('car', 'person'),
        videos={'drive': [0, 1]},
        camera_matrix=CAMERA,
    )
    results = [
        replace(make_result(make_detections(box), ids=[number]), boxes_3d=found) for number in ids
    ]
    return evaluation_set, results


def test_scores_of_a_set():
    scores = boxes3d_tracking_scores(*_set_and_results())
    assert list(scores.classes) == ['car']
    assert scores.overall['AMOTA'] == 1
    assert scores.overall['AMOTP'] == pytest.approx(0, abs=1e-4)
    far = boxes3d_tracking_scores(*_set_and_results(offset=1.5, ids=(1, 2))).overall
    assert far['AMOTP'] == pytest.approx(1.5, abs=1e-4)
    assert (far['tracked_center_error_share'], far['switches_3d_uncrossed']) == (0, 1)
    assert boxes3d_tracking_scores(*_set_and_results(offset=2.5)).overall['AMOTA'] == 0


def test_results_without_boxes_in_space_are_refused():
    evaluation_set, results = _set_and_results()
    bare = [replace(result, boxes_3d=None) for result in results]
    with pytest.raises(ValueError, match='expected a camera matrix'):
        boxes3d_tracking_scores(evaluation_set, bare)
