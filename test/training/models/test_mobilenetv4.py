from __future__ import annotations

import pytest
import torch
from network_checks import HEADS, expected_shapes, output_shapes
from torch import nn

from training.heads import HEATMAP_BIAS
from training.models import ARCHITECTURES
from training.models.mobilenetv4 import (
    MobileNetV4Network,
    UniversalInvertedBottleneck,
    _Block,
)
from training.models.separable_neck import SeparableNeck

ALL = {'previous_image': True, 'prior_heatmap': True}


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return MobileNetV4Network(HEADS, **ALL).eval()


def inputs_of(height, width):
    generator = torch.Generator().manual_seed(1)
    image, previous = torch.randn((2, 2, 3, height, width), generator=generator)
    return image, previous, torch.rand((2, 1, height // 4, width // 4), generator=generator)


def test_registered_with_its_strides():
    architecture = ARCHITECTURES['mobilenetv4_small']
    assert architecture.network is MobileNetV4Network
    assert (architecture.network.stride, architecture.network.prior_heatmap_stride) == (4, 4)


def test_backbone_is_that_of_the_paper():
    """3.8 million parameters are published, of which these layers belong to the classifier."""
    without_inputs = MobileNetV4Network(HEADS, previous_image=False, prior_heatmap=False)
    others = ('neck.', 'heads.')
    backbone = sum(
        parameter.numel()
        for name, parameter in without_inputs.named_parameters()
        if not name.startswith(others)
    )
    to_960 = 128 * 960 + 2 * 960
    to_1280 = 960 * 1280 + 2 * 1280
    to_classes = 1280 * 1000 + 1000
    assert round((backbone + to_960 + to_1280 + to_classes) / 1e6, 1) == 3.8


def test_levels_have_the_channels_of_the_paper(network):
    channels = [lateral[0].in_channels for lateral in network.neck.laterals]
    assert channels == [32, 64, 96, 128]


@pytest.mark.parametrize('size', [(64, 96), (160, 32)])
def test_maps_have_a_quarter_of_the_size(network, size):
    with torch.inference_mode():
        maps = network(*inputs_of(*size))
    assert {name: tuple(value.shape) for name, value in maps.items()} == expected_shapes(*size)


def test_width_changes_the_backbone_only():
    narrow = MobileNetV4Network(HEADS, previous_image=False, prior_heatmap=False, width_percent=50)
    assert [lateral[0].in_channels for lateral in narrow.neck.laterals] == [16, 32, 48, 64]
    assert narrow.heads['hm'][0].depthwise.in_channels == 64
    assert output_shapes(narrow.eval(), 32, 64) == [expected_shapes(32, 64)]


def test_every_input_reaches_every_output(network):
    image, previous, prior = inputs_of(64, 64)
    with torch.inference_mode():
        maps = network(image, previous, prior)
        others = [
            network(image.flip(3), previous, prior),
            network(image, previous.flip(3), prior),
            network(image, previous, prior.flip(3)),
            network(image, None, prior),
            network(image, previous, None),
        ]
    for changed in others:
        for name, value in maps.items():
            assert (changed[name] - value).abs().max() > 1e-4, name


def test_heatmaps_start_low(network):
    assert network.heads['hm'][-1].bias.tolist() == [pytest.approx(HEATMAP_BIAS)] * 2
    assert not network.heads['tracking'][-1].bias.any()


@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('kernels', [(0, 3), (5, 0), (3, 5), (0, 0)])
def test_every_kind_of_block(kernels, stride):
    block = _Block(*kernels, expansion=2, out=16, stride=stride)
    if stride == 2 and not any(kernels):
        with pytest.raises(ValueError, match='stride'):
            UniversalInvertedBottleneck(16, block, 16)
        return
    layer = UniversalInvertedBottleneck(16, block, 16)
    depthwise = [
        (module.kernel_size[0], module.stride[0], module.in_channels)
        for module in layer.modules()
        if isinstance(module, nn.Conv2d) and module.groups > 1
    ]
    expected = [(kernel, 1, 16 * (index + 1)) for index, kernel in enumerate(kernels) if kernel]
    if expected:
        expected[-1] = (expected[-1][0], stride, expected[-1][2])
    assert depthwise == expected
    assert layer.residual == (stride == 1)
    assert layer(torch.randn(2, 16, 8, 12)).shape == (2, 16, 8 // stride, 12 // stride)


def test_neck_brings_every_level_to_the_finest():
    torch.manual_seed(0)
    neck = SeparableNeck((4, 6, 8), 10).eval()
    levels = [torch.randn(1, 4, 16, 24), torch.randn(1, 6, 8, 12), torch.randn(1, 8, 4, 6)]
    with torch.inference_mode():
        merged = neck(levels)
        assert merged.shape == (1, 10, 16, 24)
        for index in range(len(levels)):
            changed = [*levels]
            changed[index] = changed[index].flip(3)
            assert (neck(changed) - merged).abs().max() > 1e-4
