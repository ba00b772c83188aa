from __future__ import annotations

import sys
import types

import pytest
import torch
from network_checks import HEADS, expected_shapes
from torch import nn

from training.models.timm_backbone import TimmNetwork, level_indices

ALL = {'previous_image': True, 'prior_heatmap': True}


@pytest.fixture
def timm_or_skip():
    try:
        import timm
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        pytest.skip(f'timm cannot be imported: {error}')
    return timm


class Pyramid(nn.Module):
    """Behaves as timm's feature extractor over average pools."""

    def __init__(self, in_chans, strides, out_indices, output_fmt):
        super().__init__()
        chosen = range(1, len(strides) + 1) if out_indices is None else out_indices
        self.strides = [strides[index - 1] for index in chosen]
        self.layers = nn.ModuleList(nn.Conv2d(in_chans, 2 + s, 1) for s in self.strides)
        self.output_fmt = output_fmt
        self.feature_info = types.SimpleNamespace(
            reduction=lambda: list(self.strides),
            channels=lambda: [2 + stride for stride in self.strides],
            out_indices=tuple(chosen),
        )

    def forward(self, x):
        levels = [
            layer(nn.functional.avg_pool2d(x, stride))
            for stride, layer in zip(self.strides, self.layers, strict=True)
        ]
        if self.output_fmt == 'NHWC':
            return [level.permute(0, 2, 3, 1) for level in levels]
        return levels


@pytest.fixture
def stand_in(monkeypatch):
    """A module in timm's place, whose backbones are called by their strides."""

    def create_model(name, *, features_only, pretrained, in_chans, out_indices=None):
        assert features_only
        assert not pretrained
        if not name.replace('-', '').removesuffix('_nhwc').isdigit():
            raise RuntimeError(f'Unknown model ({name})')
        strides = [int(stride) for stride in name.removesuffix('_nhwc').split('-')]
        output_format = 'NHWC' if name.endswith('_nhwc') else 'NCHW'
        return Pyramid(in_chans, strides, out_indices, output_format)

    module = types.ModuleType('timm')
    module.create_model = create_model
    monkeypatch.setitem(sys.modules, 'timm', module)


def inputs_of(size):
    torch.manual_seed(1)
    return torch.randn(1, 3, *size), torch.randn(1, 3, *size), torch.rand(1, 1, *size)


@pytest.mark.parametrize('backbone', ['4-8-16-32', '2-4-8-16-32', '1-2-4-4-8-16-32-64'])
def test_levels_are_chosen_by_stride(stand_in, backbone):
    network = TimmNetwork(HEADS, **ALL, backbone=backbone)
    assert network.backbone.strides == [4, 8, 16, 32]
    maps = network(*inputs_of((64, 96)))
    assert {n: (2, *v.shape[1:]) for n, v in maps.items()} == expected_shapes(64, 96)


def test_of_several_features_of_a_stride_the_last_is_taken():
    assert level_indices([2, 4, 4, 8, 16, 16, 32]) == [2, 3, 5, 6]


def test_channels_last_features_are_turned(stand_in):
    torch.manual_seed(0)
    network = TimmNetwork(HEADS, **ALL, backbone='4-8-16-32').eval()
    turned = TimmNetwork(HEADS, **ALL, backbone='4-8-16-32_nhwc').eval()
    turned.load_state_dict(network.state_dict())
    inputs = inputs_of((64, 64))
    with torch.inference_mode():
        for name, value in network(*inputs).items():
            torch.testing.assert_close(turned(*inputs)[name], value)


@pytest.mark.parametrize(
    ('previous_image', 'prior_heatmap', 'channels'),
    [(True, True, 7), (True, False, 6), (False, True, 4), (False, False, 3)],
)
def test_inputs_are_channels(stand_in, previous_image, prior_heatmap, channels):
    network = TimmNetwork(
        HEADS,
        previous_image=previous_image,
        prior_heatmap=prior_heatmap,
        backbone='4-8-16-32',
    ).eval()
    assert network.backbone.layers[0].in_channels == channels
    image, previous, prior = inputs_of((64, 64))
    given = {'previous_image': previous, 'prior_heatmap': prior}
    built = {'previous_image': previous_image, 'prior_heatmap': prior_heatmap}
    with torch.inference_mode():
        zeros = {name: torch.zeros_like(given[name]) for name in given if built[name]}
        torch.testing.assert_close(network(image), network(image, **zeros))
        for name, value in given.items():
            if built[name]:
                changed = network(image, **{name: value})
                assert (changed['hm'] - network(image)['hm']).abs().max() > 1e-4
            else:
                with pytest.raises(ValueError, match=name):
                    network(image, **{name: value})


@pytest.mark.parametrize(
    ('backbone', 'reason'),
    [('16-32-64', r'\(4, 8, 16, 32\), received \[16, 32, 64\]'), ('nothing', 'nothing')],
)
def test_unfit_backbones_are_refused(stand_in, backbone, reason):
    with pytest.raises(ValueError, match=reason):
        TimmNetwork(HEADS, **ALL, backbone=backbone)


def test_missing_timm_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match=r'pip install timm.*torchvision'):
        TimmNetwork(HEADS, **ALL)


def test_broken_torchvision_says_what_to_install(monkeypatch, tmp_path):
    (tmp_path / 'timm.py').write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'timm', raising=False)
    with pytest.raises(ImportError, match=r'torchvision::nms.*pip install timm.*torchvision'):
        TimmNetwork(HEADS, **ALL)


@pytest.mark.parametrize(
    'backbone', ['resnet18', 'mobilenetv4_conv_small', 'dla34', 'hrnet_w18_small']
)
def test_backbones_of_timm(timm_or_skip, backbone):
    torch.manual_seed(0)
    network = TimmNetwork(HEADS, **ALL, backbone=backbone)
    maps = network(*(value.repeat(2, 1, 1, 1) for value in inputs_of((64, 96))))
    assert {name: tuple(v.shape) for name, v in maps.items()} == expected_shapes(64, 96)
    sum(value.square().mean() for value in maps.values()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_backbone_of_timm_without_stride_4_is_refused(timm_or_skip):
    with pytest.raises(ValueError, match=r'received \[16, 32, 64\]'):
        TimmNetwork(HEADS, **ALL, backbone='efficientvit_m0')
