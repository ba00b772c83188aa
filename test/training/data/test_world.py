"""The drawn world says the truth."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from centertrack_ros.camera_geometry import alpha_from_yaw, box_corners, project_points
from centertrack_ros.lifting import lift_detections
from training.data.coco_reader import read_coco_video
from training.data.world.bodies import CLASSES, CLUTTER
from training.data.world.camera import RATE
from training.data.world.picture import draw
from training.data.world.sequence import FARTHEST, make_world
from training.data.world.writing import camera_to_map, write_world
from training.evaluation.boxes3d import as_detections

SIZE = (120, 200)
FRAMES = 6


@pytest.fixture(scope='module')
def world():
    return make_world(FRAMES, SIZE, np.random.default_rng(8))


@pytest.fixture(scope='module')
def frames(world):
    return list(world.frames())


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp('world') / 'set'
    counts = write_world(folder, sequences=2, frames=3, seed=5, size=SIZE)
    return folder, counts, json.loads((folder / 'annotations.json').read_text())


def test_there_is_something_to_see(world, frames):
    kinds = {body.kind for body in world.bodies}
    assert CLUTTER in kinds
    assert len(kinds) >= 3
    assert all(frame.image.std() > 10 for frame in frames)
    assert sum(found.counts for frame in frames for found in frame.objects) > 2 * FRAMES


def test_boxes_in_space_fit_those_in_the_picture(frames):
    for frame in frames:
        for found in frame.objects:
            if 'whole_bbox' not in found.fields:
                continue
            fields = {name: np.array(value)[None] for name, value in found.fields.items()}
            corners = box_corners(fields['dim'], fields['location'], fields['rotation_y'])
            pixels = project_points(corners, frame.view.matrix)[0]
            left, top, width, height = found.fields['whole_bbox']
            # The shake of the camera, which the yaw does not say, moves corners by a pixel.
            assert (pixels.min(axis=0) <= (left + 1, top + 1)).all()
            assert (pixels.max(axis=0) >= (left + width - 1, top + height - 1)).all()
            # The parts do not fill all corners, but no more than those are empty.
            assert (np.ptp(pixels, axis=0) < (1.6 * width + 3, 1.3 * height + 3)).all()


def test_depth_angle_and_middle_agree(frames):
    for frame in frames:
        for found in frame.objects:
            fields = found.fields
            middle = np.array(fields['location']) - (0, fields['dim'][0] / 2, 0)
            assert fields['depth'] == pytest.approx(middle[2])
            center = project_points(middle[None], frame.view.matrix)
            np.testing.assert_allclose(center[0], fields['amodel_center'], atol=1e-6)
            alpha = alpha_from_yaw(
                np.array([fields['rotation_y']]), center[:, 0], frame.view.matrix
            )
            assert fields['alpha'] == pytest.approx(alpha[0])


def test_things_that_hide_and_what_is_left_of_them(world):
    """What changes when a body is painted anew is its visible part, and nothing else."""
    compared = 0
    for row, body in enumerate(world.bodies):
        pictures = []
        for grey in (0, 255):
            textures = tuple(
                tuple(np.full_like(face, grey) for face in faces) for faces in body.textures
            )
            bodies = [*world.bodies]
            bodies[row] = replace(body, textures=textures)
            image, seen = draw(world.backdrop, bodies, world.light, world.views[0], 0, SIZE)
            pictures.append(image.astype(int))
        changed = np.abs(pictures[1] - pictures[0]).max(axis=2) > 3
        if seen[row].visible_box is None:
            assert not changed.any()
            continue
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        extent = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        np.testing.assert_allclose(seen[row].visible_box, extent, atol=1)
        assert 0 < seen[row].visibility <= 1
        compared += 1
    assert compared >= 4


def test_tracks_keep_their_identity_and_move_as_their_velocity_says(frames):
    known = {}
    pairs = 0
    for frame in frames:
        to_map = camera_to_map(frame.view)
        now = {}
        for found in frame.objects:
            fields = found.fields
            place = to_map @ [*fields['location'], 1]
            assert place[2] == pytest.approx(0, abs=0.2)  # it stands on the ground
            velocity = to_map[:3, :3] @ fields['velocity']
            now[found.track] = (found.category, fields['dim'], place[:3], velocity)
            if found.track in known:
                category, dimensions, before, _ = known[found.track]
                assert (found.category, fields['dim']) == (category, dimensions)
                np.testing.assert_allclose(place[:3] - before, velocity / RATE, atol=0.02)
                pairs += 1
        known = now
    assert pairs > FRAMES


def test_a_longer_lens_shows_the_same_world_larger(world):
    longer = make_world(FRAMES, SIZE, np.random.default_rng(8), focal=1.6)
    assert longer.views[0].matrix[0, 0] == 2 * world.views[0].matrix[0, 0]
    np.testing.assert_allclose(longer.views[3].position, world.views[3].position)


def test_files_are_read_back(written):
    folder, counts, content = written
    assert (counts.videos, counts.images) == (2, 6)
    assert counts.boxes == sum(not row['iscrowd'] for row in content['annotations']) > 0
    records = read_coco_video(folder / 'annotations.json', folder / 'images', CLASSES)
    for record in records:
        assert cv2.imread(str(record.path)).shape == (*SIZE, 3)
        own = [
            row
            for row in content['annotations']
            if row['image_id'] == record.image_id and not row['iscrowd']
        ]
        lifted = lift_detections(as_detections(record.labels), record.camera_matrix)
        assert len(lifted) == len(own)
        for row, annotation in enumerate(own):
            np.testing.assert_allclose(lifted.locations[row], annotation['location'], atol=1e-3)
            assert lifted.yaws[row] == pytest.approx(annotation['rotation_y'], abs=1e-3)
            assert annotation['depth'] <= FARTHEST


def test_the_same_seed_draws_the_same_bytes(written, tmp_path):
    folder, _, _ = written
    command = [sys.executable, '-m', 'training.data.world', str(tmp_path / 'again')]
    command += ['--seed', '5', '--sequences', '2', '--frames', '3', '--size', '120x200']
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    names = sorted(path.relative_to(folder) for path in folder.rglob('*') if path.is_file())
    assert len(names) == 7
    for name in names:
        assert (tmp_path / 'again' / name).read_bytes() == (folder / name).read_bytes()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'exists already' in done.stderr


@pytest.mark.parametrize(
    ('frames', 'size', 'focal'), [(0, SIZE, 0.8), (3, (10, 10), 0.8), (3, SIZE, 0)]
)
def test_worlds_that_cannot_be_seen_are_refused(frames, size, focal):
    with pytest.raises(ValueError, match='expected at least 1 frame'):
        make_world(frames, size, np.random.default_rng(1), focal=focal)
