from __future__ import annotations

import json
from pathlib import Path

import pytest

from centertrack_ros.replay.output import (
    BAG_FOLDER,
    MADE_BY,
    METRICS_FILE,
    TRACKS_FILE,
    VIDEO_FILE,
    staged_output,
)


def _fill(folder, text):
    (folder / TRACKS_FILE).write_text(text)
    (folder / METRICS_FILE).write_text(json.dumps({'made_by': MADE_BY}))
    (folder / BAG_FOLDER).mkdir()
    (folder / BAG_FOLDER / 'metadata.yaml').write_text(text)


def _listing(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob('*')}


def test_new_folder_with_its_parents(tmp_path):
    target = tmp_path / 'a' / 'b'
    with staged_output(target) as folder:
        _fill(folder, 'one')
        assert not target.exists()
    assert (target / TRACKS_FILE).read_text() == 'one'
    assert [path.name for path in target.parent.iterdir()] == ['b']
    assert target.stat().st_mode & 0o777 == 0o755


def test_own_folder_is_brought_up_to_date(tmp_path):
    target = tmp_path / 'out'
    with staged_output(target) as folder:
        _fill(folder, 'one')
        (folder / VIDEO_FILE).write_text('video of one')
    (target / 'notes.txt').write_text('mine')
    with staged_output(target) as folder:
        _fill(folder, 'two')
    assert (target / TRACKS_FILE).read_text() == 'two'
    assert (target / BAG_FOLDER / 'metadata.yaml').read_text() == 'two'
    assert (target / 'notes.txt').read_text() == 'mine'
    assert not (target / VIDEO_FILE).exists()  # it showed the tracks of the first
    assert list(tmp_path.iterdir()) == [target]


def test_folder_of_others_gets_our_files_beside_theirs(tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'notes.txt').write_text('mine')
    with staged_output(tmp_path / 'out') as folder:
        _fill(folder, 'one')
    assert {'notes.txt', TRACKS_FILE} <= _listing(tmp_path / 'out')


@pytest.mark.parametrize('metrics', [None, 'no json', '[]', '{"MOTA": 99}'])
def test_files_of_others_with_our_names_stay(tmp_path, metrics):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / TRACKS_FILE).write_text('precious')
    if metrics is not None:
        (tmp_path / 'out' / METRICS_FILE).write_text(metrics)
    before = _listing(tmp_path)
    with (
        pytest.raises(ValueError, match='no replay was the author'),
        staged_output(tmp_path / 'out'),
    ):
        pytest.fail('must not get here')
    assert _listing(tmp_path) == before


def test_file_in_the_way(tmp_path):
    (tmp_path / 'out').write_text('a file')
    with pytest.raises(ValueError, match='it is a file'), staged_output(tmp_path / 'out'):
        pytest.fail('must not get here')


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize('exists', [False, True])
def test_failure_leaves_everything_as_it_was(tmp_path, exists, error):
    target = tmp_path / 'out'
    if exists:
        with staged_output(target) as folder:
            _fill(folder, 'one')
    before = _listing(tmp_path)

    def fill_and_stop():
        with staged_output(target) as folder:
            _fill(folder, 'two')
            raise error('stopped')

    with pytest.raises(error):
        fill_and_stop()
    assert _listing(tmp_path) == before
    if exists:
        assert (target / TRACKS_FILE).read_text() == 'one'


def test_failed_swap_is_undone(tmp_path, monkeypatch):
    target = tmp_path / 'out'
    with staged_output(target) as folder:
        _fill(folder, 'one')
    before = _listing(tmp_path)
    rename = Path.rename

    def failing(self, goal):
        # The new bag on its way to the target, after other files have got there.
        if goal == target / BAG_FOLDER and (self / 'metadata.yaml').read_text() == 'two':
            raise OSError('disk full')
        return rename(self, goal)

    def fill():
        with staged_output(target) as folder:
            _fill(folder, 'two')

    monkeypatch.setattr(Path, 'rename', failing)
    with pytest.raises(OSError, match='disk full'):
        fill()
    assert _listing(tmp_path) == before
    assert (target / TRACKS_FILE).read_text() == 'one'
    assert (target / BAG_FOLDER / 'metadata.yaml').read_text() == 'one'
