"""COCO keypoints (`person_keypoints_*.json`): the images with persons, and their joints.

As CenterTrack does for poses, images without persons are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.convert.annotations import AnnotationFile
from training.convert.files import read_json

# Kept where a file has them; boxes, joints and ids are written anew.
_IMAGE_FIELDS = ('sensor_id', 'calib')
_PERSON_FIELDS = ('track_id', 'visibility')


def convert_person_keypoints(
    annotations: Path, *, class_name: str = 'person', min_joints: int = 1
) -> AnnotationFile:
    """Persons with joints.

    Args:
        annotations: COCO-format file with joints.
        class_name: name of the category to keep.
        min_joints: persons with fewer labelled joints become ignored regions; 0 learns the boxes
            of all, as CenterTrack does.

    Returns:
        A file with one category; joints that are not labelled are three zeros.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is malformed; the text names file, list and index.
    """
    content = read_json(annotations, 'COCO keypoints')
    for table in ('images', 'annotations', 'categories'):
        if not isinstance(content, dict) or not isinstance(content.get(table), list):
            raise ValueError(f'{annotations}: expected a list {table!r} at the top level')
        for index, row in enumerate(content[table]):
            if not isinstance(row, dict):
                raise ValueError(f'{annotations}: {table}[{index}]: expected an object')
            name = 'image_id' if table == 'annotations' else 'id'
            if not isinstance(row.get(name), (int, str)):
                raise ValueError(
                    f'{annotations}: {table}[{index}]: {name}: expected a number or text, '
                    f'received {row.get(name)!r}'
                )
    category = _person_category(annotations, content['categories'], class_name)
    output = AnnotationFile([category | {'id': 1}])
    chosen = [
        (index, row)
        for index, row in enumerate(content['annotations'])
        if row.get('category_id') == category['id']
    ]
    _add_images(output, annotations, content, {row.get('image_id') for _, row in chosen})
    for _ in range(len(content['annotations']) - len(chosen)):
        output.skip('other category')
    known = {image['id'] for image in content['images']}
    for index, row in chosen:
        try:
            if row.get('image_id') not in known:
                raise ValueError(f'image_id: expected an image, received {row.get("image_id")!r}')
            _add_person(output, row, len(category['keypoints']), min_joints)
        except ValueError as error:
            raise ValueError(f'{annotations}: annotations[{index}]: {error}') from error
    return output


def _person_category(path: Path, categories: list[Any], class_name: str) -> dict[str, Any]:
    """The category, which must name its joints."""
    found = [row for row in categories if row.get('name') == class_name and 'id' in row]
    if len(found) != 1:
        names = [row.get('name') for row in categories]
        raise ValueError(f'{path}: expected one category {class_name!r}, received {names}')
    names = found[0].get('keypoints')
    if not isinstance(names, list) or not names:
        raise ValueError(
            f'{path}: category {class_name!r}: expected keypoints, names of joints, '
            f'received {names!r}'
        )
    return {
        key: found[0][key] for key in ('id', 'name', 'keypoints', 'skeleton') if key in found[0]
    }


def _add_images(
    output: AnnotationFile, path: Path, content: Mapping[str, Any], wanted: set[Any]
) -> None:
    """Images with persons; videos keep their numbers."""
    videos: set[Any] = set()
    for index, image in enumerate(content['images']):
        try:
            missing = {'id', 'file_name', 'height', 'width'} - set(image)
            if missing:
                raise ValueError(f'expected {sorted(missing)}, which are missing')
            if image['id'] not in wanted and 'video_id' not in image:
                output.skip('image without persons')
                continue
            kept = {key: image[key] for key in _IMAGE_FIELDS if key in image}
            kept |= {'video': image.get('video_id'), 'frame': image.get('frame_id')}
            videos.add(image.get('video_id'))
            size = (image['height'], image['width'])
            output.add_image(image['file_name'], size, id=image['id'], **kept)
        except ValueError as error:
            raise ValueError(f'{path}: images[{index}]: {error}') from error
    output.counts.videos = len(videos - {None})


def _add_person(
    output: AnnotationFile, row: Mapping[str, Any], count: int, min_joints: int
) -> None:
    box = row.get('bbox')
    if not isinstance(box, list) or not all(isinstance(value, (int, float)) for value in box):
        raise ValueError(f'bbox: expected four numbers, received {box!r}')
    joints = _joints(row.get('keypoints', [0] * (3 * count)), count)
    labelled = int((joints[:, 2] > 0).sum())
    if row.get('iscrowd', 0) or labelled < min_joints:
        output.add_region(row['image_id'], (1,), box)
        return
    kept = {key: row[key] for key in _PERSON_FIELDS if key in row}
    output.add_box(
        row['image_id'], 1, box, keypoints=joints.ravel().tolist(), num_keypoints=labelled, **kept
    )


def _joints(values: Any, count: int) -> np.ndarray[Any, Any]:
    """(J, 3) x, y, visibility; not labelled ones are zero."""
    try:
        joints = np.array(values, np.float64)
    except (TypeError, ValueError):
        joints = np.zeros(0)
    if joints.shape != (3 * count,) or not np.isfinite(joints).all():
        raise ValueError(f'keypoints: expected {3 * count} numbers, received {str(values)[:80]}')
    joints = joints.reshape(count, 3)
    if not np.isin(joints[:, 2], (0, 1, 2)).all():
        raise ValueError(f'keypoints: expected visibilities 0, 1, 2, received {joints[:, 2]}')
    joints[joints[:, 2] == 0] = 0
    return joints
