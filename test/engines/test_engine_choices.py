"""What is remembered of engines, and when it does not count any more."""

from __future__ import annotations

import logging
import re

import pytest

from centertrack_ros.engines.choices import Choice, cache_file, load_choice, save_choice

CHOICE = Choice('openvino', 'bf16', 'cpu', {'openvino bf16 on cpu': 12.5})
CONDITIONS = {'openvino': 'openvino 1.2', 'processor': 'abacus, 2 cores'}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    caplog.set_level(logging.INFO, 'centertrack_ros.engines')
    return tmp_path / 'cache' / 'centertrack_ros' / 'engines.json'


def test_choices_are_kept_by_their_question(cache, caplog):
    assert load_choice('walk, auto', CONDITIONS) is None
    save_choice('walk, auto', CONDITIONS, CHOICE)
    other = Choice('onnxruntime', 'fp32', 'cpu', {})
    save_choice('walk, cpu', CONDITIONS, other)
    assert load_choice('walk, auto', CONDITIONS) == CHOICE
    assert load_choice('walk, cpu', CONDITIONS) == other
    save_choice('walk, auto', CONDITIONS, other)
    assert load_choice('walk, auto', CONDITIONS) == other
    assert [path.name for path in cache.parent.iterdir()] == ['engines.json']
    assert not caplog.messages


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda text: text[:-20], 'cannot be read'),
        (lambda text: '', 'cannot be read'),
        (lambda text: '[]', 'is not of format 1'),
        (lambda text: text.replace('"format": 1', '"format": 0'), 'is not of format 1'),
        (lambda text: text.replace('"engine": ', '"motor": '), 'holds no valid choice'),
        (lambda text: text.replace('12.5', '"fast"'), 'holds no valid choice'),
        (lambda text: text.replace('"conditions": {', '"conditions": 3, "c": {'), 'no valid'),
        (
            lambda text: text.replace('abacus', 'slide rule'),
            'since processor is abacus, 2 cores and was slide rule, 2 cores$',
        ),
        (
            lambda text: text.replace('"openvino": "openvino 1.2",', ''),
            'since openvino is openvino 1.2 and was missing$',
        ),
    ],
)
def test_a_damaged_or_stale_choice_does_not_count(damage, message, cache, caplog):
    save_choice('walk, auto', CONDITIONS, CHOICE)
    text = cache.read_text()
    assert damage(text) != text
    cache.write_text(damage(text))
    assert load_choice('walk, auto', CONDITIONS) is None
    assert any(re.search(message, line) for line in caplog.messages), caplog.text
    # It is replaced, whatever was there.
    save_choice('walk, auto', CONDITIONS, CHOICE)
    assert load_choice('walk, auto', CONDITIONS) == CHOICE


def test_the_oldest_make_room(cache):
    for number in range(105):
        save_choice(f'question {number}', CONDITIONS, CHOICE)
    found = [
        number for number in range(105) if load_choice(f'question {number}', CONDITIONS) == CHOICE
    ]
    assert found == list(range(5, 105))


def test_a_cache_that_cannot_be_written_is_said(tmp_path, monkeypatch, caplog):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    save_choice('walk, auto', CONDITIONS, CHOICE)
    assert 'engine auto is measured at every start' in caplog.text
    assert load_choice('walk, auto', CONDITIONS) is None


def test_without_xdg_the_cache_lies_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert cache_file() == tmp_path / '.cache' / 'centertrack_ros' / 'engines.json'
