"""Reads COCO-format annotations, with or without the fields that CenterTrack adds.

Images may have `video_id`, `frame_id` (whole number, the order in the video), `sensor_id` and
`calib` (3x4 camera matrix); annotations `track_id`, `visibility`, and for 3D `depth`, `dim`
(height, width, length), `alpha`, `amodel_center`, `attributes` and `velocity`. A file without
videos is a set of still pictures: each becomes a video of one frame and each box gets a track of
its own (CenterTrack, `generic_dataset.py`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.datatypes import FloatArray, IntArray
from training.data.coco_objects import FileFields, ObjectRows
from training.data.labels import ALL_CLASSES, FrameLabels

# CenterTrack's numbers of categories: classes from 1, 0 to ignore all classes, -c to ignore
# class c; from here down the annotation is left out.
SKIPPED_NUMBER = -99


@dataclass(frozen=True)
class FrameRecord:
    """One image of the annotation file.

    Attributes:
        path: the picture.
        video: its video, or camera of a video with several.
        frame: number that orders the frames of the video.
        labels: its objects, in pixels of the picture.
        image_id: its id in the file.
        size: (height, width) in pixels, where the file says.
        camera_matrix: (3, 4), where the file says.
    """

    path: Path
    video: Any
    frame: int
    labels: FrameLabels
    image_id: Any = None
    size: tuple[int, int] | None = None
    camera_matrix: FloatArray | None = None


@dataclass(frozen=True)
class ReadingRules:
    """What a file means and which of its fields are read.

    Attributes:
        skipped_categories: names of categories to leave out although no class has that name.
        category_numbers: category id -> CenterTrack's number of it, see `SKIPPED_NUMBER`;
            instead of the names.
        joint_names: names of the joints in `keypoints`; without them joints are not read.
        outlines: whether polygons of `segmentation` are read.
        lenient: whether boxes without area and repeated tracks stay, as in the original, where
            the former are never learnt and the first of the latter counts.
    """

    skipped_categories: Sequence[str] = ()
    category_numbers: Mapping[int, int] | None = None
    joint_names: Sequence[str] = ()
    outlines: bool = False
    lenient: bool = False


def read_coco_video(
    annotation_path: Path,
    image_folder: Path,
    class_names: Sequence[str],
    rules: ReadingRules | None = None,
) -> list[FrameRecord]:
    """All images of a COCO-format file in the order of the file, with checked labels.

    Crowd annotations (`iscrowd`) become ignore regions of their class.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not valid; the text names the file, the list and the index in it.
    """
    if not annotation_path.is_file():
        raise FileNotFoundError(f'annotation file {annotation_path} does not exist')
    try:
        content = json.loads(annotation_path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{annotation_path} is not JSON: {error}') from error
    return frame_records(content, str(annotation_path), image_folder, class_names, rules)


def frame_records(
    content: Any,
    source: str,
    image_folder: Path,
    class_names: Sequence[str],
    rules: ReadingRules | None = None,
) -> list[FrameRecord]:
    """The same from a parsed file; `source` names it in complaints."""
    return _Reader(source, content, image_folder, rules or ReadingRules()).records(class_names)


class _Reader:
    """Checks one parsed file; every complaint names the file, the list and the index."""

    def __init__(self, source: str, content: Any, folder: Path, rules: ReadingRules) -> None:
        self._source = source
        self._folder = folder
        self._rules = rules
        for name in ('images', 'annotations', 'categories'):
            if not isinstance(content, dict) or not isinstance(content.get(name), list):
                raise ValueError(f'{source}: expected a list {name!r} at the top level')
        self._content = content

    def records(self, class_names: Sequence[str]) -> list[FrameRecord]:
        """All images with their labels."""
        numbers = self._numbers(class_names)
        unlabelled = np.setdiff1d(
            np.arange(len(class_names)), [number - 1 for number in numbers.values() if number > 0]
        )
        images = self._images()
        rows: dict[Any, list[int]] = {image_id: [] for image_id in images}
        for index, annotation in enumerate(self._content['annotations']):
            image_id = self._value(annotation, 'image_id', 'annotations', index)
            if image_id not in rows:
                raise self._error('annotations', index, f'image_id {image_id} is no image')
            rows[image_id].append(index)
        fields = FileFields.of(
            self._content['annotations'], self._rules.joint_names, self._rules.outlines
        )
        return [
            FrameRecord(
                labels=self._labels(rows[image_id], numbers, len(class_names), unlabelled, fields),
                image_id=image_id,
                **image,
            )
            for image_id, image in images.items()
        ]

    def _numbers(self, class_names: Sequence[str]) -> dict[Any, int]:
        """Category id -> CenterTrack's number of it."""
        if self._rules.category_numbers is not None:
            return dict(self._rules.category_numbers)
        indices = {name: index for index, name in enumerate(class_names)}
        numbers = {}
        for index, category in enumerate(self._content['categories']):
            name = self._value(category, 'name', 'categories', index)
            if name not in indices and name not in self._rules.skipped_categories:
                raise self._error(
                    'categories', index, f'category {name!r} is no class of the model'
                )
            number = indices[name] + 1 if name in indices else SKIPPED_NUMBER
            numbers[self._value(category, 'id', 'categories', index)] = number
        return numbers

    def _images(self) -> dict[Any, dict[str, Any]]:
        """Image id -> other fields of its record; a video of one where the file has no videos."""
        images: dict[Any, dict[str, Any]] = {}
        taken: set[tuple[Any, int]] = set()
        for index, image in enumerate(self._content['images']):
            image_id = self._value(image, 'id', 'images', index)
            if image_id in images:
                raise self._error('images', index, f'id {image_id} was used before')
            file_name = self._value(image, 'file_name', 'images', index)
            still = 'video_id' not in image
            video = ('still', index) if still else (image['video_id'], image.get('sensor_id', 1))
            frame = 1 if still else self._value(image, 'frame_id', 'images', index)
            if not isinstance(frame, int):
                raise self._error('images', index, f'frame_id {frame!r} is no whole number')
            if (video, frame) in taken:
                raise self._error('images', index, f'video {video[0]} has frame {frame} twice')
            taken.add((video, frame))
            size = (image['height'], image['width']) if {'height', 'width'} <= set(image) else None
            images[image_id] = {
                'path': self._folder / file_name,
                'video': video,
                'frame': frame,
                'size': size,
                'camera_matrix': self._camera_matrix(image, index),
            }
        return images

    def _camera_matrix(self, image: Mapping[str, Any], index: int) -> FloatArray | None:
        if 'calib' not in image:
            return None
        try:
            matrix = np.asarray(image['calib'], np.float32)
        except (TypeError, ValueError):
            matrix = np.zeros(0, np.float32)
        if matrix.shape != (3, 4) or not np.isfinite(matrix).all():
            raise self._error('images', index, f'calib {image["calib"]!r} is no 3x4 matrix')
        return matrix

    def _labels(
        self,
        rows: Sequence[int],
        numbers: Mapping[Any, int],
        class_count: int,
        unlabelled: IntArray,
        fields: FileFields,
    ) -> FrameLabels:
        """Labels of one image from its rows of the annotation list."""
        objects, ignored = ObjectRows(), ObjectRows()
        for place, index in enumerate(rows):
            annotation = self._content['annotations'][index]
            category = self._value(annotation, 'category_id', 'annotations', index)
            if category not in numbers:
                raise self._error('annotations', index, f'category_id {category} is no category')
            number = numbers[category]
            if number <= SKIPPED_NUMBER or number > class_count:
                continue
            box = self._box(annotation, index)
            crowd = annotation.get('iscrowd', 0) > 0
            track_id = annotation.get('track_id', index + 1)
            if number <= 0 or crowd:
                class_index = ALL_CLASSES if number == 0 else abs(number) - 1
                ignored.add(place, box, class_index, 0 if crowd else track_id)
                continue
            if track_id in objects.track_ids and not self._rules.lenient:
                raise self._error('annotations', index, f'track_id {track_id} twice in one image')
            objects.add(place, box, number - 1, track_id)
            objects.visibilities.append(self._visibility(annotation, index))
            try:
                objects.fields.append(fields.parse(annotation))
            except ValueError as error:
                raise self._error('annotations', index, str(error)) from error
        labels = FrameLabels.from_rows(
            objects.boxes,
            objects.classes,
            objects.track_ids,
            objects.visibilities,
            ignored.boxes,
            ignored.classes,
            unlabelled,
        )
        return fields.add_to(labels, objects, ignored)

    def _box(self, annotation: Mapping[str, Any], index: int) -> list[float]:
        """Xyxy from COCO's left, top, width, height."""
        values = self._value(annotation, 'bbox', 'annotations', index)
        if not isinstance(values, list) or len(values) != 4:
            raise self._error('annotations', index, f'bbox {values!r} is not four numbers')
        if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
            raise self._error('annotations', index, f'bbox {values!r} is not four finite numbers')
        left, top, width, height = values
        if (width <= 0 or height <= 0) and not self._rules.lenient:
            raise self._error('annotations', index, f'bbox {values!r} has no area')
        return [left, top, left + width, top + height]

    def _visibility(self, annotation: Mapping[str, Any], index: int) -> float:
        visibility = annotation.get('visibility', 1.0)
        if not isinstance(visibility, (int, float)) or not 0.0 <= visibility <= 1.0:
            raise self._error('annotations', index, f'visibility {visibility!r} is not in [0, 1]')
        return float(visibility)

    def _value(self, row: Any, name: str, table: str, index: int) -> Any:
        if not isinstance(row, dict) or name not in row:
            raise self._error(table, index, f'{name!r} is missing')
        return row[name]

    def _error(self, table: str, index: int, reason: str) -> ValueError:
        return ValueError(f'{self._source}: {table}[{index}]: {reason}')
