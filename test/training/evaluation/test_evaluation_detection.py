"""COCO's average precision of boxes, key points and masks."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from evaluation_scenes import Oracle, scene_content, write_scene
from format_scenes import make_detections, make_result

from centertrack_ros.datatypes import Tracks
from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.settings import Settings
from training.classes import COCO_JOINTS
from training.evaluation.detection import (
    OTHER_JOINTS_SIGMA,
    detection_scores,
    has_joints,
    has_shapes,
    joint_sigmas,
)
from training.evaluation.families import applicable_families
from training.evaluation.runner import FrameResult, run_tracking
from training.evaluation.sets import EvaluationSet

JOINTS = ('head', 'left_foot', 'right_foot')


def _load(folder, content, spec, **options):
    path = write_scene(folder, content)
    return EvaluationSet.load(path, folder / 'images', spec.classes, **options)


def _found(evaluation_set, **fields_of_image):
    """Results without tracks; `fields_of_image` are functions of a record's labels."""
    results = []
    for record in evaluation_set.records:
        fields = {name: make(record.labels) for name, make in fields_of_image.items()}
        detections = make_detections(fields.pop('boxes', record.labels.boxes), **fields)
        results.append(FrameResult(Tracks.empty(), detections[:0], detections))
    return results


def test_boxes_half_as_high_have_an_overlap_of_a_half(tmp_path, spec):
    evaluation_set = _load(tmp_path, scene_content(), spec)

    def low(labels, share):
        boxes = labels.boxes.copy()
        boxes[:, 3] -= (1 - share) * (boxes[:, 3] - boxes[:, 1])
        return boxes

    for share, expected in ((1.0, 1.0), (0.72, 0.5), (0.51, 0.1), (0.49, 0.0)):
        results = _found(
            evaluation_set, boxes=lambda labels, s=share: low(labels, s), classes=_classes
        )
        scores = detection_scores(evaluation_set, results).overall
        # Right at the thresholds 0.5, 0.55 ... up to the overlap.
        assert scores['AP'] == pytest.approx(expected, abs=1e-5)
        assert scores['AP50'] == float(share > 0.5)
        assert scores['AP75'] == float(share > 0.75)


def _classes(labels):
    return labels.classes


def test_areas_and_classes(tmp_path, spec):
    content = scene_content()
    evaluation_set = _load(tmp_path, content, spec)
    results = _found(evaluation_set, classes=_classes)
    scores = detection_scores(evaluation_set, results)
    # Cars have 24x30 pixels, persons 1200 and 1584: below and above 32^2.
    assert scores.overall['AP_small'] == scores.overall['AP_medium'] == 1.0
    assert 'AP_large' not in scores.overall
    assert 'AP_medium' not in scores.classes['car']
    assert 'AP_small' not in scores.classes['person']
    only_persons = _found(evaluation_set, classes=lambda labels: 0 * labels.classes)
    scores = detection_scores(evaluation_set, only_persons)
    assert scores.classes['car']['AP'] == 0.0
    assert 0 < scores.classes['person']['AP'] < 1


def test_detections_in_a_crowd_are_neither_right_nor_wrong(tmp_path, spec):
    content = scene_content()
    plain = _load(tmp_path / 'plain', content, spec)
    for image in content['images']:
        content['annotations'].append(
            {
                'id': 1000 + image['id'],
                'image_id': image['id'],
                'category_id': 3,
                'bbox': [0.0, 76.0, 70.0, 20.0],
                'iscrowd': 1,
            }
        )
    crowded = _load(tmp_path / 'crowded', content, spec)

    def with_false(labels):
        false = [[2.0, 80, 12, 90], [20, 80, 34, 94]]
        return np.concatenate([np.array(false, np.float32), labels.boxes])

    results = _found(
        crowded, boxes=with_false, classes=lambda labels: [0, 0, *labels.classes.tolist()]
    )
    assert detection_scores(crowded, results).overall['AP'] == 1.0
    assert detection_scores(plain, results).classes['person']['AP'] < 0.6


def test_a_file_without_objects_of_the_classes(tmp_path, spec):
    content = scene_content()
    content['annotations'] = []
    evaluation_set = _load(tmp_path, content, spec)
    with pytest.raises(ValueError, match='val: no bbox of an object'):
        detection_scores(evaluation_set, _found(evaluation_set))


def _pose_content():
    content = scene_content()
    for entry in content['annotations']:
        left, top, width, height = entry['bbox']
        joints = [[left + width / 2, top, 2], [left, top + height, 1], [0, 0, 0]]
        if entry['category_id'] == 3:
            entry['keypoints'] = [value for joint in joints for value in joint]
    return content


def _keypoints(shift):
    def make(labels):
        keypoints = labels.joints.copy()
        keypoints[..., 0] += np.float32(shift) * (labels.joints[..., 2] > 0)
        keypoints[..., 2] = 1
        return keypoints

    return make


def test_key_points_by_their_distance(tmp_path, spec):
    evaluation_set = _load(tmp_path, _pose_content(), spec, joint_names=JOINTS)
    assert has_joints(evaluation_set)
    exact = _found(evaluation_set, keypoints=_keypoints(0), classes=_classes)
    scores = detection_scores(evaluation_set, exact, 'keypoints')
    assert scores.overall['keypoint_AP'] == scores.overall['keypoint_AP50'] == 1.0
    # Cars have no joints and are not measured.
    assert list(scores.classes) == ['person']
    assert 'keypoint_AP_small' not in scores.overall
    # Similarity of the first person exp(-d^2 / (8 sigma^2 area)), 1200 and 1584 px^2.
    shift = np.sqrt(-np.log(0.72) * 8 * OTHER_JOINTS_SIGMA**2 * 1200)
    other = np.exp(-(shift**2) / (8 * OTHER_JOINTS_SIGMA**2 * 1584))
    assert 0.75 < other < 0.8
    shifted = _found(evaluation_set, keypoints=_keypoints(shift), classes=_classes)
    scores = detection_scores(evaluation_set, shifted, 'keypoints').overall
    assert scores['keypoint_AP50'] == 1.0
    # At 0.5 to 0.7 all are right; at 0.75 every second one, the better one of each image first
    # or last by turns of equal scores.
    assert 0.5 < scores['keypoint_AP'] < 0.6


@pytest.mark.parametrize(('kind', 'most'), [('bbox', 100), ('keypoints', 20)])
@pytest.mark.parametrize('beyond', [False, True])
def test_as_many_detections_of_a_class_count_as_in_pycocotools(tmp_path, spec, kind, most, beyond):
    content = _pose_content()
    image = content['images'][0]['id']
    persons = [e for e in content['annotations'] if e['image_id'] == image and 'keypoints' in e]
    content |= {'images': content['images'][:1], 'annotations': persons[:1]}
    evaluation_set = _load(tmp_path, content, spec, joint_names=JOINTS)
    left, top, width, height = persons[0]['bbox']
    count = most + beyond
    boxes = np.tile([0.0, 0.0, 1.0, 1.0], (count, 1))
    boxes[-1] = left, top, left + width, top + height
    joints = np.zeros((count, len(JOINTS), 3))
    joints[-1] = np.reshape(persons[0]['keypoints'], (-1, 3))
    # Cars in between take no place of a person.
    classes = np.zeros(count + 1)
    classes[0] = 1
    detections = make_detections(
        np.concatenate((boxes[:1], boxes)),
        scores=np.linspace(0.9, 0.1, count + 1),
        classes=classes,
        keypoints=np.concatenate((joints[:1], joints)).astype(np.float32),
    )
    scores = detection_scores(evaluation_set, [make_result(detections)], kind)
    expected = 0.0 if beyond else 1 / most
    name = 'keypoint_AP' if kind == 'keypoints' else 'AP'
    assert scores.classes['person'][name] == pytest.approx(expected, abs=1e-3)


def test_key_points_of_a_model_without(tmp_path, spec):
    evaluation_set = _load(tmp_path, _pose_content(), spec, joint_names=JOINTS)
    with pytest.raises(ValueError, match='the model has none'):
        detection_scores(evaluation_set, _found(evaluation_set), 'keypoints')
    assert 'keypoints' not in applicable_families(evaluation_set, spec)
    heads = {**spec.heads, 'hps': 6}
    assert 'keypoints' in applicable_families(evaluation_set, replace(spec, heads=heads))


def test_tolerances_of_joints():
    sigmas = joint_sigmas(['nose', 'tail', 'left_hip'])
    np.testing.assert_allclose(sigmas, [0.026, OTHER_JOINTS_SIGMA, 0.107])
    np.testing.assert_allclose(joint_sigmas(COCO_JOINTS)[[0, 16]], [0.026, 0.089])


class _MaskOracle(Oracle):
    """Masks that fill the cells of the boxes of an image."""

    def _more(self, number, count):
        spec = self.spec
        masks = np.zeros((1, spec.max_candidates, spec.output_height, spec.output_width), 'f4')
        rows = sorted(self.objects[number], key=lambda row: -row[5])
        for place, (left, top, width, height, *_) in enumerate(rows):
            first = [round(value / spec.stride) for value in (left, top)]
            last = [round(value / spec.stride) for value in (left + width, top + height)]
            masks[0, place, first[1] : last[1], first[0] : last[0]] = 1
        return {'masks': masks}


def _mask_content():
    """Every object is a rectangle on whole cells, the second one an L of three quarters of it."""
    content = scene_content()
    for entry in content['annotations']:
        left, top, width, height = (round(value / 8) * 8 for value in entry['bbox'])
        entry['bbox'] = [left, top, width, height]
        right, bottom, middle_x, middle_y = (
            left + width, top + height, left + width / 2, top + height / 2,
        )  # fmt: skip
        outline = [left, top, right, top, right, bottom, left, bottom]
        if entry['track_id'] == 2:
            outline = [left, top, middle_x, top, middle_x, middle_y, right, middle_y,
                       right, bottom, left, bottom]  # fmt: skip
        entry['segmentation'] = [outline]
    return content


def test_masks_through_the_pipeline(tmp_path, spec):
    content = _mask_content()
    evaluation_set = _load(tmp_path, content, spec)
    assert has_shapes(evaluation_set)
    pipeline = assemble_pipeline(_MaskOracle(content, spec), spec, Settings())
    results = run_tracking(pipeline, evaluation_set)
    assert results[0].detections.masks is None
    assert results[0].seen.masks is None
    assert len(results[0].mask_codes) == len(results[0].detections)
    scores = detection_scores(evaluation_set, results, 'segm')
    # Rectangles are as good as exact, boxes as masks of an L overlap it by 3/4.
    assert scores.classes['car']['mask_AP'] == 1.0
    assert scores.classes['person']['mask_AP50'] == 1.0
    assert scores.classes['person']['mask_AP'] < 0.9
    assert detection_scores(evaluation_set, results).overall['AP'] == 1.0


def test_masks_need_the_shape_of_every_object(tmp_path, spec):
    content = _mask_content()
    content['annotations'].append(
        {'id': 999, 'image_id': 1, 'category_id': 3, 'bbox': [0, 70, 20, 20], 'iscrowd': 1}
    )
    crowded = _load(tmp_path / 'crowded', content, spec)
    assert has_shapes(crowded)
    del content['annotations'][5]['segmentation']
    partly = _load(tmp_path / 'partly', content, spec)
    assert not has_shapes(partly)
    pipeline = assemble_pipeline(_MaskOracle(content, spec), spec, Settings())
    results = run_tracking(pipeline, partly)
    with pytest.raises(ValueError, match=r'annotation 6 of 002\.png is missing'):
        detection_scores(partly, results, 'segm')
    assert detection_scores(crowded, results, 'segm').classes['car']['mask_AP'] == 1.0
    with pytest.raises(ValueError, match='the model has none'):
        detection_scores(crowded, _found(crowded), 'segm')


def test_image_ids_may_be_text_and_categories_unordered(tmp_path, spec):
    content = json.loads(json.dumps(scene_content()))
    for image in content['images']:
        image['id'] = f'picture {image["id"]}'
    for entry in content['annotations']:
        entry['image_id'] = f'picture {entry["image_id"]}'
        entry['id'] = 0
    path = tmp_path / 'val.json'
    path.write_text(json.dumps(content))
    evaluation_set = EvaluationSet.load(path, tmp_path, spec.classes)
    results = _found(evaluation_set, classes=_classes)
    assert detection_scores(evaluation_set, results).overall['AP'] == 1.0
