"""The truth that the pose teacher makes: what it is sure of, and what is ignored."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from centertrack_ros.datatypes import Detections
from training.classes import COCO_JOINTS
from training.convert.annotations import AnnotationFile
from training.data.pose_teacher import PoseTeacher, TeacherPoses, agreed_poses
from training.data.teacher_poses import (
    Annotated,
    Sureness,
    add_persons,
    annotated_persons,
    main,
    teacher_annotations,
)
from training.evaluation.sets import EvaluationSet

COUNT = len(COCO_JOINTS)
BOX = (100.0, 50, 150, 200)


def look(*people):
    """One look at a picture: (left edge, score of the person, shift of the joints) of each."""
    boxes = [(left, 50, left + 50, 200) for left, _, _ in people]
    joints = np.zeros((len(people), COUNT, 3), np.float32)
    for row, (left, _, shift) in enumerate(people):
        joints[row] = [left + 25 + shift, 100, 0.8]
    points = np.zeros((len(people), 2), np.float32)
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array([score for _, score, _ in people], np.float32),
        classes=np.zeros(len(people), np.int64),
        centers=points,
        offsets=points,
        keypoints=joints,
    )


def test_looks_that_overlap_are_one_person():
    poses = agreed_poses(
        [look((100, 0.9, 0), (300, 0.6, 0)), look((102, 0.7, 4)), look((100, 0.8, 1))]
    )
    # Two of three looks count: the best ones.
    np.testing.assert_allclose(poses.scores, [0.85, 0.3])
    np.testing.assert_allclose(poses.joints[0, 0], [125.5, 100])
    np.testing.assert_allclose(poses.spreads[0], 0.5)
    np.testing.assert_allclose(poses.joint_scores[1], 0.4)
    np.testing.assert_allclose(poses.boxes[1], [300, 50, 350, 200])
    assert len(agreed_poses([look(), look()])) == 0


def poses_of(rows, scores=None) -> TeacherPoses:
    """People (box, score) whose joints are all sure unless `scores` (J,) say otherwise."""
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    joints = np.repeat(((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None], COUNT, axis=1)
    shape = (len(rows), COUNT)
    sure = np.full(shape, 0.9, np.float32) if scores is None else np.float32([scores] * shape[0])
    spreads = np.zeros(shape, np.float32)
    return TeacherPoses(boxes, np.float32([score for _, score in rows]), joints, sure, spreads)


def added(poses: TeacherPoses, annotated: Annotated | None = None) -> list[dict]:
    output = AnnotationFile.numbered(['person'])
    image = output.add_image('a.jpg', (300, 400))
    add_persons(output, image, poses, Sureness(), annotated)
    return output.content()['annotations']


def test_unsure_persons_are_ignored_and_unsure_joints_not_labelled():
    scores = [0.9] * 10 + [0.1] * 7
    sure, unsure = added(poses_of([(BOX, 0.8), ((250, 50, 300, 200), 0.2)], scores))
    assert (sure['iscrowd'], unsure['iscrowd']) == (0, 1)
    assert sure['num_keypoints'] == 10
    assert sure['keypoints'][:3] == [125.0, 125.0, 2]
    assert sure['keypoints'][30:] == [0.0] * 21
    assert sure['bbox'] == [100, 50, 50, 150]
    assert unsure['bbox'] == [250, 50, 50, 150]
    assert 'keypoints' not in unsure
    assert added(poses_of([(BOX, 0.01)])) == []
    assert [row['iscrowd'] for row in added(poses_of([(BOX, 0.8)], [0.9] * 5 + [0.1] * 12))] == [1]
    assert added(poses_of([])) == []


def test_with_annotators_both_must_be_sure():
    boxes = np.float32([[104, 50, 150, 204], [250, 50, 300, 200]])
    annotated = Annotated(boxes, np.float32([3000, 4000]), np.array([False, False]))
    poses = poses_of([(BOX, 0.8), ((10, 10, 60, 160), 0.7)])
    rows = added(poses, annotated)
    objects = [row for row in rows if not row['iscrowd']]
    # Box and area are the annotator's; nobody annotated the second, nobody saw the third.
    assert [(row['bbox'], row['area']) for row in objects] == [([104, 50, 46, 154], 3000)]
    assert sorted(row['bbox'] for row in rows if row['iscrowd']) == [
        [10, 10, 50, 150], [250, 50, 50, 150]
    ]  # fmt: skip
    crowd = Annotated(boxes[:1], np.float32([3000]), np.array([True]))
    assert all(row['iscrowd'] for row in added(poses, crowd))


def test_persons_of_a_coco_file():
    content = {
        'categories': [{'id': 1, 'name': 'person'}, {'id': 3, 'name': 'car'}],
        'images': [{'id': 5, 'file_name': 'a.jpg'}, {'id': 6, 'file_name': 'b.jpg'}],
        'annotations': [
            {'image_id': 5, 'category_id': 1, 'bbox': [1, 2, 3, 4], 'area': 6, 'iscrowd': 1},
            {'image_id': 5, 'category_id': 3, 'bbox': [0, 0, 9, 9], 'area': 81},
        ],
    }
    persons = annotated_persons(content)
    assert persons['a.jpg'].boxes.tolist() == [[1, 2, 4, 6]]
    assert persons['a.jpg'].crowds.tolist() == [True]
    assert persons['b.jpg'].boxes.shape == (0, 4)


def test_command(shared_folder, tmp_path):
    """A street photo: the teacher and its mirror image agree on people who walk towards us."""
    photos = shared_folder / 'data' / 'cutouts' / 'penn_fudan'
    weights = shared_folder / 'weights' / 'movenet_multipose'
    images = tmp_path / 'images'
    images.mkdir()
    picture = cv2.imread(str(photos / 'PennPed00088.jpg'))
    cv2.imwrite(str(images / 'a.png'), cv2.resize(picture, None, fx=0.5, fy=0.5))
    path = tmp_path / 'poses.json'
    main([str(images), str(path), '--weights', str(weights)])
    content = json.loads(path.read_text())
    assert 'MoveNet' in content['info']['teacher']
    assert content['categories'][0]['keypoints'] == list(COCO_JOINTS)
    truth = EvaluationSet.load(path, images, ['person'], joint_names=COCO_JOINTS)
    labels = truth.records[0].labels
    assert len(labels) >= 1
    for box, joints in zip(labels.boxes, labels.joints, strict=True):
        shown = joints[joints[:, 2] == 2, :2]
        assert len(shown) >= Sureness().joints
        assert (shown > box[:2] - 5).all()
        assert (shown < box[2:] + 5).all()
    teacher = PoseTeacher(weights, [(192, 256)])
    twice = [teacher_annotations(images, teacher, Sureness()).content() for _ in range(2)]
    assert twice[0] == twice[1]
    with pytest.raises(FileNotFoundError, match='pictures'):
        teacher_annotations(tmp_path, teacher, Sureness())
