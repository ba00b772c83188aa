"""Wrong annotations and broken pictures: fatal with file and index, or left out and counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from coco_sets import Content, SmallSet, train_config, write_small_set
from torch.utils.data import DataLoader

from training.augment import NO_AUGMENTATION
from training.data.build import build_training_set, build_validation_pairs
from training.data.check import main as check
from training.data.coco_reader import ReadingRules, read_coco_file, read_coco_video
from training.data.dataset import TrackingDataset, initialize_worker
from training.data.faults import FaultCounts, FaultyPicture, too_many
from training.data.images import read_image
from training.experiment import model_spec

CLASSES = ('person', 'car')
SKIP = ReadingRules(joint_names=('nose', 'left_hand', 'right_hand'), faults='skip')


@pytest.fixture
def small(tmp_path: Path) -> SmallSet:
    """The set: images 0 to 11 with annotations 2 i and 2 i + 1."""
    return write_small_set(tmp_path)


def spoil(row: int, **values: object) -> Callable[[Content], object]:
    """Changes an annotation."""
    return lambda content: content['annotations'][row].update(values)


@pytest.mark.parametrize(
    ('values', 'complaint'),
    [
        ({'bbox': [4, 10, -16, 16]}, 'no area'),
        ({'bbox': [4, 10, 0, 0]}, 'no area'),
        ({'bbox': [4, 10, 'x', 16]}, 'four finite numbers'),
        ({'bbox': None}, 'four numbers'),
        ({'bbox': [4, 10, float('inf'), 16]}, 'four finite numbers'),
        ({'category_id': 2}, 'category_id 2 is no category'),
        ({'category_id': [1]}, 'category_id'),
        ({'image_id': 99}, 'image_id 99 is no image'),
        ({'image_id': {}}, 'image_id'),
        ({'track_id': 2}, 'track_id 2 twice'),
        ({'track_id': 'a'}, "track_id 'a' is no whole number"),
        ({'iscrowd': 'no'}, 'iscrowd'),
        ({'visibility': 2}, 'visibility'),
        ({'keypoints': [1, 2, 2]}, 'expected 9 numbers'),
        ({'keypoints': [1, 2, 7] * 3}, 'visibilities 0, 1 or 2'),
        ({'keypoints': [None, 2, 2] * 3}, 'keypoints: expected finite'),
        ({'depth': [1, 2]}, 'depth'),
    ],
)
def test_wrong_annotation_is_fatal_or_left_out(
    small: SmallSet, values: dict[str, object], complaint: str
) -> None:
    # The second of an image, so that its track repeats that of the first.
    row = 5 if values.get('track_id') != 2 else 4
    small.change(spoil(row, **values))
    wrong = row if values.get('track_id') != 2 else 5
    fatal = ReadingRules(joint_names=SKIP.joint_names)
    with pytest.raises(ValueError, match=rf'annotations\[{wrong}\]: .*{complaint}') as error:
        read_coco_video(small.annotations, small.folder, CLASSES, fatal)
    assert str(small.annotations) in str(error.value)
    file = read_coco_file(small.annotations, small.folder, CLASSES, SKIP)
    (fault,) = file.faults
    assert (fault.table, fault.index) == ('annotations', wrong)
    assert complaint in str(fault)
    boxes = [len(record.labels) for record in file.records]
    assert boxes == [2, 2, 1, *[2] * 9]
    joints = file.records[2].labels.joints
    assert joints is not None
    assert len(joints) == 1


@pytest.mark.parametrize(
    ('values', 'complaint'),
    [
        ({'id': 1}, 'id 1 was used before'),
        ({'frame_id': 1}, 'video 1 has frame 1 twice'),
        ({'frame_id': None}, 'frame_id None'),
        ({'file_name': 7}, 'file_name 7'),
        ({'width': 'wide'}, 'no size in pixels'),
        ({'calib': [1]}, 'calib'),
    ],
)
def test_wrong_image_is_left_out_with_its_annotations(
    small: SmallSet, values: dict[str, object], complaint: str
) -> None:
    small.change(lambda content: content['images'][2].update(values))
    if 'id' in values:
        small.change(
            lambda content: content.update(
                annotations=[row for row in content['annotations'] if row['image_id'] != 2]
            )
        )
    with pytest.raises(ValueError, match=rf'images\[2\]: .*{complaint}'):
        read_coco_video(small.annotations, small.folder, CLASSES)
    file = read_coco_file(small.annotations, small.folder, CLASSES, SKIP)
    assert [str(fault) for fault in file.faults] == [f'images[2]: {file.faults[0].reason}']
    assert [record.row for record in file.records] == [0, 1, *range(3, 12)]
    assert sum(len(record.labels) for record in file.records) == 22


def test_two_categories_of_one_id(small: SmallSet) -> None:
    small.change(lambda content: content['categories'].append({'id': 1, 'name': 'car'}))
    with pytest.raises(ValueError, match=r'categories\[\d\]: id 1 was used before'):
        read_coco_file(small.annotations, small.folder, CLASSES, SKIP)


def test_faults_are_reported(small: SmallSet, caplog: pytest.LogCaptureFixture) -> None:
    small.change(spoil(3, bbox=[0, 0, -1, 5]))
    small.change(spoil(8, category_id=9))
    with caplog.at_level(logging.WARNING):
        read_coco_video(small.annotations, small.folder, CLASSES, SKIP)
    assert [record.getMessage().split(': ')[1] for record in caplog.records] == [
        'annotations[3]',
        'annotations[8]',
    ]
    assert all(str(small.annotations) in record.getMessage() for record in caplog.records)


def test_many_faults_are_an_error_even_if_they_are_skipped(small: SmallSet) -> None:
    for row in range(3):
        small.change(spoil(row, bbox=[0, 0, 0, 0]))
    with pytest.raises(ValueError, match=r'3 of 24 annotations are wrong.*annotations\[0\]'):
        read_coco_video(small.annotations, small.folder, CLASSES, SKIP)
    small.change(lambda content: content['categories'][0].update(name='pedestrian'))
    with pytest.raises(ValueError, match=r"categories\[0\]: category 'pedestrian'"):
        read_coco_video(small.annotations, small.folder, CLASSES, SKIP)


@pytest.mark.parametrize(
    ('faults', 'entries', 'expected'),
    [(0, 0, False), (0, 5, False), (1, 5, False), (2, 5, True), (10, 100, False),
     (11, 100, True), (1, 1, True)],
)  # fmt: skip
def test_how_many_are_too_many(faults: int, entries: int, expected: bool) -> None:
    assert too_many(faults, entries) == expected


def all_items(dataset: TrackingDataset) -> None:
    """Make every sample of a run."""
    for index in range(len(dataset)):
        dataset[index]


def cut_off(path: Path) -> None:
    """Lose the second half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def shrink(path: Path) -> None:
    """Another size than annotated."""
    cv2.imwrite(str(path), np.zeros((24, 32, 3), np.uint8))


BREAKERS = {
    'absent': (Path.unlink, 'does not exist'),
    'cut off': (cut_off, 'is cut off or not a picture'),
    'empty': (lambda path: path.write_bytes(b''), 'is cut off or not a picture'),
    'size': (shrink, 'expected 64x48 pixels as annotated, received 32x24'),
    'turned': (
        lambda path: cv2.imwrite(str(path), np.zeros((64, 48, 3), np.uint8)),
        'EXIF',
    ),
}


@pytest.mark.parametrize('kind', BREAKERS)
def test_broken_picture_is_fatal(small: SmallSet, kind: str) -> None:
    breaker, complaint = BREAKERS[kind]
    breaker(small.folder / '08.png')
    config = train_config(small.entry())
    dataset = build_training_set(config, model_spec(config))
    with pytest.raises(FaultyPicture, match=rf'images\[8\]: .*08\.png.*{complaint}') as error:
        all_items(dataset)
    assert str(small.annotations) in str(error.value)


def test_complaint_of_a_worker_names_the_file(small: SmallSet) -> None:
    cut_off(small.folder / '08.png')
    config = train_config(small.entry())
    dataset = build_training_set(config, model_spec(config))
    loader = DataLoader(dataset, num_workers=1, worker_init_fn=initialize_worker)
    with pytest.raises(FaultyPicture, match=r'images\[8\]: .*08\.png is cut off'):
        list(loader)


@pytest.mark.parametrize('kind', ['absent', 'size'])
def test_broken_picture_is_replaced_the_same_way_everywhere(small: SmallSet, kind: str) -> None:
    BREAKERS[kind][0](small.folder / '08.png')
    small.change(spoil(3, bbox=[0, 0, -1, 5]))
    config = train_config(small.entry(mosaic=0.25), faults='skip')
    spec = model_spec(config)
    expected = build_training_set(config, spec)
    assert expected.faults == FaultCounts(entries=1, pictures=0)
    samples = [expected[index] for index in range(24)]
    assert expected.faults == FaultCounts(entries=1, pictures=1)
    dataset = build_training_set(config, spec)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, worker_init_fn=initialize_worker)
    for sample, received in zip(samples, loader, strict=True):
        for name, value in sample.items():
            np.testing.assert_array_equal(value, received[name])
    # Counted by the workers, seen here.
    assert dataset.faults == FaultCounts(entries=1, pictures=1)
    assert (
        dataset.broken_pictures.nonzero().tolist() == expected.broken_pictures.nonzero().tolist()
    )
    pairs = build_validation_pairs(
        train_config(small.entry(), validation=(small.entry(),), faults='skip'), spec
    )
    np.testing.assert_array_equal(pairs[8]['image'], pairs[9]['image'])


def test_broken_picture_is_reported_once(
    small: SmallSet, caplog: pytest.LogCaptureFixture
) -> None:
    (small.folder / '03.png').unlink()
    config = train_config(small.entry(), faults='skip')
    dataset = build_training_set(config, model_spec(config))
    with caplog.at_level(logging.WARNING):
        all_items(dataset)
    (record,) = caplog.records
    assert 'images[3]' in record.getMessage()
    assert str(small.folder / '03.png') in record.getMessage()


def test_many_broken_pictures_are_an_error(small: SmallSet) -> None:
    for index in (3, 7):
        (small.folder / f'{index:02d}.png').unlink()
    config = train_config(small.entry(), faults='skip')
    dataset = build_training_set(config, model_spec(config))
    with pytest.raises(ValueError, match='2 of 12 pictures are broken'):
        all_items(dataset)


def test_sample_that_cannot_be_made_names_its_picture(small: SmallSet) -> None:
    config = train_config(small.entry(), heads=('hm', 'reg', 'wh', 'hps'))
    config = replace(config, augmentation=NO_AUGMENTATION)
    dataset = build_training_set(config, model_spec(config))
    source = dataset._sources[0]
    record = source.records[5]
    joints = record.labels.joints
    object.__setattr__(record.labels, 'joints', joints[:, :2])
    with pytest.raises(ValueError, match=r'item \d+, .*images\[5\]: .*05\.png: joints'):
        all_items(dataset)


@pytest.mark.parametrize('extension', ['.jpg', '.png', '.bmp'])
def test_cut_off_pictures_are_not_half_read(tmp_path: Path, extension: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    path = tmp_path / f'picture{extension}'
    cv2.imwrite(str(path), noise)
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path)))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(0.9 * len(whole))])
    with pytest.raises(ValueError, match='cut off'):
        read_image(path)


def test_check_command(small: SmallSet, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ['--annotations', str(small.annotations), '--images', str(small.folder)]
    assert check(arguments) == 0
    output = capsys.readouterr().out
    assert '12 images in 7 videos or stills, 24 boxes' in output
    assert 'person       12        7        0       12' in output
    assert '0 faults' in output
    small.change(spoil(4, bbox=[0, 0, 0, 9]))
    small.change(spoil(6, iscrowd=1))
    small.change(spoil(8, bbox=[70, 0, 9, 9]))
    cut_off(small.folder / '11.png')
    assert check([*arguments, '--joints', 'nose,left_hand,right_hand', '--outlines']) == 1
    output = capsys.readouterr().out
    assert f'{small.annotations}: annotations[4]: bbox' in output
    assert f'{small.annotations}: images[11]: {small.folder / "11.png"} is cut off' in output
    assert '1 boxes lie outside' in output
    assert 'person       10        7        1       10' in output
    assert '2 faults' in output
    assert check([*arguments, '--classes', 'person']) == 2
    assert "categories[1]: category 'car'" in capsys.readouterr().err
    assert check([*arguments[:2], '--classes', 'person', '--skip-categories', 'car']) == 1
    assert check([*arguments[:2], '--images', str(small.folder / 'none')]) == 2
