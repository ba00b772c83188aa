"""nuScenes: tables with a geometry that is known, and back to it from the targets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from converting import convert, text_file
from scipy.spatial.transform import Rotation
from tiny_nuscenes import FOCAL_LENGTH, HEIGHT, SIZES, THINGS, WIDTH, Thing, write_tiny_nuscenes

from centertrack_ros.camera_geometry import (
    alpha_from_bins,
    box_corners,
    object_locations,
    project_points,
    yaw_from_alpha,
)
from centertrack_ros.datatypes import Detections, Tracks
from training.classes import NUSCENES_CLASSES
from training.convert.nuscenes import convert_nuscenes, in_split
from training.data.coco_reader import read_coco_video
from training.data.labels import FrameLabels
from training.evaluation.boxes3d import boxes3d_scores
from training.evaluation.nuscenes import nuscenes_detection_results
from training.evaluation.runner import FrameResult
from training.evaluation.sets import EvaluationSet
from training.targets import TargetSettings, build_targets
from training.targets.boxes3d import rotation_channels

HEADS = ('hm', 'reg', 'wh', 'dep', 'rot', 'dim', 'amodel_offset', 'nuscenes_att', 'velocity')


@pytest.fixture(scope='module')
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('nuscenes')
    write_tiny_nuscenes(root)
    return root


@pytest.fixture(scope='module')
def content(tiny: Path) -> dict[str, Any]:
    return convert_nuscenes(tiny, 'mini_train').content()


def _global(image: dict[str, Any], point: Any) -> Any:
    return (np.array(image['trans_matrix']) @ [*point, 1.0])[:3]


def _thing(image: dict[str, Any], middle: Any) -> Thing:
    """The thing whose middle (3,) this is at the time of the image."""
    frame = image['frame_id'] - 1
    distances = [np.linalg.norm(middle - thing.middle(frame)) for thing in THINGS]
    assert min(distances) < 0.01
    return THINGS[int(np.argmin(distances))]


def _objects(content: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Annotations that are no regions, with their images."""
    images = {image['id']: image for image in content['images']}
    return [(row, images[row['image_id']]) for row in content['annotations'] if not row['iscrowd']]


def test_images_are_videos_with_six_cameras(content, tiny) -> None:
    images = content['images']
    assert content['videos'] == [{'id': 1, 'file_name': 'scene-0061'}]
    assert [category['name'] for category in content['categories']] == list(NUSCENES_CLASSES)
    assert [(image['sensor_id'], image['frame_id']) for image in images] == [
        (sensor, frame) for sensor in range(1, 7) for frame in (1, 2, 3)
    ]
    first = images[0]
    assert first['file_name'] == 'samples/CAM_FRONT/scene-0061-0.jpg'
    assert (tiny / first['file_name']).is_file()
    assert first['sample_token'] == 'scene-0061 sample 0'
    assert first['timestamp'] == 1_500_000_000.01
    assert (first['height'], first['width']) == (HEIGHT, WIDTH)
    assert first['calib'] == [
        [FOCAL_LENGTH, 0, WIDTH / 2, 0], [0, FOCAL_LENGTH, HEIGHT / 2 + 3, 0], [0, 0, 1, 0]
    ]  # fmt: skip
    # The camera in front of the car, 1.5 m before its origin and 1.5 m high, looks along x.
    np.testing.assert_allclose(
        first['trans_matrix'],
        [[0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]],
        atol=1e-12,
    )


def test_boxes_lead_back_to_the_map(content) -> None:
    objects = _objects(content)
    seen = set()
    for row, image in objects:
        matrix = np.array(image['calib'])
        location = object_locations(
            np.array([row['amodel_center']]),
            np.array([row['depth']]),
            np.array([row['dim'][0]]),
            matrix,
        )[0]
        np.testing.assert_allclose(location, row['location'], atol=1e-9)
        middle = _global(image, location - [0, row['dim'][0] / 2, 0])
        thing = _thing(image, middle)
        seen.add(thing)
        np.testing.assert_allclose(middle, thing.middle(image['frame_id'] - 1), atol=1e-9)
        wide, long, high = SIZES[thing.category]
        assert row['dim'] == [high, wide, long]
        front = [np.cos(row['rotation_y']), 0, -np.sin(row['rotation_y'])]
        rotation = np.array(image['trans_matrix'])[:3, :3]
        turned = np.deg2rad(thing.yaw)
        np.testing.assert_allclose(
            rotation @ front, [np.cos(turned), np.sin(turned), 0], atol=1e-9
        )
        yaw = yaw_from_alpha(np.array([row['alpha']]), np.array([row['amodel_center'][0]]), matrix)
        np.testing.assert_allclose(np.exp(1j * yaw[0]), np.exp(1j * row['rotation_y']), atol=1e-9)
        if len(thing.frames) > 1:
            np.testing.assert_allclose(rotation @ row['velocity'], [*thing.speed, 0], atol=1e-6)
        else:
            assert 'velocity' not in row
    assert {thing.category for thing in seen} == set(SIZES) - {'animal'}
    assert len(objects) == 15


def test_box_is_the_hull_of_the_projected_corners_cut_at_the_picture(content) -> None:
    cut = 0
    for row, image in _objects(content):
        corners = box_corners(
            np.array([row['dim']]), np.array([row['location']]), np.array([row['rotation_y']])
        )
        pixels = project_points(corners, np.array(image['calib']))[0]
        hull = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
        expected = np.clip(hull, 0, [WIDTH, HEIGHT] * 2)
        cut += not np.array_equal(hull, expected)
        left, top, width, height = row['bbox']
        np.testing.assert_allclose([left, top, left + width, top + height], expected, atol=1e-6)
    assert cut > 0


def test_tracks_attributes_and_visibility(content) -> None:
    tracks: dict[Thing, set[int]] = {}
    for row, image in _objects(content):
        middle = np.array(row['location']) - [0, row['dim'][0] / 2, 0]
        thing = _thing(image, _global(image, middle))
        tracks.setdefault(thing, set()).add(row['track_id'])
        numbers = {'vehicle.moving': 6, 'vehicle.parked': 7, 'pedestrian.standing': 4,
                   'pedestrian.moving': 3, '': 0}  # fmt: skip
        assert row['attributes'] == numbers[thing.attribute]
        assert row['visibility'] == (0.6 if thing.visibility == '2' else 1.0)
    # One number per thing, whichever camera sees it.
    assert all(len(numbers) == 1 for numbers in tracks.values())
    assert len(set.union(*tracks.values())) == len(tracks)


def test_what_is_hidden_is_left_out(content, tiny) -> None:
    output = convert_nuscenes(tiny, 'mini_train')
    # The truck hides the pedestrian behind it in the first key frame, not in all.
    assert output.counts.skipped['hidden'] > 0
    assert output.counts.skipped['class animal'] > 0
    standing = [row for row, _ in _objects(content) if row['attributes'] == 4]
    assert 0 < len(standing) < 3


def test_what_reaches_behind_the_camera_is_ignored(content) -> None:
    """The car beside ours, in every picture that shows a part of it; hulls from a cloud of points.

    Of what is before the camera only the part between the edges of the picture counts.
    """
    images = {image['id']: image for image in content['images']}
    regions = {row['image_id']: row for row in content['annotations'] if row['iscrowd']}
    thing = THINGS[4]
    share = np.linspace(-0.5, 0.5, 201)
    cloud = (
        np.concatenate(
            [
                np.roll(_grid(share, side), axis, axis=1)
                for side in (-0.5, 0.5)
                for axis in range(3)
            ]
        )
        * np.array(SIZES[thing.category])[[1, 0, 2]]
    )
    checked = 0
    for image_id, image in images.items():
        from_map = np.linalg.inv(image['trans_matrix'])
        points = cloud + thing.middle(image['frame_id'] - 1)
        points = points @ from_map[:3, :3].T + from_map[:3, 3]
        behind = (points[:, 2] <= 0.1).any()
        pixels = project_points(points[points[:, 2] > 0.1], np.array(image['calib']))
        pixels = pixels[(pixels[:, 0] >= 0) & (pixels[:, 0] <= WIDTH)]
        inside = behind and len(pixels) and (pixels[:, 1] < HEIGHT).any()
        assert bool(inside) == (image_id in regions)
        if not inside:
            continue
        row = regions[image_id]
        assert (row['category_id'], 'dim' in row) == (1, False)
        left, top, width, height = row['bbox']
        hull = [*pixels.min(axis=0), *pixels.max(axis=0)]
        expected = np.clip(hull, 0, [WIDTH, HEIGHT] * 2)
        np.testing.assert_allclose([left, top, left + width, top + height], expected, atol=4)
        checked += 1
    assert checked == len(regions) == 7


def _grid(share: Any, side: float) -> Any:
    """Points (P, 3) of one side of a cube."""
    across, along = np.meshgrid(share, share)
    return np.stack([across.ravel(), along.ravel(), np.full(across.size, side)], axis=1)


def test_targets_lead_back_to_the_map(tiny, tmp_path) -> None:
    path = tmp_path / 'mini.json'
    assert convert('nuscenes', tiny, '--split', 'mini_val', '--output', path) == 0
    images = json.loads(path.read_text())['images']
    settings = TargetSettings(HEIGHT // 32 * 32, WIDTH, len(NUSCENES_CLASSES), heads=HEADS)
    checked = 0
    for record, image in zip(read_coco_video(path, tiny, NUSCENES_CLASSES), images, strict=True):
        targets = build_targets(record.labels, record.labels, settings)
        matrix = record.camera_matrix.astype(np.float64)
        rows = np.flatnonzero(targets['mask'] * targets['dep_mask'][:, 0])
        cells = np.stack(np.divmod(targets['indices'], settings.output_shape[1])[::-1], axis=1)
        centers = ((cells + targets['amodel_offset']) * settings.stride).astype(np.float64)
        channels = rotation_channels(
            targets['rot_bins'], targets['rot_residuals'], targets['rot_mask']
        )
        yaws = yaw_from_alpha(alpha_from_bins(channels), centers[:, 0], matrix)
        locations = object_locations(centers, targets['dep'][:, 0], targets['dim'][:, 0], matrix)
        for row in rows:
            height = targets['dim'][row, 0]
            middle = _global(image, locations[row] - [0, height / 2, 0])
            thing = _thing(image, middle)
            np.testing.assert_allclose(middle, thing.middle(record.frame - 1), atol=1e-3)
            rotation = np.array(image['trans_matrix'])[:3, :3]
            front = rotation @ [np.cos(yaws[row]), 0, -np.sin(yaws[row])]
            turned = np.deg2rad(thing.yaw)
            np.testing.assert_allclose(front, [np.cos(turned), np.sin(turned), 0], atol=1e-4)
            if targets['velocity_mask'][row].all():
                velocity = rotation @ targets['velocity'][row]
                np.testing.assert_allclose(velocity, [*thing.speed, 0], atol=1e-4)
            checked += 1
    assert checked > 10


@pytest.mark.parametrize(
    ('frames', 'known'),
    [((0,), (False,)), ((0, 3), (True, True)), ((0, 4), (False, False)),
     ((0, 3, 6), (True, True, True)), ((0, 3, 7), (True, False, False))],
)  # fmt: skip
def test_velocity_needs_neighbours_that_are_near(tmp_path, frames, known) -> None:
    """1.5 s to one neighbour, 3 s from the one before to the one after; frames are 0.5 s apart."""
    thing = Thing('vehicle.car', (30, 0), 0, (3, 0), 'vehicle.moving', frames=frames)
    write_tiny_nuscenes(tmp_path, ['scene-0061'], things=[thing], frames=8)
    content = convert_nuscenes(tmp_path, 'mini_train').content()
    front = [row for row, image in _objects(content) if image['sensor_id'] == 1]
    assert ['velocity' in row for row in front] == list(known)


def test_cameras_that_look_down(tmp_path) -> None:
    """Places stay exact; the yaw is that of the front as the camera sees it from above."""
    write_tiny_nuscenes(tmp_path, ['scene-0061'], pitch=5)
    for row, image in _objects(convert_nuscenes(tmp_path, 'mini_train').content()):
        middle = _global(image, np.array(row['location']) - [0, row['dim'][0] / 2, 0])
        thing = _thing(image, middle)
        np.testing.assert_allclose(middle, thing.middle(image['frame_id'] - 1), atol=1e-9)
        front = [np.cos(row['rotation_y']), 0, -np.sin(row['rotation_y'])]
        turned = np.array(image['trans_matrix'])[:3, :3] @ front
        degrees = np.rad2deg(np.arctan2(turned[1], turned[0])) - thing.yaw
        assert abs((degrees + 180) % 360 - 180) < 0.5


def test_splits() -> None:
    names = [f'scene-{number:04d}' for number in range(1, 1111)]
    validation = [name for name in names if in_split(name, 'val')]
    # 150 of them and 700 of the others are scenes of the data set.
    assert len(validation) == 163
    assert {'scene-0003', 'scene-0560', 'scene-1073'} <= set(validation)
    assert all(in_split(name, 'train') != in_split(name, 'val') for name in names)
    mini = [f'scene-{n:04d}' for n in (61, 103, 553, 655, 757, 796, 916, 1077, 1094, 1100)]
    assert [name for name in mini if in_split(name, 'mini_val')] == ['scene-0103', 'scene-0916']
    assert sum(in_split(name, 'mini_train') for name in mini) == 8
    assert all(in_split(name, 'test') for name in names)
    with pytest.raises(ValueError, match='expected a name such as scene-0061'):
        in_split('downtown', 'val')


def test_own_list_of_scenes(tiny, tmp_path, capsys) -> None:
    listed = text_file(tmp_path / 'scenes.txt', 'scene-0103', 'scene-0061')
    output = tmp_path / 'own.json'
    arguments = ('nuscenes', tiny, '--scenes', listed, '--version', 'v1.0-mini')
    assert convert(*arguments, '--output', output) == 0
    assert '2 videos, 36 images, 30 boxes' in capsys.readouterr().out
    videos = json.loads(output.read_text())['videos']
    assert [video['file_name'] for video in videos] == ['scene-0103', 'scene-0061']
    text_file(listed, 'scene-0900')
    assert convert(*arguments, '--output', tmp_path / 'none.json') == 2
    assert "expected ['scene-0900'], found none" in capsys.readouterr().err
    assert not (tmp_path / 'none.json').exists()


def test_missing_picture_is_named(tmp_path) -> None:
    write_tiny_nuscenes(tmp_path, ['scene-0061'])
    (tmp_path / 'samples' / 'CAM_BACK' / 'scene-0061-1.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'CAM_BACK/scene-0061-1\.jpg does not .*--scenes'):
        convert_nuscenes(tmp_path, 'mini_train')


def test_missing_table_is_named(tmp_path) -> None:
    write_tiny_nuscenes(tmp_path, ['scene-0061'])
    (tmp_path / 'v1.0-mini' / 'ego_pose.json').unlink()
    with pytest.raises(FileNotFoundError, match=r'ego_pose\.json does not exist'):
        convert_nuscenes(tmp_path, 'mini_train')


def _set(name: str, value: Any) -> Callable[[list[dict[str, Any]]], None]:
    """Change a field of the first row."""
    return lambda rows: rows[0].__setitem__(name, value)


BROKEN: tuple[tuple[str, Callable[[list[dict[str, Any]]], Any], str], ...] = (
    ('sample', lambda rows: rows.append(rows[0]), 'token scene-0061 sample 0 is there twice'),
    ('sample', lambda rows: rows[1].pop('token'), 'row 1: expected an object with a token'),
    ('sample', _set('scene_token', 'gone'), "sample 0: expected a token of scene.json.*'gone'"),
    ('sample', _set('timestamp', '12'), "sample 0: timestamp: expected a whole number.*'12'"),
    ('sample', lambda rows: rows[1].update(timestamp=rows[0]['timestamp']),
     'sample 1: timestamp: the same as that of scene-0061 sample 0'),
    ('sample_annotation', _set('size', [1, 2]), 'thing 0 in 0: size: expected finite numbers'),
    ('sample_annotation', _set('size', [1, 2, 0]), 'thing 0 in 0: size: expected numbers above 0'),
    ('sample_annotation', _set('translation', [1, 2, float('nan')]), 'translation: .* finite'),
    ('sample_annotation', _set('rotation', [1, 1, 0, 0]), 'rotation: expected a length of 1'),
    ('sample_annotation', _set('attribute_tokens', ['a', 'b']), 'expected one or none'),
    ('sample_annotation', _set('attribute_tokens', ['a']), "of attribute.json, received 'a'"),
    ('sample_annotation', _set('next', 'gone'), "expected a token of sample_annotation.json"),
    ('sample_annotation', lambda rows: rows[0].update(prev=rows[1]['token'], next=''),
     'prev, next: expected labels before and after it in time'),
    ('attribute', lambda rows: rows[5].update(name='vehicle.flying'), 'name: expected one of'),
    ('visibility', lambda rows: rows[3].update(level='much'), 'token 4: level: expected a text'),
    ('calibrated_sensor', lambda rows: rows[1].update(camera_intrinsic=[[1, 0], [0, 1]]),
     r'token calibrated CAM_FRONT: camera_intrinsic: expected .* \(3, 3\)'),
    ('sample_data', lambda rows: rows.append(rows[2] | {'token': 'again'}),
     'token again: sample scene-0061 sample 0 has two pictures of CAM_FRONT'),
    ('scene', _set('name', 'downtown'), 'expected a name such as scene-0061'),
)  # fmt: skip


@pytest.mark.parametrize(('table', 'damage', 'message'), BROKEN)
def test_malformed_table_is_named_with_the_token(tmp_path, table, damage, message) -> None:
    folder = write_tiny_nuscenes(tmp_path, ['scene-0061'])
    path = folder / f'{table}.json'
    rows = json.loads(path.read_text())
    damage(rows)
    path.write_text(json.dumps(rows))
    with pytest.raises(ValueError, match=f'{table}.json: (.*: )?.*{message}'):
        convert_nuscenes(tmp_path, 'mini_train')


@pytest.mark.parametrize('text', ['[1]', '{}', '[', '[{"token": ""}]'])
def test_table_that_is_none(tmp_path, text) -> None:
    folder = write_tiny_nuscenes(tmp_path, ['scene-0061'])
    (folder / 'category.json').write_text(text)
    with pytest.raises(ValueError, match=r'category\.json: '):
        convert_nuscenes(tmp_path, 'mini_train')


def _told(labels: FrameLabels) -> FrameResult:
    """What a network that knows the truth says of a frame."""
    seen = replace(
        Detections.empty(),
        boxes=labels.boxes,
        scores=np.ones(len(labels), np.float32),
        classes=labels.classes,
        centers=(labels.boxes[:, :2] + labels.boxes[:, 2:]) / 2,
        offsets=np.zeros((len(labels), 2), np.float32),
        depth=labels.depth,
        dimensions=labels.dimensions,
        alpha=labels.alpha.astype(np.float32),
        amodal_centers=labels.amodal_centers,
        attributes=np.eye(9, dtype=np.float32)[labels.attributes][:, 1:],
        velocity=labels.velocity,
    )
    return FrameResult(tracks=Tracks.empty(), seen=seen, detections=seen)


def test_result_files_have_the_boxes_of_the_tables(tiny, tmp_path) -> None:
    """There and back: the truth of the annotation file as detections of the benchmark."""
    path = tmp_path / 'mini.json'
    assert convert('nuscenes', tiny, '--split', 'mini_val', '--output', path) == 0
    truth = EvaluationSet.load(path, tiny, NUSCENES_CLASSES)
    results = [_told(record.labels) for record in truth.records]
    assert any(len(record.labels) == 0 for record in truth.records)
    assert boxes3d_scores(truth, results).overall['center_error_share'] == 1
    samples = nuscenes_detection_results(truth, results)['results']
    found = 0
    for frame in range(3):
        for box in samples[f'scene-0103 sample {frame}']:
            middle = np.array(box['translation'])
            thing = THINGS[
                int(np.argmin([np.linalg.norm(middle - t.middle(frame)) for t in THINGS]))
            ]
            np.testing.assert_allclose(middle, thing.middle(frame), atol=1e-3)
            np.testing.assert_allclose(box['size'], SIZES[thing.category], atol=1e-5)
            rotation = Rotation.from_quat(box['rotation'], scalar_first=True)
            expected = Rotation.from_euler('z', thing.yaw, degrees=True)
            assert (rotation * expected.inv()).magnitude() < 1e-4
            assert box['attribute_name'] == thing.attribute
            if len(thing.frames) > 1:
                np.testing.assert_allclose(box['velocity'], thing.speed, atol=1e-4)
            found += 1
    assert found == 15
