"""The shipped demo of boxes in space, on a world that it never saw."""

from __future__ import annotations

import numpy as np
import pytest

from centertrack_ros.factory import build_pipeline, find_model
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.settings import Settings
from training.data.world.bodies import CLASSES
from training.data.world.camera import FOCAL, RATE
from training.data.world.sequence import make_world

FRAMES = 6


@pytest.fixture(scope='module')
def pipeline():
    built = build_pipeline(Settings(model='demo_3d', engine='onnxruntime'))
    yield built
    built.engine.close()


def test_the_file_says_what_it_is():
    path = find_model('demo_3d')
    spec = ModelSpec.load(path)
    assert spec.classes == CLASSES
    assert spec.has_boxes_3d
    assert spec.trained_focal_length == FOCAL * spec.input_width
    assert 'drawn world' in spec.provenance['data']
    assert path.stat().st_size < 10e6


@pytest.mark.parametrize('focal', [FOCAL, 1.1])
def test_boxes_of_an_unseen_world_are_near_the_truth(pipeline, focal):
    """Whatever the lens: the depth is corrected for it."""
    world = make_world(FRAMES, (240, 400), np.random.default_rng([77, 4]), focal=focal)
    pipeline.reset()
    pipeline.camera_matrix = world.views[0].matrix.astype(np.float32)
    shares = []
    for number, frame in enumerate(world.frames()):
        step = pipeline.step(frame.image, number / RATE)
        tracks, boxes = step.tracks, step.boxes_3d
        for found in frame.objects if number >= FRAMES // 2 else ():
            if not found.counts:
                continue
            middle = np.array(found.fields['location']) - (0, found.fields['dim'][0] / 2, 0)
            same = boxes.known & (tracks.classes == found.category)
            away = np.linalg.norm(boxes.middles[same] - middle, axis=1)
            shares.append(away.min(initial=np.inf) / middle[2])
    found = np.array(shares)[np.array(shares) < 0.25]
    assert len(shares) >= 20
    assert len(found) >= 0.5 * len(shares)
    assert np.median(found) < 0.1
