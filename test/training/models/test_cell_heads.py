"""Heads that are computed at the peaks only give the rows of heads computed everywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from centertrack_ros.model_spec import ModelSpec, Thresholds
from training.exporting.preparation import example_inputs, prepared_copy
from training.models import ARCHITECTURES, build_network
from training.models.cell_heads import neighbourhoods, with_cell_heads
from training.models.graph import TrackerGraph
from training.models.layers import CellMap

BOX_HEADS = {'hm': 2, 'ltrb': 4, 'reg': 2, 'tracking': 2}
POSE_HEADS = {'hm': 1, 'wh': 2, 'reg': 2, 'tracking': 2, 'hps': 6, 'hm_hp': 3}
CASES = {
    'mobilenetv3': BOX_HEADS,
    'mobilenetv4_small': BOX_HEADS,
    'resnet18': POSE_HEADS | {'hp_offset': 2},
    'resnet18 without hp_offset': POSE_HEADS,
    'hourglass52': BOX_HEADS,
    'movenet': POSE_HEADS | {'hp_offset': 6},
    'resnet18 with class sizes': {'hm': 2, 'wh': 4, 'reg': 2, 'tracking': 2},
}


# So that they are built in no time.
SHALLOW = {
    'hourglass52': {'stem_channels': 16, 'widths': [16, 16], 'blocks': [1, 1], 'head_channels': 8},
    'resnet18': {'blocks': [1, 1, 1, 1], 'head_channels': 16},
    'resnet18_deformable': {'blocks': [1, 1, 1, 1], 'head_channels': 16},
}


def make_graph(case):
    heads = CASES[case]
    architecture = case.split()[0]
    size = 128 if architecture == 'hourglass52' else 64
    prior_stride = ARCHITECTURES[architecture].network.prior_heatmap_stride
    spec = ModelSpec(
        name='small',
        architecture=architecture,
        input_height=size,
        input_width=size,
        resize='letterbox',
        stride=4,
        # So many that cells at every edge are among them.
        max_candidates=100,
        classes=tuple('ab')[: heads['hm']],
        heads=heads,
        box='ltrb' if 'ltrb' in heads else 'wh',
        radius_rule='exact',
        prior_heatmap_stride=prior_stride,
        thresholds=Thresholds(0.0, 0.0, 0.0, 0.0),
        licence='none',
        joints=('x', 'y', 'z')[: heads.get('hps', 0) // 2],
        network=SHALLOW.get(architecture, {}),
    )
    torch.manual_seed(0)
    network = build_network(spec).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return TrackerGraph(network, spec), spec


def random_inputs(spec, batch):
    generator = torch.Generator().manual_seed(1)
    return tuple(
        torch.randint(0, 256, value.shape, dtype=torch.uint8, generator=generator)
        if value.dtype == torch.uint8
        else torch.rand(value.shape, generator=generator)
        for value in example_inputs(spec, batch)
    )


@pytest.mark.parametrize('case', CASES)
def test_rows_are_those_of_whole_maps(case):
    graph, spec = make_graph(case)
    inputs = random_inputs(spec, 2)
    with torch.inference_mode():
        expected = dict(zip(graph.outputs, graph(*inputs), strict=True))
        prepared = prepared_copy(graph)
        received = dict(zip(graph.outputs, prepared(*inputs), strict=True))
    cells = expected['cells']
    assert cells.min() == 0
    assert cells.max() == spec.output_width - 1
    for name, values in expected.items():
        scale = max(1.0, values.abs().max().item())
        torch.testing.assert_close(received[name], values, rtol=1e-5, atol=1e-5 * scale)
    assert expected['tracking'].std() > 0


@pytest.mark.parametrize(
    ('case', 'deferred'),
    [
        ('mobilenetv3', {'ltrb', 'reg', 'tracking'}),
        ('resnet18', {'wh', 'reg', 'tracking', 'hps', 'hp_offset'}),
        # Joints read `reg` at their own peaks.
        ('resnet18 without hp_offset', {'wh', 'tracking', 'hps'}),
    ],
)
def test_heads_read_at_peaks_are_not_computed_elsewhere(case, deferred):
    graph, spec = make_graph(case)
    network = with_cell_heads(graph.network)
    image, previous, prior = random_inputs(spec, 1)
    image, previous = (value.float().permute(0, 3, 1, 2) for value in (image, previous))
    with torch.inference_mode():
        maps = network(image, previous, prior)
        expected = graph.network(image, previous, prior)
    assert {name for name, values in maps.items() if isinstance(values, CellMap)} == deferred
    assert {name: tuple(values.shape) for name, values in maps.items()} == {
        name: tuple(values.shape) for name, values in expected.items()
    }


def test_votes_read_whole_maps():
    graph, spec = make_graph('mobilenetv3')
    graph = TrackerGraph(graph.network, replace(spec, decode=replace(spec.decode, box_votes=True)))
    inputs = random_inputs(spec, 1)
    with torch.inference_mode():
        expected, received = graph(*inputs), prepared_copy(graph)(*inputs)
    for values, others in zip(expected, received, strict=True):
        scale = max(1.0, values.abs().max().item())
        torch.testing.assert_close(others, values, rtol=1e-5, atol=1e-5 * scale)


def test_weights_keep_names_and_values():
    graph, _ = make_graph('mobilenetv3')
    before = {name: values.clone() for name, values in graph.state_dict().items()}
    after = prepared_copy(graph).state_dict()
    assert list(after) == list(before)
    for name, values in before.items():
        torch.testing.assert_close(after[name], values, rtol=0, atol=0)
        torch.testing.assert_close(graph.state_dict()[name], values, rtol=0, atol=0)


def test_neighbourhoods_are_zero_outside_of_the_map():
    features = torch.arange(1.0, 13.0).reshape(1, 1, 3, 4)
    patches, inside = neighbourhoods(features, torch.tensor([[0, 11]]))
    assert patches[0, 0].tolist() == [
        [0, 0, 0, 7, 8, 0],
        [0, 1, 2, 11, 12, 0],
        [0, 5, 6, 0, 0, 0],
    ]
    assert inside[0, 0].tolist() == [[0, 0, 0, 1, 1, 0], [0, 1, 1, 1, 1, 0], [0, 1, 1, 0, 0, 0]]


def test_half_precision_leaves_the_places_of_samples_alone():
    _, spec = make_graph('resnet18')
    name = 'resnet18_deformable'
    deformable = replace(spec, architecture=name, network=SHALLOW[name])
    torch.manual_seed(0)
    network = build_network(deformable).eval()
    half = prepared_copy(TrackerGraph(network, deformable), half=True)
    kinds = {
        name: values.dtype
        for name, values in half.network.state_dict().items()
        if values.is_floating_point()
    }
    offsets = {name for name in kinds if 'conv_offset_mask' in name}
    assert offsets
    assert {kinds[name] for name in offsets} == {torch.float32}
    assert {kinds[name] for name in kinds.keys() - offsets} == {torch.float16}
    with torch.inference_mode():
        rows = half(*random_inputs(deformable, 1))
    assert all(values.dtype in (torch.float32, torch.int64) for values in rows)
