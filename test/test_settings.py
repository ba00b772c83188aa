from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from centertrack_ros.settings import Settings, parameters, to_markdown, to_yaml

ROOT = Path(__file__).resolve().parent.parent


def test_defaults_pass_their_own_check():
    values = {row.name: row.default for row in parameters()}
    assert Settings.from_mapping(values) == Settings()


def test_yaml_holds_every_parameter_with_its_default(tmp_path):
    path = tmp_path / 'tracker.yaml'
    path.write_text(to_yaml())
    document = yaml.safe_load(path.read_text())['/**']['ros__parameters']
    assert list(document) == [row.name for row in parameters()]
    assert Settings.from_yaml(path) == Settings()


def test_committed_files_are_up_to_date():
    assert (ROOT / 'config' / 'tracker.yaml').read_text() == to_yaml()
    assert to_markdown() in (ROOT / 'README.md').read_text()


@pytest.mark.parametrize(
    ('values', 'error', 'text'),
    [
        ({'max_gap': -1.0}, ValueError, 'max_gap: expected 0.0 to 3600.0, received -1.0'),
        ({'max_gap': float('nan')}, ValueError, 'max_gap'),
        ({'engine': 'magic'}, ValueError, "engine: expected one of .* received 'magic'"),
        ({'threads': 1.5}, TypeError, 'threads: expected int, received float 1.5'),
        ({'threads': True}, TypeError, 'threads: expected int, received bool'),
        ({'class_filter': 'person'}, TypeError, 'class_filter: expected a list of strings'),
        ({'track_treshold': 0.5}, ValueError, "unknown parameters \\['track_treshold'\\]"),
    ],
)
def test_wrong_values_are_named(values, error, text):
    with pytest.raises(error, match=text):
        Settings.from_mapping(values)


def test_whole_numbers_are_taken_for_floats():
    assert Settings.from_mapping({'max_age': 3}).max_age == 3.0


def test_yaml_errors_name_the_file(tmp_path):
    path = tmp_path / 'bad.yaml'
    path.write_text('/**:\n  ros__parameters:\n    max_age: -3.0\n')
    with pytest.raises(ValueError, match=r'bad\.yaml.*max_age'):
        Settings.from_yaml(path)
    path.write_text('a: [')
    with pytest.raises(ValueError, match='not valid YAML'):
        Settings.from_yaml(path)
    path.write_text('- 1')
    with pytest.raises(ValueError, match='expected a mapping'):
        Settings.from_yaml(path)
