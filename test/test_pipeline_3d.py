"""From candidates with depths to boxes in space that follow their tracks."""

from __future__ import annotations

import numpy as np
import pytest
from space_scene import (
    DT,
    SIZE,
    SIZES,
    VELOCITIES,
    YAWS,
    SpaceEngine,
    camera,
    places,
    spec_3d,
)

from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.lifting import depth_scale
from centertrack_ros.preprocessing import fit_transform
from centertrack_ros.settings import Settings

IMAGE = np.zeros((*SIZE, 3), np.uint8)


def _pipeline(focal_length=500.0, *, missed=(), **changes):
    spec = spec_3d(**changes)
    engine = SpaceEngine(focal_length, spec, missed)
    settings = Settings.from_mapping({'camera_motion': False})
    pipeline = assemble_pipeline(engine, spec, settings)
    pipeline.camera_matrix = camera(focal_length)
    return pipeline


def _run(pipeline, images):
    return [pipeline.step(IMAGE, image * DT) for image in range(images)]


def _in_order_of_truth(result, image):
    """Boxes with the rows of the scene: by the nearest middle."""
    distances = np.linalg.norm(result.boxes_3d.middles - places(image)[:, None], axis=2)
    return result.boxes_3d[distances.argmin(axis=1)]


def test_tracks_have_their_boxes_in_space():
    results = _run(_pipeline(), 12)
    boxes = _in_order_of_truth(results[-1], 11)
    np.testing.assert_allclose(boxes.middles, places(11), atol=0.15)
    np.testing.assert_allclose(boxes.dimensions, SIZES, rtol=1e-4)
    np.testing.assert_allclose(boxes.yaws, YAWS, atol=0.01)
    np.testing.assert_allclose(boxes.velocities, VELOCITIES, atol=0.4)
    for result in results:
        assert len(result.boxes_3d) == len(result.tracks) == 3
        assert result.boxes_3d.known.all()


def test_without_a_camera_there_are_none():
    pipeline = _pipeline()
    pipeline.camera_matrix = None
    assert _run(pipeline, 2)[-1].boxes_3d is None
    pipeline.camera_matrix = camera(500.0)
    assert pipeline.step(IMAGE, 2 * DT).boxes_3d.known.all()


def test_models_without_3d_have_none():
    heads = {'hm': 2, 'ltrb': 4, 'reg': 2, 'tracking': 2}
    assert _run(_pipeline(heads=heads), 1)[0].boxes_3d is None


def test_boxes_go_on_through_a_miss():
    results = _run(_pipeline(missed=(9, 10)), 11)
    boxes = _in_order_of_truth(results[-1], 10)
    assert (results[-1].tracks.misses == 2).all()
    np.testing.assert_allclose(boxes.middles, places(10), atol=0.4)
    before = _in_order_of_truth(results[-3], 8)
    assert (boxes.covariances[:, 2, 2] > before.covariances[:, 2, 2]).all()


def test_a_reset_forgets_them():
    pipeline = _pipeline()
    _run(pipeline, 10)
    pipeline.reset()
    pipeline.engine.runs = 0
    (first,) = _run(pipeline, 1)
    (fresh,) = _run(_pipeline(), 1)
    for name, values in vars(first.boxes_3d).items():
        np.testing.assert_array_equal(values, getattr(fresh.boxes_3d, name))


@pytest.mark.parametrize('trained', [200.0, 333.0])
def test_two_cameras_see_the_same_metres(trained):
    found = {}
    for focal_length in (420.0, 600.0):
        (result,) = _run(_pipeline(focal_length, trained_focal_length=trained), 1)
        found[focal_length] = _in_order_of_truth(result, 0).middles
        np.testing.assert_allclose(result.detections.depth, places(0)[:, 2], rtol=1e-5)
    np.testing.assert_allclose(found[420.0], places(0), atol=1e-3)
    np.testing.assert_allclose(found[600.0], found[420.0], atol=1e-3)


def test_depth_scale():
    transform = fit_transform(SIZE, spec_3d())
    assert transform.scale_x == 0.5
    assert depth_scale(250.0, camera(500.0), transform) == pytest.approx(1.0)
    assert depth_scale(250.0, camera(1000.0), transform) == pytest.approx(2.0)
    assert depth_scale(None, camera(1000.0), transform) == 1.0
    assert depth_scale(250.0, None, transform) == 1.0
    # Stretched: the mean of both axes.
    stretched = fit_transform((192, 640), spec_3d(resize='stretch'))
    assert depth_scale(100.0, camera(100.0), stretched) == pytest.approx(0.5**0.5)
