"""The TensorRT engine: what of it needs no GPU, and on a GPU its results against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from tensorrt_models import small_spec, write_half, write_small_model

from centertrack_ros.engines import create_engine
from centertrack_ros.engines.tensorrt import TensorRtEngine
from centertrack_ros.engines.tensorrt.buffers import Layout
from centertrack_ros.engines.tensorrt.cuda import check, cuda_runtime, find_gpu
from centertrack_ros.engines.tensorrt.library import check_gpu, load_library
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import fit_transform, to_input

ROOT = Path(__file__).resolve().parents[2]
FIELDS = ('scores', 'classes', 'cells', 'boxes', 'tracking')


def _reason_against_gpu() -> str:
    """Why there is no GPU that this engine runs on; empty if there is one."""
    try:
        library, gpu = load_library(), find_gpu('auto')
        check_gpu(library, gpu.capability, gpu.name)
    except (ImportError, RuntimeError) as error:
        return str(error)
    return ''


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    return tmp_path / 'centertrack_ros' / 'tensorrt'


@pytest.fixture
def gpu(cache):
    """An empty cache, and a skip with its reason where no engine can run."""
    if reason := _reason_against_gpu():
        pytest.skip(reason)
    return cache


def _frames(spec: ModelSpec, size: tuple[int, int], count: int = 6):
    capture = cv2.VideoCapture(str(ROOT / 'samples' / 'pets09_s2l1.mp4'))
    images = [cv2.resize(capture.read()[1], size[::-1]) for _ in range(count)]
    transform = fit_transform(size, spec)
    return [to_input(image, transform)[None] for image in images]


def _prior(spec: ModelSpec, frame, generator: np.random.Generator):
    stride = spec.prior_heatmap_stride
    shape = (len(frame), 1, frame.shape[1] // stride, frame.shape[2] // stride)
    return generator.random(shape, dtype=np.float32) ** 8


def _assert_close(received, expected, *, scores: float, pixels: float):
    sure = expected.scores > 0.2
    assert sure.sum() >= 3
    for field in FIELDS:
        assert getattr(received, field).dtype == getattr(expected, field).dtype
        assert getattr(received, field).shape == getattr(expected, field).shape
    np.testing.assert_array_equal(received.classes[sure], expected.classes[sure])
    np.testing.assert_array_equal(received.cells[sure], expected.cells[sure])
    np.testing.assert_allclose(received.scores[sure], expected.scores[sure], atol=scores)
    np.testing.assert_allclose(received.boxes[sure], expected.boxes[sure], atol=pixels)
    np.testing.assert_allclose(received.tracking[sure], expected.tracking[sure], atol=pixels)


@pytest.mark.parametrize('device', ['cpu', 'cuda:x', 'cuda:', 'auto:0', 'tensorrt', ''])
def test_unknown_device_is_named(device):
    with pytest.raises(ValueError, match=f"'auto', 'cuda.*received '{device}'"):
        find_gpu(device)


def test_missing_gpu_is_said_with_what_to_do(model_path, cache):
    reason = _reason_against_gpu()
    if not reason:
        pytest.skip('there is a GPU')
    if 'pip install' in reason:
        pytest.skip(reason)
    spec = ModelSpec.load(model_path)
    with pytest.raises(RuntimeError, match=r'NVIDIA GPU.*\(CUDA: cudaError\w+: .*onnxruntime'):
        TensorRtEngine(model_path, spec, device='cuda:0', precision='fp32', threads=0)
    # Said before minutes are spent on building.
    assert not cache.exists()


def test_cuda_errors_have_name_and_meaning():
    pytest.importorskip('cuda.bindings.runtime')
    errors = cuda_runtime().cudaError_t
    with pytest.raises(RuntimeError, match='CUDA: cudaErrorMemoryAllocation: out of memory'):
        check((errors.cudaErrorMemoryAllocation, None))
    assert check((errors.cudaSuccess, 3)) == 3
    assert check((errors.cudaSuccess,)) == ()


def test_gpu_that_tensorrt_for_rtx_does_not_know_is_told_what_to_install():
    try:
        library = load_library('tensorrt_rtx')
    except ImportError as error:
        pytest.skip(str(error))
    check_gpu(library, 86, 'NVIDIA RTX A2000')
    with pytest.raises(RuntimeError, match=r'NVIDIA H200 has 90: pip install tensorrt instead'):
        check_gpu(library, 90, 'NVIDIA H200')


def test_arrays_share_one_block():
    arrays = {
        'scores': (np.dtype(np.float32), (2, 100)),
        'classes': (np.dtype(np.int64), (2, 100)),
        'boxes': (np.dtype(np.float32), (2, 100, 4)),
    }
    layout = Layout(arrays)
    block = np.zeros(layout.size, np.uint8)
    views = layout.views(block)
    for value, (name, (dtype, shape)) in enumerate(arrays.items(), start=1):
        assert layout.offsets[name] % 256 == 0
        assert (views[name].dtype, views[name].shape) == (dtype, shape)
        views[name][...] = value
    # None overlaps another, and all lie in the block.
    for value, name in enumerate(arrays, start=1):
        assert (layout.views(block)[name] == value).all()


@pytest.mark.gpu
def test_same_rows_as_onnx_runtime_while_sizes_change(model_path, gpu):
    spec, generator = ModelSpec.load(model_path), np.random.default_rng(0)
    reference = create_engine(model_path, spec, engine='onnxruntime', device='cpu', threads=0)
    engine = TensorRtEngine(model_path, spec, device='auto', precision='fp32', threads=0)
    assert engine.device == 'cuda:0'
    assert engine.precision == 'fp32'
    for size in ((576, 768), (1080, 1920), (576, 768)):
        frames = _frames(spec, size)
        previous = frames[0]
        for index, frame in enumerate(frames):
            # Once a frame that was not the image of the call before.
            previous = frames[1] if index == 4 else previous
            prior = _prior(spec, frame, generator)
            received = engine.run(frame, previous, prior)
            expected = reference.run(frame, previous, prior)
            _assert_close(received, expected, scores=1e-3, pixels=2e-2)
            previous = frame
    engine.close()


@pytest.mark.gpu
def test_results_survive_the_next_call_and_equal_arrays_give_the_same(model_path, gpu):
    spec = ModelSpec.load(model_path)
    engine = TensorRtEngine(model_path, spec, device='auto', precision='fp32', threads=0)
    first, second, third = _frames(spec, (576, 768), 3)
    prior = _prior(spec, first, np.random.default_rng(0))
    engine.run(first, first, prior)
    swapped = engine.run(second, first, prior)
    kept = swapped.boxes.copy()
    uploaded = engine.run(second, first.copy(), prior)
    np.testing.assert_array_equal(uploaded.scores, swapped.scores)
    engine.run(third, second, prior)
    np.testing.assert_array_equal(swapped.boxes, kept)
    engine.close()


@pytest.mark.gpu
def test_second_engine_comes_from_the_cache(model_path, gpu):
    spec = ModelSpec.load(model_path)
    arguments = {'device': 'auto', 'precision': 'fp32', 'threads': 0}
    TensorRtEngine(model_path, spec, **arguments).close()
    (path,) = gpu.glob('*.engine')
    written = path.stat().st_mtime_ns
    TensorRtEngine(model_path, spec, **arguments).close()
    assert path.stat().st_mtime_ns == written
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    TensorRtEngine(model_path, spec, **arguments).close()
    assert path.stat().st_mtime_ns != written


@pytest.mark.gpu
def test_half_precision_is_close(model_path, gpu, tmp_path):
    spec = ModelSpec.load(model_path)
    copy = tmp_path / 'model.onnx'
    copy.write_bytes(model_path.read_bytes())
    write_half(copy, tmp_path / 'model.fp16.onnx')
    engine = TensorRtEngine(copy, spec, device='auto', precision='auto', threads=0)
    assert engine.precision == 'fp16'
    reference = create_engine(model_path, spec, engine='onnxruntime', device='cpu', threads=0)
    frames = _frames(spec, (576, 768), 2)
    prior = np.zeros_like(_prior(spec, frames[0], np.random.default_rng(0)))
    received = engine.run(frames[1], frames[0], prior)
    expected = reference.run(frames[1], frames[0], prior)
    # All of it is half here, the decoding too: a cell may go to its neighbour's row.
    sure = expected.scores[0] > 0.4
    assert np.isin(expected.cells[0][sure], received.cells[0]).all()
    np.testing.assert_allclose(received.scores[0, :3], expected.scores[0, :3], atol=0.02)
    engine.close()


@pytest.mark.gpu
def test_batches_of_several_sizes(spec, gpu, tmp_path):
    spec = small_spec(spec)
    path = write_small_model(tmp_path / 'small.onnx')
    engine = TensorRtEngine(path, spec, device='auto', precision='fp32', threads=0)
    reference = create_engine(path, spec, engine='onnxruntime', device='cpu', threads=0)
    assert engine.max_batch is None
    generator = np.random.default_rng(0)
    for batch in (1, 4, 2, 4):
        image = generator.integers(0, 256, (batch, 96, 160, 3), dtype=np.uint8)
        prior = np.zeros((batch, 1, 24, 40), np.float32)
        received, expected = (each.run(image, image, prior) for each in (engine, reference))
        np.testing.assert_allclose(received.scores, expected.scores, atol=1e-3)
    engine.close()


@pytest.mark.gpu
def test_fixed_batch_refuses_others(spec, gpu, tmp_path):
    spec = small_spec(spec)
    path = write_small_model(tmp_path / 'small.onnx', batch=1)
    engine = TensorRtEngine(path, spec, device='auto', precision='fp32', threads=0)
    assert engine.max_batch == 1
    image = np.zeros((2, 96, 160, 3), np.uint8)
    with pytest.raises(ValueError, match='takes batches of 1, received one of 2'):
        engine.run(image, image, np.zeros((2, 1, 24, 40), np.float32))
    engine.close()
