from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from format_scenes import make_detections, make_result, make_set

from centertrack_ros.camera_geometry import alpha_from_yaw, project_points
from training.data.labels import FrameLabels
from training.evaluation.boxes3d import boxes3d_scores, has_boxes3d, pair_boxes

CAMERA = np.array([[800, 0, 320, 40], [0, 800, 240, 0], [0, 0, 1, 0]], np.float32)
MIDDLES = np.float32([[-3, 1, 20], [4, 0.5, 30]])
SIZES = np.float32([[1.5, 1.8, 4], [1.7, 0.6, 0.8]])
YAWS = np.float32([0.3, -3.1])


def _space(middles=MIDDLES, sizes=SIZES, yaws=YAWS):
    """The fields of a detector that sees these boxes."""
    middles, sizes, yaws = (np.asarray(values, np.float32) for values in (middles, sizes, yaws))
    centers = project_points(middles, CAMERA)
    return {
        'depth': middles[:, 2],
        'dimensions': sizes,
        'alpha': alpha_from_yaw(yaws, centers[:, 0], CAMERA),
        'amodal_centers': centers,
    }


def _boxes(middles=MIDDLES):
    centers = project_points(np.asarray(middles, np.float32), CAMERA)
    return np.concatenate((centers - 20, centers + 20), axis=1)


def _labels():
    labels = FrameLabels.from_rows(_boxes(), [0, 1], [1, 2])
    fields = _space()
    return replace(labels, **fields | {'alpha': fields['alpha'].astype(np.float64)})


def _scores(detections, labels=None, camera_matrix=CAMERA):
    evaluation_set = make_set(
        ['a.jpg'],
        labels=[_labels() if labels is None else labels],
        class_names=('car', 'person'),
        camera_matrix=camera_matrix,
    )
    return boxes3d_scores(evaluation_set, [make_result(detections)]).overall


def _found(classes=(0, 1), **values):
    return make_detections(_boxes(), classes=list(classes), **_space(**values))


def test_the_truth_itself_is_exact():
    scores = _scores(_found())
    assert scores['boxes3d_recall'] == scores['center_error_share'] == 1
    small = {name: value for name, value in scores.items() if 'error_' in name}
    del small['center_error_share']
    assert len(small) == 5
    assert max(small.values()) < 1e-4


def test_errors_in_space():
    """The middles are 0.5 m and 3 m off: 2.5 % and 10 % of the depths."""
    moved = MIDDLES + np.float32([[0.3, 0, 0.4], [0, 0, 3]])
    # Turning from -3.1 to 3.1 is less than a tenth.
    scores = _scores(_found(middles=moved, sizes=SIZES * 1.1, yaws=np.float32([0.5, 3.1])))
    assert scores['center_error_share'] == 0.5
    assert scores['center_error_m'] == pytest.approx((0.5 + 3) / 2, abs=1e-4)
    assert scores['center_error_of_depth'] == pytest.approx((0.025 + 0.1) / 2, abs=1e-5)
    turned = (0.2 + 2 * np.pi - 6.2) / 2
    assert scores['yaw_error_deg'] == pytest.approx(np.degrees(turned), abs=1e-3)
    assert scores['dimension_error_relative'] == pytest.approx(0.1, abs=1e-5)
    assert scores['dimension_error_m'] == pytest.approx(0.1 * SIZES.mean(), abs=1e-5)


def test_another_class_and_another_place_are_no_partners():
    assert _scores(_found(classes=(0, 0)))['boxes3d_recall'] == 0.5
    away = make_detections(_boxes() + 21, classes=[0, 1], **_space())
    assert _scores(away) == {'boxes3d_recall': 0, 'center_error_share': 0}
    assert _scores(make_detections(**_space(MIDDLES[:0], SIZES[:0], YAWS[:0]))) == {
        'boxes3d_recall': 0,
        'center_error_share': 0,
    }


def test_the_best_score_chooses_first_and_every_box_is_taken_once():
    box = np.array([[0, 0, 10, 10], [0, 2, 10, 12]], np.float32)
    found = make_detections([[0, 1, 10, 11], [0, 0, 10, 10], [0, 2, 10, 12]], [0.9, 0.8, 0.7])
    pairs = pair_boxes(found, box, np.array([0, 0]))
    assert pairs.tolist() == [[0, 0], [1, 1]]
    assert pair_boxes(found, box[:0], np.zeros(0, np.int64)).shape == (0, 2)
    assert pair_boxes(make_detections(), box, np.zeros(2, np.int64)).shape == (0, 2)


def test_objects_whose_box_in_space_is_not_known_do_not_count():
    labels = _labels()
    depth = labels.depth.copy()
    depth[1] = np.nan
    scores = _scores(_found(), replace(labels, depth=depth))
    assert scores['boxes3d_recall'] == 1
    without = replace(labels, depth=None)
    assert not has_boxes3d(make_set(['a.jpg'], labels=[without]))
    assert has_boxes3d(make_set(['a.jpg'], labels=[labels]))
    with pytest.raises(ValueError, match='expected objects with depth'):
        _scores(_found(), without)


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match=r'a\.jpg: expected a camera matrix'):
        _scores(_found(), camera_matrix=None)
    with pytest.raises(ValueError, match="'depth'"):
        _scores(make_detections(_boxes(), classes=[0, 1]))
