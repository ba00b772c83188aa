"""Every data set of the catalogue in miniature, as it is after the download."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tiny_nuscenes import write_tiny_nuscenes

from training.classes import COCO_CLASSES, COCO_JOINTS

_SIZE = (120, 200)
_KITTI_LABEL = (
    'Car 0.00 0 -1.58 {left} 40.0 {right} 90.0 1.50 1.60 3.90 {x} 1.65 20.0 -1.56\n'
    'DontCare -1 -1 -10 150.0 10.0 170.0 30.0 -1 -1 -1 -1000 -1000 -1000 -10\n'
)
_KITTI_CAMERA = 'P0: 1\nP2: 100 0 100 4.5 0 100 60 0.2 0 0 1 0.003\n'


def write_miniature(source: str, root: Path) -> None:
    """Write what the download of `source` leaves in its folder below `root`."""
    _WRITERS[source](root)


def _picture(path: Path, size: tuple[int, int] = _SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(len(path.name)).integers(0, 255, (*size, 3))
    assert cv2.imwrite(str(path), values.astype(np.uint8))


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')


def _mot(folder: Path, sequence: str, labelled: bool = True) -> None:
    frames = range(1, 7)
    for frame in frames:
        _picture(folder / sequence / 'img1' / f'{frame:06d}.jpg')
    height, width = _SIZE
    _text(
        folder / sequence / 'seqinfo.ini',
        f'[Sequence]\nname={sequence}\nimDir=img1\nframeRate=30\nseqLength={len(frames)}\n'
        f'imWidth={width}\nimHeight={height}\nimExt=.jpg\n',
    )
    if labelled:
        rows = [
            f'{frame},{track},{20 * track + 3 * frame},30,18,50,1,1,1\n'
            for frame in frames
            for track in (1, 2, 3)
        ]
        _text(folder / sequence / 'gt' / 'gt.txt', ''.join(rows))


def _mot17(root: Path) -> None:
    for detector in ('DPM', 'FRCNN'):
        _mot(root / 'data/mot17/train', f'MOT17-02-{detector}')
        _mot(root / 'data/mot17/test', f'MOT17-01-{detector}', labelled=False)


def _mot20(root: Path) -> None:
    _mot(root / 'data/mot20/train', 'MOT20-01')
    _mot(root / 'data/mot20/test', 'MOT20-04', labelled=False)


def _dancetrack(root: Path) -> None:
    for part in ('train', 'val', 'test'):
        _mot(root / 'data/dancetrack' / part, 'dancetrack0001', labelled=part != 'test')


def _kitti_tracking(root: Path) -> None:
    folder = root / 'data/kitti-tracking'
    rows = []
    for frame in range(6):
        label = _KITTI_LABEL.format(left=20 + 4 * frame, right=80 + 4 * frame, x=-9.0 + frame)
        car, rest = label.splitlines()
        rows += [f'{frame} 0 {car}\n', f'{frame} -1 {rest}\n']
        for part in ('training', 'testing'):
            _picture(folder / part / 'image_02' / '0000' / f'{frame:06d}.png')
    _text(folder / 'training/label_02/0000.txt', ''.join(rows))
    for part in ('training', 'testing'):
        _text(folder / part / 'calib/0000.txt', _KITTI_CAMERA)


def _kitti(root: Path) -> None:
    folder = root / 'data/kitti'
    for number in range(4):
        _picture(folder / f'training/image_2/{number:06d}.png')
        label = _KITTI_LABEL.format(left=20 + 9 * number, right=80 + 9 * number, x=-9.0 + number)
        _text(folder / f'training/label_2/{number:06d}.txt', label)
        _text(folder / f'training/calib/{number:06d}.txt', _KITTI_CAMERA)
    for split in ('3dop', 'subcnn'):
        _text(folder / f'ImageSets_{split}/train.txt', '000000\n000002\n')
        _text(folder / f'ImageSets_{split}/val.txt', '000001\n000003\n')


def _nuscenes(root: Path) -> None:
    folder = root / 'data/nuscenes'
    write_tiny_nuscenes(folder, ['scene-0001', 'scene-0003'], 'v1.0-trainval')
    write_tiny_nuscenes(folder, ['scene-0061', 'scene-0103'], 'v1.0-mini')
    write_tiny_nuscenes(folder, ['scene-0077'], 'v1.0-test', things=())


def _crowdhuman(root: Path) -> None:
    folder = root / 'data/crowdhuman'
    for part in ('train', 'val'):
        lines = []
        for number in range(3):
            name = f'{part},{number}'
            _picture(folder / part / 'Images' / f'{name}.jpg')
            boxes = [
                {'tag': 'person', 'fbox': [30 * place, -5, 25, 70], 'extra': {}}
                for place in range(1, 4)
            ]
            boxes.append({'tag': 'mask', 'fbox': [150, 20, 30, 30], 'extra': {'ignore': 1}})
            lines.append(json.dumps({'ID': name, 'gtboxes': boxes}) + '\n')
        _text(folder / f'annotation_{part}.odgt', ''.join(lines))


def _coco_file(path: Path, images: Path, categories: list[dict[str, Any]], **fields: Any) -> None:
    content: dict[str, Any] = {'images': [], 'annotations': [], 'categories': categories}
    for number in range(1, 4):
        name = f'{number:012d}.jpg'
        _picture(images / name)
        content['images'].append(
            {'id': number, 'file_name': name, 'height': _SIZE[0], 'width': _SIZE[1]}
        )
        content['annotations'].append(
            {'id': number, 'image_id': number, 'category_id': 1, 'iscrowd': 0, 'area': 2400,
             'bbox': [30 + number, 20, 40, 60], **fields}
        )  # fmt: skip
    _text(path, json.dumps(content))


def _coco(root: Path) -> None:
    categories = [{'id': place, 'name': name} for place, name in enumerate(COCO_CLASSES, 1)]
    outline = [[35, 20, 60, 25, 70, 75, 40, 80]]
    for part in ('train2017', 'val2017'):
        path = root / f'data/coco/annotations/instances_{part}.json'
        _coco_file(path, root / 'data/coco' / part, categories, segmentation=outline)


def _coco_keypoints(root: Path) -> None:
    person = {'id': 1, 'name': 'person', 'keypoints': list(COCO_JOINTS), 'skeleton': [[1, 2]]}
    joints = [value for place in range(17) for value in (35 + place, 25 + 3 * place, 2)]
    for part in ('train2017', 'val2017'):
        path = root / f'data/coco/annotations/person_keypoints_{part}.json'
        fields = {'keypoints': joints, 'num_keypoints': 17}
        _coco_file(path, root / 'data/coco' / part, [person], **fields)


def _voc(root: Path) -> None:
    for year, part in ((2007, 'trainval'), (2012, 'trainval'), (2007, 'test')):
        folder = root / f'data/voc/VOCdevkit/VOC{year}'
        names = [f'{year}{part}{number}' for number in range(3)]
        _text(folder / f'ImageSets/Main/{part}.txt', '\n'.join(names) + '\n')
        for name in names:
            _picture(folder / f'JPEGImages/{name}.jpg')
            _text(
                folder / f'Annotations/{name}.xml',
                f'<annotation><filename>{name}.jpg</filename>\n'
                f'<size><width>{_SIZE[1]}</width><height>{_SIZE[0]}</height><depth>3</depth></size>\n'
                '<object><name>dog</name><difficult>0</difficult>\n<bndbox><xmin>31</xmin>'
                '<ymin>21</ymin><xmax>90</xmax><ymax>80</ymax></bndbox></object></annotation>\n',
            )


def _own(root: Path) -> None:
    folder = root / 'data/own'
    _text(folder / 'classes.txt', 'person\n')
    for part in ('train', 'val'):
        for number in range(3):
            _picture(folder / part / 'images' / f'{number}.png')
            _text(folder / part / 'labels' / f'{number}.txt', '0 0.5 0.5 0.2 0.6\n')


_WRITERS: dict[str, Callable[[Path], None]] = {
    'mot17': _mot17,
    'mot20': _mot20,
    'dancetrack': _dancetrack,
    'kitti-tracking': _kitti_tracking,
    'kitti': _kitti,
    'nuscenes': _nuscenes,
    'crowdhuman': _crowdhuman,
    'coco': _coco,
    'coco-keypoints': _coco_keypoints,
    'voc': _voc,
    'own': _own,
}
