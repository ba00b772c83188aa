"""Engine `auto`: what is tried, what is taken, and what is remembered; with real engines."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from dataclasses import replace

import pytest

from centertrack_ros.engines import create_engine
from centertrack_ros.engines.choices import Choice
from centertrack_ros.engines.selection import remember
from centertrack_ros.model_spec import ModelSpec

pytest.importorskip('openvino', reason='needs two engines that are installed')
EQUALLY_FAST = 1.05
ORDER = ['onnxruntime fp32 on cpu', 'openvino fp32 on cpu', 'openvino bf16 on cpu']


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch, caplog):
    """An empty cache folder of this test's own; messages are kept."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    caplog.set_level(logging.INFO, 'centertrack_ros.engines')
    return tmp_path / 'cache' / 'centertrack_ros' / 'engines.json'


@pytest.fixture
def model(model_path, tmp_path):
    """A copy of the shipped fp32 model without its other files."""
    for suffix in ('.onnx', '.json'):
        shutil.copy(model_path.with_suffix(suffix), tmp_path / f'walk{suffix}')
    return tmp_path / 'walk.onnx'


@pytest.fixture
def small(model_path):
    """The spec of the shipped model at a size that takes milliseconds."""
    return replace(ModelSpec.load(model_path), input_height=64, input_width=96)


def _entry(cache):
    (entry,) = json.loads(cache.read_text())['choices'].values()
    return entry


def test_first_start_measures_and_the_second_remembers(model, small, cache, caplog):
    first = create_engine(model, small, device='cpu', threads=1)
    entry = _entry(cache)
    times = entry['milliseconds']
    # A processor without bfloat16 leaves that one out.
    assert [name for name in ORDER if name in times] == list(times)
    assert set(ORDER[:2]) <= times.keys()
    limit = min(times.values()) * EQUALLY_FAST
    expected = next(name for name, value in times.items() if value <= limit)
    assert f'{entry["engine"]} {entry["precision"]} on cpu' == expected
    assert (first.precision, first.device) == (entry['precision'], 'cpu')
    assert first.name.startswith(entry['engine'])
    assert all(f'{name} {value:.1f} ms' in caplog.text for name, value in times.items())
    assert 'measured now' in caplog.text

    caplog.clear()
    before = cache.read_bytes()
    second = create_engine(model, small, device='cpu', threads=1)
    assert second.name == first.name
    assert cache.read_bytes() == before
    assert f'{expected}, measured at an earlier start' in caplog.text
    assert [path.name for path in cache.parent.iterdir()] == ['engines.json']


def test_the_only_one_is_not_measured(model, small, cache, caplog):
    shutil.copy(model, model.with_suffix('.fp16.onnx'))
    engine = create_engine(model, small, device='cpu', precision='fp16', threads=1)
    assert engine.precision == 'fp16'
    assert 'onnxruntime fp16 on cpu, the only one' in caplog.text
    assert not cache.exists()


def test_what_is_remembered_is_taken_unmeasured(model, small, cache, caplog):
    remember(model, Choice('openvino', 'fp32', 'cpu', {}), device='cpu', threads=1)
    before = cache.read_bytes()
    engine = create_engine(model, small, device='cpu', threads=1)
    assert engine.name.startswith('openvino')
    assert cache.read_bytes() == before
    assert 'measured now' not in caplog.text


def test_a_choice_that_fails_is_measured_again(model, small, cache, caplog):
    remember(model, Choice('openvino', 'fp16', 'cpu', {}), precision='fp32', threads=1)
    create_engine(model, small, precision='fp32', threads=1)
    assert 'measured again, since openvino fp16 on cpu fails' in caplog.text
    assert list(_entry(cache)['milliseconds']) == ORDER[:2]


def test_another_model_at_the_same_path_is_measured(model, small, cache, caplog):
    remember(model, Choice('openvino', 'fp32', 'cpu', {}), precision='fp32', threads=1)
    # One more byte of metadata: field 4 (domain) of the ONNX model.
    model.write_bytes(model.read_bytes() + b'\x22\x01x')
    create_engine(model, small, precision='fp32', threads=1)
    assert 'measured now' in caplog.text


def test_what_cannot_be_loaded_is_left_out_with_its_reason(model, small, cache, caplog):
    shutil.copy(model, model.with_suffix('.int8.onnx'))
    model.write_bytes(b'not a model')
    engine = create_engine(model, small, device='cpu', threads=1)
    assert engine.precision == 'int8'
    for name in ORDER:
        assert f'{name} is left out: ' in caplog.text
    assert list(_entry(cache)['milliseconds']) == [
        'onnxruntime int8 on cpu',
        'openvino int8 on cpu',
    ]


def test_nothing_can_be_loaded(model, small):
    model.write_bytes(b'not a model')
    with pytest.raises(ValueError, match=r'onnxruntime fp32 on cpu: .*openvino fp32 on cpu: '):
        create_engine(model, small, device='cpu', threads=1)


def test_a_missing_library_is_named_with_its_package(model, small, cache, caplog, monkeypatch):
    # What Python itself does with a name that must not be imported.
    monkeypatch.setitem(sys.modules, 'openvino', None)
    engine = create_engine(model, small, device='cpu', threads=1)
    assert engine.name.startswith('onnxruntime')
    assert 'openvino is not installed (pip install openvino)' in caplog.text
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ImportError, match=r'pip install onnxruntime\).*pip install openvino'):
        create_engine(model, small, device='cpu', threads=1)


def test_missing_files_are_named_with_the_command_that_makes_them(model, small):
    with pytest.raises(FileNotFoundError, match=r"'int8'.*walk\.int8\.onnx.*training\.quantize"):
        create_engine(model, small, device='cpu', precision='int8', threads=1)


def test_no_engine_computes_so(model, small):
    with pytest.raises(ValueError, match=r"precision: .* received 'fp8'"):
        create_engine(model, small, precision='fp8', threads=1)
