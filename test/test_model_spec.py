from __future__ import annotations

import json
from dataclasses import replace

import pytest

from centertrack_ros.engines.files import is_variant
from centertrack_ros.model_spec import ModelSpec


def test_round_trip(spec, tmp_path):
    spec.save(tmp_path / 'small.json')
    assert ModelSpec.load(tmp_path / 'small.onnx') == spec
    assert spec.prior_heatmap_shape == (24, 40)
    assert (spec.output_height, spec.output_width) == (24, 40)


def test_shipped_models_have_valid_specs(model_path):
    paths = [path for path in model_path.parent.glob('*.onnx') if not is_variant(path)]
    assert model_path in paths
    for path in paths:
        assert ModelSpec.load(path).name == path.stem


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        ({'format': 7}, 'format: expected 1, received 7'),
        ({'input_width': 100}, 'input_width: expected a positive multiple of 32, received 100'),
        ({'box': 'circle'}, "box: expected one of .* received 'circle'"),
        ({'box': 'wh'}, "box: expected one of the heads .* received 'wh'"),
        ({'decode': {'peaks': 'all'}}, "peaks: expected one of .* received 'all'"),
        ({'decode': {'peak': 'cell'}}, 'decode: .*unexpected keyword'),
        ({'channel_mean': [1.0]}, 'channel_mean: expected three values'),
        ({'channel_std': [1.0, 0.0, 1.0]}, 'channel_std: expected positive values'),
        ({'prior_heatmap': 'yes'}, "prior_heatmap: expected one of .* received 'yes'"),
        ({'classes': []}, 'classes: expected at least one'),
        ({'trained_focal_length': 0}, 'trained_focal_length: expected pixels above 0'),
        ({'trained_focal_length': float('nan')}, 'trained_focal_length: .* received nan'),
        ({'surprise': 1}, "unknown keys \\['surprise'\\]"),
        ({'thresholds': {'detection': 0.1}}, 'thresholds'),
        (
            {'thresholds': {'detection': 2, 'track': 0, 'birth': 0, 'prior': 0}},
            'thresholds.detection: expected 0 to 1, received 2',
        ),
    ],
)
def test_wrong_values_are_named(spec, tmp_path, change, text):
    path = tmp_path / 'model.json'
    path.write_text(json.dumps({**spec.to_dict(), **change}))
    with pytest.raises(ValueError, match=text) as error:
        ModelSpec.load(path)
    assert str(path) in str(error.value)


def test_missing_key_is_named(spec, tmp_path):
    values = spec.to_dict()
    del values['stride']
    (tmp_path / 'model.json').write_text(json.dumps(values))
    with pytest.raises(ValueError, match='stride'):
        ModelSpec.load(tmp_path / 'model.json')


def test_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'training\.export'):
        ModelSpec.load(tmp_path / 'nothing.onnx')


def test_no_json_is_an_error(tmp_path):
    (tmp_path / 'model.json').write_text('{')
    with pytest.raises(ValueError, match='not a valid ModelSpec'):
        ModelSpec.load(tmp_path / 'model.json')


def test_bool_is_no_size(spec):
    with pytest.raises(ValueError, match='stride'):
        replace(spec, stride=0)


def test_files_from_before_the_focal_length(spec, tmp_path):
    values = spec.to_dict()
    del values['trained_focal_length']
    (tmp_path / 'old.json').write_text(json.dumps(values))
    assert ModelSpec.load(tmp_path / 'old.json').trained_focal_length is None
    known = replace(spec, trained_focal_length=721.5)
    known.save(tmp_path / 'new.json')
    assert ModelSpec.load(tmp_path / 'new.json') == known


def test_which_models_have_boxes_in_space(spec):
    assert not spec.has_boxes_3d
    heads = {**spec.heads, 'dep': 1, 'dim': 3}
    assert not replace(spec, heads=heads).has_boxes_3d
    assert replace(spec, heads={**heads, 'rot': 8}).has_boxes_3d
