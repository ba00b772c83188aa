from __future__ import annotations

import pytest
from replay_helpers import FRAME_COUNT

from centertrack_ros.replay import make_bag
from centertrack_ros.replay.sources import open_source


def _run(*arguments):
    return make_bag.main([str(argument) for argument in arguments])


def test_command_line(tmp_path, video_path, capsys):
    output = tmp_path / 'new' / 'bag'
    arguments = ['--topic', '/front', '--frame-id', 'front', '--transport', 'compressed']
    assert _run(video_path, output, *arguments) == 0
    assert f'{FRAME_COUNT} images' in capsys.readouterr().out
    source = open_source(output)
    assert '/front' in source.description
    assert next(iter(source)).frame_id == 'front'


def test_same_video_gives_the_same_bag(tmp_path, video_path):
    for name in ('a', 'b'):
        assert _run(video_path, tmp_path / name / 'bag', '--storage', 'mcap') == 0
    files = [(tmp_path / name / 'bag' / 'bag.mcap').read_bytes() for name in ('a', 'b')]
    assert files[0] == files[1]


def test_existing_bag_only_with_force(tmp_path, video_path, capsys):
    output = tmp_path / 'bag'
    assert _run(video_path, output) == 0
    assert _run(video_path, output) == 2
    assert '--force' in capsys.readouterr().err
    assert _run(video_path, output, '--force', '--transport', 'compressed') == 0
    assert 'compressed' in open_source(output).description


def test_force_does_not_remove_other_folders(tmp_path, video_path):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'letter.txt').write_text('dear')
    assert _run(video_path, tmp_path / 'mine', '--force') == 2
    assert (tmp_path / 'mine' / 'letter.txt').read_text() == 'dear'


def test_broken_video_leaves_nothing(tmp_path, video_path, capsys):
    cut = tmp_path / 'cut.avi'
    cut.write_bytes(video_path.read_bytes()[: video_path.stat().st_size // 2])
    assert _run(cut, tmp_path / 'bag') == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith('error: ')
    assert 'breaks off' in last
    assert list(tmp_path.iterdir()) == [cut]


def test_stamps_of_a_bag_are_kept(tmp_path, video_path):
    assert _run(video_path, tmp_path / 'a') == 0
    assert _run(tmp_path / 'a', tmp_path / 'b', '--storage', 'mcap') == 0
    stamps = [[frame.stamp_ns for frame in open_source(tmp_path / name)] for name in 'ab']
    assert stamps[0] == stamps[1]


@pytest.mark.parametrize('argument', [{'storage': 'tape'}, {'transport': 'pigeon'}])
def test_unknown_choices(tmp_path, video_path, argument):
    with pytest.raises(ValueError, match='expected one of'):
        make_bag.make_bag(open_source(video_path), tmp_path / 'bag', **argument)
