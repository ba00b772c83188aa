"""Every engine fulfils one contract, on the shipped model and real frames."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from centertrack_ros.engines import create_engine
from centertrack_ros.engines.base import expected_inputs
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import fit_transform, to_input
from centertrack_ros.rendering import render_peaks

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ['onnxruntime', 'openvino']


def _require(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f'{name} is not installed (an optional engine)')


@pytest.fixture(scope='module')
def frames(model_path):
    spec = ModelSpec.load(model_path)
    capture = cv2.VideoCapture(str(ROOT / 'samples' / 'pets09_s2l1.mp4'))
    images = [capture.read()[1] for _ in range(4)]
    transform = fit_transform(images[0].shape[:2], spec)
    return [to_input(image, transform)[None] for image in images]


@pytest.fixture(scope='module')
def reference(model_path, frames):
    spec = ModelSpec.load(model_path)
    engine = create_engine(model_path, spec, engine='onnxruntime', device='cpu', threads=1)
    return engine.run(frames[1], frames[0], _prior(spec))


def _prior(spec: ModelSpec):
    height, width = spec.prior_heatmap_shape
    peaks = np.array([[width * 0.5, height * 0.5], [width * 0.8, height * 0.3]])
    return render_peaks(peaks, np.array([6, 4]), np.ones(2), (height, width))[None, None]


@pytest.mark.parametrize('name', ENGINES)
def test_same_rows_as_the_reference(name, model_path, frames, reference):
    _require(name)
    spec = ModelSpec.load(model_path)
    engine = create_engine(model_path, spec, engine=name, device='cpu', threads=1)
    rows = engine.run(frames[1], frames[0], _prior(spec))
    for field in ('scores', 'classes', 'cells', 'boxes', 'tracking'):
        received, expected = getattr(rows, field), getattr(reference, field)
        assert received.dtype == expected.dtype
        assert received.shape == expected.shape
    sure = reference.scores[0] > 0.2
    assert sure.sum() >= 3
    np.testing.assert_array_equal(rows.classes[0][sure], reference.classes[0][sure])
    np.testing.assert_array_equal(rows.cells[0][sure], reference.cells[0][sure])
    np.testing.assert_allclose(rows.scores[0][sure], reference.scores[0][sure], atol=1e-3)
    np.testing.assert_allclose(rows.boxes[0][sure], reference.boxes[0][sure], atol=2e-2)
    np.testing.assert_allclose(rows.tracking[0][sure], reference.tracking[0][sure], atol=2e-2)
    assert (engine.device, engine.precision) == ('cpu', 'fp32')
    assert name in engine.name
    engine.close()


@pytest.mark.parametrize('name', ENGINES)
def test_result_survives_the_next_call(name, model_path, frames):
    _require(name)
    spec = ModelSpec.load(model_path)
    engine = create_engine(model_path, spec, engine=name, device='cpu', threads=1)
    first = engine.run(frames[0], frames[0], _prior(spec))
    kept = first.boxes.copy()
    engine.run(frames[3], frames[0], _prior(spec))
    np.testing.assert_array_equal(first.boxes, kept)


@pytest.mark.parametrize('name', ENGINES)
def test_batches_of_another_size_are_refused_or_run(name, model_path, frames):
    """A file with a dynamic batch takes them, one with a fixed batch says so."""
    _require(name)
    spec = ModelSpec.load(model_path)
    engine = create_engine(model_path, spec, engine=name, device='cpu', threads=1)
    images, previous = np.concatenate(frames[1:3]), np.concatenate(frames[:2])
    priors = np.concatenate([_prior(spec)] * 2)
    if engine.max_batch is None:
        rows = engine.run(images, previous, priors)
        single = engine.run(frames[2], frames[1], priors[:1])
        np.testing.assert_allclose(rows.scores[1], single.scores[0], atol=1e-4)
        sure = single.scores[0] > 0.2
        np.testing.assert_allclose(rows.boxes[1][sure], single.boxes[0][sure], atol=1e-2)
    else:
        assert engine.max_batch == 1
        with pytest.raises(ValueError, match=r'takes batches of 1, received one of 2'):
            engine.run(images, previous, priors)


@pytest.mark.parametrize('name', ENGINES)
def test_sizes_may_change_between_calls(name, model_path, frames):
    _require(name)
    spec = ModelSpec.load(model_path)
    engine = create_engine(model_path, spec, engine=name, device='cpu', threads=1)

    def scores(height: int, width: int):
        image = np.ascontiguousarray(frames[0][:, :height, :width])
        return engine.run(image, image, np.zeros((1, 1, height // 4, width // 4), np.float32))

    first = scores(64, 96)
    # More sizes than compiled models are kept for.
    for height in range(96, 416, 32):
        assert scores(height, 64).scores.shape == first.scores.shape
    np.testing.assert_array_equal(scores(64, 96).boxes, first.boxes)


@pytest.mark.parametrize(
    ('name', 'precision', 'expected'),
    [
        ('onnxruntime', 'bf16', "'fp32', 'fp16', 'int8'"),
        ('openvino', 'fp16', "'fp32', 'bf16', 'int8'"),
        ('openvino', 'half', "'fp32', 'fp16', 'bf16', 'int8'"),
    ],
)
def test_precision_that_an_engine_does_not_know(name, precision, expected, model_path):
    _require(name)
    spec = ModelSpec.load(model_path)
    with pytest.raises(ValueError, match=rf"precision: .*{expected}.*received '{precision}'"):
        create_engine(model_path, spec, engine=name, precision=precision, threads=1)


@pytest.mark.parametrize('name', ENGINES)
def test_missing_file_of_a_precision(name, model_path, tmp_path):
    _require(name)
    shutil.copy(model_path, tmp_path / 'model.onnx')
    spec = ModelSpec.load(model_path)
    with pytest.raises(FileNotFoundError, match=r'model\.int8\.onnx.*training\.quantize'):
        create_engine(tmp_path / 'model.onnx', spec, engine=name, precision='int8', threads=1)


@pytest.mark.parametrize('name', ENGINES)
def test_missing_library_names_its_package(name, model_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f'pip install {name}'):
        create_engine(model_path, ModelSpec.load(model_path), engine=name, threads=1)


def test_bfloat16_keeps_the_arithmetic_of_decoding(model_path, frames, reference):
    """Cells up to 136 have no fraction in bfloat16: its eight bits would round boxes to cells."""
    _require('openvino')
    spec = ModelSpec.load(model_path)
    try:
        engine = create_engine(
            model_path, spec, engine='openvino', device='cpu', precision='bf16', threads=1
        )
    except RuntimeError as error:
        pytest.skip(str(error))
    assert engine.precision == 'bf16'
    rows = engine.run(frames[1], frames[0], _prior(spec))
    # Bits of float32 that bfloat16 does not have.
    assert (rows.boxes.view(np.uint32) & 0xFFFF).any(axis=(0, 1)).all()
    np.testing.assert_array_equal(rows.cells, np.round(rows.cells))
    best = reference.scores[0].argmax()
    nearest = np.abs(rows.boxes[0] - reference.boxes[0][best]).max(axis=1).min()
    assert nearest < 0.25


@pytest.mark.parametrize('name', ENGINES)
def test_model_and_spec_that_differ_are_refused(name, model_path, tmp_path):
    _require(name)
    shutil.copy(model_path, tmp_path / 'model.onnx')
    values = json.loads(model_path.with_suffix('.json').read_text())
    (tmp_path / 'model.json').write_text(
        json.dumps({**values, 'resize': 'letterbox', 'input_width': 320})
    )
    with pytest.raises(ValueError, match=r'does not fit its ModelSpec.*320') as error:
        create_engine(
            tmp_path / 'model.onnx',
            ModelSpec.load(tmp_path / 'model.json'),
            engine=name,
            device='cpu',
            threads=1,
        )
    # What the model takes instead: any size.
    assert 'None, None, 3' in str(error.value)


@pytest.mark.parametrize('name', ENGINES)
def test_rubbish_is_refused(name, model_path, tmp_path):
    _require(name)
    (tmp_path / 'model.onnx').write_bytes(b'not a model')
    with pytest.raises(ValueError, match=r'model\.onnx cannot be loaded'):
        create_engine(tmp_path / 'model.onnx', ModelSpec.load(model_path), engine=name, threads=1)


def test_unknown_engine_is_named(model_path):
    with pytest.raises(ValueError, match="received 'magic'"):
        create_engine(model_path, ModelSpec.load(model_path), engine='magic', threads=1)


@pytest.mark.parametrize('device', ['cuda', 'cuda:1', 'tensorrt'])
def test_missing_gpu_is_said_and_not_replaced_by_the_cpu(model_path, device):
    import onnxruntime

    if 'CUDAExecutionProvider' in onnxruntime.get_available_providers():
        pytest.skip('this onnxruntime can use CUDA')
    with pytest.raises(RuntimeError, match=rf'{device}.*onnxruntime-gpu'):
        create_engine(model_path, ModelSpec.load(model_path), device=device, threads=1)


@pytest.mark.parametrize('device', ['gpu', 'cuda:x', ''])
def test_unknown_device_is_named(model_path, device):
    with pytest.raises(ValueError, match=f"received '{device}'"):
        create_engine(model_path, ModelSpec.load(model_path), device=device, threads=1)


def test_expected_inputs(spec):
    assert expected_inputs(spec)['prior_heatmap'] == (np.float32, (1, 1, 24, 40))


@pytest.mark.parametrize('name', ENGINES)
def test_an_engine_may_be_freed_in_another_thread(name, model_path):
    """It must leave the first thread able to handle signals: OpenVINO lends it a signal stack."""
    _require(name)
    code = (
        'import gc, os, signal, sys, threading\n'
        'from pathlib import Path\n'
        'from centertrack_ros.engines import create_engine\n'
        'from centertrack_ros.model_spec import ModelSpec\n'
        'path = Path(sys.argv[1])\n'
        'spec = ModelSpec.load(path)\n'
        'engines = [create_engine(path, spec, engine=sys.argv[2], device="cpu", threads=1)]\n'
        'free = lambda: (engines.pop().close(), gc.collect())\n'
        'thread = threading.Thread(target=free)\n'
        'thread.start()\n'
        'thread.join()\n'
        'handled = []\n'
        'signal.signal(signal.SIGUSR1, lambda *_: handled.append(1))\n'
        'os.kill(os.getpid(), signal.SIGUSR1)\n'
        'assert handled\n'
    )
    subprocess.run([sys.executable, '-c', code, str(model_path), name], check=True, cwd=ROOT)
