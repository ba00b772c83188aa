from __future__ import annotations

from dataclasses import replace

import numpy as np

from centertrack_ros.association import intersection_over_union
from centertrack_ros.datatypes import Candidates, Detections, FrameTransform
from centertrack_ros.decoding import decode

TRANSFORM = FrameTransform(0.5, 0.25, 8.0, 16.0, 400, 300, 216, 91)


def _candidates() -> Candidates:
    return Candidates(
        scores=np.array([[0.9, 0.5, 0.1]], np.float32),
        classes=np.array([[1, 0, 1]]),
        cells=np.array([[[10, 8], [20, 9], [1, 1]]], np.float32),
        boxes=np.array([[[5, 6, 15, 10], [18, 8, 500, 12], [0, 0, 1, 1]]], np.float32),
        tracking=np.array([[[1, -2], [0, 0], [3, 3]]], np.float32),
    )


def test_cells_become_image_pixels():
    detections = decode(_candidates(), TRANSFORM, stride=4, threshold=0.4)
    assert len(detections) == 2
    # x = (cell * 4 - 8) / 0.5, y = (cell * 4 - 16) / 0.25
    np.testing.assert_allclose(detections.boxes[0], [24, 32, 104, 96])
    np.testing.assert_allclose(detections.centers[0], [64, 64])
    np.testing.assert_allclose(detections.offsets[0], [8, -32])
    assert detections.boxes[1, 2] == 400  # clipped to the image
    np.testing.assert_array_equal(detections.classes, [1, 0])


def test_threshold_is_inclusive():
    detections = decode(_candidates(), TRANSFORM, stride=4, threshold=np.float32(0.1))
    assert len(detections) == 3


def test_class_filter():
    detections = decode(
        _candidates(), TRANSFORM, stride=4, threshold=0.0, class_indices=np.array([0])
    )
    np.testing.assert_allclose(detections.scores, [0.5])
    both = decode(
        _candidates(), TRANSFORM, stride=4, threshold=0.0, class_indices=np.array([1, 7, 0])
    )
    assert len(both) == 3


def test_nothing_above_the_threshold():
    detections = decode(_candidates(), TRANSFORM, stride=4, threshold=0.95)
    assert len(detections) == 0
    assert detections.boxes.shape == (0, 4)
    assert detections.keypoints is None


def test_boxes_may_leave_the_image():
    detections = decode(_candidates(), TRANSFORM, stride=4, threshold=0.4, clip=False)
    assert detections.boxes[1, 2] == (500 * 4 - 8) / 0.5


def test_second_rows_of_one_object_are_dropped():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 8], [0, 0, 10, 9.5]], np.float32)
    candidates = Candidates(
        scores=np.array([[0.9, 0.8, 0.7, 0.6]], np.float32),
        classes=np.array([[0, 0, 0, 1]]),
        cells=np.zeros((1, 4, 2), np.float32),
        boxes=boxes[None],
        tracking=np.zeros((1, 4, 2), np.float32),
    )

    def scores(limit: float) -> list[float]:
        kept = decode(
            candidates, TRANSFORM, stride=4, threshold=0.0, duplicate_overlap=limit, clip=False
        )
        return kept.scores.round(1).tolist()

    # IoU with the first: 0.9 and 0.8; the third overlaps the second by 0.89. Another class counts
    # for itself, and what is dropped drops nothing.
    np.testing.assert_allclose(scores(0.85), [0.9, 0.7, 0.6], rtol=1e-6)
    np.testing.assert_allclose(scores(0.75), [0.9, 0.6], rtol=1e-6)
    np.testing.assert_allclose(scores(1.0), [0.9, 0.8, 0.7, 0.6], rtol=1e-6)


def test_duplicates_are_those_that_a_loop_over_all_pairs_finds():
    """In crowds of two classes, among them boxes without an area."""
    random = np.random.default_rng(4)
    for count in (1, 30, 100):
        corners = random.uniform(0, 60, (count, 2))
        sizes = random.uniform(4, 20, (count, 2)) * (random.random((count, 1)) < 0.9)
        boxes = np.concatenate((corners, corners + sizes), axis=1).astype(np.float32)
        classes = random.integers(0, 2, count)
        candidates = Candidates(
            scores=np.linspace(0.9, 0.2, count, dtype=np.float32)[None],
            classes=classes[None],
            cells=np.zeros((1, count, 2), np.float32),
            boxes=boxes[None],
            tracking=np.zeros((1, count, 2), np.float32),
        )
        expected: list[int] = []
        for row, box in enumerate(boxes):
            better = [other for other in expected if classes[other] == classes[row]]
            overlaps = intersection_over_union(boxes[better], box)
            if not (overlaps > 0.3).any():
                expected.append(row)
        kept = decode(candidates, TRANSFORM, stride=4, threshold=0.0, duplicate_overlap=0.3)
        np.testing.assert_array_equal(kept.scores, candidates.scores[0, expected])
        assert count == 1 or len(expected) < count


def _space_candidates() -> Candidates:
    """With every optional field."""
    rotation = np.zeros((1, 3, 8), np.float32)
    rotation[0, :, 1], rotation[0, :, 3] = 1, 1  # first bin, cosine 1: alpha -pi / 2
    random = np.random.default_rng(0)
    return replace(
        _candidates(),
        keypoints=np.tile(np.array([6, 8, 0.5], np.float32), (1, 3, 2, 1)),
        depth=np.array([[9, 8, 7]], np.float32),
        dimensions=random.random((1, 3, 3), np.float32),
        rotation=rotation,
        amodal_offset=np.tile(np.array([1, -2], np.float32), (1, 3, 1)),
        attributes=random.random((1, 3, 8), np.float32),
        velocity=random.random((1, 3, 3), np.float32),
        masks=random.random((1, 3, 4, 5), np.float32),
    )


def test_joints_and_space():
    candidates = _space_candidates()
    detections = decode(candidates, TRANSFORM, stride=4, threshold=0.4)
    np.testing.assert_allclose(detections.keypoints[0], [[32, 64, 0.5]] * 2)
    np.testing.assert_allclose(detections.depth, [9, 8])
    np.testing.assert_allclose(detections.alpha, [-np.pi / 2] * 2)
    # cells (10, 8) and (20, 9), offset (1, -2)
    np.testing.assert_allclose(detections.amodal_centers, [[72, 32], [152, 48]])
    for name in ('dimensions', 'attributes', 'velocity', 'masks'):
        np.testing.assert_array_equal(
            getattr(detections, name), getattr(candidates, name)[0, :2], err_msg=name
        )


def test_amodal_centre_from_the_box():
    candidates = _space_candidates()
    from_box = decode(candidates, TRANSFORM, stride=4, threshold=0.6, amodal_reference='box')
    # middle of the box (10, 8) as well
    np.testing.assert_allclose(from_box.amodal_centers, [[72, 32]])
    # It is what the original tracks; ours tracks the peak, from which the offset leads.
    np.testing.assert_allclose(from_box.centers, from_box.amodal_centers)
    peaks = decode(candidates, TRANSFORM, stride=4, threshold=0.6)
    np.testing.assert_allclose(
        peaks.centers, TRANSFORM.points_to_image(np.float32(4) * candidates.cells[0, :1])
    )
    no_head = replace(candidates, amodal_offset=None)
    boxes = decode(no_head, TRANSFORM, stride=4, threshold=0.4, clip=False)
    expected = (boxes.boxes[:, :2] + boxes.boxes[:, 2:]) / 2
    np.testing.assert_allclose(boxes.amodal_centers, expected)


def test_optional_fields_follow_the_rows():
    detections = decode(_space_candidates(), TRANSFORM, stride=4, threshold=0.0)
    chosen = detections[np.array([2, 0])]
    np.testing.assert_array_equal(chosen.depth, [7, 9])
    assert chosen.masks.shape == (2, 4, 5)
    nothing = decode(_space_candidates(), TRANSFORM, stride=4, threshold=0.95)
    assert len(nothing) == 0
    assert nothing.keypoints.shape == (0, 2, 3)
    assert nothing.alpha.shape == (0,)
    assert nothing.amodal_centers.shape == (0, 2)
    plain = decode(_candidates(), TRANSFORM, stride=4, threshold=0.0)[:2]
    assert len(plain) == 2
    assert plain.depth is None
    assert Detections.empty()[:0].velocity is None
