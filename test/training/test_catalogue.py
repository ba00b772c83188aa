"""The catalogue says what works: its commands run on every data set, and the page agrees."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from miniature_data import write_miniature

from training.convert.__main__ import main
from training.data.catalogue import CATALOGUE, missing_data_message
from training.data.coco_reader import read_coco_video

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('source', CATALOGUE)
def test_commands_turn_the_download_into_annotation_files(source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    entry = CATALOGUE[source]
    write_miniature(source, tmp_path)
    for name in entry.provided:
        assert (Path(entry.folder) / name).is_file()
    assert entry.commands or entry.provided
    for output, command in entry.outputs().items():
        assert not Path(output).exists()
        assert Path(output).is_relative_to(entry.folder)
        assert main(shlex.split(command)) == 0, capsys.readouterr().err
        counts = capsys.readouterr().out
        assert counts.startswith(f'{output}: ')
        unlabelled = '/test.json' in output
        assert (' 0 boxes' in counts) == unlabelled, counts


@pytest.mark.parametrize('source', CATALOGUE)
def test_message_says_what_to_do(source):
    entry = CATALOGUE[source]
    for output, command in entry.outputs().items():
        message = missing_data_message(source, Path(output))
        assert message.startswith(f'{output} does not exist')
        assert entry.home in message
        assert f'put it into {entry.folder}' in message
        assert f'python -m training.convert {command}' in message
        assert sum(line.startswith('  python') for line in message.splitlines()) == 1
    message = missing_data_message(source, Path(entry.folder) / 'pictures')
    assert all(command in message for command in entry.commands)
    assert 'change the path' not in message
    elsewhere = missing_data_message(source, Path('/mnt/disk/pictures'))
    assert 'or change the path in the configuration' in elsewhere


@pytest.mark.parametrize('source', ['', 'imagenet'])
def test_unknown_source_gets_the_general_advice(source):
    message = missing_data_message(source, Path('x/y.json'))
    assert message.startswith('x/y.json does not exist')
    assert 'docs/datasets.md' in message


def test_the_mot17_halves_are_two_parts_of_one(tmp_path, monkeypatch):
    """What the table calls halves are halves, and the three copies of a sequence count once."""
    monkeypatch.chdir(tmp_path)
    write_miniature('mot17', tmp_path)
    frames = {}
    for output, command in CATALOGUE['mot17'].outputs().items():
        assert main(shlex.split(command)) == 0
        records = read_coco_video(Path(output), tmp_path, ('person',))
        frames[Path(output).stem] = [record.path.name for record in records]
    assert frames['train_half'] + frames['val_half'] == frames['train']
    assert len(frames['train']) == len(frames['test']) == 6


def test_the_page_has_every_set_and_command():
    page = (ROOT / 'docs' / 'datasets.md').read_text(encoding='utf-8')
    for source, entry in CATALOGUE.items():
        assert entry.title in page, source
        assert entry.home in page
        assert entry.licence in page
        for command in entry.commands:
            assert f'python -m training.convert {command}\n' in page
