from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import onnxruntime
import pytest
import torch

from centertrack_ros.datatypes import Candidates
from centertrack_ros.model_spec import DecodeRules
from training.activations import activate
from training.heads import mask_weight_count
from training.models.decode import candidate_rows
from training.models.graph import TrackerGraph
from training.models.masks import dynamic_masks

CLASSES = DecodeRules(peaks='class')


def _maps(height=8, width=10):
    return {
        'hm': torch.full((1, 3, height, width), -5.0),
        'ltrb': torch.zeros(1, 4, height, width),
        'reg': torch.zeros(1, 2, height, width),
        'wh': torch.zeros(1, 2, height, width),
        'tracking': torch.zeros(1, 2, height, width),
    }


def _random_maps(batch=1, height=8, width=10, seed=0):
    """Every head that can be decoded."""
    generator = torch.Generator().manual_seed(seed)
    channels = {
        'hm': 4, 'reg': 2, 'wh': 2, 'ltrb': 4, 'ltrb_amodal': 4, 'tracking': 2, 'hps': 10,
        'hm_hp': 5, 'hp_offset': 2, 'dep': 1, 'rot': 8, 'dim': 3, 'amodel_offset': 2,
        'nuscenes_att': 8, 'velocity': 3, 'conv_weight': mask_weight_count(4), 'seg_feat': 4,
    }  # fmt: skip
    return {
        name: 2 * torch.randn(batch, count, height, width, generator=generator)
        for name, count in channels.items()
    }


def test_peaks_come_best_first_with_what_the_heads_say():
    maps = _maps()
    maps['hm'][0, 1, 2, 3] = 2.0
    maps['hm'][0, 0, 6, 8] = 3.0
    maps['hm'][0, 1, 2, 4] = 1.0  # beside a higher cell: no peak
    maps['ltrb'][0, :, 2, 3] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    maps['tracking'][0, :, 6, 8] = torch.tensor([-1.5, 0.5])
    rows = candidate_rows(maps, 5, box='ltrb')
    assert list(rows) == ['scores', 'classes', 'cells', 'boxes', 'tracking']
    np.testing.assert_allclose(rows['scores'][0, :2], torch.sigmoid(torch.tensor([3.0, 2.0])))
    assert rows['scores'][0, 2] < 0.01
    assert rows['classes'][0, :2].tolist() == [0, 1]
    assert rows['cells'][0, :2].tolist() == [[8, 6], [3, 2]]
    assert rows['boxes'][0, 1].tolist() == [2, 0, 6, 6]
    assert rows['tracking'][0, 0].tolist() == [-1.5, 0.5]


def test_wh_boxes_sit_around_the_sub_pixel_centre():
    maps = _maps()
    maps['hm'][0, 0, 4, 5] = 2.0
    maps['wh'][0, :, 4, 5] = torch.tensor([4.0, -2.0])
    maps['reg'][0, :, 4, 5] = torch.tensor([0.5, 0.25])
    boxes = candidate_rows(maps, 1, box='wh')['boxes']
    assert boxes[0, 0].tolist() == [3.5, 4.25, 7.5, 4.25]  # a negative height counts as none
    kept = candidate_rows(maps, 1, box='wh', rules=DecodeRules(clamp_sizes=False))['boxes']
    assert kept[0, 0].tolist() == [3.5, 5.25, 7.5, 3.25]
    del maps['reg']
    boxes = candidate_rows(maps, 1, box='wh')['boxes']
    assert boxes[0, 0].tolist() == [3.5, 4.5, 7.5, 4.5]  # the middle of the cell


def test_sizes_of_each_class():
    maps = _maps() | {'wh': torch.zeros(1, 6, 8, 10)}
    maps['hm'][0, 2, 4, 5] = 2.0
    maps['wh'][0, :, 4, 5] = torch.tensor([9.0, 9.0, 7.0, 7.0, 4.0, 2.0])
    boxes = candidate_rows(maps, 1, box='wh')['boxes']
    assert boxes[0, 0].tolist() == [3, 3, 7, 5]


def test_edges_as_offsets_from_the_cell():
    maps = _maps()
    maps['hm'][0, 0, 4, 5] = 2.0
    maps['ltrb'][0, :, 4, 5] = torch.tensor([-1.0, -2.0, 3.0, 3.5])
    maps['ltrb_amodal'] = maps['ltrb'] * 2
    offsets = DecodeRules(edges='offsets')
    boxes = candidate_rows(maps, 1, box='ltrb', rules=offsets)['boxes']
    assert boxes[0, 0].tolist() == [4, 2, 8, 7.5]
    boxes = candidate_rows(maps, 1, box='ltrb_amodal')['boxes']
    assert boxes[0, 0].tolist() == [3, 0, 11, 11]


def test_no_head_for_boxes():
    maps = _maps()
    maps['hm'][0, 0, 4, 5] = 2.0
    maps['reg'][0, :, 4, 5] = 0.5
    assert candidate_rows(maps, 1, box=None)['boxes'][0, 0].tolist() == [5.5, 4.5, 5.5, 4.5]
    maps['hps'] = torch.zeros(1, 4, 8, 10)
    maps['hps'][0, :, 4, 5] = torch.tensor([-2.0, -1.0, 2.0, 3.0])
    # 25 % of 4 and of 4, then of the 5 and 5 that they have become
    boxes = candidate_rows(maps, 1, box=None)['boxes']
    assert boxes[0, 0].tolist() == [2, 2, 8.25, 8.25]


def test_two_classes_beside_each_other():
    maps = _maps()
    maps['hm'][0, 1, 4, 5] = 2.0
    maps['hm'][0, 2, 4, 6] = 1.0
    assert candidate_rows(maps, 2, box='wh')['scores'][0, 1] < 0.01
    rows = candidate_rows(maps, 2, box='wh', rules=CLASSES)
    np.testing.assert_allclose(rows['scores'][0], torch.sigmoid(torch.tensor([2.0, 1.0])))
    assert rows['classes'][0].tolist() == [1, 2]
    assert rows['cells'][0].tolist() == [[5, 4], [6, 4]]


def test_class_rule_finds_the_best_of_all_peaks():
    maps = _random_maps(seed=1)
    rows = candidate_rows(maps, 12, box='wh', rules=CLASSES)
    heatmap = maps['hm'][0].numpy()
    peaks = [
        (heatmap[c, y, x], c, x, y)
        for c, y, x in np.ndindex(*heatmap.shape)
        if heatmap[c, y, x] == heatmap[c, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].max()
    ]
    best = sorted(peaks, reverse=True)[:12]
    assert rows['classes'][0].tolist() == [c for _, c, _, _ in best]
    assert rows['cells'][0].tolist() == [[x, y] for _, _, x, y in best]


def test_plateaus_are_kept():
    maps = _maps()
    maps['hm'][0, 0, 4, 5:7] = 2.0
    cells = candidate_rows(maps, 2, box='wh')['cells']
    assert sorted(cells[0].tolist()) == [[5, 4], [6, 4]]


@pytest.mark.parametrize('rules', [DecodeRules(), CLASSES])
def test_no_peaks_and_more_rows_than_peaks(rules):
    maps = _maps()
    maps['hm'] -= 100 * torch.arange(80.0).reshape(8, 10)  # one peak, in the corner
    rows = candidate_rows(maps, 30, box='wh', rules=rules)
    assert (rows['scores'][0, 3:] < 1e-8).all()
    assert all(torch.isfinite(values).all() for values in rows.values())


@pytest.mark.parametrize(('rules', 'places'), [(DecodeRules(), 80), (CLASSES, 240)])
def test_more_rows_than_cells(rules, places):
    assert candidate_rows(_maps(), places, box='wh', rules=rules)['scores'].shape == (1, places)
    with pytest.raises(ValueError, match=f'count: expected 1 to {places}'):
        candidate_rows(_maps(), places + 1, box='wh', rules=rules)


@pytest.mark.parametrize('joints', ['centertrack', 'centernet'])
@pytest.mark.parametrize('peaks', ['cell', 'class'])
def test_two_images_are_two_times_one(peaks, joints):
    rules = DecodeRules(peaks=peaks, joints=joints)
    maps = _random_maps(2)
    both = candidate_rows(maps, 20, box='ltrb_amodal', rules=rules)
    assert list(both) == [field.name for field in fields(Candidates)]
    for image in range(2):
        part = {name: values[image : image + 1] for name, values in maps.items()}
        alone = candidate_rows(part, 20, box='ltrb_amodal', rules=rules)
        for name, values in alone.items():
            np.testing.assert_allclose(both[name][image], values[0], atol=1e-6, err_msg=name)


def test_activated_maps_give_the_same_rows():
    maps = _random_maps()
    expected = candidate_rows(maps, 15, box='wh', rules=CLASSES)
    values = {name: activate(name, raw) for name, raw in maps.items()}
    received = candidate_rows(values, 15, box='wh', rules=CLASSES, activated=True)
    for name in expected:
        np.testing.assert_allclose(received[name], expected[name], rtol=1e-6, err_msg=name)


def test_space_heads_at_the_peak():
    maps = _random_maps()
    maps['hm'][0, 3, 5, 7] = 9.0
    rows = candidate_rows(maps, 3, box='wh')
    at_peak = {name: values[0, :, 5, 7] for name, values in maps.items()}
    np.testing.assert_allclose(
        rows['depth'][0, 0], 1 / (torch.sigmoid(at_peak['dep'][0]) + 1e-6) - 1, rtol=1e-6
    )
    assert torch.equal(rows['dimensions'][0, 0], at_peak['dim'])
    assert torch.equal(rows['rotation'][0, 0], at_peak['rot'])
    assert torch.equal(rows['amodal_offset'][0, 0], at_peak['amodel_offset'])
    assert torch.equal(rows['attributes'][0, 0], at_peak['nuscenes_att'])
    assert torch.equal(rows['velocity'][0, 0], at_peak['velocity'])


def test_masks_of_the_objects():
    maps = _random_maps()
    rows = candidate_rows(maps, 3, box='wh')
    assert rows['masks'].shape == (1, 3, 8, 10)
    column, row = rows['cells'][0, 1].long()
    weights = maps['conv_weight'][:, :, row, column][:, None]
    center = rows['cells'][:, 1:2] + maps['reg'][:, :, row, column][:, None]
    expected = dynamic_masks(maps['seg_feat'], weights, center).sigmoid()
    np.testing.assert_allclose(rows['masks'][:, 1:2], expected, atol=1e-6)


def test_graph_returns_the_rows_of_each_image(spec):
    class Fixed(torch.nn.Module):
        def forward(self, image, previous_image, prior_heatmap):
            maps = {name: value.repeat(2, 1, 1, 1) for name, value in _maps().items()}
            maps['hm'][0, 0, 1, 1] = 4.0
            maps['hm'][1, 2, 7, 9] = 4.0
            return maps

    graph = TrackerGraph(Fixed(), replace(spec, max_candidates=2))
    image = torch.zeros(2, 32, 40, 3, dtype=torch.uint8)
    rows = dict(zip(graph.outputs, graph(image, image, torch.zeros(2, 1, 8, 10)), strict=True))
    assert rows['classes'][:, 0].tolist() == [0, 2]
    assert rows['cells'][:, 0].tolist() == [[1, 1], [9, 7]]


POSE = ('hm', 'reg', 'wh', 'tracking', 'hps', 'hm_hp', 'hp_offset')
SPACE = ('hm', 'reg', 'wh', 'dep', 'rot', 'dim', 'amodel_offset', 'nuscenes_att', 'velocity')
MASKS = ('hm', 'reg', 'wh', 'conv_weight', 'seg_feat')


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(
    ('heads', 'joints'), [(POSE, 'centertrack'), (SPACE, 'centernet'), (MASKS, 'centernet')]
)
def test_onnx_graph_gives_the_same_rows(tmp_path, heads, joints):
    rules = DecodeRules(peaks='class', joints=joints)
    maps = {name: values for name, values in _random_maps(2).items() if name in heads}

    class Decoder(torch.nn.Module):
        def forward(self, *values):
            given = dict(zip(maps, values, strict=True))
            return tuple(candidate_rows(given, 12, box='wh', rules=rules).values())

    expected = candidate_rows(maps, 12, box='wh', rules=rules)
    torch.onnx.export(
        Decoder().eval(),
        tuple(maps.values()),
        str(tmp_path / 'decoder.onnx'),
        dynamo=True,
        opset_version=20,
        external_data=False,
        input_names=[f'map_{name}' for name in maps],
        output_names=list(expected),
        verbose=False,
    )
    session = onnxruntime.InferenceSession(
        str(tmp_path / 'decoder.onnx'), providers=['CPUExecutionProvider']
    )
    received = session.run(None, {f'map_{name}': values.numpy() for name, values in maps.items()})
    for (name, values), array in zip(expected.items(), received, strict=True):
        np.testing.assert_allclose(array, values, atol=1e-5, rtol=1e-5, err_msg=name)
