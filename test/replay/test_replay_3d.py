"""A 3D model in the replay: the camera of a recording, `boxes_3d.json`, the report."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from replay_helpers import make_tracks
from space_scene import DT, SIZE, SIZES, SpaceEngine, camera, places, spec_3d

from centertrack_ros.camera_geometry import project_points
from centertrack_ros.camera_info import Calibration
from centertrack_ros.datatypes import TrackedBoxes3D
from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.replay import command_line
from centertrack_ros.replay.boxes_3d_file import write_boxes_3d
from centertrack_ros.replay.intrinsics import (
    camera_info_topic,
    find_calibration,
    read_calibration,
)
from centertrack_ros.replay.make_bag import make_bag
from centertrack_ros.replay.offline import run_offline
from centertrack_ros.replay.records import FrameRecord
from centertrack_ros.replay.sources import Frame, open_source
from centertrack_ros.settings import Settings

IMAGES = 10
FOCAL_LENGTH = 500.0
YAML = """\
image_width: 1280
image_height: 720
camera_name: front
camera_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix:
  rows: 3
  cols: 4
  data: [1000, 0, 640, 0, 0, 1000, 324, 0, 0, 0, 1, 0]
"""


class Still:
    """A recording of grey images."""

    description, fps, count, calibration = 'video grey.avi', 1 / DT, IMAGES, None

    def __iter__(self):
        image = np.full((*SIZE, 3), 90, np.uint8)
        return (Frame(image, round((5 + number * DT) * 1e9)) for number in range(IMAGES))


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp('space') / 'bag'
    make_bag(Still(), path, calibration=Calibration(camera(FOCAL_LENGTH), *SIZE[::-1]))
    return path


@pytest.fixture(scope='module')
def plain_bag(tmp_path_factory):
    path = tmp_path_factory.mktemp('space') / 'plain'
    make_bag(Still(), path)
    return path


@pytest.fixture
def replay(tmp_path, monkeypatch, capsys):
    """Run the command line with a perfect 3D network; code, folder and what it printed."""

    def run(recording, *arguments, **changes):
        spec = spec_3d(**changes)
        (tmp_path / 'space.onnx').touch()
        spec.save(tmp_path / 'space.json')
        # The first run warms up.
        engine = SpaceEngine(FOCAL_LENGTH, spec, runs=-1)
        monkeypatch.setattr(
            command_line,
            'build_pipeline',
            lambda settings: assemble_pipeline(engine, spec, settings),
        )
        output = tmp_path / 'out'
        options = [recording, '--model', tmp_path / 'space.onnx', '--output', output, *arguments]
        code = command_line.main([str(option) for option in options])
        return code, output, capsys.readouterr()

    return run


def test_a_bag_with_camera_info(bag, replay):
    code, output, printed = replay(bag, '--video')
    assert code == 0
    document = json.loads((output / 'boxes_3d.json').read_text())
    assert 'z forward' in document['units']['frame']
    assert [image['image'] for image in document['images']] == list(range(1, IMAGES + 1))
    last = document['images'][-1]
    assert last['stamp_ns'] == round((5 + (IMAGES - 1) * DT) * 1e9)
    boxes = sorted(last['boxes'], key=lambda box: box['middle'][2])
    np.testing.assert_allclose([box['middle'] for box in boxes], places(IMAGES - 1), atol=0.2)
    np.testing.assert_allclose([box['dimensions'] for box in boxes], SIZES, atol=1e-3)
    assert [box['class'] for box in boxes] == ['car', 'pedestrian', 'car']
    assert np.shape(boxes[0]['covariance']) == (4, 4)
    assert all(box['seen'] for box in boxes)
    metrics = json.loads((output / 'metrics.json').read_text())
    count = sum(len(image['boxes']) for image in document['images'])
    assert metrics['boxes_3d'] == count == metrics['boxes'] > 0
    assert 'camera_info' in metrics['camera']
    report = (output / 'report.html').read_text()
    assert f'<p>{count} boxes, in metres' in report
    assert re.search(rf'3D +{count} boxes in space; camera_info of the bag', printed.out)
    assert (output / 'annotated.mp4').is_file()


def test_the_camera_matrix_of_the_command_line(plain_bag, replay):
    code, output, _ = replay(plain_bag, '--camera-matrix', 500, 500, 320, 162)
    assert code == 0
    boxes = json.loads((output / 'boxes_3d.json').read_text())['images'][-1]['boxes']
    middles = sorted((box['middle'] for box in boxes), key=lambda middle: middle[2])
    np.testing.assert_allclose(middles, places(IMAGES - 1), atol=0.2)


def test_without_intrinsics_it_says_so_and_replays_in_2d(plain_bag, replay):
    code, output, printed = replay(plain_bag)
    assert code == 0
    assert 'no boxes in space' in printed.err
    assert '--camera-matrix (fx fy cx cy' in printed.err
    assert not (output / 'boxes_3d.json').exists()
    metrics = json.loads((output / 'metrics.json').read_text())
    assert metrics['boxes'] > 0
    assert metrics['boxes_3d'] == 0
    assert 'does not say its camera matrix' in metrics['camera']
    assert 'does not say its camera matrix' in (output / 'report.html').read_text()


def test_a_camera_matrix_for_a_model_without_3d(plain_bag, replay):
    heads = {'hm': 2, 'ltrb': 4, 'reg': 2, 'tracking': 2}
    code, _, printed = replay(plain_bag, '--camera-matrix', 1, 1, 1, 1, heads=heads)
    assert code == 2
    assert 'expected a model with boxes in space, space has none' in printed.err


@pytest.mark.parametrize('backdate', [False, True])
def test_boxes_are_those_of_the_reported_tracks(backdate):
    spec = spec_3d()
    pipeline = assemble_pipeline(SpaceEngine(FOCAL_LENGTH, spec), spec, Settings())
    # Of the images before they were made half as large.
    matrix = camera(FOCAL_LENGTH) * np.float32([[2], [2], [1]])
    calibration = Calibration(matrix, 2 * SIZE[1], 2 * SIZE[0])
    run = run_offline(Still(), pipeline, backdate=backdate, calibration=calibration)
    assert run.boxes_3d_count == sum(len(record.tracks) for record in run.records) > 20
    for record in run.records:
        assert len(record.boxes_3d) == len(record.tracks)
        pixels = project_points(record.boxes_3d.middles, camera(FOCAL_LENGTH))
        assert (record.tracks.boxes[:, :2] < pixels).all()
        assert (record.tracks.boxes[:, 2:] > pixels).all()
    if backdate:
        assert len(run.records[0].tracks) == 3


def test_calibration_of_a_bag(bag, plain_bag):
    calibration = open_source(bag).calibration
    np.testing.assert_allclose(calibration.camera_matrix, camera(FOCAL_LENGTH))
    assert (calibration.width, calibration.height) == SIZE[::-1]
    assert open_source(plain_bag).calibration is None


def test_an_uncalibrated_camera(tmp_path):
    nothing = Calibration(np.zeros((3, 4), np.float32), *SIZE[::-1])
    make_bag(Still(), tmp_path / 'bag', calibration=nothing)
    calibration, text = find_calibration(None, open_source(tmp_path / 'bag'))
    assert calibration is None
    assert 'focal lengths above 0' in text
    assert '--camera-matrix' in text


@pytest.mark.parametrize(
    ('images', 'info'),
    [
        ('/camera/image_raw', '/camera/camera_info'),
        ('/camera/image_raw/compressed', '/camera/camera_info'),
        ('/image', '/camera_info'),
    ],
)
def test_camera_info_lies_beside_the_images(images, info):
    assert camera_info_topic(images) == info


def test_a_file_of_camera_calibration(tmp_path):
    (tmp_path / 'front.yaml').write_text(YAML)
    calibration, text = find_calibration([str(tmp_path / 'front.yaml')], Still())
    np.testing.assert_allclose(calibration.for_image(640, 360), camera(500.0))
    assert 'front.yaml' in text


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'expected image_width'),
        ('image_width: [', 'expected image_width'),
        (YAML.replace('projection_matrix', 'p'), 'KeyError'),
        (YAML.replace('[1000, 0,', '[0, 0,'), 'focal lengths and a size above 0'),
        (YAML.replace('image_width: 1280', 'image_width: 0'), 'focal lengths and a size above 0'),
    ],
)
def test_files_that_are_no_calibration(tmp_path, text, message):
    (tmp_path / 'wrong.yaml').write_text(text)
    with pytest.raises(ValueError, match=message):
        read_calibration(tmp_path / 'wrong.yaml')


@pytest.mark.parametrize('given', ['500 500 320', '500 x 320 162', '-1 500 320 1', 'nan 1 2 3'])
def test_numbers_that_are_no_camera(given):
    with pytest.raises(ValueError, match='expected fx fy cx cy'):
        find_calibration(given.split(), Still())


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='no such file'):
        find_calibration([str(tmp_path / 'front.yaml')], Still())


def test_a_file_of_records_with_and_without_boxes(tmp_path):
    boxes = TrackedBoxes3D(
        middles=np.array([[1, 2, 3], [0, 0, 0]], np.float32) / 3,
        dimensions=np.ones((2, 3), np.float32),
        yaws=np.zeros(2, np.float32),
        velocities=np.zeros((2, 3), np.float32),
        covariances=np.zeros((2, 4, 4), np.float32),
        known=np.array([True, False]),
        attributes=np.array([3, -1]),
    )
    tracks = make_tracks([4, 9], misses=[2, 0])
    records = [
        FrameRecord(7, 'camera', tracks, 1.0, boxes_3d=boxes),
        FrameRecord(8, '', tracks, 1),
    ]
    write_boxes_3d(tmp_path / 'boxes.json', records, ('person',))
    first, second = json.loads((tmp_path / 'boxes.json').read_text())['images']
    (box,) = first['boxes']
    assert box['id'] == 4
    assert box['middle'] == [0.3333, 0.6667, 1.0]
    assert box['attribute'] == 'pedestrian.standing'
    assert box['seen'] is False
    assert second == {'image': 2, 'stamp_ns': 8, 'boxes': []}
    write_boxes_3d(tmp_path / 'none.json', [], ())
    assert json.loads((tmp_path / 'none.json').read_text())['images'] == []
