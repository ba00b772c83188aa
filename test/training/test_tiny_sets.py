"""The tiny sets say the truth: of what is drawn, and through targets, decoding and metrics."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from perfect_outputs import Oracle, exact_maps

from centertrack_ros.camera_geometry import box_corners, project_points
from centertrack_ros.datatypes import Candidates
from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.model_spec import ModelSpec, Thresholds
from centertrack_ros.settings import Settings
from training.augment import NO_AUGMENTATION
from training.classes import COCO_JOINTS, KITTI_CLASSES
from training.data.coco_reader import ReadingRules
from training.data.coco_video import CocoVideoSource
from training.data.dataset import NO_NOISE, make_sample
from training.data.tiny import KINDS, canvas, scene, write_tiny_set
from training.evaluation.families import applicable_families, score_families
from training.evaluation.runner import run_tracking
from training.evaluation.sets import EvaluationSet
from training.heads import head_channels
from training.models.decode import candidate_rows
from training.targets import TargetSettings

FRAMES = 12
HEADS = {
    'video': ('hm', 'reg', 'wh', 'tracking'),
    'pose': ('hm', 'reg', 'wh', 'tracking', 'hps', 'hm_hp', 'hp_offset'),
    'boxes3d': ('hm', 'reg', 'wh', 'tracking', 'dep', 'rot', 'dim', 'amodel_offset'),
}
LIMB_JOINTS = [
    f'{side}_{name}' for side in ('left', 'right') for name in ('elbow', 'wrist', 'knee', 'ankle')
]


@pytest.fixture(scope='module', params=sorted(KINDS))
def tiny(request, tmp_path_factory):
    """Kind, folder, content of the annotation file."""
    folder = tmp_path_factory.mktemp(request.param) / 'set'
    counts = write_tiny_set(request.param, folder, frames=FRAMES, seed=3)
    content = json.loads((folder / 'annotations.json').read_text())
    assert (counts.videos, counts.images) == (2, FRAMES)
    assert counts.boxes == len(content['annotations'])
    return request.param, folder, content


def frames_of(content, folder):
    """Image record, picture, annotations."""
    for record in content['images']:
        found = [row for row in content['annotations'] if row['image_id'] == record['id']]
        yield record, cv2.imread(str(folder / 'images' / record['file_name'])), found


def covered_pixels(box, shape, margin=0.0):
    """(H, W): pixels that a box (left, top, width, height) touches."""
    left, top, width, height = box
    mask = np.zeros(shape, bool)
    rows = slice(max(0, int(np.floor(top - margin))), int(np.ceil(top + height + margin)))
    columns = slice(max(0, int(np.floor(left - margin))), int(np.ceil(left + width + margin)))
    mask[rows, columns] = True
    return mask


def edge_bands(box, shape):
    """(H, W) four times: pixels inside the box that are at most 3 away from one of its edges."""
    left, top, width, height = box
    bands = (
        (left, top, 3, height),
        (left, top, width, 3),
        (left + width - 3, top, 3, height),
        (left, top + height - 3, width, 3),
    )
    return [covered_pixels(band, shape) for band in bands]


def test_everything_drawn_is_in_a_box_and_reaches_its_edges(tiny):
    kind, folder, content = tiny
    checked = 0
    for video in content['videos']:
        frames = [frame for frame in frames_of(content, folder) if
                  frame[0]['video_id'] == video['id']]  # fmt: skip
        height, width = frames[0][1].shape[:2]
        boxed = [
            np.any([covered_pixels(row['bbox'], (height, width), 0.2) for row in rows], axis=0)
            for _, _, rows in frames
        ]
        images = np.stack([image for _, image, _ in frames]).astype(int)
        free = ~np.stack(boxed)
        # Where no box is, all frames show the same background.
        empty = np.ma.array(images, mask=np.repeat(~free[..., None], 3, axis=3))
        assert (np.ma.ptp(empty, axis=0)).max() == 0
        background, known = empty.min(axis=0).filled(0), free.any(axis=0)
        for image, (_, _, rows) in zip(images, frames, strict=True):
            drawn = (np.abs(image - background).max(axis=2) > 20) & known
            for row in rows:
                others = [
                    covered_pixels(other['bbox'], known.shape, 1)
                    for other in rows
                    if other is not row
                ]
                unclear = ~known | np.any(others, axis=0)
                for band in edge_bands(row['bbox'], known.shape):
                    if band.any() and not (band & unclear).any():
                        assert (band & drawn).any(), (kind, row)
                        checked += 1
    assert checked >= 12


def test_what_is_in_front_counts():
    """Half of a square is hidden by another one, and a quarter of the second is outside."""
    size = (64, 64)
    square = np.array([[0.0, 0.0], [16.0, 0.0], [16.0, 16.0], [0.0, 16.0]])
    masks = [canvas.polygon_mask(square + step, size) for step in ((8, 8), (16, 8), (56, 40))]
    layers = [canvas.Layer(np.full((*mask.shape, 3), 200, np.uint8), mask) for mask in masks]
    behind = np.zeros((*canvas.fine_size(size), 3), np.uint8)
    picture = canvas.overlaid(behind, layers)
    np.testing.assert_allclose(picture.visibilities, [0.5, 1, 1], atol=0.02)
    assert picture.image[16, 10].tolist() == [200] * 3
    assert picture.image[16, 34].tolist() == [0] * 3
    # To a fraction of a pixel.
    mask = canvas.polygon_mask(square * 0.5 + 0.25, size)
    grey = canvas.overlaid(behind, [replace(layers[0], mask=mask)]).image[..., 0]
    assert grey[4, 8] == pytest.approx(50, abs=1)
    assert grey[4, 0] == pytest.approx(150, abs=1)


def test_shapes_move_far_and_cover_each_other(tiny):
    kind, _, content = tiny
    seen = np.array([row['visibility'] for row in content['annotations']])
    assert seen.min() >= 0.4
    assert (seen < 0.9).mean() > 0.05
    assert (seen == 1).mean() > 0.2
    if kind == 'video':
        places = {}
        for row in content['annotations']:
            left, top, width, height = row['bbox']
            places[row['image_id'], row['track_id']] = left + width / 2, top + height / 2
        steps = [
            np.subtract(place, places[image - 1, track])
            for (image, track), place in places.items()
            if image not in (1, FRAMES // 2 + 1)
        ]
        assert np.median(np.linalg.norm(steps, axis=1)) > 4


@pytest.mark.parametrize('tiny', ['pose'], indirect=True)
def test_joints_are_where_they_are_drawn(tiny):
    _, folder, content = tiny
    states = []
    for _, image, rows in frames_of(content, folder):
        for row in rows:
            joints = np.reshape(row['keypoints'], (17, 3))
            assert row['num_keypoints'] == (joints[:, 2] > 0).sum()
            states += joints[:, 2].tolist()
            left, top, width, height = row['bbox']
            inside = joints[joints[:, 2] > 0, :2] - (left, top)
            assert (inside >= 0).all()
            assert (inside <= (width, height)).all()
            for name in LIMB_JOINTS:
                x, y, state = joints[COCO_JOINTS.index(name)]
                if state == 2:
                    blue, _, red = image[int(y), int(x)].astype(int)
                    assert (blue > red) == name.startswith('left'), (name, row)
    assert {1.0, 2.0} <= set(states)


@pytest.mark.parametrize('tiny', ['boxes3d'], indirect=True)
def test_boxes_in_space_are_seen_where_they_are(tiny):
    _, _, content = tiny
    for record in content['images']:
        camera = np.array(record['calib'])
        for row in content['annotations']:
            if row['image_id'] != record['id']:
                continue
            placed = (np.array([row[key]]) for key in ('dim', 'location', 'rotation_y'))
            corners = box_corners(*placed)[0]
            pixels = project_points(corners, camera)
            low = np.clip(pixels.min(axis=0), 0, None)
            high = np.minimum(pixels.max(axis=0), [record['width'], record['height']])
            box = [*low, *(high - low)]
            np.testing.assert_allclose(row['bbox'], box, atol=1e-3)
            middle = project_points(corners.mean(axis=0)[None], camera)[0]
            np.testing.assert_allclose(row['amodel_center'], middle, atol=1e-6)
            assert row['depth'] == row['location'][2]
            ray = np.arctan2(middle[0] - camera[0, 2], camera[0, 0])
            assert np.cos(row['rotation_y'] - ray - row['alpha']) == pytest.approx(1)
            assert row['occluded'] in (0, 1, 2)
            assert 0 <= row['truncated'] < 0.3
    alphas = np.array([row['alpha'] for row in content['annotations']])
    assert np.ptp(alphas) > 2


def spec_of(kind, input_size, heads):
    classes, joints = KINDS[kind].classes, COCO_JOINTS if kind == 'pose' else ()
    return ModelSpec(
        name='oracle', architecture='none', input_height=input_size[0],
        input_width=input_size[1], resize='letterbox', stride=4, max_candidates=20,
        classes=classes, heads=head_channels(heads, len(classes), len(joints)), box='wh',
        radius_rule='exact', prior_heatmap_stride=4, licence='', joints=joints,
        thresholds=Thresholds(detection=0.2, track=0.4, birth=0.4, prior=0.4),
    )  # fmt: skip


def oracle_scores(kind, folder, input_size, heads):
    """Metrics of a network that has learnt the set by heart."""
    spec = spec_of(kind, input_size, heads)
    paths = folder / 'annotations.json', folder / 'images'
    rules = ReadingRules(joint_names=spec.joints, boxes_3d=kind == 'boxes3d')
    source = CocoVideoSource(*paths, spec.classes, rules=rules)
    settings = TargetSettings(
        *input_size, len(spec.classes), radius_rule='exact', max_objects=8, heads=spec.heads,
        joint_count=len(spec.joints),
    )  # fmt: skip
    answers = []
    for index in range(len(source)):
        sample = make_sample(
            source.evaluation_pair(index), settings, NO_AUGMENTATION, NO_NOISE,
            np.random.default_rng(0),
        )  # fmt: skip
        assert sample['mask'].sum() == len(source.frame(index).labels), 'all can be learnt'
        maps = exact_maps(sample, spec.heads)
        rows = candidate_rows(maps, 20, box='wh', rules=spec.decode)
        answers.append(Candidates(**{name: value.numpy() for name, value in rows.items()}))
    truth = EvaluationSet.load(*paths, spec.classes, joint_names=spec.joints)
    pipeline = assemble_pipeline(Oracle(answers), spec, Settings())
    results = run_tracking(pipeline, truth)
    return score_families(applicable_families(truth, spec), truth, results).overall


@pytest.mark.parametrize('larger', [False, True], ids=['own size', 'letterbox'])
def test_what_is_learnt_by_heart_is_perfect(tiny, larger):
    """From labels to targets, candidates, tracks, boxes in space and metrics nothing is lost."""
    kind, folder, _ = tiny
    height, width = KINDS[kind].size
    size = (2 * height + 64, 2 * width) if larger else (height, width)
    scores = oracle_scores(kind, folder, size, HEADS[kind])
    assert scores['AP'] > 0.999
    assert scores['MOTA'] == 100
    # The default tracker smooths boxes.
    assert scores['HOTA'] > 97
    if kind == 'pose':
        # A hidden joint is taken for the visible one of somebody else beside it, as in CenterNet.
        assert scores['keypoint_AP'] > 0.93
        scores = oracle_scores(kind, folder, size, [*HEADS['video'], 'hps'])
        assert scores['keypoint_AP'] > 0.999
    if kind == 'boxes3d':
        assert scores['boxes3d_recall'] == scores['center_error_share'] == 1
        assert scores['center_error_of_depth'] < 1e-3
        assert scores['yaw_error_deg'] < 0.1
        assert scores['dimension_error_m'] < 1e-3


def test_same_seed_same_bytes(tmp_path):
    kinds = {'first': 3, 'second': 3, 'other': 4}
    for name, seed in kinds.items():
        write_tiny_set('video', tmp_path / name, frames=4, seed=seed, size=(64, 96))
    files = {
        name: {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in sorted((tmp_path / name).rglob('*'))
            if path.is_file()
        }
        for name in kinds
    }
    assert len(files['first']) == 5
    assert files['first'] == files['second']
    assert files['first'] != files['other']


def test_refusals_leave_nothing(tmp_path, monkeypatch):
    for arguments, text in (
        ({'kind': 'music'}, "kind: expected one of .*'music'"),
        ({'size': (96, 100)}, 'size: .*multiples of 32'),
        ({'frames': 3}, 'frames: expected at least 4'),
    ):
        with pytest.raises(ValueError, match=text):
            write_tiny_set(**{'kind': 'video', 'folder': tmp_path / 'set'} | arguments)
    # So long a video, in which no two come too close, is not found at once.
    monkeypatch.setattr(scene, '_VIDEOS_TRIED', 1)
    with pytest.raises(ValueError, match=r'among 1 random ones'):
        write_tiny_set('video', tmp_path / 'set', frames=200, size=(64, 64))

    def full(path: Path, data: bytes) -> int:
        raise OSError(28, 'No space left on device')

    monkeypatch.undo()
    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(OSError, match='No space'):
        write_tiny_set('video', tmp_path / 'set', frames=4)
    assert not any(tmp_path.iterdir())


def test_command(tmp_path):
    command = [sys.executable, '-m', 'training.data.tiny', 'boxes3d', '--frames', '4']
    command += ['--output', str(tmp_path / 'set'), '--size', '96x160']
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    assert '2 videos, 4 images, 16 boxes, 8 tracks, 0 ignored, 0 skipped' in first.stdout
    content = json.loads((tmp_path / 'set/annotations.json').read_text())
    assert {(row['height'], row['width']) for row in content['images']} == {(96, 160)}
    assert tuple(row['name'] for row in content['categories']) == KITTI_CLASSES
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert again.stderr.startswith('training.data.tiny: ')
    assert 'exists' in again.stderr
