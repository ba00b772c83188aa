"""Files that several tests of converters read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from converting import picture

MOT_FOLDERS = ('pets09_s2l1', 'metrics/tud/gt/TUD-Campus', 'metrics/tud/gt/TUD-Stadtmitte')
MOT_LENGTHS = (795, 71, 179)


@pytest.fixture(scope='module')
def mot_root(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real ground truth of three videos, with one grey picture for all frames."""
    root = tmp_path_factory.mktemp('mot')
    grey = picture(root / 'grey.jpg', 480, 640)
    for name, length in zip(MOT_FOLDERS, MOT_LENGTHS, strict=True):
        source = shared_folder / 'data' / name
        folder = root / source.name
        (folder / 'gt').mkdir(parents=True)
        (folder / 'img1').mkdir()
        shutil.copy(source / 'seqinfo.ini', folder)
        shutil.copy(source / 'gt' / 'gt.txt', folder / 'gt')
        for number in range(1, length + 1):
            (folder / 'img1' / f'{number:06d}.jpg').symlink_to(grey)
    return root


@pytest.fixture(scope='module')
def kitti_labels(shared_folder: Path) -> Path:
    """The real labels of 21 videos."""
    root = shared_folder / 'data' / 'metrics' / 'kitti_ciwt' / 'gt' / 'kitti'
    return root / 'kitti_2d_box_train' / 'label_02'


@pytest.fixture(scope='module')
def kitti_images(kitti_labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One grey picture for every frame of the videos 0000 and 0012."""
    root = tmp_path_factory.mktemp('kitti')
    grey = picture(root / 'grey.png', 375, 1242)
    for line in (kitti_labels.parent / 'evaluate_tracking.seqmap.training').open():
        name, _, _, length = line.split()
        if name in ('0000', '0012'):
            (root / 'image_02' / name).mkdir(parents=True)
            for number in range(int(length)):
                (root / 'image_02' / name / f'{number:06d}.png').symlink_to(grey)
    return root / 'image_02'
