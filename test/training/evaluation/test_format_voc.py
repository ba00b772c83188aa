from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from format_scenes import make_detections, make_result, make_set

from training.convert.voc import convert_voc
from training.data.labels import ALL_CLASSES, FrameLabels
from training.evaluation.sets import EvaluationSet
from training.evaluation.voc import voc_map, write_voc_results

A, B, C = [0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]
NOWHERE = [80, 80, 90, 90]
XML = """<annotation><filename>a.png</filename>
<size><width>100</width><height>100</height><depth>3</depth></size>
{}</annotation>
"""
OBJECT = """<object><name>cat</name><difficult>{}</difficult>
<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>
"""


def _labels(boxes, ignored=(), *, classes=None, ignored_class=0, **fields):
    return FrameLabels.from_rows(
        boxes,
        [0] * len(boxes) if classes is None else classes,
        range(1, len(boxes) + 1),
        ignore_boxes=ignored,
        ignore_classes=[ignored_class] * len(ignored),
        **fields,
    )


def _map(*images, class_names=('cat',)):
    """Scores of pairs of labels and detections."""
    labels, detections = zip(*images, strict=True)
    names = [f'{index}.jpg' for index in range(len(images))]
    evaluation_set = make_set(names, labels=list(labels), class_names=class_names)
    return voc_map(evaluation_set, [make_result(found) for found in detections])


def test_a_case_by_hand():
    """Right, wrong, right, second at the same object: recalls 1/3, 1/3, 2/3, 2/3."""
    scores = _map(
        (_labels([A]), make_detections([A, NOWHERE, A], [0.9, 0.8, 0.6])),
        (_labels([B, C]), make_detections([B], [0.7])),
    )
    assert scores.overall['VOC_mAP'] == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3)
    # Precision 1 up to a recall of 0.3, then 2/3 up to 0.6.
    assert scores.overall['VOC2007_mAP'] == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)
    assert scores.classes == {
        'cat': {
            'VOC_AP': scores.overall['VOC_mAP'],
            'VOC2007_AP': scores.overall['VOC2007_mAP'],
        }
    }


def test_difficult_objects_are_neither_right_nor_wrong_nor_missed():
    at_difficult = make_detections([B, B, A], [0.9, 0.8, 0.7])
    assert _map((_labels([A], [B]), at_difficult)).overall['VOC_mAP'] == 1
    assert _map((_labels([A, B]), at_difficult)).overall['VOC_mAP'] == pytest.approx(
        1 / 2 + 1 / 2 * 2 / 3
    )
    every = _labels([A], [B], ignored_class=ALL_CLASSES)
    assert _map((every, at_difficult)).overall['VOC_mAP'] == 1
    other = _labels([A], [B], ignored_class=1)
    assert _map((other, at_difficult)).overall['VOC_mAP'] == pytest.approx(1 / 3)


def test_the_object_that_is_overlapped_most_decides_although_it_is_taken():
    left, right = [0, 0, 12, 10], [2, 0, 14, 10]
    twice = make_detections([left, left], [0.9, 0.8])
    assert _map((_labels([left, right]), twice)).overall['VOC_mAP'] == 0.5


@pytest.mark.parametrize(('width', 'expected'), [(20, 1), (20.1, 0)])
def test_least_overlap_is_one_half(width, expected):
    found = make_detections([[0, 0, width, 10]])
    assert _map((_labels([A]), found)).overall['VOC_mAP'] == expected


def test_recalls_are_compared_without_rounding():
    """3 of 10 objects are a recall of 0.3, which floats miss."""
    boxes = [[20 * n, 0, 20 * n + 10, 10] for n in range(10)]
    scores = _map((_labels(boxes), make_detections(boxes[:3])))
    assert scores.overall['VOC2007_mAP'] == pytest.approx(4 / 11)


def test_classes_without_objects_are_no_part_of_the_mean():
    both = make_detections([A, B], classes=[0, 1])
    scores = _map((_labels([A]), both), class_names=('cat', 'dog'))
    assert scores.overall['VOC_mAP'] == 1
    assert list(scores.classes) == ['cat']
    with pytest.raises(ValueError, match='no object'):
        _map((_labels([], [A]), both))


def test_images_in_which_nobody_looked_for_a_class_are_left_out():
    unlabelled = _labels([], unlabelled_classes=[0])
    found = make_detections([A], [0.95])
    assert _map((unlabelled, found), (_labels([A]), make_detections([A]))).overall['VOC_mAP'] == 1


def test_images_without_detections_or_objects():
    nothing = make_detections()
    assert _map((_labels([A]), nothing), (_labels([]), nothing)).overall['VOC_mAP'] == 0


def test_as_the_rules_of_the_kit_written_out_in_its_own_pixels():
    """The kit's loop over detections, with boxes that count from 1 and include their ends."""
    generator = np.random.default_rng(4)
    images = []
    for _ in range(30):
        corners = generator.integers(0, 60, (generator.integers(0, 9), 2))
        boxes = np.concatenate((corners, corners + generator.integers(5, 30, corners.shape)), 1)
        moved = boxes + generator.integers(-4, 5, boxes.shape)
        moved = np.concatenate(
            (moved, boxes[:3] + generator.integers(-9, 10, (len(boxes[:3]), 4)))
        )
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        difficult = generator.random(len(boxes)) < 0.2
        scores = generator.permutation(1000)[: len(moved)] / 1000
        images.append((boxes, difficult, moved, scores))
    recall, precision = _kit_curve(images)
    recall, precision = [0, *recall, 1], [0, *precision, 0]
    for index in range(len(precision) - 2, -1, -1):
        precision[index] = max(precision[index], precision[index + 1])
    area = sum(
        (recall[i + 1] - recall[i]) * precision[i + 1] for i in range(len(recall) - 1)
    )  # fmt: skip
    found = _map(
        *(
            (
                _labels(boxes[~difficult], boxes[difficult]),
                make_detections(moved, scores)[np.argsort(-scores)],
            )
            for boxes, difficult, moved, scores in images
        )
    )
    assert 0.2 < area < 0.9
    assert found.overall['VOC_mAP'] == pytest.approx(area, abs=1e-9)


def _kit_curve(images):
    listed = sorted(
        (-score, image, row)
        for image, (_, _, _, scores) in enumerate(images)
        for row, score in enumerate(scores)
    )
    taken, right, wrong, curve = set(), 0, 0, []
    positives = sum(int((~difficult).sum()) for _, difficult, _, _ in images)
    for _, image, row in listed:
        boxes, difficult, moved, _ = images[image]
        shares = [_kit_overlap(moved[row], box) for box in boxes]
        best = int(np.argmax(shares)) if shares else -1
        if best >= 0 and shares[best] >= 0.5:
            if not difficult[best]:
                right += (image, best) not in taken
                wrong += (image, best) in taken
                taken.add((image, best))
        else:
            wrong += 1
        if right + wrong:
            curve.append((right / positives, right / (right + wrong)))
    return zip(*curve, strict=True)


def _kit_overlap(ours_a, ours_b):
    a, b = (np.array([box[0] + 1, box[1] + 1, box[2], box[3]]) for box in (ours_a, ours_b))
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def test_difficult_in_xml_is_difficult_here_and_lines_have_its_pixels(tmp_path):
    folder = tmp_path / 'Annotations'
    folder.mkdir()
    objects = OBJECT.format(0, 1, 1, 10, 20) + OBJECT.format(1, 51, 61, 70, 80)
    (folder / 'a.xml').write_text(XML.format(objects))
    convert_voc(folder).write(tmp_path / 'voc.json')
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((100, 100, 3), np.uint8))
    evaluation_set = EvaluationSet.load(tmp_path / 'voc.json', tmp_path, ['cat'])
    boxes = [[0, 0, 10, 20], [50, 60, 70, 80]]
    result = make_result(make_detections(boxes, [0.5, 0.75]))
    scores = voc_map(evaluation_set, [result])
    assert scores.overall['VOC_mAP'] == 1
    (path,) = write_voc_results(tmp_path / 'out', evaluation_set, [result])
    assert path.name == 'comp4_det_test_cat.txt'
    assert path.read_text().splitlines() == [
        'a 0.500000 1.000 1.000 10.000 20.000',
        'a 0.750000 51.000 61.000 70.000 80.000',
    ]


def test_every_class_of_the_set_gets_a_file(tmp_path):
    evaluation_set = make_set(['a.jpg'], class_names=('cat', 'dog', 'cow'))
    evaluation_set = replace(evaluation_set, category_ids=(1, 2, None))
    paths = write_voc_results(tmp_path, evaluation_set, [make_result(make_detections([A]))])
    assert [path.read_text() != '' for path in paths] == [True, False]


def test_names_that_the_kit_cannot_have(tmp_path):
    with pytest.raises(ValueError, match='2 images with 1 names'):
        write_voc_results(tmp_path, make_set(['a/1.jpg', 'b/1.jpg']), [make_result()] * 2)
    with pytest.raises(ValueError, match='without /'):
        write_voc_results(tmp_path, make_set(['1.jpg'], class_names=('a/b',)), [make_result()])
