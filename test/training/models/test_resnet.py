"""ResNet with transposed convolutions, plain and deformable."""

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

from training.models.original_checkpoint import load_checkpoint, our_name
from training.models.resnet import VARIANTS

THIN = {'widths': (4, 6, 8, 8), 'neck_channels': (8, 6, 8), 'head_channels': 6}
DETECTION = {'hm': 20, 'reg': 2, 'wh': 2}


@pytest.mark.parametrize('architecture', ['resnet18', 'resnet50_deformable'])
@pytest.mark.parametrize('size', [(32, 64), (96, 32)])
def test_one_map_per_head_at_stride_4(architecture, size):
    network = build(architecture, **THIN)
    assert output_shapes(network, *size) == [expected_shapes(*size)]


@pytest.mark.parametrize('architecture', ['resnet18', 'resnet18_deformable', 'resnet50'])
@pytest.mark.parametrize(('previous_image', 'prior_heatmap'), INPUTS)
def test_every_parameter_can_learn(architecture, previous_image, prior_heatmap):
    network = build(
        architecture, previous_image=previous_image, prior_heatmap=prior_heatmap, **THIN
    )
    assert parameters_without_gradient(network, 64, 64) == []


def test_size_that_does_not_halve_evenly():
    network = build('resnet18', **THIN)
    with pytest.raises(ValueError, match=r'multiples of 32, received 48 x 64'):
        network(torch.zeros(1, 3, 48, 64))


def test_other_inputs_begin_with_little_influence():
    network = build('resnet18', **THIN)
    image, previous, prior = random_inputs(network, 64, 64)
    with torch.inference_mode():
        own = network.stems(image, None, None)
        seen = network.stems(image, previous, None)
        drawn = network.stems(image, None, prior)
    for other in (seen, drawn):
        assert 0 < (other - own).std() < 0.2 * own.std()


def test_without_inputs_it_refuses_them():
    network = build('resnet18', previous_image=False, prior_heatmap=True, **THIN)
    image = torch.zeros(1, 3, 32, 32)
    with pytest.raises(ValueError, match='previous_image'):
        network(image, image)


@pytest.mark.parametrize(
    ('architecture', 'options', 'expected'),
    [
        ('resnet18_deformable', {}, (256, 128, 64)),
        ('resnet18_deformable', {'head_channels': 256}, (256, 256, 256)),
        ('resnet18_deformable', {'neck_channels': (32, 16, 8)}, (32, 16, 8)),
        ('resnet18', {}, (256, 256, 256)),
    ],
)
def test_widths_of_the_neck(architecture, options, expected):
    neck = build(architecture, widths=THIN['widths'], **options).neck
    widths = [m.out_channels for m in neck if isinstance(m, torch.nn.ConvTranspose2d)]
    assert tuple(widths) == expected


def test_as_many_values_as_in_the_originals():
    assert count_values('resnet18_deformable', DETECTION) == 14_444_841
    pose = {'hm': 1, 'wh': 2, 'hps': 34, 'reg': 2, 'hm_hp': 17, 'hp_offset': 2}
    assert count_values('resnet18', pose) == 16_272_378


@pytest.mark.parametrize('depth', [18, 34, 50, 101, 152])
def test_depth_in_the_name_is_the_depth(depth):
    variant = VARIANTS[f'resnet{depth}']
    per_block = 3 if variant.get('bottleneck') else 2
    # With the first layer and the classifier that is not here.
    assert per_block * sum(variant['blocks']) + 2 == depth


def _original_keys(*, convolutions, deformable, blocks, head_names=tuple(HEADS)):
    keys = ['conv1.weight', *norm_keys('bn1')]
    for stage, count in enumerate(blocks, start=1):
        for index in range(count):
            block = f'layer{stage}.{index}'
            for number in range(1, convolutions + 1):
                keys += [f'{block}.conv{number}.weight', *norm_keys(f'{block}.bn{number}')]
            if index == 0 and (stage > 1 or convolutions == 3):
                keys += [f'{block}.downsample.0.weight', *norm_keys(f'{block}.downsample.1')]
    for step in range(3):
        first = 6 * step if deformable else 3 * step
        if deformable:
            layer = f'deconv_layers.{first}'
            keys += [f'{layer}{inner}.{leaf}' for inner in ('', '.conv_offset_mask')
                     for leaf in ('weight', 'bias')]  # fmt: skip
            keys += norm_keys(f'deconv_layers.{first + 1}')
            first += 3
        keys += [f'deconv_layers.{first}.weight', *norm_keys(f'deconv_layers.{first + 1}')]
    return keys + [
        f'{name}.{index}.{leaf}'
        for name in head_names
        for index in (0, 2)
        for leaf in ('weight', 'bias')
    ]


@pytest.mark.parametrize(
    ('architecture', 'convolutions'),
    [('resnet18', 2), ('resnet18_deformable', 2), ('resnet50_deformable', 3)],
)
def test_renames_are_one_to_one(architecture, convolutions):
    network = build(architecture, previous_image=False, prior_heatmap=False, **THIN)
    variant = VARIANTS[architecture]
    keys = _original_keys(
        convolutions=convolutions, deformable=variant['deformable'], blocks=variant['blocks']
    )
    check_renames(network, keys)


def test_detector_of_simple_centernet_becomes_a_tracker():
    detector = build(
        'resnet18_deformable',
        heads={'hm': 2, 'reg': 2, 'wh': 2},
        previous_image=False,
        prior_heatmap=False,
        **THIN,
    )
    keys = _original_keys(
        convolutions=2, deformable=True, blocks=(2, 2, 2, 2), head_names=('hmap', 'regs', 'w_h_')
    )
    state = {key: detector.state_dict()[our_name(detector, key)] for key in keys}
    state['fc.weight'] = torch.zeros(1000, 8)
    tracker = build('resnet18_deformable', **THIN)
    report = load_checkpoint(tracker, state, initialise=('inputs', 'heads'))
    assert [name for name, _ in report.dropped] == ['fc.weight']
    assert {name.split('.')[1] for name, _ in report.missing} == {
        'previous_image',
        'prior_heatmap',
        'tracking',
    }
    image, _, _ = random_inputs(tracker, 32, 64)
    with torch.inference_mode():
        expected, received = detector(image), tracker(image)
    for name, value in expected.items():
        torch.testing.assert_close(received[name], value)
