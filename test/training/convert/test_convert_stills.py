"""CrowdHuman, YOLO and persons with joints: fields one by one, and complaints."""

from __future__ import annotations

import json

import numpy as np
import pytest
from converting import content_of, convert, picture, records_of, text_file
from PIL import Image

from training.classes import COCO_CLASSES
from training.convert.files import image_size
from training.convert.person_keypoints import convert_person_keypoints

JOINTS = ('nose', 'left_hand', 'right_hand')


def crowd_line(name='1,a', **changes) -> str:
    boxes = [
        {'tag': 'person', 'fbox': [-3, 4, 20, 40], 'hbox': [1, 4, 5, 5], 'vbox': [0, 4, 17, 40],
         'extra': {'box_id': 0, 'occ': 1}, 'head_attr': {'ignore': 0}},
        {'tag': 'person', 'fbox': [30, 4, 10, 20], 'extra': {'box_id': 1, 'ignore': 1}},
        {'tag': 'mask', 'fbox': [50, 4, 10, 20], 'extra': {'ignore': 1}},
    ]  # fmt: skip
    boxes[0] |= changes
    return json.dumps({'ID': name, 'gtboxes': boxes})


def test_crowdhuman(tmp_path, capsys):
    picture(tmp_path / '1,a.jpg', 50, 70)
    picture(tmp_path / '2,b.jpg', 60, 80)
    odgt = text_file(tmp_path / 'train.odgt', crowd_line(), crowd_line('2,b', fbox=[1, 2, 0, 9]))
    output = tmp_path / 'a.json'
    assert convert('crowdhuman', odgt, '--images', tmp_path, '--output', output) == 0
    expected = '0 videos, 2 images, 1 boxes, 0 tracks, 4 ignored, 1 skipped (box without area: 1)'
    assert expected in capsys.readouterr().out
    first, second = records_of(output, ('person',))
    assert (first.size, second.size) == ((50, 70), (60, 80))
    assert first.path.is_file()
    np.testing.assert_allclose(first.labels.boxes, [[-3, 4, 17, 44]])
    np.testing.assert_allclose(first.labels.ignore_boxes, [[30, 4, 40, 24], [50, 4, 60, 24]])
    assert len(second.labels) == 0


@pytest.mark.parametrize(
    ('line', 'complaint'),
    [
        ('{', 'expected a JSON object, '),
        ('{"gtboxes": []}', 'with a text ID'),
        ('{"ID": "b"}', 'gtboxes: expected a list, received None'),
        (crowd_line('1,a'), "received '1,a' again"),
        (crowd_line('2,b', fbox=[1, 2, 3]), 'gtboxes[0]: expected a box'),
        (crowd_line('2,b', fbox=[1, 2, -3, 4]), 'gtboxes[0]: expected a box'),
        (crowd_line('2,b', extra=[1]), 'gtboxes[0]: extra: expected an object'),
        (crowd_line('2,b', tag='dog'), 'gtboxes[0]: expected an object with a tag'),
    ],
)
def test_malformed_crowdhuman_names_file_and_line(tmp_path, capsys, line, complaint):
    for name in ('1,a', '2,b'):
        picture(tmp_path / f'{name}.jpg')
    odgt = text_file(tmp_path / 'train.odgt', crowd_line(), line)
    output = tmp_path / 'a.json'
    assert convert('crowdhuman', odgt, '--images', tmp_path, '--output', output) == 2
    error = capsys.readouterr().err
    assert f'{odgt}, line 2: ' in error
    assert complaint in error
    assert not output.exists()


def test_missing_picture_of_crowdhuman(tmp_path, capsys):
    odgt = text_file(tmp_path / 'train.odgt', crowd_line())
    arguments = ('--images', tmp_path, '--output', tmp_path / 'a.json')
    assert convert('crowdhuman', odgt, *arguments) == 2
    assert '1,a.jpg does not exist' in capsys.readouterr().err


def yolo(folder, *options) -> int:
    arguments = ('--images', folder / 'images', '--labels', folder / 'labels')
    names = ('--names', folder / 'names.txt', '--output', folder / 'a.json')
    return convert('yolo', *arguments, *names, *options)


def test_yolo(tmp_path, capsys):
    picture(tmp_path / 'images' / 'x' / 'a.jpg', 50, 100)
    picture(tmp_path / 'images' / 'b.png', 20, 30)
    text_file(tmp_path / 'labels' / 'x' / 'a.txt', '1 0.5 0.5 0.2 0.4', '', '0 0.05 0.1 0.1 0.2')
    text_file(tmp_path / 'names.txt', 'person', 'car')
    assert yolo(tmp_path) == 0
    assert '0 videos, 2 images, 2 boxes' in capsys.readouterr().out
    records = {
        record.path.name: record for record in records_of(tmp_path / 'a.json', COCO_CLASSES)
    }
    labels = records['a.jpg'].labels
    assert records['a.jpg'].path == tmp_path / 'x' / 'a.jpg'
    assert records['a.jpg'].size == (50, 100)
    assert labels.classes.tolist() == [2, 0]
    np.testing.assert_allclose(labels.boxes, [[40, 15, 60, 35], [0, 0, 10, 10]], atol=1e-5)
    assert len(records['b.png'].labels) == 0


def test_coco128_as_yolo(shared_folder, tmp_path):
    folder = shared_folder / 'data' / 'coco128'
    source = content_of(folder / 'annotations' / 'instances_val2017.json')
    index = {row['id']: place for place, row in enumerate(source['categories'])}
    for image in source['images']:
        scale = np.array([image['width'], image['height']] * 2)
        lines = []
        for row in source['annotations']:
            if row['image_id'] == image['id']:
                left, top, wide, high = row['bbox']
                shares = np.array([left + wide / 2, top + high / 2, wide, high]) / scale
                numbers = ' '.join(f'{share:.6f}' for share in shares)
                lines.append(f'{index[row["category_id"]]} {numbers}')
        text_file(tmp_path / 'labels' / image['file_name'].replace('.jpg', '.txt'), *lines)
    text_file(tmp_path / 'names.txt', *(row['name'] for row in source['categories']))
    (tmp_path / 'images').symlink_to(folder / 'images' / 'val2017')
    assert yolo(tmp_path) == 0
    found = content_of(tmp_path / 'a.json')
    sizes = {row['file_name']: (row['height'], row['width']) for row in source['images']}
    assert {row['file_name']: (row['height'], row['width']) for row in found['images']} == sizes
    expected = sorted(source['annotations'], key=lambda row: row['image_id'])
    np.testing.assert_allclose(
        [row['bbox'] for row in found['annotations']],
        [row['bbox'] for row in expected], atol=2e-3,
    )  # fmt: skip
    assert [row['category_id'] for row in found['annotations']] == [
        index[row['category_id']] + 1 for row in expected
    ]


@pytest.mark.parametrize(
    ('line', 'complaint'),
    [
        ('0 0.5 0.5 0.1', 'expected the 5 numbers'),
        ('0 0.5 0.5 0.1 x', "received '0 0.5 0.5 0.1 x'"),
        ('2 0.5 0.5 0.1 0.1', 'class: expected at most 1, received 2'),
        ('0.5 0.5 0.5 0.1 0.1', 'class: expected a whole number from 0'),
        ('0 32 24 10 10', 'box inside the image'),
        ('0 0.95 0.5 0.2 0.1', 'box inside the image'),
    ],
)
def test_malformed_yolo_names_file_and_line(tmp_path, capsys, line, complaint):
    picture(tmp_path / 'images' / 'a.jpg')
    text_file(tmp_path / 'names.txt', 'person', 'car')
    path = text_file(tmp_path / 'labels' / 'a.txt', '0 0.5 0.5 0.1 0.1', line)
    assert yolo(tmp_path) == 2
    error = capsys.readouterr().err
    assert f'{path}, line 2: ' in error
    assert complaint in error
    assert not (tmp_path / 'a.json').exists()


def test_yolo_names_in_yaml_and_lonely_labels(tmp_path, capsys):
    picture(tmp_path / 'images' / 'a.jpg')
    text_file(tmp_path / 'labels' / 'a.txt', '1 0.5 0.5 0.1 0.1')
    data = text_file(tmp_path / 'data.yaml', 'names:', '  0: person', '  1: car')
    assert yolo(tmp_path, '--names', data) == 0
    assert [row['name'] for row in content_of(tmp_path / 'a.json')['categories']] == [
        'person', 'car',
    ]  # fmt: skip
    text_file(data, 'names: {0: person, 2: car}')
    assert yolo(tmp_path, '--names', data) == 2
    assert 'data.yaml: names: expected' in capsys.readouterr().err
    text_file(tmp_path / 'labels' / 'b.txt', '')
    text_file(data, 'names: [person, car]')
    assert yolo(tmp_path, '--names', data) == 2
    assert 'b.txt: expected a picture b' in capsys.readouterr().err


def test_size_of_a_turned_picture_is_that_which_opencv_decodes(tmp_path):
    path = tmp_path / 'turned.jpg'
    image = Image.new('RGB', (60, 40))
    exif = image.getexif()
    exif[274] = 6
    image.save(path, exif=exif)
    assert image_size(path) == (60, 40)


def keypoints_content() -> dict:
    def person(image_id, joints, **fields):
        return {
            'image_id': image_id, 'category_id': 7, 'bbox': [1, 2, 30, 40], 'keypoints': joints,
            'segmentation': [], 'num_keypoints': 99, **fields,
        }  # fmt: skip

    return {
        'categories': [
            {'id': 7, 'name': 'person', 'keypoints': list(JOINTS), 'skeleton': [[1, 2]]},
            {'id': 8, 'name': 'dog'},
        ],
        'images': [
            {'id': n, 'file_name': f'{n}.jpg', 'height': 48, 'width': 64, 'coco_url': 'x'}
            for n in (5, 6, 7)
        ],
        'annotations': [
            person(5, [3, 4, 2, 5, 6, 1, 9, 9, 0]),
            person(5, [0] * 9),
            person(6, [1, 1, 2] * 3, iscrowd=1),
            {'image_id': 7, 'category_id': 8, 'bbox': [0, 0, 4, 4]},
        ],
    }


def test_person_keypoints(tmp_path, capsys):
    source = text_file(tmp_path / 'in.json', json.dumps(keypoints_content()))
    output = tmp_path / 'a.json'
    assert convert('coco-person-keypoints', source, '--output', output) == 0
    assert (
        '2 images, 1 boxes, 0 tracks, 2 ignored, 2 skipped '
        '(image without persons: 1, other category: 1)'
    ) in capsys.readouterr().out
    content = content_of(output)
    assert [row['id'] for row in content['images']] == [5, 6]
    assert content['categories'][0]['keypoints'] == list(JOINTS)
    assert content['annotations'][0]['num_keypoints'] == 2
    first, second = records_of(output, ('person',), joint_names=JOINTS)
    np.testing.assert_allclose(first.labels.boxes, [[1, 2, 31, 42]])
    np.testing.assert_allclose(first.labels.joints, [[[3, 4, 2], [5, 6, 1], [0, 0, 0]]])
    assert first.labels.joint_pairs == ((1, 2),)
    assert len(first.labels.ignore_boxes) == len(second.labels.ignore_boxes) == 1
    assert convert('coco-person-keypoints', source, '--output', output, '--min-joints', 0) == 0
    assert [len(record.labels) for record in records_of(output, ('person',))] == [2, 0]


def test_video_of_persons_keeps_frames_without_them(tmp_path):
    content = keypoints_content()
    for frame, image in enumerate(content['images'], start=1):
        image |= {'video_id': 2, 'frame_id': frame}
    content['annotations'][0]['track_id'] = 4
    source = text_file(tmp_path / 'in.json', json.dumps(content))
    file = convert_person_keypoints(source)
    file.write(tmp_path / 'a.json')
    records = records_of(tmp_path / 'a.json', ('person',))
    assert [(record.video, record.frame) for record in records] == [((2, 1), n) for n in (1, 2, 3)]
    assert records[0].labels.track_ids.tolist() == [4]
    assert (file.counts.videos, file.counts.tracks) == (1, 1)


@pytest.mark.parametrize(
    ('table', 'index', 'change', 'complaint'),
    [
        ('annotations', 0, {'keypoints': [1, 2]}, 'expected 9 numbers'),
        ('annotations', 0, {'keypoints': [1, 2, 3] * 3}, 'expected visibilities'),
        ('annotations', 2, {'bbox': [1, 2, None, 4]}, 'bbox: expected four numbers'),
        ('annotations', 1, {'image_id': 99}, 'image_id: expected an image, received 99'),
        ('annotations', 1, {'image_id': [5]}, 'image_id: expected a number or text'),
        ('images', 1, {'file_name': None}, 'file_name: expected text, received None'),
        ('images', 1, {'height': 0}, r'size: expected whole numbers from 1, received \(0, 64\)'),
        ('images', 1, {'id': 5}, 'received 5 twice'),
    ],
)
def test_malformed_keypoints_name_list_and_index(tmp_path, table, index, change, complaint):
    content = keypoints_content()
    content[table][index] |= change
    source = text_file(tmp_path / 'in.json', json.dumps(content))
    with pytest.raises(ValueError, match=complaint) as error:
        convert_person_keypoints(source)
    assert f'{source}: {table}[{index}]: ' in str(error.value)


def test_category_without_joints(tmp_path):
    content = keypoints_content()
    del content['categories'][0]['keypoints']
    source = text_file(tmp_path / 'in.json', json.dumps(content))
    with pytest.raises(ValueError, match='expected keypoints, names of joints'):
        convert_person_keypoints(source)
    with pytest.raises(ValueError, match="expected one category 'human'"):
        convert_person_keypoints(source, class_name='human')
