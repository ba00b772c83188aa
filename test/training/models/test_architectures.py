"""Every architecture of the registry trains, and exports to a graph that says the same.

All are trained with every combination of inputs. The exporter takes one second for some thirty
layers, so its cases are chosen: each architecture at its full depth, with all inputs; and each
shallow form, which several may share, with every combination and at both sizes.
"""

from __future__ import annotations

import gc
import itertools

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from centertrack_ros.model_spec import ModelSpec, Thresholds
from training.export import export_onnx
from training.exporting.options import OnnxOptions
from training.models import ARCHITECTURES, build_network
from training.models.deformable import DeformableConv2d, set_deformable_export
from training.models.graph import TrackerGraph
from training.models.resnet import BottleneckBlock

HEADS = {'hm': 2, 'reg': 2, 'wh': 2, 'tracking': 2}
INPUTS = list(itertools.product((True, False), repeat=2))
TOLERANCE = 1e-3
CANDIDATES = 8
# By class of the network; one that is not listed is tested as it is.
NARROW = {
    'DlaNetwork': {'channels': (8, 8, 16, 16, 24, 32), 'head_channels': 16},
    'ResNetNetwork': {
        'widths': (8, 16, 16, 24),
        'neck_channels': (24, 16, 16),
        'head_channels': 16,
    },
    'HourglassNetwork': {
        'stem_channels': 8,
        'widths': (16, 16, 16, 24, 24, 24),
        'head_channels': 16,
    },
    'MobileNetV2Network': {
        'stem_channels': 8,
        'widths': (8, 16, 16, 24, 24, 24, 32),
        'expansion': 2,
        'neck_channels': (24, 16, 16),
        'head_channels': 16,
    },
    'MobileNetV4Network': {'width_percent': 50, 'neck_channels': 16, 'head_channels': 16},
}
SHALLOW = {
    'ResNetNetwork': {'blocks': (1, 1, 1, 1)},
    'HourglassNetwork': {'blocks': (1, 1, 1, 1, 1, 1)},
}
# Previous image, prior heatmap, second size; all inputs at the first size are exported at full
# depth.
# Previous image, prior heatmap, second size: each input is missing once, and both; all inputs are
# exported at full depth.
EXPORTS = [(True, False, False), (False, True, True), (False, False, True)]


def make_spec(name, previous_image, prior_heatmap, size, **options):
    network = ARCHITECTURES[name].network
    return ModelSpec(
        name='small',
        architecture=name,
        input_height=size[0],
        input_width=size[1],
        resize='letterbox',
        stride=network.stride,
        max_candidates=CANDIDATES,
        classes=('person', 'car'),
        heads=HEADS,
        box='wh',
        radius_rule='centertrack',
        prior_heatmap_stride=network.prior_heatmap_stride,
        thresholds=Thresholds(detection=0.2, track=0.4, birth=0.45, prior=0.3),
        licence='Apache-2.0',
        previous_image=previous_image,
        prior_heatmap=prior_heatmap,
        channel_mean=(120.0, 125.0, 130.0),
        channel_std=(60.0, 65.0, 70.0),
        network={**NARROW.get(network.__name__, {}), **options},
    )


def make_network(spec):
    torch.manual_seed(0)
    try:
        return build_network(spec)
    except ImportError as error:
        pytest.skip(str(error))


def sizes_of(name):
    """A wide and a high input, or the smallest and a wide one where 32 is not enough."""
    if 'hourglass' in name:
        return (128, 128), (128, 256)
    return (64, 96), (96, 64)


def random_inputs(spec, count):
    size = (spec.input_height, spec.input_width)
    inputs = {'image': torch.randn(count, 3, *size)}
    if spec.previous_image:
        inputs['previous_image'] = torch.randn(count, 3, *size)
    if spec.prior_heatmap:
        inputs['prior_heatmap'] = torch.rand(count, 1, *spec.prior_heatmap_shape)
    return inputs


@pytest.mark.parametrize(('previous_image', 'prior_heatmap'), INPUTS)
@pytest.mark.parametrize('name', ARCHITECTURES)
def test_every_parameter_learns(name, previous_image, prior_heatmap):
    size = sizes_of(name)[1]
    spec = make_spec(name, previous_image, prior_heatmap, size)
    network = make_network(spec).train()
    for module in network.modules():
        # Backbones of timm have residual blocks that count only after the first step.
        if isinstance(module, nn.BatchNorm2d) and not module.weight.any():
            nn.init.constant_(module.weight, 0.1)
    inputs = random_inputs(spec, 2)
    stacks = network.forward_stacks(**inputs)
    expected = {head: (2, count, size[0] // 4, size[1] // 4) for head, count in HEADS.items()}
    for maps in stacks:
        assert {head: tuple(value.shape) for head, value in maps.items()} == expected
    sum(value.square().mean() for maps in stacks for value in maps.values()).backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.any(), parameter_name

    # The first frame has nothing but itself, and what there is no stem for is refused.
    network.eval()
    with torch.no_grad():
        assert network(inputs['image'])['hm'].isfinite().all()
        strangers = random_inputs(make_spec(name, True, True, size), 2)
        for stranger in strangers.keys() - inputs.keys():
            with pytest.raises(ValueError, match=stranger):
                network(**inputs, **{stranger: strangers[stranger]})


def settle(network, spec):
    """Give `network` what training would: statistics of its layers, offsets that are not 0.

    And residual blocks that do not all count as much as what goes around them: fifty of those
    multiply the rounding of float32 by a thousand.
    """
    for module in network.modules():
        if isinstance(module, BottleneckBlock):
            nn.init.constant_(module.norm_3.weight, 0.3)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
        if isinstance(module, DeformableConv2d):
            fan_in = module.conv_offset_mask.weight[0].numel()
            nn.init.normal_(module.conv_offset_mask.weight, std=0.5 / fan_in**0.5)
    with torch.no_grad():
        network.train().forward_stacks(**random_inputs(spec, 16))
    network.eval()


class GraphWithMaps(nn.Module):
    """The graph, and the maps of the heads too, so that all of them can be compared."""

    def __init__(self, network, spec):
        super().__init__()
        self.tracker_graph = TrackerGraph(network, spec)
        self.inputs = self.tracker_graph.inputs
        self.outputs = (*self.tracker_graph.outputs, *(f'map_{head}' for head in spec.heads))

    def forward(self, *inputs):
        seen = []
        hook = self.tracker_graph.network.register_forward_hook(
            lambda *call: seen.append(call[-1])
        )
        rows = self.tracker_graph(*inputs)
        hook.remove()
        return (*rows, *seen[0].values())


@pytest.fixture(scope='module', autouse=True)
def _old_objects_are_not_searched_for_garbage():
    # The exporter makes so many objects that a fifth of its time is spent on this.
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize('name', ARCHITECTURES)
def test_onnx_equals_pytorch_at_full_depth(name, tmp_path):
    spec = make_spec(name, True, True, sizes_of(name)[0])
    check_export(spec, 'grid_sample', tmp_path / 'small.onnx')


def distinct_shallow_names():
    """Architectures that still differ when they are shallow."""
    names = {}
    for name, architecture in ARCHITECTURES.items():
        kind = architecture.network.__name__
        options = {**architecture.variant, **SHALLOW.get(kind, {})}
        names.setdefault((kind, *sorted(map(str, options.items()))), name)
    return names.values()


@pytest.mark.parametrize(('previous_image', 'prior_heatmap', 'second_size'), EXPORTS)
@pytest.mark.parametrize('name', distinct_shallow_names())
def test_onnx_equals_pytorch(name, previous_image, prior_heatmap, second_size, tmp_path):
    options = SHALLOW.get(ARCHITECTURES[name].network.__name__, {})
    spec = make_spec(name, previous_image, prior_heatmap, sizes_of(name)[second_size], **options)
    check_export(spec, 'deform_conv', tmp_path / 'small.onnx')


def check_export(spec, deformable_form, path):
    network = make_network(spec)
    settle(network, spec)
    set_deformable_export(network, deformable_form)
    graph = GraphWithMaps(network, spec)
    # A fixed batch: any number takes twice the time to export,.
    export_onnx(graph, spec, path, OnnxOptions(batch=1))

    images = random_inputs(spec, 1)
    inputs = {
        key: value
        if key == 'prior_heatmap'
        else torch.randint(0, 256, (1, *value.shape[2:], 3), dtype=torch.uint8)
        for key, value in images.items()
    }
    with torch.inference_mode():
        expected = dict(zip(graph.outputs, graph(*inputs.values()), strict=True))
    session = onnxruntime.InferenceSession(path)
    assert [entry.name for entry in session.get_inputs()] == list(inputs)
    received = dict(
        zip(
            graph.outputs,
            session.run(graph.outputs, {key: value.numpy() for key, value in inputs.items()}),
            strict=True,
        )
    )
    for output in ('scores', *(f'map_{head}' for head in spec.heads)):
        values = expected[output].numpy()
        assert values.std() > 0, output
        difference = np.abs(received[output] - values).max()
        assert difference <= TOLERANCE * max(1.0, np.abs(values).max()), output
