"""Stacked hourglass networks."""

from __future__ import annotations

import pytest
import torch
from network_checks import (
    HEADS,
    INPUTS,
    build,
    check_renames,
    count_values,
    expected_shapes,
    norm_keys,
    output_shapes,
    parameters_without_gradient,
    random_inputs,
)

from centertrack_ros.model_spec import ModelSpec, Thresholds
from training.models import build_network

# As deep as the originals.
THIN = {
    'stem_channels': 4,
    'widths': (4, 4, 6, 6, 6, 8),
    'blocks': (2, 2, 2, 2, 2, 4),
    'head_channels': 4,
}
SHALLOW = {'stem_channels': 4, 'widths': (4, 6, 8), 'blocks': (1, 2, 1), 'head_channels': 6}


@pytest.mark.parametrize(('architecture', 'stacks'), [('hourglass52', 1), ('hourglass104', 2)])
@pytest.mark.parametrize('size', [(128, 128), (128, 256)])
def test_one_map_per_head_and_stack_at_stride_4(architecture, stacks, size):
    network = build(architecture, **THIN)
    assert output_shapes(network, *size) == [expected_shapes(*size)] * stacks


def test_what_is_decoded_is_the_last_stack():
    network = build('hourglass104', **SHALLOW)
    inputs = random_inputs(network, 32, 32)
    with torch.inference_mode():
        stacks, decoded = network.forward_stacks(*inputs), network(*inputs)
    for name, value in decoded.items():
        assert torch.equal(value, stacks[1][name])
        assert not torch.equal(value, stacks[0][name])


@pytest.mark.parametrize('stacks', [1, 2, 3])
@pytest.mark.parametrize(('previous_image', 'prior_heatmap'), INPUTS)
def test_every_parameter_can_learn(stacks, previous_image, prior_heatmap):
    network = build(
        'hourglass104',
        previous_image=previous_image,
        prior_heatmap=prior_heatmap,
        **{**SHALLOW, 'stacks': stacks},
    )
    assert parameters_without_gradient(network, 32, 48) == []


@pytest.mark.parametrize(('options', 'multiple'), [(THIN, 128), (SHALLOW, 16)])
def test_size_that_does_not_halve_evenly(options, multiple):
    network = build('hourglass52', **options)
    assert network.size_multiple == multiple
    with pytest.raises(ValueError, match=f'multiples of {multiple}, received 8 x 256'):
        network(torch.zeros(1, 3, 8, 256))


def test_spec_of_another_size_is_refused_at_once():
    spec = ModelSpec(
        name='test', architecture='hourglass52', input_height=544, input_width=1024,
        resize='letterbox', stride=4, max_candidates=10, classes=('person',),
        heads={**HEADS, 'hm': 1}, box='wh', radius_rule='exact', prior_heatmap_stride=1,
        thresholds=Thresholds(0.1, 0.3, 0.3, 0.3), licence='none', network=THIN,
    )  # fmt: skip
    with pytest.raises(ValueError, match='input_height: expected a multiple of 128'):
        build_network(spec)


def test_widths_and_blocks_of_different_length():
    with pytest.raises(ValueError, match=r'widths, blocks.*received 3 and 2'):
        build('hourglass52', **{**SHALLOW, 'blocks': (1, 2)})


def test_as_many_values_as_in_the_originals():
    detection = {'hm': 20, 'wh': 2, 'reg': 2}
    assert count_values('hourglass104', detection) == 191_370_672
    assert count_values('hourglass52', {**detection, 'hm': 80}) == 95_513_300


def _original_keys(stacks, skip, head_names=tuple(HEADS)):
    keys = ['pre.0.conv.weight', *norm_keys('pre.0.bn'), *_residual_keys('pre.1', True)]
    for stack in range(stacks):
        keys += _hourglass_keys(f'kps.{stack}', THIN['widths'], THIN['blocks'], skip)
        keys += [f'cnvs.{stack}.conv.weight', *norm_keys(f'cnvs.{stack}.bn')]
        for name in head_names:
            keys += [f'{name}.{stack}.0.conv.weight', f'{name}.{stack}.0.conv.bias']
            keys += [f'{name}.{stack}.1.weight', f'{name}.{stack}.1.bias']
    for stack in range(stacks - 1):
        keys += _residual_keys(f'inters.{stack}', False)
        for name in ('inters_', 'cnvs_'):
            keys += [f'{name}.{stack}.0.weight', *norm_keys(f'{name}.{stack}.1')]
    return keys


def _residual_keys(prefix, has_skip):
    keys = []
    for number in (1, 2):
        keys += [f'{prefix}.conv{number}.weight', *norm_keys(f'{prefix}.bn{number}')]
    return keys + ([f'{prefix}.skip.0.weight', *norm_keys(f'{prefix}.skip.1')] if has_skip else [])


def _hourglass_keys(prefix, widths, blocks, skip):
    changes = widths[0] != widths[1]
    keys = []
    for index in range(blocks[0]):
        keys += _residual_keys(f'{prefix}.{skip}.{index}', False)
        keys += _residual_keys(f'{prefix}.low1.{index}', index == 0)
        is_last = index == blocks[0] - 1
        keys += _residual_keys(f'{prefix}.low3.{index}', is_last and changes)
    if len(widths) > 2:
        return keys + _hourglass_keys(f'{prefix}.low2', widths[1:], blocks[1:], skip)
    return keys + [
        key
        for index in range(blocks[1])
        for key in _residual_keys(f'{prefix}.low2.{index}', False)
    ]


@pytest.mark.parametrize(
    ('stacks', 'skip', 'head_names'),
    [(2, 'up1', ('hm', 'reg', 'wh')), (1, 'top', ('hmap', 'regs', 'w_h_'))],
)
def test_renames_are_one_to_one(stacks, skip, head_names):
    network = build(
        'hourglass52',
        heads={'hm': 2, 'reg': 2, 'wh': 2},
        previous_image=False,
        prior_heatmap=False,
        **{**THIN, 'stacks': stacks},
    )
    check_renames(network, _original_keys(stacks, skip, head_names))
