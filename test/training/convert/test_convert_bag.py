"""Frames out of a bag: those of the video it came from, and nothing half done."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from converting import content_of, convert, records_of

from centertrack_ros.replay.make_bag import make_bag
from centertrack_ros.replay.sources import Frame, open_source
from training.convert.bag import convert_bag

COUNT = 7


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """A short video without loss."""
    path = tmp_path_factory.mktemp('video') / 'short.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'FFV1'), 10, (64, 48))
    generator = np.random.default_rng(0)
    for _ in range(COUNT):
        writer.write(generator.integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    return path


@pytest.fixture(scope='module')
def bag(video):
    path = video.parent / 'bag'
    make_bag(open_source(video), path, topic='/front')
    return path


def test_frames_are_those_of_the_video(video, bag, tmp_path, capsys):
    output = tmp_path / 'new' / 'frames'
    assert convert('bag', bag, '--topic', '/front', '--output', output) == 0
    assert f'{output}: 1 videos, {COUNT} images, 0 boxes' in capsys.readouterr().out
    records = records_of(output / 'annotations.json', ('person',))
    assert [record.frame for record in records] == list(range(1, COUNT + 1))
    assert len({record.video for record in records}) == 1
    frames = list(open_source(video))
    assert len(frames) == len(records)
    for frame, record in zip(frames, records, strict=True):
        image = cv2.imread(str(output / 'images' / record.path.name))
        np.testing.assert_array_equal(image, frame.image)
        assert record.size == (48, 64)
    stamps = [row['stamp_ns'] for row in content_of(output / 'annotations.json')['images']]
    assert np.diff(stamps).tolist() == [100_000_000] * (COUNT - 1)
    assert sorted(path.name for path in output.parent.iterdir()) == ['frames']


def test_every_third_image_as_jpeg(bag, tmp_path, capsys):
    options = ('--every', 3, '--suffix', '.jpg', '--classes', 'dog', 'cat')
    assert convert('bag', bag, '--output', tmp_path / 'f', *options) == 0
    assert '3 images, 0 boxes, 0 tracks, 0 ignored, 4 skipped' in capsys.readouterr().out
    content = content_of(tmp_path / 'f' / 'annotations.json')
    assert [row['file_name'] for row in content['images']] == [f'{n:06d}.jpg' for n in (1, 2, 3)]
    assert [row['name'] for row in content['categories']] == ['dog', 'cat']
    assert len(list((tmp_path / 'f' / 'images').iterdir())) == 3


def test_nothing_is_overwritten_or_left_half_done(bag, tmp_path, capsys):
    (tmp_path / 'mine').mkdir()
    assert convert('bag', bag, '--output', tmp_path / 'mine') == 2
    assert 'exists already' in capsys.readouterr().err
    assert convert('bag', bag, '--topic', '/rear', '--output', tmp_path / 'f') == 2
    assert "'/rear'" in capsys.readouterr().err

    class Broken:
        description = 'broken'
        fps = 10.0
        count = None

        def __iter__(self):
            yield Frame(np.zeros((4, 4, 3), np.uint8), 0)
            raise ValueError('broken: image 2 is damaged')

    with pytest.raises(ValueError, match='image 2 is damaged'):
        convert_bag(Broken(), tmp_path / 'f', ('person',))
    with pytest.raises(ValueError, match='every: expected 1 or more'):
        convert_bag(Broken(), tmp_path / 'f', ('person',), every=0)
    with pytest.raises(ValueError, match='classes: expected different names'):
        convert_bag(Broken(), tmp_path / 'f', ('a', 'a'))
    assert [path.name for path in tmp_path.iterdir()] == ['mine']
