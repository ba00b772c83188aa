"""The weights that a training begins with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from centertrack_ros.engines.onnxruntime import OnnxRuntimeEngine
from centertrack_ros.model_spec import DecodeRules, ModelSpec, Thresholds
from training.checkpoint import Checkpoint
from training.config import StartConfig
from training.evaluation.engines import TorchEngine
from training.heads import head_channels
from training.models import build_network
from training.models.decode import candidate_rows
from training.models.graph import TrackerGraph
from training.models.mb3_centernet import load_mb3_centernet
from training.start import start_network

HEADS = ('hm', 'wh', 'reg', 'tracking')


def make_spec(architecture, classes=('person', 'car'), heads=HEADS, **changes):
    return ModelSpec(
        name='start',
        architecture=architecture,
        input_height=64,
        input_width=64,
        resize='letterbox',
        stride=4,
        max_candidates=10,
        classes=tuple(classes),
        heads=head_channels(heads, len(classes)),
        box='wh',
        radius_rule='exact',
        prior_heatmap_stride=1,
        thresholds=Thresholds(detection=0.1, track=0.3, birth=0.4, prior=0.3),
        licence='MIT',
        **changes,
    )


def save(spec, path):
    """A checkpoint of random weights; returns them."""
    torch.manual_seed(1)
    weights = build_network(spec).state_dict()
    for value in weights.values():
        if value.is_floating_point():
            value.uniform_()
    Checkpoint(spec, weights, 1, 1, 'unknown', {}, {}).save(path)
    return weights


@pytest.mark.parametrize('architecture', ['resnet18', 'dla34_plain', 'mobilenetv2'])
def test_a_checkpoint_of_ours_keeps_its_names(architecture, tmp_path):
    spec = make_spec(architecture)
    weights = save(spec, tmp_path / 'a.pt')
    start = start_network(StartConfig('checkpoint', str(tmp_path / 'a.pt')), spec)
    assert start.new == frozenset()
    for name, value in start.network.state_dict().items():
        assert torch.equal(value, weights[name]), name

    other = make_spec(architecture, classes=('person', 'car', 'dog'))
    path = str(tmp_path / 'a.pt')
    with pytest.raises(ValueError, match=r"start: .*a\.pt does not have the classes \['dog'\]"):
        start_network(StartConfig('checkpoint', path), other)
    grown = start_network(StartConfig('checkpoint', path, ('classes',)), other)
    assert len(grown.new) == 2
    assert all(name.startswith('heads.hm.') for name in grown.new)
    for name, value in grown.network.state_dict().items():
        kept = value[:2] if name in grown.new else value
        assert torch.equal(kept, weights[name]), name


def test_classes_are_found_by_their_names(tmp_path):
    weights = save(make_spec('resnet18', ('person', 'car', 'dog')), tmp_path / 'a.pt')
    spec = make_spec('resnet18', ('dog', 'person'))
    start = start_network(StartConfig('checkpoint', str(tmp_path / 'a.pt')), spec)
    assert start.new == frozenset()
    bias = start.network.state_dict()['heads.hm.2.bias']
    assert torch.equal(bias, weights['heads.hm.2.bias'][[2, 0]])


def test_a_shipped_model_goes_on_learning():
    path = Path(__file__).resolve().parents[2] / 'models' / 'centertrack_mobilenetv3.onnx'
    shipped = ModelSpec.load(path)
    start = start_network(StartConfig('exported', str(path)), shipped)
    assert start.new == frozenset()
    spec = replace(shipped, max_candidates=5)
    engine = OnnxRuntimeEngine(path, shipped, device='cpu', threads=1)
    random = np.random.default_rng(1)
    image, previous = random.integers(0, 255, (2, 1, 480, 640, 3), np.uint8)
    prior = random.random((1, 1, 120, 160), np.float32)
    expected = engine.run(image, previous, prior)
    received = TorchEngine(TrackerGraph(start.network, spec)).run(image, previous, prior)
    np.testing.assert_allclose(received.scores, expected.scores[:, :5], atol=1e-4)
    np.testing.assert_allclose(received.boxes, expected.boxes[:, :5], atol=1e-2)
    np.testing.assert_allclose(received.tracking, expected.tracking[:, :5], atol=1e-2)


def test_an_exported_model_that_is_none(tmp_path):
    (tmp_path / 'a.onnx').write_text('nothing')
    shipped = Path(__file__).resolve().parents[2] / 'models' / 'centertrack_mobilenetv3.json'
    (tmp_path / 'a.json').write_text(shipped.read_text())
    with pytest.raises(ValueError, match=r'a\.onnx: expected an ONNX file'):
        start_network(StartConfig('exported', str(tmp_path / 'a.onnx')), make_spec('resnet18'))


def test_a_detector_becomes_a_tracker(tmp_path):
    detector = make_spec(
        'resnet18', heads=('hm', 'wh', 'reg'), previous_image=False, prior_heatmap=False
    )
    weights = save(detector, tmp_path / 'a.pt')
    with pytest.raises(ValueError, match='a detector becomes a tracker'):
        start_network(StartConfig('checkpoint', str(tmp_path / 'a.pt')), make_spec('resnet18'))
    config = StartConfig('checkpoint', str(tmp_path / 'a.pt'), ('inputs', 'heads'))
    start = start_network(config, make_spec('resnet18'))
    parts = {'.'.join(name.split('.')[:2]) for name in start.new}
    assert parts == {'stems.previous_image', 'stems.prior_heatmap', 'heads.tracking'}
    assert torch.equal(start.network.state_dict()['stems.image.0.weight'],
                       weights['stems.image.0.weight'])  # fmt: skip


def test_wrong_starts_are_named(tmp_path):
    spec, path = make_spec('resnet18'), tmp_path / 'a.pt'
    save(spec, path)
    for other, text in (
        (
            make_spec('resnet34'),
            "the model has architecture 'resnet34', the checkpoint 'resnet18'",
        ),
        (replace(spec, channel_mean=(1.0, 2.0, 3.0)), 'channel_mean'),
    ):
        with pytest.raises(ValueError, match=text):
            start_network(StartConfig('checkpoint', str(path)), other)
    with pytest.raises(FileNotFoundError, match=r'start\.path: .*nowhere'):
        start_network(StartConfig('checkpoint', 'nowhere.pt'), spec)
    torch.save({'state_dict': {}}, tmp_path / 'b.pt')
    with pytest.raises(ValueError, match='not a centertrack_ros checkpoint'):
        start_network(StartConfig('checkpoint', str(tmp_path / 'b.pt')), spec)
    with pytest.raises(ValueError, match=r"mb3_centernet is a mobilenetv3, received 'resnet18'"):
        start_network(StartConfig('mb3_centernet', str(Path(tmp_path))), spec)


@pytest.mark.parametrize('edges', ['distances', 'offsets'])
def test_boxes_of_the_published_detector_are_centred(shared_folder, edges):
    """All of them half an input pixel further to the right and down, and nothing else."""
    folder = shared_folder / 'weights' / 'mb3_centernet'
    heads = ('hm', 'wh', 'ltrb', 'reg', 'tracking')
    spec = make_spec('mobilenetv3', heads=heads, decode=DecodeRules(edges=edges))
    tracker = start_network(StartConfig('mb3_centernet', str(folder)), spec).network.eval()
    detector = load_mb3_centernet(folder, spec.classes)
    image = torch.randint(255, (1, 3, 64, 96), generator=torch.Generator().manual_seed(1)).float()
    with torch.inference_mode():
        rows = candidate_rows(tracker(image), 10, box='ltrb', rules=spec.decode)
        published = candidate_rows(detector(image), 10, box='ltrb')
    torch.testing.assert_close(rows['scores'], published['scores'])
    shift = 0.5 / spec.stride
    torch.testing.assert_close(rows['boxes'], published['boxes'] + shift, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize('architecture', ['resnet18', 'dla34_plain', 'mobilenetv2_plain'])
def test_a_backbone_of_imagenet(architecture, tmp_path):
    """By the names that torchvision and the authors of DLA gave its tensors."""
    spec = make_spec(architecture)
    weights = save(spec, tmp_path / 'ours.pt')
    backbone = {}
    for name, value in weights.items():
        theirs = imagenet_name(architecture, name)
        if theirs:
            backbone[theirs] = value
    backbone['classifier.1.weight' if 'mobilenet' in architecture else 'fc.weight'] = torch.ones(3)
    torch.save(backbone, tmp_path / 'imagenet.pth')
    path = str(tmp_path / 'imagenet.pth')
    with pytest.raises(ValueError, match='neck'):
        start_network(StartConfig('original', path, ('heads', 'inputs')), spec)
    start = start_network(StartConfig('original', path, ('neck', 'heads', 'inputs')), spec)
    assert {name.split('.')[0] for name in start.new} == {'neck', 'heads', 'stems'}
    for name, value in start.network.state_dict().items():
        if imagenet_name(architecture, name):
            assert torch.equal(value, weights[name]), name


def imagenet_name(architecture, name):
    """What ImageNet's file calls a tensor; None if it does not have it."""
    parts = name.split('.')
    if parts[0] not in ('stems', 'stages', 'levels'):
        return None
    if parts[1] in ('previous_image', 'prior_heatmap'):
        return None
    if architecture == 'resnet18':
        if parts[0] == 'stems':
            return {'0': 'conv1', '1': 'bn1'}[parts[2]] + '.' + parts[3]
        inner = {'convolution': 'conv', 'norm': 'bn', 'shortcut': 'downsample'}
        kind, _, number = parts[3].partition('_')
        return '.'.join([f'layer{int(parts[1]) + 1}', parts[2], inner[kind] + number, *parts[4:]])
    if architecture == 'dla34_plain':
        if parts[0] == 'stems':
            return '.'.join(['base_layer', *parts[2:]])
        inner = {'first': 'tree1', 'second': 'tree2', 'projection': 'project'}
        rest = [inner.get(part, part) for part in parts[2:]]
        rest = [part.replace('convolution', 'conv').replace('normalisation', 'bn')
                for part in rest]  # fmt: skip
        if 'root' in rest:
            place = rest.index('root') + 1
            rest[place] = {'0': 'conv', '1': 'bn'}[rest[place]]
        return '.'.join([f'level{parts[1]}', *rest])
    if parts[0] == 'stems':
        return '.'.join(['features.0', *parts[2:]])
    blocks = (1, 2, 3, 4, 3, 3, 1)
    number = 1 + sum(blocks[: int(parts[1])]) + int(parts[2])
    return '.'.join([f'features.{number}.conv', *parts[4:]])
