"""The exported program in PyTorch, on the shipped model and real frames."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from centertrack_ros.engines.onnxruntime import OnnxRuntimeEngine
from centertrack_ros.engines.pytorch import PyTorchEngine
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import fit_transform, to_input
from training.exporting.checks import TOLERANCE, compare, compare_cells
from training.exporting.program import export_program
from training.exporting.sources import load_source
from training.models.graph import TrackerGraph

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def program(model_path, tmp_path_factory):
    source = load_source(str(model_path))
    path = tmp_path_factory.mktemp('models') / 'shipped.pt2'
    export_program(TrackerGraph(source.network, source.spec), source.spec, path)
    return path


@pytest.fixture(scope='module')
def spec(model_path):
    return ModelSpec.load(model_path)


@pytest.fixture(scope='module')
def images():
    capture = cv2.VideoCapture(str(ROOT / 'samples' / 'pets09_s2l1.mp4'))
    return [capture.read()[1] for _ in range(4)]


@pytest.fixture(scope='module')
def reference(model_path, spec):
    return OnnxRuntimeEngine(model_path, spec, device='cpu', precision='fp32', threads=1)


@pytest.fixture(scope='module')
def engine(program, spec):
    return PyTorchEngine(program.with_suffix('.onnx'), spec, device='cpu', threads=1)


def network_inputs(image, spec):
    current = to_input(image, fit_transform(image.shape[:2], spec))[None]
    height, width = (size // spec.prior_heatmap_stride for size in current.shape[1:3])
    return current, np.zeros((1, 1, height, width), np.float32)


def test_rows_are_those_of_onnx_runtime(engine, reference, spec, images):
    assert (engine.device, engine.precision, engine.max_batch) == ('cpu', 'fp32', None)
    worst = compare(reference, engine, spec, images)
    assert max(worst.values()) <= TOLERANCE


def test_one_program_takes_every_size_and_batch(engine, reference, spec, images):
    wide = [image[:288] for image in images[:2]]
    assert network_inputs(wide[0], spec)[0].shape != network_inputs(images[0], spec)[0].shape
    worst = compare(reference, engine, spec, wide, batch=2)
    assert max(worst.values()) <= TOLERANCE


def test_bfloat16_finds_the_same_objects(program, reference, spec, images):
    engine = PyTorchEngine(program, spec, device='cpu', precision='bf16', threads=1)
    sure = replace(spec, thresholds=replace(spec.thresholds, detection=0.4))
    found = compare_cells(reference, engine, sure, images[:2])
    assert engine.precision == 'bf16'
    assert found.lost <= 0.25
    assert 0 < found.maximum['boxes'] <= 0.1


def test_results_are_arrays_of_their_own(engine, spec, images):
    current, prior = network_inputs(images[0], spec)
    first = engine.run(current, current, prior)
    kept = first.boxes.copy()
    engine.run(network_inputs(images[3], spec)[0], current, prior)
    np.testing.assert_array_equal(first.boxes, kept)
    assert (first.classes.dtype, first.boxes.dtype) == (np.int64, np.float32)


def test_a_program_of_another_model_is_refused(program, spec):
    other = replace(spec, prior_heatmap=False)
    with pytest.raises(ValueError, match=r'does not fit its ModelSpec.*prior_heatmap'):
        PyTorchEngine(program, other, device='cpu')


def test_rubbish_is_refused(tmp_path, spec):
    (tmp_path / 'model.pt2').write_bytes(b'not a program')
    with pytest.raises(ValueError, match=r'model\.pt2 cannot be loaded by PyTorch'):
        PyTorchEngine(tmp_path / 'model.onnx', spec, device='cpu')


def test_a_missing_program_is_told_with_the_command(tmp_path, spec):
    with pytest.raises(FileNotFoundError, match=r'model\.pt2.*training\.export'):
        PyTorchEngine(tmp_path / 'model.onnx', spec, device='cpu')


@pytest.mark.parametrize('precision', ['fp16', 'int8', 'half'])
def test_other_precisions_are_refused_on_a_cpu(program, spec, precision):
    with pytest.raises(ValueError, match=f"precision: .*'{precision}'"):
        PyTorchEngine(program, spec, device='cpu', precision=precision)


def test_a_missing_gpu_is_told(program, spec):
    index = torch.cuda.device_count()
    with pytest.raises(
        RuntimeError, match=f"device 'cuda:{index}': PyTorch .* finds {index} GPUs"
    ):
        PyTorchEngine(program, spec, device=f'cuda:{index}')


def test_nothing_of_training_and_no_pytorch_before_it_is_needed(program, spec, tmp_path):
    spec.save(tmp_path / 'spec.json')
    script = f"""
import json, sys
from pathlib import Path
from centertrack_ros.engines.pytorch import PyTorchEngine
from centertrack_ros.model_spec import ModelSpec
before = 'torch' in sys.modules
spec = ModelSpec.load(Path({str(tmp_path / 'spec.json')!r}))
engine = PyTorchEngine(Path({str(program)!r}), spec, device='cpu', threads=1)
engine.close()
print(json.dumps([before, any(name.split('.')[0] == 'training' for name in sys.modules)]))
"""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    output = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, check=True, env=environment
    )
    assert json.loads(output.stdout.splitlines()[-1]) == [False, False]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU that PyTorch can use')
@pytest.mark.parametrize(('precision', 'largest'), [('fp32', 1e-3), ('fp16', 0.03), ('bf16', 0.1)])
def test_rows_on_a_gpu(program, reference, spec, images, precision, largest):
    engine = PyTorchEngine(program, spec, device='cuda', precision=precision)
    sure = replace(spec, thresholds=replace(spec.thresholds, detection=0.4))
    found = compare_cells(reference, engine, sure, images)
    assert found.lost <= (0 if precision == 'fp32' else 0.25)
    assert max(found.maximum.values()) <= largest
    engine.close()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU that PyTorch can use')
def test_the_previous_image_stays_on_the_gpu(program, spec, images):
    """Frames in a row give the rows of images uploaded anew, also between shapes."""
    engine = PyTorchEngine(program, spec, device='cuda', precision='fp32')
    whole = [network_inputs(image, spec)[0] for image in images]
    prior = network_inputs(images[0], spec)[1]
    wide, wide_prior = network_inputs(images[0][:288], spec)
    kept = [engine.run(whole[0], whole[0], prior)]
    engine.run(wide, wide, wide_prior)
    kept += [engine.run(whole[i], whole[i - 1], prior) for i in (1, 2, 3)]
    for index, rows in enumerate(kept):
        previous = whole[max(0, index - 1)].copy()
        anew = engine.run(whole[index].copy(), previous, prior)
        np.testing.assert_allclose(rows.tracking, anew.tracking, atol=1e-5)
        np.testing.assert_allclose(rows.boxes, anew.boxes, atol=1e-5)
    engine.close()
