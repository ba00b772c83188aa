"""KITTI: real tracks, ignore rules, boxes in space, and complaints with file and line."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from converting import content_of, convert, picture, records_of, text_file

from centertrack_ros.camera_geometry import box_corners, project_points
from training.convert.kitti import CLASSES, convert_kitti, convert_kitti_tracking
from training.convert.kitti_cameras import known_camera

CAMERA = 'P2: 700 0 600 45 0 700 180 0.5 0 0 1 0.005'
CAR = 'Car 0 1 -1.5 100 150 200 250 1.5 1.6 4.0 -5.0 1.5 20.0 -1.7'
DONT_CARE = 'DontCare -1 -1 -10 5 5 25 15 -1000 -1000 -1000 -10 -1 -1 -1'


def label(kind: str, left: float = 10) -> str:
    return f'{kind} 0 0 0.5 {left} 20 {left + 30} 60 1.7 0.6 0.8 2 1.6 15 0.6'


def test_counts_of_real_videos(kitti_images, kitti_labels, tmp_path, capsys):
    output = tmp_path / 'kitti.json'
    arguments = ('--images', kitti_images, '--labels', kitti_labels, '--output', output)
    assert convert('kitti-tracking', *arguments) == 0
    kinds = Counter(
        line.split()[2]
        for name in ('0000', '0012')
        for line in (kitti_labels / f'{name}.txt').read_text().splitlines()
    )
    boxes = kinds['Car'] + kinds['Pedestrian'] + kinds['Cyclist']
    ignored = kinds['DontCare'] + kinds['Van'] + kinds['Truck'] + kinds['Person']
    printed = capsys.readouterr().out
    assert f'2 videos, 232 images, {boxes} boxes, ' in printed
    assert f' {ignored} ignored, {kinds["Misc"] + kinds["Tram"]} skipped' in printed
    records = records_of(output, CLASSES)
    assert sum(len(record.labels) for record in records) == boxes
    found = Counter(CLASSES[index] for record in records for index in record.labels.classes)
    assert found['car'] == kinds['Car']
    assert found['pedestrian'] == kinds['Pedestrian']
    assert {record.size for record in records} == {(375, 1242)}


def test_real_fields_one_by_one(kitti_images, kitti_labels, tmp_path):
    output = tmp_path / 'kitti.json'
    convert_kitti_tracking(kitti_images, kitti_labels, sequences=['0012']).write(output)
    records = records_of(output, CLASSES)
    rows = [line.split() for line in (kitti_labels / '0012.txt').read_text().splitlines()]
    names = {'Pedestrian': 0, 'Car': 1, 'Cyclist': 2}
    for index, record in enumerate(records):
        expected = [row for row in rows if int(row[0]) == index and row[2] in names]
        labels = record.labels
        assert labels.track_ids.tolist() == [int(row[1]) + 1 for row in expected]
        assert labels.classes.tolist() == [names[row[2]] for row in expected]
        numbers = np.array([[float(value) for value in row[3:]] for row in expected])
        numbers = numbers.reshape(-1, 14)
        np.testing.assert_allclose(labels.boxes, numbers[:, 3:7], rtol=1e-5)
        np.testing.assert_allclose(labels.alpha, numbers[:, 2])
        np.testing.assert_allclose(labels.dimensions, numbers[:, 7:10], rtol=1e-6)
        np.testing.assert_allclose(labels.depth, numbers[:, 12], rtol=1e-6)


def test_halves_of_real_videos_add_up(kitti_images, kitti_labels):
    parts = [
        convert_kitti_tracking(kitti_images, kitti_labels, half=half).content()
        for half in (None, 'first', 'second')
    ]
    whole, first, second = parts
    for table in ('images', 'annotations'):
        assert len(first[table]) + len(second[table]) == len(whole[table])
    assert [len(part['images']) for part in (first, second)] == [77 + 39, 77 + 39]
    assert second['images'][0]['file_name'] == '0000/000077.png'
    assert second['images'][0]['frame_id'] == 1


def test_ignore_rules(tmp_path):
    picture(tmp_path / 'image_02' / '0000' / '000000.png', 375, 1242)
    kinds = ('Car', 'Van', 'Truck', 'Pedestrian', 'Person_sitting', 'Person', 'Cyclist', 'Tram')
    rows = [f'0 {i} {label(kind, 10 * i)}' for i, kind in enumerate((*kinds, 'Misc'))]
    text_file(tmp_path / 'label_02' / '0000.txt', *rows, f'0 -1 {DONT_CARE}')
    output = tmp_path / 'a.json'
    file = convert_kitti_tracking(tmp_path / 'image_02', tmp_path / 'label_02')
    file.write(output)
    labels = records_of(output, CLASSES)[0].labels
    assert [CLASSES[index] for index in labels.classes] == ['car', 'pedestrian', 'cyclist']
    regions = [
        (int(box[0]), CLASSES[index])
        for box, index in zip(labels.ignore_boxes, labels.ignore_classes, strict=True)
    ]
    assert sorted(regions) == [
        (5, 'car'), (5, 'cyclist'), (5, 'pedestrian'),
        (10, 'car'), (20, 'car'), (40, 'pedestrian'), (50, 'pedestrian'),
    ]  # fmt: skip
    assert (file.counts.boxes, file.counts.ignored) == (3, 5)
    assert file.counts.skipped == {'class Tram': 1, 'class Misc': 1}


def test_boxes_in_space_with_a_camera(tmp_path):
    picture(tmp_path / 'image_2' / '000007.png', 375, 1242)
    picture(tmp_path / 'image_2' / '000008.png', 370, 1224)
    flat = 'Car 0 1 -10 100 150 200 250 -1 -1 -1 -1000 -1000 -1000 -10'
    text_file(tmp_path / 'label_2' / '000007.txt', CAR, flat)
    text_file(tmp_path / 'calib' / '000007.txt', 'P0: 1 2 3', CAMERA)
    text_file(tmp_path / 'split.txt', '000007')
    output = tmp_path / 'a.json'
    arguments = ('--images', tmp_path / 'image_2', '--labels', tmp_path / 'label_2')
    more = ('--calibrations', tmp_path / 'calib', '--list', tmp_path / 'split.txt')
    assert convert('kitti', *arguments, *more, '--output', output) == 0
    (record,) = records_of(output, CLASSES)
    labels = record.labels
    assert record.size == (375, 1242)
    np.testing.assert_allclose(record.camera_matrix, [
        [700, 0, 600, 45], [0, 700, 180, 0.5], [0, 0, 1, 0.005]
    ])  # fmt: skip
    np.testing.assert_allclose(labels.boxes[0], [100, 150, 200, 250])
    np.testing.assert_allclose(labels.dimensions[0], [1.5, 1.6, 4.0])
    # What this camera sees, not the one that the labels are in the frame of.
    z = 20.005
    assert labels.depth[0] == pytest.approx(z)
    ray = np.arctan2((700 * -5 + 600 * 20 + 45) / z - 600, 700)
    assert labels.alpha[0] == pytest.approx(-1.7 - ray)
    first = content_of(output)['annotations'][0]
    assert (first['rotation_y'], first['location']) == (-1.7, [-5, 1.5, 20])
    middle = [(700 * -5 + 600 * 20 + 45) / z, (700 * 0.75 + 180 * 20 + 0.5) / z]
    np.testing.assert_allclose(labels.amodal_centers[0], middle, rtol=1e-6)
    # A label without a box in space has nothing of it.
    assert np.isnan(labels.depth[1])
    assert np.isnan(labels.amodal_centers[1]).all()


def test_one_camera_for_all_videos_and_the_known_ones(tmp_path):
    images, output = tmp_path / 'image_02', tmp_path / 'a.json'
    for name in ('0013', '0014'):
        picture(images / name / '000000.png')
    camera = text_file(tmp_path / 'camera.txt', CAMERA)
    for given in (('--calibrations', camera), ('--known-cameras',)):
        assert convert('kitti-tracking', '--images', images, *given, '--output', output) == 0
        matrices = [record.camera_matrix for record in records_of(output, CLASSES)]
        lengths = [float(matrix[0, 0]) for matrix in matrices]
        if given[0] == '--calibrations':
            assert lengths == [700, 700]
        else:
            assert lengths == pytest.approx([721.5377, 707.0493])
    picture(images / '0021' / '000000.png')
    with pytest.raises(ValueError, match=r"0000 to 0020, .* received '0021'"):
        convert_kitti_tracking(images, calibrations='known')


def test_known_cameras_fit_the_real_labels(kitti_labels):
    """Boxes in space that are seen whole lie on the boxes in the image."""
    for name, kind in (('0012', 'Car'), ('0017', 'Pedestrian'), ('0018', 'Car'), ('0020', 'Car')):
        lines = [line.split() for line in (kitti_labels / f'{name}.txt').open()]
        seen = [line[5:] for line in lines if line[2:5] == [kind, '0', '0']]
        rows = np.array(seen, float)
        rows = rows[rows[:, 10] > 3]
        corners = box_corners(rows[:, 5:8], rows[:, 8:11], rows[:, 11])
        pixels = project_points(corners, known_camera(name))
        # Pedestrians swing their legs.
        edges = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1) - rows[:, 1:5]
        away = np.abs(np.median(edges, axis=0))
        assert away[[1, 3]].max() < 1
        assert kind == 'Pedestrian' or away.max() < 1


@pytest.mark.parametrize(
    ('row', 'complaint'),
    [
        ('0 1 Car 0 0', 'expected 17 columns, received 5'),
        (f'0 1 {CAR} 0.9', 'expected 17 columns, received 18'),
        (f'0 1 {CAR.replace("Car", "Bus")}', "received 'Bus'"),
        (f'0 1 {CAR.replace("1.6", "wide")}', 'expected 14 numbers after the class'),
        (f'1 1 {CAR}', 'frame: expected at most 0, received 1'),
        (f'0 -1 {CAR}', 'track: expected 0 or more, received -1'),
        (f'0 0 {CAR}', 'received track 1 twice'),
        (f'0 1 {CAR.replace("200 250", "90 250")}', 'sizes from 0'),
    ],
)
def test_malformed_tracks_name_file_and_line(tmp_path, capsys, row, complaint):
    picture(tmp_path / 'image_02' / '0000' / '000000.png')
    path = text_file(tmp_path / 'label_02' / '0000.txt', f'0 0 {CAR}', row)
    output = tmp_path / 'a.json'
    arguments = ('--images', tmp_path / 'image_02', '--labels', path.parent)
    assert convert('kitti-tracking', *arguments, '--output', output) == 2
    error = capsys.readouterr().err
    assert f'{path}, line 2: ' in error
    assert complaint in error
    assert not output.exists()


def test_malformed_cameras_and_folders(tmp_path):
    images, labels, cameras = (tmp_path / name for name in ('image_2', 'label_2', 'calib'))
    picture(images / '000000.png')
    text_file(labels / '000000.txt', CAR)
    text_file(cameras / '000000.txt', 'P0: 1', 'P2: 1 2 3')
    with pytest.raises(ValueError, match=r'000000.txt, line 2: expected 12 .* received 3'):
        convert_kitti(images, labels, cameras)
    text_file(cameras / '000000.txt', 'P0: 1')
    with pytest.raises(ValueError, match='line that begins with P2:'):
        convert_kitti(images, labels, cameras)
    with pytest.raises(FileNotFoundError, match='expected the image 000009'):
        convert_kitti(images, labels, listed=text_file(tmp_path / 'list.txt', '000009'))
    picture(tmp_path / 'image_02' / '0000' / '000001.png')
    with pytest.raises(ValueError, match='numbered from 000000'):
        convert_kitti_tracking(tmp_path / 'image_02')
    text_file(images / '000000.png', 'no picture')
    with pytest.raises(ValueError, match='expected a picture'):
        convert_kitti(images, labels)
