"""KITTI's labels, converted, learnt by heart, decoded, tracked and written: the same lines."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from perfect_outputs import Oracle, exact_maps

from centertrack_ros.datatypes import Candidates
from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.model_spec import DecodeRules, ModelSpec, Thresholds
from centertrack_ros.settings import Settings
from training.augment import NO_AUGMENTATION
from training.convert.__main__ import main as convert
from training.convert.kitti import CLASSES, KittiLabel, parse_label
from training.data.coco_video import CocoVideoSource
from training.data.dataset import NO_NOISE, make_sample
from training.evaluation.kitti import KITTI_NAMES, write_kitti
from training.evaluation.runner import run_tracking
from training.evaluation.sets import EvaluationSet
from training.heads import head_channels
from training.models.decode import candidate_rows
from training.targets import TargetSettings

HEADS = ('hm', 'reg', 'wh', 'tracking', 'dep', 'rot', 'dim', 'amodel_offset')
# Half a unit of the second decimal.
QUANTISATION = 0.005
# As `config/training/kitti_3d_3dop.yaml`; not the size of the images.
INPUT = (384, 1280)
MOST_OBJECTS = 50

# Image -> labels with their tracks.
Lines = dict[int, list[tuple[int, KittiLabel]]]


def read_lines(path: Path) -> Lines:
    """Objects of the learnt classes in a label file or a result file."""
    found: Lines = {}
    for line in path.read_text().splitlines():
        frame, track, *columns = line.split()
        if columns[0].lower() in CLASSES:
            found.setdefault(int(frame), []).append((int(track), parse_label(columns[:15])))
    return found


def images_for(labels: Path, folder: Path, size: tuple[int, int]) -> Path:
    """`image_02` with a grey picture for each image of a label file."""
    grey = folder / 'grey.png'
    assert cv2.imwrite(str(grey), np.full((*size, 3), 90, np.uint8))
    (folder / 'image_02' / labels.stem).mkdir(parents=True)
    last = max(int(line.split()[0]) for line in labels.read_text().splitlines())
    for number in range(last + 1):
        (folder / 'image_02' / labels.stem / f'{number:06d}.png').symlink_to(grey)
    return folder / 'image_02'


def learnt_by_heart(annotations: Path, images: Path) -> tuple[ModelSpec, list[Candidates]]:
    """What a perfect model says of each image."""
    spec = ModelSpec(
        name='oracle', architecture='none', input_height=INPUT[0], input_width=INPUT[1],
        resize='letterbox', stride=4, max_candidates=MOST_OBJECTS, classes=CLASSES,
        heads=head_channels(HEADS, len(CLASSES), 0), box='wh', radius_rule='exact',
        prior_heatmap_stride=4, licence='', decode=DecodeRules(duplicate_overlap=1.0),
        thresholds=Thresholds(detection=0.3, track=0.3, birth=0.3, prior=0.3),
    )  # fmt: skip
    settings = TargetSettings(*INPUT, len(CLASSES), max_objects=MOST_OBJECTS, heads=spec.heads)
    source = CocoVideoSource(annotations, images, CLASSES)
    answers = []
    for index in range(len(source)):
        generator = np.random.default_rng(0)
        pair = source.evaluation_pair(index)
        sample = make_sample(pair, settings, NO_AUGMENTATION, NO_NOISE, generator)
        rows = candidate_rows(exact_maps(sample, spec.heads), MOST_OBJECTS, box='wh')
        answers.append(Candidates(**{name: value.numpy() for name, value in rows.items()}))
    return spec, answers


def there_and_back(labels: Path, folder: Path, *cameras: str, size=(375, 1242)) -> Lines:
    """The lines that a perfect model writes of a video."""
    images = images_for(labels, folder, size)
    annotations = folder / 'annotations.json'
    given = ['--images', images, '--labels', labels.parent, *cameras, '--output', annotations]
    assert convert(['kitti-tracking', *map(str, given)]) == 0
    spec, answers = learnt_by_heart(annotations, images)
    truth = EvaluationSet.load(annotations, images, CLASSES)
    # The default tracker smooths boxes.
    settings = Settings(tracker_method='centertrack')
    pipeline = assemble_pipeline(Oracle(answers), spec, settings)
    (path,) = write_kitti(folder / 'written', truth, run_tracking(pipeline, truth))
    assert path.name == labels.name
    return read_lines(path)


def numbers_of(label: KittiLabel) -> np.ndarray:
    """(12,): box as xyxy, dimensions, location, yaw, alpha."""
    left, top, width, height = label.box
    corners = [left, top, left + width, top + height]
    return np.array([*corners, *label.dimensions, *label.location, label.rotation_y, label.alpha])


def differences(expected: KittiLabel, received: KittiLabel) -> np.ndarray:
    """(12,) absolute; of angles the shorter way round."""
    away = numbers_of(received) - numbers_of(expected)
    away[10:] = np.angle(np.exp(1j * away[10:]))
    return np.abs(away)


def compared(truth: Lines, written: Lines) -> tuple[np.ndarray, dict[int, set[int]]]:
    """Differences (N, 12) of the lines that tell the same object, and track -> written tracks.

    Two objects whose middles share a cell of the map are one to any such network: the one that
    it cannot say has no line.
    """
    found, tracks = [], {}
    assert set(written) <= set(truth)
    for frame, lines in written.items():
        for track, line in lines:
            same = [other for other in truth[frame] if other[1].kind == line.kind]
            expected = min(same, key=lambda other: differences(other[1], line)[:4].sum())
            found.append(differences(expected[1], line))
            tracks.setdefault(expected[0], set()).add(track)
    return np.array(found), tracks


@pytest.mark.parametrize('known', [False, True], ids=['calib', 'known cameras'])
def test_a_made_up_video(data_folder, tmp_path, known):
    labels = data_folder / 'kitti' / 'label_02' / '0000.txt'
    calib = str(data_folder / 'kitti' / 'calib')
    cameras = ('--known-cameras',) if known else ('--calibrations', calib)
    truth, written = read_lines(labels), there_and_back(labels, tmp_path, *cameras)
    errors, tracks = compared(truth, written)
    assert len(errors) == sum(map(len, truth.values())) == 23
    # One decimal of the benchmark's own rounding is in the angles that follow from others.
    assert (errors[:, :11].max(axis=0) < QUANTISATION / 5).all(), errors.max(axis=0)
    assert errors[:, 11].max() <= QUANTISATION + 1e-4
    # The cyclist (3) that was gone comes back as another.
    assert {track: len(ids) for track, ids in tracks.items()} == {
        0: 1, 1: 1, 2: 1, 3: 2, 4: 1, 6: 1,
    }  # fmt: skip


def test_cars_cyclists_and_pedestrians_of_the_benchmark(shared_folder, tmp_path):
    folder = shared_folder / 'data/metrics/kitti_ciwt/gt/kitti/kitti_2d_box_train/label_02'
    (tmp_path / 'label_02').mkdir()
    labels = Path(shutil.copy(folder / '0012.txt', tmp_path / 'label_02'))
    truth, written = read_lines(labels), there_and_back(labels, tmp_path, '--known-cameras')
    errors, _ = compared(truth, written)
    assert len(errors) == sum(map(len, truth.values())) > 100
    assert (errors[:, :11].max(axis=0) < QUANTISATION / 5).all(), errors.max(axis=0)
    # What these labels call alpha is not what their other columns say it is; that one is exact.
    for lines in written.values():
        for _, line in lines:
            ray = np.arctan2(line.location[0], line.location[2])
            assert np.cos(line.rotation_y - ray - line.alpha) == pytest.approx(1)
    assert errors[:, 11].max() < 0.02
    assert set(KITTI_NAMES) >= set(CLASSES)
