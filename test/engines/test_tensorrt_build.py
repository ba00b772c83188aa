"""Models become engines of TensorRT for RTX, for real: its builder needs no GPU."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest
from tensorrt_models import (
    rtx_library,
    small_spec,
    write_half,
    write_int8,
    write_small_model,
)

from centertrack_ros.engines.tensorrt.build import BuildOptions, ParsedModel
from centertrack_ros.engines.tensorrt.library import load_library
from centertrack_ros.engines.tensorrt.profiles import Range, default_profile, exact_profile
from centertrack_ros.model_spec import ModelSpec

ONE = (1, 1, 1)


@pytest.fixture(scope='module')
def library():
    return rtx_library()


@pytest.fixture(scope='module')
def shipped(model_path):
    return ModelSpec.load(model_path)


@pytest.fixture(scope='module')
def exact(library, model_path, shipped):
    """The shipped model for images of its own size."""
    size = (shipped.input_height, shipped.input_width)
    parsed = ParsedModel(library, model_path, shipped)
    return parsed.serialize(exact_profile(size, ONE), BuildOptions(), _ignore)


def _ignore(line):
    pass


def test_shipped_model_becomes_an_engine_for_all_its_sizes(library, model_path, shipped):
    lines = []
    parsed = ParsedModel(library, model_path, shipped)
    serialized = parsed.serialize(default_profile(shipped), BuildOptions(), lines.append)
    # At least the weights are in it.
    assert len(serialized) > model_path.stat().st_size
    assert any('s  ' in line and 'done' in line for line in lines), lines


def test_half_precision_file_gives_a_smaller_engine(library, model_path, shipped, exact, tmp_path):
    path = write_half(model_path, tmp_path / 'half.onnx')
    parsed = ParsedModel(library, path, shipped)
    size = (shipped.input_height, shipped.input_width)
    half = parsed.serialize(exact_profile(size, ONE), BuildOptions('fp16'), _ignore)
    assert len(half) < 0.85 * len(exact)


def test_symmetric_quantised_file_becomes_an_engine(library, model_path, shipped, tmp_path):
    path = write_int8(model_path, tmp_path / 'int8.onnx', convolutions=4)
    parsed = ParsedModel(library, path, shipped)
    serialized = parsed.serialize(exact_profile((96, 128), ONE), BuildOptions('int8'), _ignore)
    assert len(serialized) > path.stat().st_size / 2


def test_dynamic_batch(library, spec, tmp_path):
    spec = small_spec(spec)
    parsed = ParsedModel(library, write_small_model(tmp_path / 'small.onnx'), spec)
    assert parsed.fixed_batch is None
    assert parsed.serialize(default_profile(spec, Range(1, 4, 8)), BuildOptions(), _ignore)


def test_fixed_batch_refuses_others(library, spec, tmp_path):
    spec = small_spec(spec)
    parsed = ParsedModel(library, write_small_model(tmp_path / 'small.onnx', batch=2), spec)
    assert parsed.fixed_batch == 2
    assert parsed.serialize(default_profile(spec, 2), BuildOptions(), _ignore)
    with pytest.raises(ValueError, match=r'image is \(2, 96, 160, 3\).*\(4, 96, 160, 3\)'):
        parsed.serialize(default_profile(spec, 4), BuildOptions(), _ignore)


def test_unsupported_operator_is_named_with_what_to_do(library, spec, tmp_path):
    path = write_small_model(tmp_path / 'small.onnx', deformable=True)
    with pytest.raises(ValueError, match=r'small\.onnx.*operator DeformConv.*grid_sample'):
        ParsedModel(library, path, small_spec(spec))


def test_rubbish_is_refused(library, spec, tmp_path):
    path = tmp_path / 'model.onnx'
    path.write_bytes(b'not a model')
    with pytest.raises(ValueError, match=r'model\.onnx cannot be loaded by tensorrt_rtx'):
        ParsedModel(library, path, spec)
    with pytest.raises(FileNotFoundError, match=r'other\.onnx does not exist'):
        ParsedModel(library, tmp_path / 'other.onnx', spec)


def test_model_and_spec_that_differ_are_refused(library, model_path, shipped, tmp_path, spec):
    with pytest.raises(ValueError, match=r'does not fit its ModelSpec.*320'):
        ParsedModel(library, model_path, replace(shipped, resize='letterbox', input_width=320))
    small = write_small_model(tmp_path / 'small.onnx')
    with pytest.raises(ValueError, match='21 candidates, the model gives 20'):
        ParsedModel(library, small, replace(small_spec(spec), max_candidates=21))


def test_compute_capabilities(library, spec, tmp_path):
    spec = small_spec(spec)
    parsed = ParsedModel(library, write_small_model(tmp_path / 'small.onnx'), spec)
    portable, one, two = (
        parsed.serialize(default_profile(spec), BuildOptions(capabilities=each), _ignore)
        for each in ((), (86,), (86, 120))
    )
    assert len({portable, one, two}) == 3
    with pytest.raises(ValueError, match=r'expected \[75, 80.*received 90'):
        parsed.serialize(default_profile(spec), BuildOptions(capabilities=(90,)), _ignore)


def test_profile_that_the_graph_cannot_have_says_why(library, model_path, shipped):
    parsed = ParsedModel(library, model_path, shipped)
    with pytest.raises(RuntimeError, match=r'could not build an engine for batch1_400x544: \S'):
        parsed.serialize(exact_profile((400, 544), ONE), BuildOptions(), _ignore)


@pytest.mark.parametrize('error', [KeyboardInterrupt, BrokenPipeError])
def test_what_the_report_raises_ends_the_build(library, spec, tmp_path, error):
    def interrupt(line):
        raise error

    spec = small_spec(spec)
    parsed = ParsedModel(library, write_small_model(tmp_path / 'small.onnx'), spec)
    with pytest.raises(error):
        parsed.serialize(default_profile(spec), BuildOptions(), interrupt)


def test_missing_library_is_named():
    if importlib.util.find_spec('tensorrt') is not None:
        pytest.skip('tensorrt is installed')
    with pytest.raises(ImportError, match=r'pip install tensorrt;.*pip install tensorrt-rtx'):
        load_library('tensorrt')


def test_unknown_library_is_named():
    with pytest.raises(ValueError, match="received 'cudnn'"):
        load_library('cudnn')
