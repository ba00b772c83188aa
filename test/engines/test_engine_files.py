"""Which file holds which precision, and what is said where it does not exist."""

from __future__ import annotations

import pytest

from centertrack_ros.engines.files import exported_program, is_variant, model_file
from centertrack_ros.factory import find_model

FILES = {
    'fp32': 'walk.v2.onnx',
    'bf16': 'walk.v2.onnx',
    'fp16': 'walk.v2.fp16.onnx',
    'int8': 'walk.v2.int8.onnx',
}


@pytest.mark.parametrize(('precision', 'name'), FILES.items())
def test_files_lie_beside_the_model(precision, name, tmp_path):
    model = tmp_path / 'walk.v2.onnx'
    (tmp_path / name).touch()
    assert model_file(model, precision=precision) == tmp_path / name


def test_symmetric_is_another_file_of_int8_only(tmp_path):
    model = tmp_path / 'walk.onnx'
    for suffix in ('.onnx', '.fp16.onnx', '.int8_symmetric.onnx'):
        model.with_suffix(suffix).touch()
    found = {
        precision: model_file(model, precision=precision, symmetric=True).name
        for precision in ('fp32', 'fp16', 'int8')
    }
    assert found == {
        'fp32': 'walk.onnx',
        'fp16': 'walk.fp16.onnx',
        'int8': 'walk.int8_symmetric.onnx',
    }
    with pytest.raises(FileNotFoundError, match=r'walk\.int8\.onnx'):
        model_file(model, precision='int8')


@pytest.mark.parametrize(
    ('precision', 'command'),
    [
        ('fp32', r'training\.export CHECKPOINT$'),
        ('fp16', r'walk\.fp16\.onnx, .*training\.export CHECKPOINT .*--half'),
        ('int8', r'walk\.int8\.onnx, .*training\.quantize .*walk\.onnx'),
    ],
)
def test_missing_file_names_the_command_that_makes_it(precision, command, tmp_path):
    with pytest.raises(FileNotFoundError, match=command):
        model_file(tmp_path / 'walk.onnx', precision=precision)


def test_exported_program(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'walk\.pt2.*training\.export'):
        exported_program(tmp_path / 'walk.onnx')
    (tmp_path / 'walk.pt2').touch()
    assert exported_program(tmp_path / 'walk.onnx') == tmp_path / 'walk.pt2'


@pytest.mark.parametrize('precision', ['auto', 'fp8', ''])
def test_unknown_precision_is_named(precision, tmp_path):
    with pytest.raises(ValueError, match=f"precision: .*'fp32'.* received '{precision}'"):
        model_file(tmp_path / 'walk.onnx', precision=precision)


def test_a_precision_is_chosen_by_its_parameter_not_by_the_name_of_a_file(tmp_path):
    for suffix in ('.onnx', '.json', '.int8.onnx'):
        (tmp_path / 'walk').with_suffix(suffix).touch()
    assert find_model(str(tmp_path / 'walk.onnx')) == tmp_path / 'walk.onnx'
    assert is_variant(tmp_path / 'walk.int8.onnx')
    with pytest.raises(ValueError, match=r'walk\.onnx.*precision'):
        find_model(str(tmp_path / 'walk.int8.onnx'))
