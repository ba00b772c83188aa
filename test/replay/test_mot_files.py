from __future__ import annotations

import numpy as np
import pytest

from centertrack_ros.replay.mot_files import FrameBoxes, format_mot, read_mot, write_mot


def _frame(ids, boxes, scores):
    return FrameBoxes(np.array(ids, np.int64), np.array(boxes, float), np.array(scores, float))


FRAMES = [
    _frame([2, 1], [[10, 20, 40.5, 80], [0, 0, 5, 5]], [0.5, 0.25]),
    FrameBoxes.empty(),
    _frame([2], [[11.1236, 20, 41, 80]], [1.0]),
]


def test_lines():
    assert format_mot(FRAMES) == (
        '1,1,0.000,0.000,5.000,5.000,0.2500,-1,-1,-1\n'
        '1,2,10.000,20.000,30.500,60.000,0.5000,-1,-1,-1\n'
        '3,2,11.124,20.000,29.876,60.000,1.0000,-1,-1,-1\n'
    )


def test_round_trip(tmp_path):
    write_mot(tmp_path / 'a.txt', FRAMES)
    read = read_mot(tmp_path / 'a.txt')
    assert [len(frame) for frame in read] == [2, 0, 1]
    assert read[0].ids.tolist() == [1, 2]
    assert read[0].boxes == pytest.approx(np.array([[0, 0, 5, 5], [10, 20, 40.5, 80]]))
    assert read[2].boxes == pytest.approx(FRAMES[2].boxes, abs=1e-3)
    assert format_mot(read) == format_mot(FRAMES)


def test_nothing(tmp_path):
    write_mot(tmp_path / 'empty.txt', [])
    assert read_mot(tmp_path / 'empty.txt') == []


def test_ground_truth_of_both_generations(tmp_path):
    path = tmp_path / 'gt.txt'
    # MOT15: ten columns, the eighth is a place in the world and no class.
    path.write_text('1,1,0,0,5,5,1,4.5,3.2,0\n1,2,0,0,5,5,0,4.5,3.2,0\n')
    assert [frame.ids.tolist() for frame in read_mot(path, ground_truth=True)] == [[1]]
    # MOT16 and later: nine columns, class 1 = pedestrian, 3 = car.
    path.write_text('1,1,0,0,5,5,1,1,0.9\n1,2,0,0,5,5,1,3,0.9\n1,3,0,0,5,5,0,1,0.9\n')
    assert [frame.ids.tolist() for frame in read_mot(path, ground_truth=True)] == [[1]]
    assert [frame.ids.tolist() for frame in read_mot(path)] == [[1, 2, 3]]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('1,1,0,0,5,5\n1,2,0\n', 'line 2'),
        ('1,1,0,0,five,5\n', 'line 1'),
        ('0,1,0,0,5,5\n', 'from 1'),
        ('1.5,1,0,0,5,5\n', 'line 1'),
        ('1,1,0,0,nan,5\n', 'finite'),
        ('1,1,0,0,5,5\n1,1,9,9,5,5\n', 'image 1 has two'),
    ],
)
def test_broken_lines(tmp_path, text, message):
    (tmp_path / 'bad.txt').write_text(text)
    with pytest.raises(ValueError, match=message):
        read_mot(tmp_path / 'bad.txt')


def test_no_text_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.txt'):
        read_mot(tmp_path / 'nowhere.txt')
    (tmp_path / 'binary.txt').write_bytes(bytes(range(128, 256)))
    with pytest.raises(ValueError, match='not text'):
        read_mot(tmp_path / 'binary.txt')


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'tracks.txt'
    path.write_text('old')

    def full(*_):
        raise OSError('disk full')

    monkeypatch.setattr('pathlib.Path.replace', full)
    with pytest.raises(OSError, match='disk full'):
        write_mot(path, FRAMES)
    assert path.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [path]
