"""Files written whole or not at all, and the cache folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from centertrack_ros.files import cache_folder, file_digest, write_atomically


@pytest.mark.parametrize('content', ['ein Stück\n', b'\xff\x00\r\n'])
def test_content_arrives_as_it_is_in_a_new_folder(tmp_path, content):
    path = tmp_path / 'a' / 'b' / 'file'
    write_atomically(path, content)
    expected = content.encode() if isinstance(content, str) else content
    assert path.read_bytes() == expected
    assert file_digest(path) == hashlib.sha256(expected).hexdigest()
    assert list(path.parent.iterdir()) == [path]


def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'a.json'
    path.write_text('old')

    def full_disk(*_arguments):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Path, 'replace', full_disk)
    with pytest.raises(OSError, match='No space left'):
        write_atomically(path, 'new')
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == 'old'


def test_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, 'chmod', interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / 'a.json', 'new')
    assert list(tmp_path.iterdir()) == []


def test_new_file_replaces_the_old_one_and_all_may_read_it(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('old')
    write_atomically(path, 'new')
    assert path.read_text() == 'new'
    assert path.stat().st_mode & 0o777 == 0o644


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert cache_folder() == tmp_path / 'centertrack_ros'
    monkeypatch.setenv('HOME', str(tmp_path / 'me'))
    for value in ('relative', ''):
        monkeypatch.setenv('XDG_CACHE_HOME', value)
        assert cache_folder() == tmp_path / 'me' / '.cache' / 'centertrack_ros'
    monkeypatch.delenv('XDG_CACHE_HOME')
    assert cache_folder() == tmp_path / 'me' / '.cache' / 'centertrack_ros'
