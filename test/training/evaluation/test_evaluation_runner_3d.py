"""The camera of each picture reaches the pipeline, which corrects depths and lifts boxes."""

from __future__ import annotations

import cv2
import numpy as np
from format_scenes import make_set
from space_scene import SIZE, SpaceEngine, camera, places, spec_3d

from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.settings import Settings
from training.evaluation.runner import run_tracking


def test_depths_are_those_of_the_camera_of_the_set(tmp_path):
    names = [str(tmp_path / f'{number}.png') for number in range(3)]
    for name in names:
        cv2.imwrite(name, np.zeros((*SIZE, 3), np.uint8))
    spec = spec_3d(trained_focal_length=180.0)
    pipeline = assemble_pipeline(SpaceEngine(600.0, spec), spec, Settings())
    evaluation_set = make_set(
        names, videos={'v': [0, 1, 2]}, class_names=spec.classes, camera_matrix=camera(600.0)
    )
    results = run_tracking(pipeline, evaluation_set)
    for number, result in enumerate(results):
        depths = places(number)[:, 2]
        np.testing.assert_allclose(result.seen.depth, depths, rtol=1e-5)
        np.testing.assert_allclose(result.detections.depth, depths, rtol=1e-5)
        assert len(result.boxes_3d) == len(result.tracks)
    assert results[-1].boxes_3d.known.all()
    assert len(results[-1].boxes_3d) == 3
