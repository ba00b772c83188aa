"""CenterNet's test at several scales."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluation_scenes import FRAMES, Oracle, scene_content, write_scene

from centertrack_ros.datatypes import Candidates
from training.evaluation.detection import detection_scores
from training.evaluation.multi_scale import detect_at_scales, scale_placement
from training.evaluation.sets import EvaluationSet

PLACES = np.array([[10.0, 20.0, 50.0, 60.0], [70.0, 8.0, 150.0, 90.0]])


# Size of the input -> scale, and where the corner of the scaled picture lies in it, by hand: the
# middle of the picture comes to that of an input of the next multiples of 32.
INPUTS = {
    (128, 192): (1.0, 16.0, 16.0),
    (64, 96): (0.5, 8.0, 8.0),
    (160, 256): (1.5, 8.0, 8.0),
}


class _ScaledOracle:
    """Says at each scale where two persons are: `shifts` pixels of the picture beside them.

    The scale is known by the size of the input, as pictures of 96x160 keep it.
    """

    name, device = 'oracle', 'cpu'

    def __init__(self, spec, shifts):
        self.spec = spec
        self.shifts = shifts
        self.seen = []

    def run(self, image, previous_image, prior_heatmap):
        size = image.shape[1:3]
        scale, left, top = INPUTS[size]
        self.seen.append((scale, int(image[0, size[0] // 2, size[1] // 2, 0])))
        assert prior_heatmap.shape == (1, 1, size[0] // 4, size[1] // 4)
        assert not prior_heatmap.any()
        assert np.array_equal(image, previous_image)
        places = PLACES + self.shifts[scale]
        boxes = places * scale + [left, top, left, top]
        count = self.spec.max_candidates
        rows = {
            'scores': np.zeros((1, count), np.float32),
            'classes': np.zeros((1, count), np.int64),
            'cells': np.zeros((1, count, 2), np.float32),
            'boxes': np.zeros((1, count, 4), np.float32),
            'tracking': np.zeros((1, count, 2), np.float32),
        }
        rows['scores'][0, :2] = (0.8, 0.5) if scale == 1 else (0.6, 0.4)
        rows['boxes'][0, :2] = boxes / 4
        return Candidates(**rows)


@pytest.fixture
def stills(tmp_path, spec):
    content = scene_content()
    content['images'] = content['images'][:2]
    content['annotations'] = []
    for number in (1, 2):
        for left, top, right, bottom in PLACES.tolist():
            content['annotations'].append(
                {
                    'id': len(content['annotations']) + 1,
                    'image_id': number,
                    'category_id': 3,
                    'bbox': [left, top, right - left, bottom - top],
                }
            )
    for image in content['images']:
        del image['video_id'], image['frame_id']
    path = write_scene(tmp_path, content)
    return EvaluationSet.load(path, tmp_path / 'images', spec.classes)


def test_rows_of_two_scales_by_hand(stills, spec):
    engine = _ScaledOracle(spec, {1.0: 0.0, 0.5: 0.0})
    results = detect_at_scales(engine, spec, stills, [0.5, 1.0], resolution='keep')
    assert engine.seen == [(0.5, 2), (1.0, 2), (0.5, 4), (1.0, 4)]
    for result in results:
        found = result.detections
        # Both scales agree: an overlap of 1, and so a factor of exp(-1 / 0.5) for the lower.
        factor = np.exp(-2)
        expected = [0.8, 0.5, 0.6 * factor, 0.4 * factor]
        np.testing.assert_allclose(found.scores[:4], expected, rtol=1e-5)
        np.testing.assert_allclose(found.boxes[:4], PLACES[[0, 1, 0, 1]], atol=1e-4)
        assert not len(result.tracks)
        assert not len(result.seen)
    assert detection_scores(stills, results).overall['AP'] == 1.0


def test_soft_suppression_by_hand_where_scales_differ(stills, spec):
    engine = _ScaledOracle(spec, {1.0: 0.0, 1.5: 6.0})
    result = detect_at_scales(engine, spec, stills, [1.0, 1.5], resolution='keep')[0].detections
    scores = {}
    for index, (left, top, right, bottom) in enumerate(PLACES.tolist()):
        width, height = right - left + 1, bottom - top + 1  # a pixel more, as in the original
        common = (width - 6) * (height - 6)
        overlap = common / (2 * width * height - common)
        scores[index] = np.exp(-(overlap**2) / 0.5)
    expected = sorted([0.8, 0.5, 0.6 * scores[0], 0.4 * scores[1]], reverse=True)
    np.testing.assert_allclose(result.scores[:4], expected, rtol=1e-4)


def test_one_scale_is_not_suppressed(stills, spec):
    engine = _ScaledOracle(spec, {1.0: 0.0})
    result = detect_at_scales(engine, spec, stills, [1.0], resolution='keep')[0].detections
    np.testing.assert_allclose(result.scores[:2], [0.8, 0.5])
    assert len(result) == spec.max_candidates


def test_joints_are_merged_too(stills, spec):
    pose = replace(spec, joints=('nose', 'tail'))

    class PoseOracle(_ScaledOracle):
        def run(self, *inputs):
            found = super().run(*inputs)
            corners = found.boxes.reshape(1, -1, 2, 2)
            scores = np.full((*corners.shape[:3], 1), 0.7, np.float32)
            return replace(found, keypoints=np.concatenate([corners, scores], axis=3))

    engine = PoseOracle(pose, {1.0: 0.0, 0.5: 0.0})
    result = detect_at_scales(engine, pose, stills, [1.0, 0.5], resolution='keep')[0].detections
    np.testing.assert_allclose(
        result.keypoints[:2, :, :2].reshape(2, 4), result.boxes[:2], atol=1e-4
    )
    assert (result.keypoints[:, :, 2] == 1).all()


def test_a_fixed_size_at_the_scale_of_the_picture(tmp_path, spec):
    content = scene_content()
    path = write_scene(tmp_path, content)
    evaluation_set = EvaluationSet.load(path, tmp_path / 'images', spec.classes)
    original = replace(spec, resize='centertrack')
    results = detect_at_scales(Oracle(content, spec), original, evaluation_set, [1.0])
    assert len(results) == 2 * FRAMES
    # The picture has the size of the input; what the oracle says there is true of the picture.
    scores = detection_scores(evaluation_set, results)
    assert scores.overall['AP'] == 1.0


def test_placements(spec):
    # A tall picture in a wide input: the original cuts it off, ours shows all of it.
    tall = (160, 96)
    original = scale_placement(tall, replace(spec, resize='centertrack'), 1.0, 'fixed').transform
    assert original.scale_x == pytest.approx(1.0)
    ours = scale_placement(tall, spec, 1.0, 'fixed').transform
    assert ours.scale_y == pytest.approx(96 / 160)
    corners = ours.points_to_input(np.array([[0, 0], [96, 160]], np.float32))
    np.testing.assert_allclose(corners, [[51.2, 0], [108.8, 96]], atol=1e-3)
    # Half as large, in the middle.
    half = scale_placement(tall, spec, 0.5, 'fixed').transform
    corners = half.points_to_input(np.array([[0, 0], [48, 80]], np.float32))
    np.testing.assert_allclose(corners, [[65.6, 24], [94.4, 72]], atol=1e-3)
    with pytest.raises(ValueError, match='it stretches'):
        scale_placement(tall, replace(spec, resize='stretch'), 1.0, 'fixed')
    assert scale_placement((96, 160), spec, 1.0, 'keep', 128).input_size == (128, 256)


@pytest.mark.parametrize('scales', [[], [0.0], [1.0, -1.0], [20.0]])
def test_scales_that_are_none(stills, spec, scales):
    with pytest.raises(ValueError, match='above 0'):
        detect_at_scales(_ScaledOracle(spec, {}), spec, stills, scales)
