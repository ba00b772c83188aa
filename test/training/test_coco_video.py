"""COCO-video files: fields, pairs, and complaints that name file, list and index."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from training.data.coco_reader import ReadingRules, read_coco_video
from training.data.coco_video import CocoVideoSource
from training.data.faults import FaultyPicture
from training.data.labels import ALL_CLASSES
from training.data.pairs import evaluation_neighbour, sample_neighbour

CLASSES = ('person', 'car')
Content = dict[str, Any]
Writer = Callable[[Content], Path]


def video_content() -> Content:
    """A video of five frames with two walkers, then one still."""
    return {
        'categories': [{'id': 3, 'name': 'car'}, {'id': 1, 'name': 'person'}],
        'images': [
            {'id': 10 + frame, 'file_name': 'a.png', 'video_id': 1, 'frame_id': frame}
            for frame in range(1, 6)
        ]
        + [{'id': 99, 'file_name': 'b.png'}],
        'annotations': [
            {
                'image_id': 10 + frame,
                'category_id': category,
                'track_id': track,
                'bbox': [4.0 * frame, 8.0, 10.0, 20.0],
            }
            for frame in range(1, 6)
            for track, category in ((7, 1), (8, 3))
        ]
        + [{'image_id': 99, 'category_id': 1, 'bbox': [0, 0, 5, 5]}],
    }


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Writes an annotation file beside two small pictures."""
    for name, value in (('a.png', 40), ('b.png', 200)):
        cv2.imwrite(str(tmp_path / name), np.full((48, 64, 3), value, np.uint8))

    def write_content(content: Content) -> Path:
        path = tmp_path / 'annotations.json'
        path.write_text(json.dumps(content), encoding='utf-8')
        return path

    return write_content


def test_video_fields_and_class_names(write: Writer, tmp_path: Path) -> None:
    source = CocoVideoSource(write(video_content()), tmp_path, CLASSES)
    labels = source.frame(1).labels
    np.testing.assert_array_equal(labels.classes, [0, 1])
    np.testing.assert_array_equal(labels.track_ids, [7, 8])
    np.testing.assert_array_equal(labels.boxes[0], [8, 8, 18, 28])
    np.testing.assert_array_equal(labels.visibilities, [1, 1])
    assert source.frame(1).image.shape == (48, 64, 3)


def test_evaluation_pair_is_exactly_the_previous_frame(write: Writer, tmp_path: Path) -> None:
    source = CocoVideoSource(write(video_content()), tmp_path, CLASSES)
    pair = source.evaluation_pair(3)
    assert pair.current.labels.boxes[0, 0] == 16
    assert pair.previous.labels.boxes[0, 0] == 12
    assert not pair.simulate_motion
    first = source.evaluation_pair(0)
    assert first.previous is first.current


def test_training_pairs_reach_back_forward_and_the_frame_itself(
    write: Writer, tmp_path: Path
) -> None:
    source = CocoVideoSource(write(video_content()), tmp_path, CLASSES, max_frame_distance=3)
    generator = np.random.default_rng(1)
    differences = set()
    for _ in range(300):
        pair = source.sample_pair(generator)
        if len(pair.current.labels) == 2:
            difference = pair.previous.labels.boxes[0, 0] - pair.current.labels.boxes[0, 0]
            differences.add(int(difference) // 4)
            assert pair.simulate_motion == (difference == 0)
    assert differences == {-2, -1, 0, 1, 2}


def test_still_is_a_video_of_one(write: Writer, tmp_path: Path) -> None:
    content = video_content()
    content['images'] = content['images'][-1:]
    content['annotations'] = content['annotations'][-1:]
    source = CocoVideoSource(write(content), tmp_path, CLASSES)
    pair = source.sample_pair(np.random.default_rng(0))
    assert pair.simulate_motion
    assert pair.current is pair.previous


def test_image_without_objects(write: Writer, tmp_path: Path) -> None:
    content = video_content()
    content['annotations'] = []
    source = CocoVideoSource(write(content), tmp_path, CLASSES)
    assert len(source.frame(0).labels) == 0
    assert source.frame(0).labels.boxes.shape == (0, 4)


def test_crowd_is_an_ignore_region_of_its_class(write: Writer, tmp_path: Path) -> None:
    content = video_content()
    content['annotations'][1]['iscrowd'] = 1
    labels = CocoVideoSource(write(content), tmp_path, CLASSES).frame(0).labels
    np.testing.assert_array_equal(labels.classes, [0])
    np.testing.assert_array_equal(labels.ignore_boxes, [[4, 8, 14, 28]])
    np.testing.assert_array_equal(labels.ignore_classes, [1])


def test_class_that_the_file_does_not_have_is_unlabelled(write: Writer, tmp_path: Path) -> None:
    classes = ('bus', 'person', 'car')
    labels = CocoVideoSource(write(video_content()), tmp_path, classes).frame(0).labels
    np.testing.assert_array_equal(labels.unlabelled_classes, [0])
    np.testing.assert_array_equal(labels.classes, [1, 2])


def test_skipped_category(write: Writer, tmp_path: Path) -> None:
    path = write(video_content())
    with pytest.raises(ValueError, match=r"categories\[0\]: category 'car' is no class"):
        CocoVideoSource(path, tmp_path, ('person',))
    rules = ReadingRules(skipped_categories=('car',))
    source = CocoVideoSource(path, tmp_path, ('person',), rules=rules)
    np.testing.assert_array_equal(source.frame(0).labels.track_ids, [7])


def _set(table: str, index: int, **values: Any) -> Callable[[Content], None]:
    return lambda content: content[table][index].update(values)


def _remove(table: str, index: int, name: str) -> Callable[[Content], None]:
    return lambda content: content[table][index].pop(name)


@pytest.mark.parametrize(
    ('spoil', 'complaint'),
    [
        (_set('annotations', 3, bbox=[0, 0, -5, 5]), r'annotations\[3\].*no area'),
        (_set('annotations', 3, bbox=[0, 0, 5]), r'annotations\[3\].*four numbers'),
        (_set('annotations', 3, bbox=[0, 0, 5, None]), r'annotations\[3\].*four finite numbers'),
        (_set('annotations', 3, bbox=[0, 0, 5, float('nan')]), r'annotations\[3\].*finite'),
        (_set('annotations', 3, track_id=7), r'annotations\[3\].*track_id 7 twice'),
        (_set('annotations', 3, category_id=2), r'annotations\[3\].*category_id 2'),
        (_set('annotations', 3, image_id=1), r'annotations\[3\].*image_id 1'),
        (_set('annotations', 3, visibility=1.5), r'annotations\[3\].*visibility'),
        (_remove('annotations', 3, 'bbox'), r"annotations\[3\].*'bbox' is missing"),
        (_set('images', 2, frame_id=1), r'images\[2\].*frame 1 twice'),
        (_set('images', 2, frame_id='x'), r'images\[2\].*frame_id'),
        (_set('images', 2, id=11), r'images\[2\].*id 11 was used before'),
        (_remove('images', 2, 'file_name'), r"images\[2\].*'file_name' is missing"),
        (lambda content: content.pop('images'), "list 'images'"),
    ],
)
def test_malformed_file_is_refused_with_file_and_index(
    write: Writer, tmp_path: Path, spoil: Callable[[Content], None], complaint: str
) -> None:
    content = video_content()
    spoil(content)
    path = write(content)
    with pytest.raises(ValueError, match=complaint) as error:
        read_coco_video(path, tmp_path, CLASSES)
    assert str(path) in str(error.value)


def test_files_that_are_not_there_or_broken(write: Writer, tmp_path: Path) -> None:
    path = write(video_content())
    with pytest.raises(FileNotFoundError, match=r'none\.json'):
        read_coco_video(tmp_path / 'none.json', tmp_path, CLASSES)
    with pytest.raises(FileNotFoundError, match='none'):
        CocoVideoSource(path, tmp_path / 'none', CLASSES)
    source = CocoVideoSource(path, tmp_path, CLASSES)
    (tmp_path / 'a.png').write_bytes(b'no picture')
    with pytest.raises(ValueError, match=r'a\.png'):
        source.frame(0)
    (tmp_path / 'a.png').unlink()
    with pytest.raises(FaultyPicture, match=r'images\[0\]: .*a\.png does not exist'):
        source.frame(0)
    path.write_text('{', encoding='utf-8')
    with pytest.raises(ValueError, match='not JSON'):
        read_coco_video(path, tmp_path, CLASSES)


def test_real_coco_file(shared_folder: Path) -> None:
    folder = shared_folder / 'data' / 'coco128'
    path = folder / 'annotations' / 'instances_train2017.json'
    names = [row['name'] for row in json.loads(path.read_text())['categories']]
    records = read_coco_video(path, folder / 'images' / 'train2017', names)
    assert len(records) == 128
    assert sum(len(record.labels) for record in records) == 929
    assert sum(len(record.labels.ignore_boxes) for record in records) == 10


def test_neighbours() -> None:
    frames = np.array([1, 2, 4, 5])
    generator = np.random.default_rng(0)
    assert {sample_neighbour(frames, 4, 3, generator) for _ in range(100)} == {1, 2, 3}
    assert {sample_neighbour(frames, 4, 1, generator) for _ in range(20)} == {2}
    assert sample_neighbour(frames, 4, 0, generator) == 2
    assert evaluation_neighbour(frames, 5) == 2
    assert evaluation_neighbour(frames, 4) == 2
    assert evaluation_neighbour(frames, 2) == 0


def centertrack_content() -> Content:
    """One image in the format of CenterTrack's converters."""
    common = {'image_id': 1, 'bbox': [4, 8, 10, 20]}
    return {
        'categories': [{'id': number, 'name': str(number)} for number in (1, 2, 4, 7, 9)],
        'images': [
            {
                'id': 1,
                'file_name': 'a.png',
                'video_id': 3,
                'frame_id': 1,
                'sensor_id': 2,
                'width': 64,
                'height': 48,
                'calib': [[500, 0, 32, 0.5], [0, 500, 24, 0], [0, 0, 1, 0]],
            },
            {'id': 2, 'file_name': 'a.png', 'video_id': 3, 'frame_id': 1, 'sensor_id': 1},
        ],
        'annotations': [
            {**common, 'category_id': 9, 'track_id': 1},  # ignore everything
            {**common, 'category_id': 2, 'track_id': 2, 'depth': 9.5, 'alpha': 0.25},
            {**common, 'category_id': 7, 'track_id': 3},  # skipped
            {**common, 'category_id': 4, 'track_id': 4},  # ignore class 2
            {**common, 'category_id': 1, 'track_id': 5, 'iscrowd': 1},
            {**common, 'category_id': 1, 'track_id': 6, 'dim': [1, 2, 3], 'attributes': 3,
             'amodel_center': [7, 8], 'velocity': [1, 2, 3, 4]},
            {**common, 'category_id': 1, 'track_id': 7, 'velocity': [-10000] * 4},
        ],
    }  # fmt: skip


NUMBERS = {1: 1, 2: 2, 4: -2, 7: -9999, 9: 0}


def test_numbers_of_categories_as_centertrack_gives_them(write: Writer, tmp_path: Path) -> None:
    rules = ReadingRules(category_numbers=NUMBERS)
    record = read_coco_video(write(centertrack_content()), tmp_path, CLASSES, rules)[0]
    labels = record.labels
    np.testing.assert_array_equal(labels.classes, [1, 0, 0])
    np.testing.assert_array_equal(labels.rows, [1, 5, 6])
    np.testing.assert_array_equal(labels.ignore_classes, [ALL_CLASSES, 1, 0])
    np.testing.assert_array_equal(labels.ignore_track_ids, [1, 4, 0])
    np.testing.assert_array_equal(labels.ignore_rows, [0, 3, 4])
    assert not len(labels.unlabelled_classes)


def test_boxes_in_space_and_the_camera(write: Writer, tmp_path: Path) -> None:
    rules = ReadingRules(category_numbers=NUMBERS)
    records = read_coco_video(write(centertrack_content()), tmp_path, CLASSES, rules)
    labels, nan = records[0].labels, np.nan
    np.testing.assert_array_equal(labels.depth, np.float32([9.5, nan, nan]))
    np.testing.assert_array_equal(labels.alpha, [0.25, nan, nan])
    np.testing.assert_array_equal(labels.dimensions[1], [1, 2, 3])
    np.testing.assert_array_equal(labels.amodal_centers[1], [7, 8])
    np.testing.assert_array_equal(labels.attributes, [0, 3, 0])
    np.testing.assert_array_equal(labels.velocity, [[nan] * 3, [1, 2, 3], [nan] * 3])
    assert labels.joints is None
    assert records[0].camera_matrix[0, 3] == 0.5
    assert records[0].size == (48, 64)
    assert records[1].camera_matrix is None
    assert records[1].size is None
    assert records[1].labels.depth.shape == (0,)
    # Two cameras are two videos.
    assert records[0].video != records[1].video


def test_joints_by_the_names_of_the_model(write: Writer, tmp_path: Path) -> None:
    content = video_content()
    content['annotations'][0]['keypoints'] = [5, 6, 2, 0, 0, 0, 7, 8, 1]
    names = ('nose', 'left_eye', 'right_eye')
    path = write(content)
    labels = read_coco_video(path, tmp_path, CLASSES, ReadingRules(joint_names=names))[0].labels
    assert labels.joint_pairs == ((1, 2),)
    np.testing.assert_array_equal(labels.joints[0], [[5, 6, 2], [0, 0, 0], [7, 8, 1]])
    assert not labels.joints[1].any()
    assert read_coco_video(path, tmp_path, CLASSES)[0].labels.joints is None
    with pytest.raises(ValueError, match=r'annotations\[0\]: keypoints: expected 6 numbers'):
        read_coco_video(path, tmp_path, CLASSES, ReadingRules(joint_names=names[:2]))


def test_outlines_of_polygons(write: Writer, tmp_path: Path) -> None:
    content = video_content()
    content['annotations'][0]['segmentation'] = [[0, 0, 4, 0, 4, 4], [9, 9, 8, 9, 8, 8]]
    content['annotations'][1]['segmentation'] = {'counts': [3, 5], 'size': [2, 4]}
    labels = read_coco_video(write(content), tmp_path, CLASSES, ReadingRules(outlines=True))[
        0
    ].labels
    np.testing.assert_array_equal(labels.outlines[0][0], [[0, 0], [4, 0], [4, 4]])
    assert [len(outline) for outline in labels.outlines] == [2, 0]


def test_lenient_reading_keeps_empty_boxes_and_repeated_tracks(
    write: Writer, tmp_path: Path
) -> None:
    content = video_content()
    content['annotations'][0]['bbox'] = [4, 8, 0, 20]
    content['annotations'][1]['track_id'] = 7
    labels = read_coco_video(write(content), tmp_path, CLASSES, ReadingRules(lenient=True))[
        0
    ].labels
    np.testing.assert_array_equal(labels.boxes[0], [4, 8, 4, 28])
    np.testing.assert_array_equal(labels.track_ids, [7, 7])


@pytest.mark.parametrize(
    ('spoil', 'complaint'),
    [
        (_set('annotations', 1, depth='far'), r'annotations\[1\]: depth'),
        (_set('annotations', 5, dim=[1, 2]), r'annotations\[5\]: dim'),
        (_set('annotations', 5, attributes=9), r'annotations\[5\]: attributes 9'),
        (_set('annotations', 5, velocity=[1, 2]), r'annotations\[5\]: velocity'),
        (_set('images', 0, calib=[[1, 2], [3, 4]]), r'images\[0\]: calib'),
    ],
)
def test_malformed_optional_fields_are_refused(
    write: Writer, tmp_path: Path, spoil: Callable[[Content], None], complaint: str
) -> None:
    content = centertrack_content()
    spoil(content)
    with pytest.raises(ValueError, match=complaint):
        read_coco_video(write(content), tmp_path, CLASSES, ReadingRules(category_numbers=NUMBERS))
