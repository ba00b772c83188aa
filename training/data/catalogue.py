"""The data sets that configurations name: where they come from, where they go, what to run.

Folders are relative to the working directory, where a link does as well. `docs/datasets.md` says
the same for people.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONVERT = 'python -m training.convert'


@dataclass(frozen=True)
class DataSource:
    """One data set.

    Attributes:
        title: its name.
        home: its page; empty for own data.
        licence: in a word.
        download: what to take from there.
        folder: where it is expected.
        layout: the parts of the download that have to lie in `folder`.
        commands: arguments of `python -m training.convert`, one line for each annotation file.
        provided: annotation files in `folder` that are part of the download.
    """

    title: str
    home: str
    licence: str
    download: str
    folder: str
    layout: tuple[str, ...]
    commands: tuple[str, ...] = ()
    provided: tuple[str, ...] = ()

    def outputs(self) -> dict[str, str]:
        """Path that a command writes -> the command."""
        return {_output(command): command for command in self.commands}


def _mot(folder: str, sequences: str) -> tuple[str, ...]:
    """The whole training part, its halves, and the test part."""
    chosen = f" --sequences '{sequences}'" if sequences else ''
    train = f'mot {folder}/train{chosen}'
    return (
        f'{train} --output {folder}/annotations/train.json',
        f'{train} --half first --output {folder}/annotations/train_half.json',
        f'{train} --half second --output {folder}/annotations/val_half.json',
        f'mot {folder}/test{chosen} --no-labels --output {folder}/annotations/test.json',
    )


def _kitti_tracking(folder: str) -> tuple[str, ...]:
    training = f'{folder}/training'
    labelled = (
        f'kitti-tracking --images {training}/image_02 --labels {training}/label_02 '
        f'--calibrations {training}/calib'
    )
    return (
        f'{labelled} --output {folder}/annotations/train.json',
        f'{labelled} --half first --output {folder}/annotations/train_half.json',
        f'{labelled} --half second --output {folder}/annotations/val_half.json',
        f'kitti-tracking --images {folder}/testing/image_02 '
        f'--calibrations {folder}/testing/calib --output {folder}/annotations/test.json',
    )


def _kitti(folder: str) -> tuple[str, ...]:
    training = f'{folder}/training'
    return tuple(
        f'kitti --images {training}/image_2 --labels {training}/label_2 '
        f'--calibrations {training}/calib --list {folder}/ImageSets_{split}/{part}.txt '
        f'--output {folder}/annotations/{split}_{part}.json'
        for split in ('3dop', 'subcnn')
        for part in ('train', 'val')
    )


def _voc(folder: str) -> tuple[str, ...]:
    return tuple(
        f'voc {folder}/VOCdevkit/VOC{year}/Annotations '
        f'--list {folder}/VOCdevkit/VOC{year}/ImageSets/Main/{part}.txt '
        f'--output {folder}/annotations/{part}{year}.json'
        for year, part in ((2007, 'trainval'), (2012, 'trainval'), (2007, 'test'))
    )


CATALOGUE: dict[str, DataSource] = {
    'mot17': DataSource(
        title='MOT17',
        home='https://motchallenge.net/data/MOT17/',
        licence='non-commercial (CC BY-NC-SA 3.0)',
        download='MOT17.zip',
        folder='data/mot17',
        layout=('train/MOT17-02-FRCNN/img1, gt, seqinfo.ini, ...', 'test/MOT17-01-FRCNN/...'),
        # Each sequence is there three times, once for every public detector.
        commands=_mot('data/mot17', '*-FRCNN'),
    ),
    'mot20': DataSource(
        title='MOT20',
        home='https://motchallenge.net/data/MOT20/',
        licence='non-commercial (CC BY-NC-SA 3.0)',
        download='MOT20.zip',
        folder='data/mot20',
        layout=('train/MOT20-01/img1, gt, seqinfo.ini, ...', 'test/MOT20-04/...'),
        commands=_mot('data/mot20', ''),
    ),
    'dancetrack': DataSource(
        title='DanceTrack',
        home='https://dancetrack.github.io',
        licence='non-commercial research',
        download='train1.zip, train2.zip, val.zip, test1.zip, test2.zip',
        folder='data/dancetrack',
        layout=('train/dancetrack0001/img1, gt, seqinfo.ini, ...', 'val/...', 'test/...'),
        commands=(
            'mot data/dancetrack/train --output data/dancetrack/annotations/train.json',
            'mot data/dancetrack/val --output data/dancetrack/annotations/val.json',
            'mot data/dancetrack/test --no-labels --output data/dancetrack/annotations/test.json',
        ),
    ),
    'kitti-tracking': DataSource(
        title='KITTI tracking',
        home='https://www.cvlibs.net/datasets/kitti/eval_tracking.php',
        licence='non-commercial (CC BY-NC-SA 3.0)',
        download='left color images, camera calibration matrices and training labels',
        folder='data/kitti-tracking',
        layout=('training/image_02/0000/000000.png, ...', 'training/label_02/0000.txt, ...',
                'training/calib/0000.txt, ...', 'testing/image_02, calib'),
        commands=_kitti_tracking('data/kitti-tracking'),
    ),
    'kitti': DataSource(
        title='KITTI 3D objects',
        home='https://www.cvlibs.net/datasets/kitti/eval_object.php?obj_benchmark=3d',
        licence='non-commercial (CC BY-NC-SA 3.0)',
        download='left color images, camera calibration matrices and training labels; '
                 'the lists of images of the splits of 3DOP '
                 '(https://xiaozhichen.github.io/files/mv3d/imagesets.tar.gz) and SubCNN '
                 '(https://github.com/tanshen/SubCNN, fast-rcnn/data/KITTI)',
        folder='data/kitti',
        layout=('training/image_2/000000.png, ...', 'training/label_2/000000.txt, ...',
                'training/calib/000000.txt, ...', 'ImageSets_3dop/train.txt, val.txt',
                'ImageSets_subcnn/train.txt, val.txt'),
        commands=_kitti('data/kitti'),
    ),
    'nuscenes': DataSource(
        title='nuScenes',
        home='https://www.nuscenes.org/nuscenes',
        licence='non-commercial (CC BY-NC-SA 4.0)',
        download='the metadata and the keyframe blobs (of these only the camera images are '
                 'needed) of the full dataset v1.0, or v1.0-mini',
        folder='data/nuscenes',
        layout=('v1.0-trainval/scene.json, sample.json, ...', 'samples/CAM_FRONT/..., and the '
                'other five cameras'),
        commands=tuple(
            f'nuscenes data/nuscenes --split {split} '
            f'--output data/nuscenes/annotations/{split}.json'
            for split in ('train', 'val', 'mini_train', 'mini_val', 'test')
        ),
    ),
    'crowdhuman': DataSource(
        title='CrowdHuman',
        home='https://www.crowdhuman.org',
        licence='non-commercial research',
        download='CrowdHuman_train01.zip to 03, CrowdHuman_val.zip and both annotation files',
        folder='data/crowdhuman',
        layout=('annotation_train.odgt', 'annotation_val.odgt', 'train/Images/*.jpg',
                'val/Images/*.jpg'),
        commands=tuple(
            f'crowdhuman data/crowdhuman/annotation_{part}.odgt '
            f'--images data/crowdhuman/{part}/Images '
            f'--output data/crowdhuman/annotations/{part}.json'
            for part in ('train', 'val')
        ),
    ),
    'coco': DataSource(
        title='COCO 2017',
        home='https://cocodataset.org/#download',
        licence='annotations CC BY 4.0, pictures as on Flickr',
        download='2017 Train images, 2017 Val images, 2017 Train/Val annotations',
        folder='data/coco',
        layout=('train2017/*.jpg', 'val2017/*.jpg', 'annotations/instances_train2017.json',
                'annotations/instances_val2017.json'),
        provided=('annotations/instances_train2017.json', 'annotations/instances_val2017.json'),
    ),
    'coco-keypoints': DataSource(
        title='COCO 2017 key points',
        home='https://cocodataset.org/#download',
        licence='annotations CC BY 4.0, pictures as on Flickr',
        download='2017 Train images, 2017 Val images, 2017 Train/Val annotations',
        folder='data/coco',
        layout=('train2017/*.jpg', 'val2017/*.jpg', 'annotations/person_keypoints_train2017.json',
                'annotations/person_keypoints_val2017.json'),
        commands=(
            'coco-person-keypoints data/coco/annotations/person_keypoints_train2017.json '
            '--output data/coco/annotations/pose_train2017.json',
        ),
        provided=('annotations/person_keypoints_val2017.json',),
    ),
    'voc': DataSource(
        title='Pascal VOC 2007 and 2012',
        home='http://host.robots.ox.ac.uk/pascal/VOC/',
        licence='pictures as on Flickr',
        download='training/validation data of VOC2007 and VOC2012, annotated test data of VOC2007',
        folder='data/voc',
        layout=tuple(
            f'VOCdevkit/VOC{year}/Annotations, ImageSets, JPEGImages' for year in (2007, 2012)
        ),
        commands=_voc('data/voc'),
    ),
    'own': DataSource(
        title='own data',
        home='',
        licence='yours',
        download='frames that you labelled, see docs/datasets.md',
        folder='data/own',
        layout=('train/images/*.png', 'train/labels/*.txt (YOLO)', 'val/images', 'val/labels',
                'classes.txt (a name on each line)'),
        commands=tuple(
            f'yolo --images data/own/{part}/images --labels data/own/{part}/labels '
            f'--names data/own/classes.txt --output data/own/{part}/annotations.json'
            for part in ('train', 'val')
        ),
    ),
}  # fmt: skip


# Sets that a command makes out of nothing.
SYNTHETIC = {
    f'tiny-{kind}': f'python -m training.data.tiny {kind} --output data/tiny_{kind}'
    for kind in ('video', 'pose', 'boxes3d')
} | {
    f'world-{part}': f'python -m training.data.world data/world/{part} {options}'
    for part, options in (
        ('train', '--seed 1 --sequences 160 --frames 18'),
        ('validation', '--seed 2 --sequences 4 --frames 30'),
    )
}


def missing_data_message(source: str, path: Path) -> str:
    """What to do when `path` of the data set `source` is not there.

    Args:
        source: a name in `CATALOGUE` or `SYNTHETIC`; others, the empty one included, get the
            general advice.
        path: annotation file or folder of images that was looked for.

    Returns:
        The path, what to download, where to put it, and the command to run.
    """
    if source in SYNTHETIC:
        return f'{path} does not exist. It is made by\n  {SYNTHETIC[source]}'
    entry = CATALOGUE.get(source)
    if entry is None:
        return (
            f'{path} does not exist. Correct the path in the configuration; how annotation files '
            f'are made says docs/datasets.md and {CONVERT} --help.'
        )
    return '\n'.join(_advice(entry, path))


def _advice(entry: DataSource, path: Path) -> Iterator[str]:
    yield f'{path} does not exist. It belongs to {entry.title} ({entry.licence}).'
    where = f' from {entry.home}' if entry.home else ''
    yield f'Download {entry.download}{where}' if where else f'Needed: {entry.download}'
    yield f'and put it into {entry.folder} (a link does as well), so that there are'
    yield from (f'  {entry.folder}/{part}' for part in entry.layout)
    outputs = entry.outputs()
    chosen = outputs.get(path.as_posix())
    commands = entry.commands if chosen is None else (chosen,)
    if commands:
        yield 'Then run'
        yield from (f'  {CONVERT} {command}' for command in commands)
    if path.is_absolute() or entry.folder not in path.as_posix():
        yield 'or change the path in the configuration.'


def _output(command: str) -> str:
    words = shlex.split(command)
    return words[words.index('--output') + 1]
