"""Costs of pairs: what makes a pair dear, one thing at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tracker_scenes import make_detections, people

from centertrack_ros.datatypes import Detections
from centertrack_ros.tracker.costs import pair_costs
from centertrack_ros.tracker.motion import boxes_from_values, predict, values_from_boxes
from centertrack_ros.tracker.rows import Rows, born_rows
from centertrack_ros.tracker.tuning import Tuning

DT = 0.1


def tracks(seen: Detections, velocity: tuple[float, float] = (0.0, 0.0)) -> Rows:
    """One track for each detection, all with one velocity, pixels per second."""
    count = len(seen)
    rows = born_rows(seen, np.arange(count), np.arange(count), confirmed=np.ones(count, np.bool_))
    rows.motion.rates[:, :2] = velocity
    return rows


def costs(rows: Rows, detections: Detections, **tuning):
    """Costs (M, N); infinite for pairs that were left out as well."""
    predicted = predict(rows.motion, DT, np.zeros(len(rows.ids), np.bool_))
    expected = replace(rows, motion=predicted, boxes=boxes_from_values(predicted.values))
    pairs, values = pair_costs(
        expected,
        rows.motion,
        detections,
        values_from_boxes(detections.boxes),
        dt=DT,
        tuning=Tuning(**tuning),
    )
    assert values.dtype == np.float32
    table = np.full((len(rows.ids), len(detections)), np.inf, np.float32)
    table[pairs.tracks, pairs.detections] = values
    return table


def test_the_same_box_costs_nothing_and_distance_costs() -> None:
    table = costs(tracks(people([[100, 300]])), people([[100, 300], [110, 300], [150, 300]]))
    assert table.shape == (1, 3)
    assert table[0, 0] == 0
    assert 0 < table[0, 1] < table[0, 2]


def test_turning_back_costs_and_going_on_does_not() -> None:
    """Both detections are equally far from the prediction, one ahead and one behind."""
    rows = tracks(people([[100, 300]]), velocity=(400, 0))
    ahead, behind = costs(rows, people([[200, 300], [80, 300]]))[0]
    same = costs(rows, people([[200, 300], [80, 300]]), turn_cost=0)[0]
    assert same[0] == pytest.approx(same[1])
    assert ahead == pytest.approx(same[0], abs=1e-6)
    assert behind == pytest.approx(same[1] + Tuning().turn_cost, rel=1e-3)
    across = costs(rows, people([[100, 360]]))[0, 0]
    straight = costs(rows, people([[100, 360]]), turn_cost=0)[0, 0]
    assert across - straight == pytest.approx(Tuning().turn_cost / 2, rel=1e-3)


def test_directions_of_slow_objects_and_short_steps_are_noise() -> None:
    standing = tracks(people([[100, 300]]))
    for detections in (people([[80, 300]]), people([[100, 300]])):
        with_turns = costs(standing, detections)
        np.testing.assert_array_equal(with_turns, costs(standing, detections, turn_cost=0))
    walking = tracks(people([[100, 300]]), velocity=(400, 0))
    short = people([[99, 300]])
    added = costs(walking, short) - costs(walking, short, turn_cost=0)
    assert 0 < added[0, 0] < 0.1 * Tuning().turn_cost


def test_offsets_find_what_the_motion_model_does_not_know() -> None:
    rows = tracks(people([[100, 300]]))
    said = costs(rows, people([[160, 300]], offsets=[-60, 0]))[0, 0]
    assert said < costs(rows, people([[160, 300]]))[0, 0] - 0.1
    zeroed = costs(rows, people([[160, 300]], offsets=[-60, 0]), use_offsets=False)
    assert zeroed == costs(rows, people([[160, 300]]))


def test_scores_classes_and_heights() -> None:
    rows = tracks(people([[100, 300]], score=0.9))
    weak = costs(rows, people([[100, 300]], score=0.4))[0, 0]
    assert weak == pytest.approx(0.5 * Tuning().score_cost)
    box = people([[100, 300]]).boxes
    other = make_detections(box, [0.9], [3], [[100, 300]], [[0, 0]])
    assert costs(rows, other)[0, 0] == pytest.approx(Tuning().class_cost)
    assert np.isinf(costs(rows, people([[100, 300]], height=45))[0, 0])
    assert np.isfinite(costs(rows, people([[100, 300]], height=55))[0, 0])


def test_boxes_of_untrained_networks_have_costs() -> None:
    """Their edges may be on the wrong sides."""
    wrong = make_detections(
        [[100, 100, 90, 200], [50, 50, 50, 50]], [0.9, 0.9], [0, 0], [[95, 150]] * 2, [[0, 0]] * 2
    )
    rows = tracks(wrong, velocity=(30, 0))
    assert not np.isnan(costs(rows, wrong)).any()


def test_no_tracks_and_no_detections() -> None:
    some, none = people([[100, 300], [200, 300]]), Detections.empty()
    assert costs(tracks(some), none).shape == (2, 0)
    assert costs(tracks(none), some).shape == (0, 2)
    assert costs(tracks(none), none).shape == (0, 0)
