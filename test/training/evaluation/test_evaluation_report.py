"""Reports of evaluations, and the files of all detections."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from evaluation_scenes import scene_content, write_scene
from format_scenes import make_detections
from pycocotools import mask as coco_mask
from rich.console import Console

from centertrack_ros.datatypes import Tracks
from training.evaluation.families import FAMILIES
from training.evaluation.report import Report, SetReport, unit_of
from training.evaluation.result_files import write_coco
from training.evaluation.runner import FrameResult, mask_code
from training.evaluation.scores import Scores, merged_scores
from training.evaluation.sets import EvaluationSet


def _report(class_count=2):
    classes = {f'class{number}': {'AP': 0.25, 'IDSW': 3} for number in range(class_count)}
    scores = Scores({'AP': 0.5, 'MOTA': 71.26, 'KITTI_IDSW': 12}, classes)
    entry = SetReport('val', 'folder/val.json', 30, 1.5, scores)
    return Report('tiny', 'tiny.pt', 'pytorch', 'cpu', 'abc+', {'flip': True}, [entry])


def test_markdown():
    text = _report().to_markdown()
    assert text.startswith('# tiny\n\n- model: `tiny.pt`\n')
    assert '- flip: True\n' in text
    assert (
        '`folder/val.json`: 30 images, 20 per second. '
        'Units: percent: MOTA; count: KITTI_IDSW, IDSW; shares from 0 to 1: all others.\n'
    ) in text
    assert text.endswith(
        '| class | AP | MOTA | KITTI_IDSW | IDSW |\n'
        '| --- | --- | --- | --- | --- |\n'
        '| all | 0.500 | 71.3 | 12 | - |\n'
        '| class0 | 0.250 | - | - | 3 |\n'
        '| class1 | 0.250 | - | - | 3 |\n'
    )


def test_files(tmp_path):
    _report().write(tmp_path / 'new' / 'folder')
    document = json.loads((tmp_path / 'new' / 'folder' / 'metrics.json').read_text())
    assert document['commit'] == 'abc+'
    assert document['sets']['val'] == {
        'annotations': 'folder/val.json',
        'images': 30,
        'images_per_second': 20.0,
        'tracker_resets': 0,
        'units': {'AP': 'share', 'MOTA': 'percent', 'KITTI_IDSW': 'count', 'IDSW': 'count'},
        'metrics': {'AP': 0.5, 'MOTA': 71.26, 'KITTI_IDSW': 12},
        'classes': {name: {'AP': 0.25, 'IDSW': 3} for name in ('class0', 'class1')},
    }
    assert (tmp_path / 'new' / 'folder' / 'report.md').read_text() == _report().to_markdown()


@pytest.mark.parametrize(('count', 'shown'), [(2, True), (80, False)])
def test_table_on_a_narrow_terminal(count, shown):
    stream = io.StringIO()
    _report(count).show(Console(file=stream, width=60))
    text = stream.getvalue()
    assert 'tiny on val: 30 images, 20 per second' in text
    assert '71.3' in text
    assert ('class1' in text) == shown
    assert '…' not in text


def test_every_metric_has_a_unit():
    names = {name for family in FAMILIES.values() for name in family.metrics}
    units = {name: unit_of(name) for name in names}
    assert {name for name in names if units[name] == 'metres'} == {
        'center_error_m',
        'dimension_error_m',
    }
    assert units['yaw_error_deg'] == 'degrees'
    assert units['HOTA'] == 'percent'
    assert units['FN'] == 'count'
    assert units['keypoint_AP50'] == units['center_error_of_depth'] == 'share'


def test_resets_within_videos_are_told():
    entry = SetReport('val', 'val.json', 30, 1.5, Scores({'MOTA': 7.0}), resets=3)
    report = Report('tiny', 'tiny.pt', 'pytorch', 'cpu', 'abc', {}, [entry])
    assert '20 per second, tracker reset 3 times within videos' in report.to_markdown()
    assert report.to_dict()['sets']['val']['tracker_resets'] == 3


def test_a_report_without_metrics_says_why():
    entry = SetReport('test', 'test.json', 2, 1.0, Scores({}))
    report = Report('tiny', 'tiny.pt', 'pytorch', 'cpu', 'abc', {}, [entry])
    stream = io.StringIO()
    report.show(Console(file=stream, width=60))
    for text in (report.to_markdown(), stream.getvalue()):
        assert 'No metrics: the set has no labelled object.' in text
    assert '|' not in report.to_markdown()


def test_families_together():
    merged = merged_scores(
        [Scores({'AP': 1.0}, {'car': {'AP': 1.0}}), Scores({'MOTA': 2.0}, {'car': {'MOTA': 3.0}})]
    )
    assert merged == Scores({'AP': 1.0, 'MOTA': 2.0}, {'car': {'AP': 1.0, 'MOTA': 3.0}})


def test_coco_results_have_the_ids_of_the_file(tmp_path):
    content = scene_content(frames=1)
    for image in content['images']:
        image['id'] += 40
    for entry in content['annotations']:
        entry['image_id'] += 40
    path = write_scene(tmp_path, content)
    evaluation_set = EvaluationSet.load(path, tmp_path / 'images', ('horse', 'car'),
                                        skipped_categories=('person',))  # fmt: skip
    pixels = np.zeros((96, 160), np.bool_)
    pixels[10:20, 30:50] = True
    detections = make_detections(
        [[1, 2, 4, 8], [0, 0, 9, 9]], [0.75, 0.5], [1, 0],
        keypoints=np.arange(12, dtype=np.float32).reshape(2, 2, 3),
    )  # fmt: skip
    result = FrameResult(
        Tracks.empty(), detections[:0], detections, mask_codes=(mask_code(pixels),) * 2
    )
    nothing = FrameResult(Tracks.empty(), detections[:0], detections[:0], mask_codes=())
    write_coco(tmp_path / 'out', evaluation_set, [result, nothing])
    # The file has no horses: what the model says of them is left out.
    (entry,) = json.loads((tmp_path / 'out' / 'results.json').read_text())
    code = entry.pop('segmentation')
    assert coco_mask.decode(code).astype(bool).tolist() == pixels.tolist()
    assert entry == {
        'image_id': 41,
        'category_id': 7,
        'bbox': [1.0, 2.0, 3.0, 6.0],
        'score': 0.75,
        'keypoints': [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
    }
