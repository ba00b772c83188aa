"""PoseTrack's metrics of joints: cases computed by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from format_scenes import make_detections, make_result

from centertrack_ros.datatypes import TrackedJoints
from training.data.coco_records import FrameRecord
from training.data.labels import FrameLabels
from training.evaluation.pose_tracking import (
    HEAD_OF_BOX,
    HEAD_OF_DIAGONAL,
    has_joint_tracks,
    head_sizes,
    pose_tracking_scores,
)
from training.evaluation.sets import EvaluationSet, EvaluationVideo

JOINTS = ('nose', 'left_wrist')
SIZE = (200, 400)
# A head of 3 by 4 pixels has a diagonal of 5; the boxes are 100 pixels high, so without a head
# one would be 10 pixels.
HEAD = [0.0, 0.0, 30.0, 40.0]
HEAD_PX = HEAD_OF_DIAGONAL * 50
FRAMES = 5


def person(left: float) -> tuple[list[float], list[list[float]]]:
    """Box xyxy and joints (x, y, visible) of somebody."""
    return [left, 50, left + 40, 150], [[left + 20, 60, 2], [left + 5, 100, 2]]


def truth_frame(persons, row: int = 0, ignored=()) -> tuple[FrameRecord, tuple]:
    """A record of persons (box, joints) numbered from 1, and its annotations."""
    labels = FrameLabels.from_rows(
        boxes=[box for box, _ in persons],
        classes=[0] * len(persons),
        track_ids=range(1, len(persons) + 1),
        ignore_boxes=ignored,
        ignore_classes=[0] * len(ignored),
    )
    labels = replace(
        labels,
        joints=np.array([joints for _, joints in persons], np.float32).reshape(-1, 2, 3),
        rows=np.arange(len(persons)),
    )
    record = FrameRecord(
        path=Path(f'{row}.png'), video=(1, 1), frame=row + 1, labels=labels, image_id=row, row=row,
        size=SIZE,
    )  # fmt: skip
    return record, tuple({'bbox_head': HEAD} for _ in persons)


def found_frame(persons, ids=None, visible=None):
    """A result whose tracks have the joints of persons."""
    result = make_result(make_detections([box for box, _ in persons]), ids)
    joints = np.array([joints for _, joints in persons], np.float32).reshape(-1, 2, 3)
    seen = np.ones(joints.shape[:2], np.bool_) if visible is None else np.array(visible, np.bool_)
    return replace(
        result, joints=TrackedJoints(joints[..., :2], np.ones(seen.shape, np.float32), seen)
    )


def make_video(frames) -> EvaluationSet:
    """One video of `truth_frame`s."""
    rows = tuple(range(len(frames)))
    stamps = tuple(float(row) for row in rows)
    return EvaluationSet(
        name='poses', class_names=('person',), category_ids=(1,), joint_names=JOINTS,
        records=tuple(record for record, _ in frames),
        videos=(EvaluationVideo('poses', rows, stamps, still=False),),
        annotations=tuple(listed for _, listed in frames),
        content={},
    )  # fmt: skip


def scores_of(found, *, truth=None, ignored=()) -> dict[str, float]:
    """Overall scores against two people who walk."""
    frames = [
        truth_frame(walkers(row) if truth is None else truth(row), row, ignored)
        for row in range(FRAMES)
    ]
    return dict(pose_tracking_scores(make_video(frames), found).overall)


def walkers(row: int):
    """Two people, far from each other."""
    return [person(20 + 3 * row), person(250 - 3 * row)]


def test_perfect_tracks_score_hundred():
    scores = pose_tracking_scores(
        make_video([truth_frame(walkers(row), row) for row in range(FRAMES)]),
        [found_frame(walkers(row), [7, 3]) for row in range(FRAMES)],
    )
    assert scores.overall == {
        'joint_MOTA': 100.0, 'joint_MOTP': 100.0, 'joint_precision': 100.0,
        'joint_recall': 100.0, 'joint_IDSW': 0,
    }  # fmt: skip
    assert set(scores.classes) == set(JOINTS)


def test_numbers_that_change_places_are_switches():
    ids = [[1, 2], [1, 2], [2, 1], [2, 1], [2, 1]]
    scores = scores_of([found_frame(walkers(row), ids[row]) for row in range(FRAMES)])
    # Of each joint 10 are true, and both persons switch once: 1 - 2 / 10.
    assert scores['joint_MOTA'] == 80.0
    assert scores['joint_IDSW'] == 4
    assert scores['joint_precision'] == scores['joint_recall'] == 100.0


def test_missed_joints_and_persons():
    found = [found_frame(walkers(row), visible=[[1, 1], [1, 0]]) for row in range(FRAMES)]
    scores = scores_of(found)
    # Noses are all there, of the wrists half: the mean of 100 and 50.
    assert scores['joint_MOTA'] == scores['joint_recall'] == 75.0
    assert scores['joint_precision'] == 100.0
    nobody = scores_of([found_frame([])] * FRAMES)
    assert nobody == {'joint_MOTA': 0.0, 'joint_MOTP': 0.0, 'joint_recall': 0.0, 'joint_IDSW': 0}


def test_false_joints():
    ghost = person(140)
    found = [found_frame([*walkers(row), ghost], [1, 2, 3]) for row in range(FRAMES)]
    scores = scores_of(found)
    # 10 true, 5 false of each joint.
    assert scores['joint_MOTA'] == 50.0
    assert scores['joint_precision'] == pytest.approx(100 * 10 / 15, abs=1e-3)
    assert scores['joint_recall'] == 100.0


@pytest.mark.parametrize(('share', 'mota'), [(0.49, 100.0), (0.51, -100.0)])
def test_half_a_head_is_the_limit(share, mota):
    def moved(row):
        return [
            (box, [[x, y + share * HEAD_PX, v] for x, y, v in joints])
            for box, joints in walkers(row)
        ]

    scores = scores_of([found_frame(moved(row)) for row in range(FRAMES)])
    # Beyond it every joint is missed once and false once.
    assert scores['joint_MOTA'] == mota
    if mota > 0:
        assert scores['joint_MOTP'] == pytest.approx(100 * (1 - share), abs=1e-3)


def hidden_wrist(row: int):
    """Two people of whom the first one's wrist is hidden."""
    first, second = walkers(row)
    return [(first[0], [first[1][0], [*first[1][1][:2], 1]]), second]


def test_hidden_joints_are_neither_wanted_nor_false():
    found = [found_frame(walkers(row)) for row in range(FRAMES)]
    assert scores_of(found, truth=hidden_wrist)['joint_MOTA'] == 100.0
    left_out = [found_frame(walkers(row), visible=[[1, 0], [1, 1]]) for row in range(FRAMES)]
    assert scores_of(left_out, truth=hidden_wrist)['joint_MOTA'] == 100.0


def test_a_visible_joint_before_a_hidden_one_is_the_one_that_is_found():
    def behind(row):
        box, joints = person(20)
        return [(box, joints), (box, [[x + 4, y, 1] for x, y, _ in joints])]

    # Nearer to the hidden joints than to the visible ones.
    box, joints = person(20)
    found = [found_frame([(box, [[x + 3, y, 2] for x, y, _ in joints])])] * FRAMES
    scores = scores_of(found, truth=behind)
    assert scores['joint_MOTA'] == scores['joint_recall'] == 100.0


def test_ignored_regions_and_what_lies_outside_of_the_image():
    ghost = person(140)
    beside = ([390, 50, 430, 150], [[410, 60, 2], [405, 100, 2]])
    found = [found_frame([*walkers(row), ghost, beside]) for row in range(FRAMES)]
    assert scores_of(found, ignored=[[130, 40, 190, 160]])['joint_MOTA'] == 100.0
    # An object in an ignored region is still one.
    everywhere = [[0, 0, 400, 200]]
    assert scores_of(found, ignored=everywhere)['joint_recall'] == 100.0
    assert scores_of([found_frame([])] * FRAMES, ignored=everywhere)['joint_recall'] == 0.0


def test_persons_without_joints_are_ignored():
    def unlabelled(row):
        first, second = walkers(row)
        return [first, (second[0], [[0, 0, 0], [0, 0, 0]])]

    found = [found_frame(walkers(row)) for row in range(FRAMES)]
    assert scores_of(found, truth=unlabelled)['joint_MOTA'] == 100.0


def test_size_of_a_head():
    record, annotations = truth_frame([person(0), person(50)])
    sizes = head_sizes(record, (annotations[0], {}))
    np.testing.assert_allclose(sizes, [HEAD_PX, HEAD_OF_BOX * 100])


def test_what_it_needs():
    frames = [truth_frame([], row) for row in range(2)]
    empty = make_video(frames)
    assert not has_joint_tracks(empty)
    with pytest.raises(ValueError, match='visible'):
        pose_tracking_scores(empty, [found_frame([])] * 2)
    video = make_video([truth_frame(walkers(row), row) for row in range(2)])
    assert has_joint_tracks(video)
    with pytest.raises(ValueError, match='pose model'):
        pose_tracking_scores(video, [make_result()] * 2)
