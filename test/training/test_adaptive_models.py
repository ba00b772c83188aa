"""Models whose input takes the proportions of each image, from the network to the tracks."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch

from centertrack_ros.engines import create_engine
from centertrack_ros.engines.base import check_inputs, expected_inputs
from centertrack_ros.factory import build_pipeline
from centertrack_ros.model_spec import ModelSpec, Thresholds
from centertrack_ros.preprocessing import fit_transform, to_input
from centertrack_ros.settings import Settings
from training.config_file import load_config
from training.evaluation.engines import TorchEngine
from training.experiment import model_spec
from training.export import TOLERANCE, compare, export_onnx, read_frames
from training.models import build_network
from training.models.alignment import CHANNEL_MULTIPLE, aligned_copy
from training.models.exported_weights import read_exported_weights
from training.models.graph import TrackerGraph

CLIP = Path(__file__).resolve().parents[2] / 'samples' / 'pets09_s2l1.mp4'


@pytest.fixture(scope='module')
def spec():
    return ModelSpec(
        name='adaptive',
        architecture='mobilenetv3',
        input_height=96,
        input_width=128,
        resize='adaptive',
        stride=4,
        max_candidates=10,
        classes=('person', 'car'),
        heads={'hm': 2, 'ltrb': 4, 'reg': 2, 'tracking': 2},
        box='ltrb',
        radius_rule='exact',
        prior_heatmap_stride=4,
        # Random weights: every score is near 0.01.
        thresholds=Thresholds(0.0, 0.0, 0.0, 0.0),
        licence='MIT',
    )


@pytest.fixture(scope='module')
def graph(spec):
    torch.manual_seed(0)
    network = build_network(spec).eval()
    # The exporter stores equal tensors once: zeros would lose their names.
    with torch.no_grad():
        for name, values in network.named_parameters():
            if name.endswith('.bias'):
                values.add_(0.01 * torch.randn_like(values))
        network.heads['ltrb'].pointwise.bias.fill_(2.0)
    return TrackerGraph(network, spec)


@pytest.fixture(scope='module')
def model(graph, spec, tmp_path_factory):
    path = tmp_path_factory.mktemp('models') / 'adaptive.onnx'
    export_onnx(graph, spec, path)
    spec.save(path.with_suffix('.json'))
    return path


@pytest.fixture(scope='module')
def frames():
    """Pictures as from a camera, from a wide one, and from a telephone."""
    image = read_frames(CLIP, 1)[0]
    return [image, image[:288], image[:, 100:424]]


@pytest.mark.parametrize('name', ['onnxruntime', 'openvino'])
def test_one_engine_takes_every_size(name, model, graph, spec, frames):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f'{name} is not installed (an optional engine)')
    engine = create_engine(model, spec, engine=name, device='cpu', threads=1)
    shapes = set()
    for frame in [*frames, frames[0]]:
        worst = compare(TorchEngine(graph), engine, spec, [frame, frame[:, ::-1].copy()])
        # OpenVINO orders equal scores of these random weights by chance.
        assert max(worst.values()) <= (TOLERANCE if name == 'onnxruntime' else 0.1)
        shapes.add(to_input(frame, fit_transform(frame.shape[:2], spec)).shape[:2])
    assert shapes == {(96, 128), (64, 192), (128, 96)}


def test_pipeline_follows_a_changed_camera(model, frames):
    pipeline = build_pipeline(
        Settings(
            model=str(model),
            engine='onnxruntime',
            device='cpu',
            threads=1,
            detection_threshold=0.0,
            track_threshold=0.0,
            birth_threshold=0.0,
        )
    )
    stamp = 0.0
    for frame in frames:
        results = []
        for image in (frame, cv2.flip(frame, 1)):
            results.append(pipeline.step(image, stamp))
            stamp += 0.1
        height, width = frame.shape[:2]
        for result in results:
            assert (result.transform.image_height, result.transform.image_width) == (height, width)
            boxes = result.detections.boxes
            assert len(boxes) == 10
            assert (boxes >= 0).all()
            assert (boxes <= [width, height, width, height]).all()
        assert results[1].reset_reason == ''
        assert ('image size changed' in results[0].reset_reason) == (frame is not frames[0])


@pytest.mark.parametrize('name', ['onnxruntime', 'openvino'])
def test_an_adaptive_model_is_not_of_one_size(name, model):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f'{name} is not installed (an optional engine)')
    other = replace(ModelSpec.load(model), resize='letterbox')
    with pytest.raises(ValueError, match=r'does not fit its ModelSpec.*None, None, 3'):
        create_engine(model, other, engine=name, device='cpu', threads=1)


def test_a_model_of_one_size_is_not_adaptive(spec):
    fixed = replace(spec, resize='letterbox')
    found = {
        name: (np.dtype(dtype).name, shape[1:])
        for name, (dtype, shape) in expected_inputs(fixed).items()
    }
    check_inputs(found, fixed, Path('fixed.onnx'))
    with pytest.raises(ValueError, match=r'does not fit its ModelSpec.*None, None, 3'):
        check_inputs(found, replace(spec, resize='adaptive'), Path('fixed.onnx'))


def test_padded_channels_change_nothing(graph, spec):
    aligned = aligned_copy(graph)
    laterals = [aligned.network.lateral_4, aligned.network.lateral_8, aligned.network.lateral_16]
    assert [lateral.reduce.out_channels for lateral in laterals] == [20, 24, 24]
    assert all(lateral.reduce.out_channels % CHANNEL_MULTIPLE == 0 for lateral in laterals)
    assert graph.network.lateral_4.reduce.out_channels == 18
    inputs = (
        torch.rand(1, 3, 64, 96) * 255,
        torch.rand(1, 3, 64, 96) * 255,
        torch.rand(1, 1, 16, 24),
    )
    with torch.inference_mode():
        expected, received = graph.network(*inputs), aligned.network(*inputs)
    for head, values in expected.items():
        torch.testing.assert_close(received[head], values)


def test_weights_are_read_back_without_the_padding(model, graph):
    weights, expected = read_exported_weights(model), graph.network.state_dict()
    stored = {entry.name: entry.dims for entry in onnx.load(model).graph.initializer}
    assert list(stored['network.lateral_4.reduce.weight']) == [20, 72, 1, 1]
    assert weights['lateral_4.reduce.weight'].shape == (18, 72, 1, 1)
    for name, values in weights.items():
        torch.testing.assert_close(values, expected[name], rtol=0, atol=0)
    assert weights.keys() == expected.keys()


def test_architectures_with_larger_steps_stay_fixed(spec):
    with pytest.raises(ValueError, match='resize: hourglass52 takes inputs in multiples of 128'):
        build_network(replace(spec, architecture='hourglass52', prior_heatmap_stride=1))


def test_other_architectures_export_too(spec, tmp_path):
    torch.manual_seed(0)
    spec = replace(spec, architecture='resnet18', prior_heatmap_stride=1)
    graph = TrackerGraph(build_network(spec).eval(), spec)
    export_onnx(graph, spec, tmp_path / 'other.onnx')
    engine = create_engine(
        tmp_path / 'other.onnx', spec, engine='onnxruntime', device='cpu', threads=1
    )
    generator = np.random.default_rng(0)
    for height, width in ((96, 128), (160, 64)):
        image = generator.integers(0, 255, (1, height, width, 3), np.uint8)
        prior = generator.random((1, 1, height, width), np.float32)
        expected = TorchEngine(graph).run(image, image, prior)
        received = engine.run(image, image, prior)
        np.testing.assert_array_equal(received.cells, expected.cells)
        np.testing.assert_allclose(received.boxes, expected.boxes, rtol=1e-3, atol=1e-3)


def test_a_training_config_asks_for_it(tmp_path):
    folder = CLIP.parents[1] / 'config' / 'training'
    given = load_config(folder / 'tiny_video_mobilenetv3.yaml')
    wanted = replace(given, model=replace(given.model, adaptive=True))
    assert model_spec(wanted) == replace(model_spec(given), resize='adaptive')
    with pytest.raises(ValueError, match=r'model\.adaptive: expected false.*centertrack'):
        model_spec(replace(wanted, compat=True))
