"""The runtime's pipeline over a set: what is kept of every image."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from evaluation_scenes import FRAMES, OBJECTS, VIDEOS, Oracle, scene_content, write_scene

from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.settings import Settings
from centertrack_ros.tracker import CenterTrackTracker
from training.evaluation.detection import detection_scores
from training.evaluation.families import applicable_families, score_families
from training.evaluation.runner import run_tracking
from training.evaluation.sets import EvaluationSet
from training.evaluation.tracking import tracking_scores

TOTAL = VIDEOS * FRAMES * OBJECTS
ORIGINAL = Settings(tracker_method='centertrack')


def _load(folder, content, spec, **options):
    path = write_scene(folder, content)
    return EvaluationSet.load(path, folder / 'images', spec.classes, **options)


@pytest.mark.parametrize('method', ['centertrack', 'robust'])
def test_the_truth_scores_full_marks(tmp_path, spec, method):
    content = scene_content()
    evaluation_set = _load(tmp_path, content, spec)
    oracle = Oracle(content, spec)
    pipeline = assemble_pipeline(oracle, spec, Settings(tracker_method=method))
    seen = []
    results = run_tracking(pipeline, evaluation_set, progress=lambda: seen.append(1))
    assert len(results) == len(evaluation_set) == len(seen) == oracle.calls
    families = applicable_families(evaluation_set, spec)
    assert families == ('detection', 'tracking')
    scores = score_families(families, evaluation_set, results)
    assert (scores.overall['AP'], scores.overall['AP50']) == (1.0, 1.0)
    assert scores.overall['IDF1'] == scores.overall['MOTA'] == 100.0
    assert [scores.overall[name] for name in ('IDSW', 'FP', 'FN')] == [0, 0, 0]
    assert scores.classes['car']['MOTA'] == 100.0
    assert scores.classes['person']['AP'] == 1.0
    assert all(result.seconds > 0 and len(result.seen) == OBJECTS for result in results)


def test_low_scores_count_for_detection_and_not_for_the_tracker(tmp_path, spec):
    content = scene_content()
    evaluation_set = _load(tmp_path, content, spec)
    oracle = Oracle(content, spec)
    for rows in oracle.objects.values():
        rows[2][5] = 0.15  # below the detection threshold of 0.2
    results = run_tracking(assemble_pipeline(oracle, spec, ORIGINAL), evaluation_set)
    assert oracle.calls == len(evaluation_set)
    assert all(len(result.seen) == OBJECTS - 1 for result in results)
    assert all(len(result.detections) == spec.max_candidates for result in results)
    assert detection_scores(evaluation_set, results).overall['AP'] == 1.0
    scores = tracking_scores(evaluation_set, results)
    assert scores.overall['FN'] == VIDEOS * FRAMES
    assert scores.overall['MOTA'] == pytest.approx(100 * (1 - 1 / OBJECTS), abs=1e-3)
    assert scores.classes['car']['FN'] == VIDEOS * FRAMES
    assert scores.classes['person']['FN'] == 0


def test_wrong_answers_cost_what_they_should(tmp_path, spec):
    content = scene_content()
    evaluation_set = _load(tmp_path, content, spec)
    oracle = Oracle(content, spec)
    for number in (2, 3, 4):  # a person gone in three pictures
        del oracle.objects[number][1]
    for number in (8, 9):  # a false person, better than all others
        oracle.objects[number].append([2.0, 80.0, 14.0, 14.0, 0, 0.99, 9.0, 87.0])
    results = run_tracking(assemble_pipeline(oracle, spec, ORIGINAL), evaluation_set)
    scores = tracking_scores(evaluation_set, results)
    assert (scores.overall['FN'], scores.overall['FP']) == (3, 2)
    # The person comes back with another id: without a memory for lost tracks one switch.
    assert scores.overall['IDSW'] == 1
    assert scores.overall['MOTA'] == pytest.approx(100 * (1 - 6 / TOTAL), abs=1e-3)
    persons = 2 * VIDEOS * FRAMES
    recall, precision = (persons - 3) / persons, (persons - 3) / (persons - 1)
    # The false ones come first: precision is best at the end, up to the last recall reached.
    steps = np.linspace(0, 1, 101)
    expected = precision * np.mean(steps <= recall)
    assert detection_scores(evaluation_set, results).classes['person']['AP'] == pytest.approx(
        expected, abs=1e-4
    )


def test_stamps_come_from_frame_numbers(tmp_path, spec):
    content = scene_content()
    content['images'] = [image for image in content['images'] if image['frame_id'] != 4]
    kept = {image['id'] for image in content['images']}
    content['annotations'] = [
        entry for entry in content['annotations'] if entry['image_id'] in kept
    ]
    content['videos'][1]['fps'] = 4
    evaluation_set = _load(tmp_path, content, spec)
    steps = []

    class Spy(CenterTrackTracker):
        def update(self, detections, dt, public=None, *, camera=None):
            steps.append(dt)
            return super().update(detections, dt, public, camera=camera)

    pipeline = assemble_pipeline(Oracle(content, spec), spec, ORIGINAL)
    pipeline.tracker = Spy(pipeline.tracker.parameters)
    run_tracking(pipeline, evaluation_set)
    np.testing.assert_allclose(steps, [0, 0.1, 0.1, 0.2, 0.1, 0, 0.25, 0.25, 0.5, 0.25])


def test_ids_go_on_after_a_reset_within_a_video(tmp_path, spec):
    content = scene_content()
    content['videos'][0]['fps'] = 0.1  # ten seconds apart, more than max_gap
    evaluation_set = _load(tmp_path, content, spec)
    pipeline = assemble_pipeline(Oracle(content, spec), spec, ORIGINAL)
    results = run_tracking(pipeline, evaluation_set)
    first, second = results[:FRAMES], results[FRAMES:]
    ids = np.concatenate([result.tracks.ids for result in first])
    assert sorted(ids.tolist()) == list(range(1, FRAMES * OBJECTS + 1))
    assert first[1].reset_reason.startswith('no image for 10')
    assert not first[0].reset_reason
    assert all(sorted(result.tracks.ids.tolist()) == [1, 2, 3] for result in second)
    assert tracking_scores(evaluation_set, results).overall['IDSW'] == OBJECTS * (FRAMES - 1)


def test_results_are_in_the_order_of_the_file(tmp_path, spec):
    content = scene_content()
    content['images'] = content['images'][::-1]
    evaluation_set = _load(tmp_path, content, spec)
    results = run_tracking(
        assemble_pipeline(Oracle(content, spec), spec, ORIGINAL), evaluation_set
    )
    for record, result in zip(evaluation_set.records, results, strict=True):
        np.testing.assert_allclose(
            np.sort(result.tracks.boxes, axis=0), np.sort(record.labels.boxes, axis=0), atol=1e-4
        )
    assert tracking_scores(evaluation_set, results).overall['IDF1'] == 100.0


def test_only_the_classes_asked_for(tmp_path, spec):
    content = scene_content()
    evaluation_set = _load(tmp_path, content, spec).of_classes(['car'])
    settings = replace(ORIGINAL, class_filter=('car',))
    results = run_tracking(
        assemble_pipeline(Oracle(content, spec), spec, settings), evaluation_set
    )
    assert all(np.unique(result.detections.classes).tolist() == [1] for result in results)
    scores = score_families(('detection', 'tracking'), evaluation_set, results)
    assert list(scores.classes) == ['car']
    assert scores.overall['MOTA'] == 100.0
    with pytest.raises(ValueError, match=r"some of \['car'\].*received \['person'\]"):
        evaluation_set.of_classes(['person'])


def test_pictures_that_cannot_be_evaluated(tmp_path, spec):
    content = scene_content()
    evaluation_set = _load(tmp_path, content, spec)
    pipeline = assemble_pipeline(Oracle(content, spec), spec, ORIGINAL)
    path = tmp_path / 'images' / '004.png'
    cv2.imwrite(str(path), np.zeros((48, 80, 3), np.uint8))
    with pytest.raises(ValueError, match=r'004\.png.*160x96.*80x48'):
        run_tracking(pipeline, evaluation_set)
    path.write_bytes(b'no picture')
    with pytest.raises(ValueError, match=r'004\.png'):
        run_tracking(pipeline, evaluation_set)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r'004\.png'):
        run_tracking(pipeline, evaluation_set)


def test_the_hook_comes_before_every_image(tmp_path, spec):
    content = scene_content(frames=3)
    evaluation_set = _load(tmp_path, content, spec)
    calls = []
    run_tracking(
        assemble_pipeline(Oracle(content, spec), spec, ORIGINAL),
        evaluation_set,
        before_image=lambda row, first: calls.append((row, first)),
    )
    assert calls == [(0, True), (1, False), (2, False), (3, True), (4, False), (5, False)]


def test_a_wrong_file_names_its_place(tmp_path, spec):
    content = scene_content()
    content['annotations'][4]['bbox'] = [0, 0, -3, 4]
    path = write_scene(tmp_path, content)
    with pytest.raises(ValueError, match=r'val\.json.*annotations\[4\]'):
        EvaluationSet.load(path, tmp_path / 'images', spec.classes)
    lenient = EvaluationSet.load(path, tmp_path / 'images', spec.classes, faults='skip')
    assert len(lenient.records[1].labels) == OBJECTS - 1
    pipeline = assemble_pipeline(Oracle(content, spec), spec, ORIGINAL)
    scores = tracking_scores(lenient, run_tracking(pipeline, lenient))
    assert scores.overall['FN'] == 0
    content['categories'].append({'id': 9, 'name': 'horse'})
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="'horse' is no class of the model"):
        EvaluationSet.load(path, tmp_path / 'images', spec.classes, faults='skip')
