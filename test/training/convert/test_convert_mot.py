"""MOT folders: real ground truth, halves, classes, and complaints with file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from converting import convert, picture, records_of, text_file

from centertrack_ros.replay.mot_files import read_mot
from training.convert.mot import MotRules, convert_mot, read_sequence_info

INFO = ('[Sequence]', 'name=A', 'imDir=img1', 'seqLength=4', 'imWidth=64', 'imHeight=48')


def make_sequence(root: Path, *rows: str, digits: int = 6) -> Path:
    folder = root / 'A'
    text_file(folder / 'seqinfo.ini', *INFO, 'imExt=.jpg')
    text_file(folder / 'gt' / 'gt.txt', *rows)
    for number in range(1, 5):
        # Never opened: the size stands in seqinfo.ini.
        text_file(folder / 'img1' / f'{number:0{digits}d}.jpg')
    return root


def test_real_ground_truth_is_what_our_mot_reader_reads(mot_root, tmp_path):
    output = tmp_path / 'all.json'
    assert convert('mot', mot_root, '--output', output) == 0
    records = records_of(output, ('person',))
    assert len(records) == 795 + 71 + 179
    first = 0
    for folder in sorted(path.parent for path in mot_root.glob('*/seqinfo.ini')):
        frames = read_mot(folder / 'gt' / 'gt.txt', ground_truth=True)
        video = records[first : first + read_sequence_info(folder / 'seqinfo.ini').length]
        first += len(video)
        assert len(video) >= len(frames)
        assert [record.frame for record in video] == list(range(1, len(video) + 1))
        assert len({record.video for record in video}) == 1
        for record, frame in zip(video, frames, strict=False):
            order, expected = np.argsort(record.labels.track_ids), np.argsort(frame.ids)
            np.testing.assert_array_equal(record.labels.track_ids[order], frame.ids[expected])
            np.testing.assert_allclose(
                record.labels.boxes[order], frame.boxes[expected], atol=1e-3
            )
        assert all(not len(record.labels) for record in video[len(frames) :])
    assert first == len(records)


def test_counts_of_real_videos(mot_root, tmp_path, capsys):
    assert convert('mot', mot_root, '--output', tmp_path / 'all.json') == 0
    expected = '3 videos, 1045 images, 6165 boxes, 37 tracks, 0 ignored, 0 skipped'
    assert expected in capsys.readouterr().out


def test_size_from_the_pictures_where_the_file_does_not_say(mot_root):
    content = convert_mot(mot_root, pattern='TUD-*').content()
    assert {(image['height'], image['width']) for image in content['images']} == {(480, 640)}
    content = convert_mot(mot_root, pattern='pets*').content()
    assert {(image['height'], image['width']) for image in content['images']} == {(576, 768)}


def test_frame_rates_are_those_of_the_sequences(mot_root, tmp_path):
    content = convert_mot(mot_root, pattern='pets*').content()
    assert [video['fps'] for video in content['videos']] == [7.0]
    info = tmp_path / 'seqinfo.ini'
    info.write_text('[Sequence]\nseqLength=3\nframeRate=0\n', encoding='utf-8')
    with pytest.raises(ValueError, match=r'frameRate above 0, received 0\.0'):
        read_sequence_info(info)


def test_halves_add_up_and_the_first_has_one_more(mot_root):
    whole, first, second = (
        convert_mot(mot_root, half=half).content() for half in (None, 'first', 'second')
    )
    for table in ('images', 'annotations'):
        assert len(first[table]) + len(second[table]) == len(whole[table])
    names = [image['file_name'] for half in (first, second) for image in half['images']]
    assert sorted(names) == sorted(image['file_name'] for image in whole['images'])
    counts = [sum(image['video_id'] == 1 for image in half['images']) for half in (first, second)]
    length = sum(image['video_id'] == 1 for image in whole['images'])
    assert counts == [length // 2 + 1, length - length // 2 - 1]
    assert min(image['frame_id'] for image in second['images']) == 1
    boxes = [[str(row['bbox']) for row in part['annotations']] for part in (whole, first, second)]
    assert sorted(boxes[0]) == sorted(boxes[1] + boxes[2])


ROWS = (
    '1,1,1,2,10,20,1,1,0.9',
    '1,2,5,2,10,20,0,1,0.9',  # not to be compared
    '2,1,2,2,10,20,1,1,0.2',  # hidden
    '2,3,30,2,10,20,0,7,1',  # stands for long
    '2,4,30,2,10,20,1,12,0.1',  # reflection, hidden
    '3,5,40,2,10,20,1,3,1',  # a car
    '4,1,3,2,10,20,1,1,0.25',
    '4,6,3,2,0,20,1,1,1',  # no area
)


def test_classes_confidence_and_visibility(tmp_path, capsys):
    make_sequence(tmp_path, *ROWS)
    output = tmp_path / 'a.json'
    assert convert('mot', tmp_path, '--output', output) == 0
    assert (
        '1 videos, 4 images, 2 boxes, 1 tracks, 1 ignored, 5 skipped (box without area: 1, '
        'class 3: 1, confidence 0: 1, visibility below 0.25: 2)'
    ) in capsys.readouterr().out
    labels = [record.labels for record in records_of(output, ('person',))]
    assert [len(label) for label in labels] == [1, 0, 0, 1]
    assert [len(label.ignore_boxes) for label in labels] == [0, 1, 0, 0]
    np.testing.assert_allclose(labels[0].boxes, [[1, 2, 11, 22]])
    np.testing.assert_allclose(labels[0].visibilities, [0.9])
    np.testing.assert_allclose(labels[1].ignore_boxes, [[30, 2, 40, 22]])
    assert labels[1].ignore_classes.tolist() == [0]


def test_other_rules(tmp_path):
    make_sequence(tmp_path, *ROWS)
    original = convert_mot(tmp_path, rules=MotRules(flagged_only=True)).counts
    assert (original.boxes, original.ignored) == (2, 0)
    rules = MotRules(object_classes=(1, 3), ignore_classes=(), min_visibility=0.0)
    counts = convert_mot(tmp_path, rules=rules).counts
    assert (counts.boxes, counts.ignored, counts.skipped['confidence 0']) == (4, 0, 1)
    assert (counts.skipped['class 7'], counts.skipped['class 12']) == (1, 1)


def test_class_options(tmp_path):
    make_sequence(tmp_path, *ROWS)
    output = tmp_path / 'a.json'
    options = ('--classes', '1,3', '--ignore-classes', '7', '--class-name', 'pedestrian')
    assert convert('mot', tmp_path, '--output', output, *options) == 0
    records = records_of(output, ('pedestrian',))
    assert sum(len(record.labels) for record in records) == 3


def test_dance_track_has_eight_digits(tmp_path):
    make_sequence(tmp_path, '1,0,1,2,10,20,1,1,1', digits=8)
    content = convert_mot(tmp_path).content()
    assert content['images'][0]['file_name'] == 'A/img1/00000001.jpg'
    assert content['annotations'][0]['track_id'] == 0
    alone = convert_mot(tmp_path / 'A').content()
    assert alone['images'][3]['file_name'] == 'img1/00000004.jpg'


def test_test_sets_have_no_labels(tmp_path, capsys):
    make_sequence(tmp_path)
    (tmp_path / 'A' / 'gt' / 'gt.txt').unlink()
    output = tmp_path / 'a.json'
    assert convert('mot', tmp_path, '--output', output) == 2
    assert 'gt.txt does not exist' in capsys.readouterr().err
    assert not output.exists()
    assert convert('mot', tmp_path, '--output', output, '--no-labels') == 0
    assert len(records_of(output, ('person',))) == 4


@pytest.mark.parametrize(
    ('row', 'complaint'),
    [
        ('1,2,x,4,5,6,1', "received '1 2 x 4 5 6 1'"),
        ('1,2,3,4,5', 'expected frame, id, left'),
        ('1,2,3,4,nan,6,1', 'received'),
        ('5,2,3,4,5,6,1', 'frame: expected at most 4, received 5'),
        ('0,2,3,4,5,6,1', 'frame: expected a whole number from 1, received 0'),
        ('1,2.5,3,4,5,6,1', 'id: expected a whole number from 0, received 2.5'),
        ('1,2,3,4,-5,6,1', 'sizes from 0'),
        ('1,2,3,4,5,6,1,1,1.5', 'visibility: expected 0 to 1, received 1.5'),
        ('1,1,3,4,5,6,1,1,1', 'received track 1 twice'),
    ],
)
def test_malformed_rows_name_file_and_line(tmp_path, capsys, row, complaint):
    make_sequence(tmp_path, '1,1,1,2,10,20,1,1,0.9', '', row)
    output = tmp_path / 'out' / 'a.json'
    assert convert('mot', tmp_path, '--output', output) == 2
    error = capsys.readouterr().err
    assert f'{tmp_path / "A" / "gt" / "gt.txt"}, line 3: ' in error
    assert complaint in error
    assert not output.parent.exists()


def test_missing_pictures_and_broken_information(tmp_path):
    make_sequence(tmp_path)
    (tmp_path / 'A' / 'img1' / '000003.jpg').unlink()
    with pytest.raises(ValueError, match=r'numbered 1 to 4 .* received 3 images'):
        convert_mot(tmp_path)
    text_file(tmp_path / 'A' / 'seqinfo.ini', *INFO[:3])
    with pytest.raises(ValueError, match=r'seqinfo.ini: expected .* KeyError\(.seqLength'):
        convert_mot(tmp_path)
    with pytest.raises(FileNotFoundError, match=r'folders B\* with seqinfo.ini'):
        convert_mot(tmp_path, pattern='B*')
    picture(tmp_path / 'empty' / 'a.png')
    with pytest.raises(FileNotFoundError, match=r'folders \* with seqinfo.ini'):
        convert_mot(tmp_path / 'empty')
