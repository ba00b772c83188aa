"""MobileNetV2 with both of its necks."""

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

from training.models.mobilenetv2 import VARIANTS

THIN = {
    'stem_channels': 8,
    'widths': (4, 6, 6, 8, 8, 8, 12),
    'expansion': 2,
    'neck_channels': (6, 8, 6),
    'head_channels': 6,
}


@pytest.mark.parametrize('architecture', VARIANTS)
@pytest.mark.parametrize('size', [(32, 64), (96, 32)])
def test_one_map_per_head_at_stride_4(architecture, size):
    network = build(architecture, **THIN)
    assert output_shapes(network, *size) == [expected_shapes(*size)]


@pytest.mark.parametrize('architecture', VARIANTS)
@pytest.mark.parametrize(('previous_image', 'prior_heatmap'), INPUTS)
def test_every_parameter_can_learn(architecture, previous_image, prior_heatmap):
    network = build(
        architecture, previous_image=previous_image, prior_heatmap=prior_heatmap, **THIN
    )
    assert parameters_without_gradient(network, 64, 64) == []


def test_only_the_image_passes_an_activation_before_the_sum():
    network = build('mobilenetv2', **THIN)
    image, previous, prior = random_inputs(network, 32, 32)
    with torch.inference_mode():
        own = network.stems(image, None, None)
        assert own.min() == 0
        for other in (
            network.stems(image, previous, None) - own,
            network.stems(image, None, prior) - own,
        ):
            assert other.min() < 0 < other.max()


def test_size_that_does_not_halve_evenly():
    network = build('mobilenetv2', **THIN)
    with pytest.raises(ValueError, match=r'multiples of 32, received 64 x 48'):
        network(torch.zeros(1, 3, 64, 48))


def test_unknown_neck():
    with pytest.raises(ValueError, match=r"neck: expected one of .* received 'fpn'"):
        build('mobilenetv2', neck='fpn')


def _original_keys(neck):
    keys = []
    for stem in ('features.0', 'pre_img_layer', 'pre_hm_layer'):
        keys += [f'backbone.{stem}.0.weight', *norm_keys(f'backbone.{stem}.1')]
    for number in range(1, 18):
        block = f'backbone.features.{number}.conv'
        activated = 1 if number == 1 else 2
        for layer in range(activated):
            keys += [f'{block}.{layer}.0.weight', *norm_keys(f'{block}.{layer}.1')]
        keys += [f'{block}.{activated}.weight', *norm_keys(f'{block}.{activated + 1}')]
    keys += _dla_up_keys() if neck == 'dla_up' else _deconvolution_keys()
    return keys + [
        f'{name}.{index}.{leaf}'
        for name in HEADS
        for index in (0, 2)
        for leaf in ('weight', 'bias')
    ]


def _deformable_keys(layer):
    return [
        f'{layer}{inner}.{leaf}'
        for inner in ('', '.conv_offset_mask')
        for leaf in ('weight', 'bias')
    ]


def _dla_up_keys():
    keys = []
    steps = {'dla_up.ida_0': 1, 'dla_up.ida_1': 2, 'dla_up.ida_2': 3, 'ida_up': 2}
    for stage, count in steps.items():
        for number in range(1, count + 1):
            keys.append(f'neck.{stage}.up_{number}.weight')
            for part in ('proj', 'node'):
                layer = f'neck.{stage}.{part}_{number}'
                keys += [*_deformable_keys(f'{layer}.conv'), *norm_keys(f'{layer}.actf.0')]
    return keys


def _deconvolution_keys():
    keys = []
    for first in (0, 6, 12):
        keys += _deformable_keys(f'neck.deconv_layers.{first}')
        keys += norm_keys(f'neck.deconv_layers.{first + 1}')
        keys.append(f'neck.deconv_layers.{first + 3}.weight')
        keys += norm_keys(f'neck.deconv_layers.{first + 4}')
    return keys


@pytest.mark.parametrize('architecture', ['mobilenetv2', 'mobilenetv2_deconvolution'])
def test_renames_are_one_to_one(architecture):
    keys = _original_keys(VARIANTS[architecture]['neck'])
    check_renames(build(architecture, **THIN), keys)


def test_as_many_values_as_in_the_originals():
    heads = {'hm': 1, 'reg': 2, 'wh': 2, 'tracking': 2}
    stems = 9 * 32 * (3 + 1) + 2 * 4 * 32  # of the previous image and the prior heatmap
    with_box = {**heads, 'ltrb_amodal': 4}
    assert count_values('mobilenetv2', with_box) + stems == 2_678_035
    assert count_values('mobilenetv2_deconvolution', heads) + stems == 7_707_032
