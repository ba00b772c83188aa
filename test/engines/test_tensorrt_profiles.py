"""What an engine is built for covers what the pipeline asks of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from centertrack_ros.engines.base import expected_inputs
from centertrack_ros.engines.tensorrt.profiles import (
    Range,
    default_profile,
    exact_profile,
)
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import input_size


@pytest.fixture
def adaptive(model_path):
    return ModelSpec.load(model_path)


@pytest.mark.parametrize(
    'image', [(480, 640), (1080, 1920), (1920, 1080), (640, 640), (300, 1200), (1200, 300)]
)
def test_default_covers_every_camera_of_an_adaptive_model(adaptive, image):
    height, width = input_size(image, adaptive)
    assert default_profile(adaptive).covers(1, height, width)
    assert not default_profile(adaptive).covers(2, height, width)


def test_default_is_fastest_for_the_size_in_the_spec(adaptive):
    profile = default_profile(adaptive, Range(1, 2, 8))
    assert (profile.height.best, profile.width.best) == (
        adaptive.input_height,
        adaptive.input_width,
    )
    assert profile.batch == (1, 2, 8)


def test_smallest_input_has_a_cell_for_every_candidate(adaptive):
    tiny = replace(adaptive, input_height=128, input_width=128, max_candidates=500)
    side = default_profile(tiny).height.smallest
    assert (side // tiny.stride) ** 2 >= 500


def test_model_of_one_size_has_one(spec):
    assert default_profile(spec) == exact_profile((96, 160), (1, 1, 1))


def test_input_shapes_are_those_of_the_contract(spec):
    shapes = exact_profile((96, 160), (1, 2, 3)).input_shapes(spec)
    assert list(shapes) == list(expected_inputs(spec))
    assert shapes['image'] == ((1, 96, 160, 3), (2, 96, 160, 3), (3, 96, 160, 3))
    for name, (_, shape) in expected_inputs(spec).items():
        assert shapes[name][0] == shape


@pytest.mark.parametrize('batch', [(0, 1, 1), (2, 1, 3), (1, 4, 3)])
def test_ranges_that_are_none_are_refused(batch):
    with pytest.raises(ValueError, match='batch: expected 1 <= smallest <= best <= largest'):
        exact_profile((96, 160), batch)


def test_text_fits_a_file_name():
    assert exact_profile((96, 160), (1, 2, 4)).text == 'batch1-2-4_96x160'
