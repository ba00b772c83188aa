from __future__ import annotations

import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from training.models import ARCHITECTURES
from training.models.deformable import DeformableConv2d
from training.models.dla import VARIANTS, WITHOUT_EFFECT, DlaNetwork
from training.models.dla_up import DlaUp, bilinear_kernel
from training.models.original_checkpoint import load_checkpoint, our_name

HEADS = {'hm': 3, 'reg': 2, 'wh': 2, 'tracking': 2}
MASK_HEADS = {'hm': 3, 'reg': 2, 'wh': 2, 'conv_weight': 169, 'seg_feat': 8}
THIN = {'channels': (2, 3, 4, 5, 6, 7), 'head_channels': 4}
INPUTS = [(False, False), (True, False), (False, True), (True, True)]


def _network(heads=HEADS, *, previous_image=True, prior_heatmap=True, **options):
    torch.manual_seed(0)
    return DlaNetwork(
        heads,
        previous_image=previous_image,
        prior_heatmap=prior_heatmap,
        **{**THIN, **options},
    )


def _inputs(network, height=64, width=96, batch=2):
    torch.manual_seed(1)
    image = torch.randn(batch, 3, height, width)
    return (
        image,
        torch.randn(batch, 3, height, width) if network.has_previous_image else None,
        torch.rand(batch, 1, height, width) if network.has_prior_heatmap else None,
    )


def _original_keys(node, *, neck='', base='base', extra=()):
    """Names that the original of a network with the heads hm and reg would have."""
    deformable = ('conv.weight', 'conv.bias', 'conv.conv_offset_mask.weight',
                  'conv.conv_offset_mask.bias')  # fmt: skip

    def norm(prefix):
        names = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')
        return [f'{prefix}.{name}' for name in names]

    def block(prefix):
        keys = [f'{prefix}.conv1.weight', *norm(f'{prefix}.bn1')]
        return [*keys, f'{prefix}.conv2.weight', *norm(f'{prefix}.bn2')]

    def leaf(prefix, projects):
        keys = [*block(f'{prefix}.tree1'), *block(f'{prefix}.tree2')]
        keys += [f'{prefix}.root.conv.weight', *norm(f'{prefix}.root.bn')]
        return keys + (
            [f'{prefix}.project.0.weight', *norm(f'{prefix}.project.1')] if projects else []
        )

    def step(prefix, number):
        proj, merge = f'{prefix}.proj_{number}', f'{prefix}.node_{number}'
        keys = [f'{prefix}.up_{number}.weight']
        if node == 'deformable':
            for part in (proj, merge):
                keys += [f'{part}.{name}' for name in deformable] + norm(f'{part}.actf.0')
        elif node == 'concatenated':
            for part in (proj, merge):
                keys += [f'{part}.0.weight', *norm(f'{part}.1')]
        else:
            keys += [f'{proj}.conv.0.weight', *norm(f'{proj}.conv.1')]
            if node == 'plain':
                return [*keys, f'{merge}.conv.0.weight', *norm(f'{merge}.conv.1')]
            keys += [f'{merge}.{side}.{i}.weight' for side in ('gcl', 'gcr') for i in (0, 1)]
            keys += norm(f'{merge}.act.0')
        return keys

    keys = [f'{head}.{i}.{name}' for head in ('hm', 'reg') for i in (0, 2)
            for name in ('weight', 'bias')]  # fmt: skip
    for name in ('base_layer', 'level0', 'level1', 'pre_img_layer', 'pre_hm_layer'):
        keys += [f'{base}.{name}.0.weight', *norm(f'{base}.{name}.1')]
    keys += [*leaf(f'{base}.level2', True), *leaf(f'{base}.level5', True)]
    for level in ('level3', 'level4'):
        keys += leaf(f'{base}.{level}.tree1', True) + leaf(f'{base}.{level}.tree2', False)
    for stage in range(3):
        for number in range(1, stage + 2):
            keys += step(f'{neck}dla_up.ida_{stage}', number)
    if node != 'concatenated':
        for number in (1, 2):
            keys += step(f'{neck}ida_up', number)
    return [*keys, *extra]


@pytest.mark.parametrize('name', VARIANTS)
@pytest.mark.parametrize('size', [(32, 64), (96, 32)])
def test_shapes(name, size):
    network = _network(**VARIANTS[name]).eval()
    with torch.no_grad():
        (maps,) = network.forward_stacks(*_inputs(network, *size))
    assert {head: value.shape for head, value in maps.items()} == {
        head: (2, count, size[0] // 4, size[1] // 4) for head, count in HEADS.items()
    }


@pytest.mark.parametrize('name', VARIANTS)
@pytest.mark.parametrize(('previous_image', 'prior_heatmap'), INPUTS)
def test_every_parameter_learns(name, previous_image, prior_heatmap):
    network = _network(
        previous_image=previous_image, prior_heatmap=prior_heatmap, **VARIANTS[name]
    )
    maps = network(*_inputs(network))
    sum(value.square().mean() for value in maps.values()).backward()
    without = [key for key, value in network.named_parameters() if value.grad is None]
    assert without == []


@pytest.mark.parametrize('options', [{'head_layers': 2}, {'head_style': 'condinst'}])
def test_every_parameter_of_the_heads_learns(options):
    heads = MASK_HEADS if 'head_style' in options else HEADS
    network = _network(heads, previous_image=False, prior_heatmap=False, **options)
    maps = network(*_inputs(network))
    assert {head: value.shape[1] for head, value in maps.items()} == heads
    sum(value.square().mean() for value in maps.values()).backward()
    assert all(value.grad is not None for value in network.heads.parameters())


def test_every_input_reaches_the_result():
    network = _network().eval()
    image, previous, prior = _inputs(network)
    with torch.no_grad():
        alone = network(image)['hm']
        with_previous = network(image, previous)['hm']
        with_both = network(image, previous, prior)['hm']
    assert (alone - with_previous).abs().max() > 1e-4
    assert (with_previous - with_both).abs().max() > 1e-4


def test_refuses_inputs_that_it_has_not():
    network = _network(previous_image=False, prior_heatmap=False)
    image = torch.zeros(1, 3, 64, 64)
    with pytest.raises(ValueError, match='previous_image: this network was built without it'):
        network(image, image)
    with pytest.raises(ValueError, match='multiples of 32, received 64 x 48'):
        network(image[..., :48])


def test_heads_of_instance_segmentation():
    network = _network(MASK_HEADS, previous_image=False, prior_heatmap=False,
                       head_style='condinst').eval()  # fmt: skip
    for name, head in network.heads.items():
        kinds = [type(layer) for layer in head]
        expected = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 3
        assert kinds == (expected if name == 'seg_feat' else [nn.Conv2d] * 2)
    with torch.no_grad():
        maps = network(*_inputs(network))
    assert maps['seg_feat'].min() == 0  # ends with ReLU
    assert maps['conv_weight'].min() < 0


def test_variants_are_data():
    assert set(VARIANTS) <= set(ARCHITECTURES)
    assert all(ARCHITECTURES[name].network is DlaNetwork for name in VARIANTS)
    counts = {}
    for name, options in VARIANTS.items():
        modules = list(_network(**options).modules())
        counts[name] = (
            sum(isinstance(module, DeformableConv2d) for module in modules),
            sum(isinstance(module, nn.ConvTranspose2d) for module in modules),
        )
    assert counts == {
        'dla34': (16, 8), 'dla34_plain': (0, 8), 'dla34_gcn': (0, 8), 'dlav0_34': (0, 6),
    }  # fmt: skip


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'node': 'wide'}, 'node: expected .* received'),
        ({'head_style': 'linear'}, 'head_style: expected relu or condinst'),
        ({'channels': (1, 2, 3)}, 'channels: expected 6, received 3'),
    ],
)
def test_refuses_unknown_options(options, message):
    with pytest.raises(ValueError, match=message):
        _network(**options)


def test_is_as_large_as_the_original():
    heads = {'hm': 1, 'reg': 2, 'wh': 2, 'tracking': 2, 'ltrb_amodal': 4}
    network = DlaNetwork(heads, previous_image=True, prior_heatmap=True)
    sizes = {
        name: sum(value.numel() for value in module.parameters())
        for name, module in network.named_children()
    }
    # Published: trunk 15.27 M less what is without effect, neck 3.94 M.
    assert sizes['neck'] == pytest.approx(3.94e6, rel=0.01)
    assert sizes['levels'] == pytest.approx(15.27e6, rel=0.01)
    assert sum(sizes.values()) == pytest.approx(19.96e6, rel=0.005)


@pytest.mark.parametrize('factor', [2, 4])
def test_upsampling_starts_bilinear(factor):
    ramp = torch.arange(6.0).expand(1, 1, 5, 6)
    kernel = bilinear_kernel(factor)[None, None]
    received = functional.conv_transpose2d(ramp, kernel, stride=factor, padding=factor // 2)
    expected = functional.interpolate(ramp, scale_factor=factor, mode='bilinear')
    inner = (..., slice(factor, -factor), slice(factor, -factor))
    torch.testing.assert_close(received[inner], expected[inner])


def test_neck_takes_any_backbone():
    neck = DlaUp((3, 8, 5, 9), 'plain')
    features = [torch.randn(1, count, 16 >> i, 24 >> i) for i, count in enumerate((3, 8, 5, 9))]
    assert neck.out_channels == 3
    assert neck(features).shape == (1, 3, 16, 24)
    assert len(DlaUp((3, 8, 5), 'plain').stages) == 2


@pytest.mark.parametrize(
    ('name', 'style'),
    [
        ('dla34', {}),
        ('dla34', {'neck': 'neck.', 'base': 'backbone'}),
        ('dla34_plain', {}),
        ('dla34_gcn', {}),
        ('dlav0_34', {}),
    ],
    ids=['dcn', 'generic', 'plain', 'gcn', 'dlav0'],
)
def test_original_names_cover_every_tensor(name, style):
    network = _network({'hm': 3, 'reg': 2}, **VARIANTS[name])
    base = style.get('base', 'base')
    useless = (f'{base}.level3.project.0.weight', f'{base}.fc.bias')
    originals = _original_keys(VARIANTS[name]['node'], **style, extra=useless)
    wanted = network.state_dict()
    dropped = {key for key in originals if any(re.search(p, key) for p, _ in WITHOUT_EFFECT)}
    assert dropped == set(useless)
    kept = [key for key in originals if key not in dropped]
    names = [our_name(DlaNetwork, key) for key in kept]
    assert sorted(names) == sorted(wanted)
    state = {
        key: torch.rand_like(wanted[name].float()) for key, name in zip(kept, names, strict=True)
    }
    report = load_checkpoint(network, {**state, **dict.fromkeys(useless, torch.zeros(1))})
    assert {key for key, _ in report.dropped} == dropped
    assert not report.missing


@pytest.mark.parametrize(
    ('original', 'ours'),
    [
        ('base.level1.0.weight', 'levels.1.0.weight'),
        ('backbone.pre_hm_layer.1.bias', 'stems.prior_heatmap.1.bias'),
        ('base.level4.tree1.tree2.conv2.weight', 'levels.4.first.second.convolution2.weight'),
        ('base.level3.tree2.root.bn.bias', 'levels.3.second.root.1.bias'),
        ('base.level5.project.1.bias', 'levels.5.projection.1.bias'),
        ('dla_up.ida_1.up_2.weight', 'neck.stages.1.1.upsampling.weight'),
        ('neck.ida_up.proj_2.actf.0.bias', 'neck.last.1.projection.1.bias'),
        (
            'dla_up.ida_2.node_3.conv.conv_offset_mask.bias',
            'neck.stages.2.2.node.0.conv_offset_mask.bias',
        ),
        ('dla_up.ida_0.node_1.conv.weight', 'neck.stages.0.0.node.0.weight'),
        ('dla_up.ida_0.node_1.conv.1.weight', 'neck.stages.0.0.node.1.weight'),
        ('ida_up.node_2.gcr.1.weight', 'neck.last.1.node.0.rows_first.1.weight'),
        ('ida_up.node_1.act.0.running_var', 'neck.last.0.node.1.running_var'),
        ('hm_hp.2.weight', 'heads.hm_hp.2.weight'),
    ],
)
def test_original_names(original, ours):
    assert our_name(DlaNetwork, original) == ours


def test_training_from_scratch_starts_well():
    network = _network(channels=(8, 8, 16, 16, 16, 16))
    assert network.heads['hm'][-1].bias[0].item() == pytest.approx(-4.6)
    features = []
    network.neck.register_forward_hook(lambda _, __, output: features.append(output))
    network.train()
    maps = network(*_inputs(network, batch=4))
    assert 0.2 < features[0].std() < 2
    for name, value in maps.items():
        assert value.std() < 1, name
        torch.testing.assert_close(
            value.mean(), network.heads[name][-1].bias.mean(), atol=0.3, rtol=0
        )
