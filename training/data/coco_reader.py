"""Reads COCO-format annotations, with or without the fields that CenterTrack adds.

Images may have `video_id`, `frame_id` (whole number, the order in the video), `sensor_id` and
`calib` (3x4 camera matrix); annotations `track_id`, `visibility`, and for 3D `depth`, `dim`
(height, width, length), `alpha`, `amodel_center`, `attributes` and `velocity`. A file without
videos is a set of still pictures: each becomes a video of one frame and each box gets a track of
its own (CenterTrack, `generic_dataset.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.convert.files import read_json
from training.data.coco_entries import (
    corner_box,
    identifier,
    image_fields,
    is_crowd,
    track_number,
    visible_share,
)
from training.data.coco_objects import FileFields, ObjectRows
from training.data.coco_records import SKIPPED_NUMBER, CocoFile, FrameRecord, ReadingRules
from training.data.faults import FaultList
from training.data.labels import ALL_CLASSES, FrameLabels

_LISTS = ('images', 'annotations', 'categories')


def read_coco_file(
    annotation_path: Path,
    image_folder: Path,
    class_names: Sequence[str],
    rules: ReadingRules | None = None,
) -> CocoFile:
    """All images of a COCO-format file.

    Crowd annotations (`iscrowd`) become ignore regions of their class.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not valid; the text names the file, the list and the index in it.
    """
    content = load_coco(annotation_path)
    return coco_file(content, str(annotation_path), image_folder, class_names, rules)


def read_coco_video(
    annotation_path: Path,
    image_folder: Path,
    class_names: Sequence[str],
    rules: ReadingRules | None = None,
) -> list[FrameRecord]:
    """The records of `read_coco_file`."""
    return read_coco_file(annotation_path, image_folder, class_names, rules).records


def frame_records(
    content: Any,
    source: str,
    image_folder: Path,
    class_names: Sequence[str],
    rules: ReadingRules | None = None,
) -> list[FrameRecord]:
    """The records of `coco_file`."""
    return coco_file(content, source, image_folder, class_names, rules).records


def coco_file(
    content: Any,
    source: str,
    image_folder: Path,
    class_names: Sequence[str],
    rules: ReadingRules | None = None,
) -> CocoFile:
    """The same as `read_coco_file` from a parsed file; `source` names it in complaints."""
    rules = rules or ReadingRules()
    faults = FaultList(source, rules.faults)
    records = parse_coco(content, faults, image_folder, class_names, rules)
    faults.close({name: len(content[name]) for name in _LISTS})
    return CocoFile(records, tuple(faults.found))


def load_coco(annotation_path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON.
    """
    return read_json(annotation_path, 'an annotation file')


def parse_coco(
    content: Any,
    faults: FaultList,
    image_folder: Path,
    class_names: Sequence[str],
    rules: ReadingRules,
) -> list[FrameRecord]:
    """All images of a parsed file; wrong entries go to `faults`.

    Raises:
        ValueError: a list is missing, a category is unknown or wrong, or an entry is wrong and
            faults are fatal.
    """
    for name in _LISTS:
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise ValueError(f'{faults.source}: expected a list {name!r} at the top level')
    return _Reader(content, faults, rules, class_names).records(image_folder)


class _Reader:
    """Goes through one parsed file; wrong entries become faults."""

    def __init__(
        self, content: Any, faults: FaultList, rules: ReadingRules, class_names: Sequence[str]
    ) -> None:
        self._content = content
        self._faults = faults
        self._rules = rules
        self._class_count = len(class_names)
        self._numbers = self._category_numbers(class_names)
        self._unlabelled = np.setdiff1d(
            np.arange(len(class_names)),
            [number - 1 for number in self._numbers.values() if number > 0],
        )
        self._fields = FileFields.of(
            content['annotations'], rules.joint_names, rules.outlines, rules.boxes_3d
        )

    def records(self, folder: Path) -> list[FrameRecord]:
        """All images with their labels."""
        images = self._images(folder)
        rows: dict[Any, list[int]] = {image_id: [] for image_id in images}
        for index, annotation in enumerate(self._content['annotations']):
            try:
                image_id = identifier(annotation, 'image_id')
                if image_id not in rows:
                    raise ValueError(f'image_id {image_id} is no image')
                rows[image_id].append(index)
            except ValueError as error:
                self._faults.add('annotations', index, str(error))
        return [
            FrameRecord(labels=self._labels(rows[image_id]), image_id=image_id, **image)
            for image_id, image in images.items()
            if image is not None
        ]

    def _category_numbers(self, class_names: Sequence[str]) -> dict[Any, int]:
        """Category id -> CenterTrack's number of it."""
        if self._rules.category_numbers is not None:
            return dict(self._rules.category_numbers)
        indices = {name: index for index, name in enumerate(class_names)}
        numbers: dict[Any, int] = {}
        for index, category in enumerate(self._content['categories']):
            try:
                name, category_id = identifier(category, 'name'), identifier(category, 'id')
                if name not in indices and name not in self._rules.skipped_categories:
                    raise ValueError(
                        f'category {name!r} is no class of the model; '
                        'skip_categories leaves it out'
                    )
                if category_id in numbers:
                    raise ValueError(f'id {category_id} was used before')
            except ValueError as error:
                # Never skipped: all annotations of the category would go.
                source = self._faults.source
                raise ValueError(f'{source}: categories[{index}]: {error}') from error
            numbers[category_id] = indices[name] + 1 if name in indices else SKIPPED_NUMBER
        return numbers

    def _images(self, folder: Path) -> dict[Any, dict[str, Any] | None]:
        """Image id -> other fields of its record, None where it is wrong."""
        images: dict[Any, dict[str, Any] | None] = {}
        taken: set[tuple[Any, int]] = set()
        for index, image in enumerate(self._content['images']):
            try:
                image_id = identifier(image, 'id')
                if image_id in images:
                    raise ValueError(f'id {image_id} was used before')
                images[image_id] = None
                fields = image_fields(image, index, folder)
                place = (fields['video'], fields['frame'])
                if place in taken:
                    raise ValueError(f'video {place[0][0]} has frame {place[1]} twice')
            except ValueError as error:
                self._faults.add('images', index, str(error))
                continue
            taken.add(place)
            images[image_id] = fields
        return images

    def _labels(self, rows: Sequence[int]) -> FrameLabels:
        """Labels of one image from its rows of the annotation list."""
        objects, ignored = ObjectRows(), ObjectRows()
        for place, index in enumerate(rows):
            try:
                self._add(place, index, objects, ignored)
            except ValueError as error:
                self._faults.add('annotations', index, str(error))
        labels = FrameLabels.from_rows(
            objects.boxes,
            objects.classes,
            objects.track_ids,
            objects.visibilities,
            ignored.boxes,
            ignored.classes,
            self._unlabelled,
        )
        return self._fields.add_to(labels, objects, ignored)

    def _add(self, place: int, index: int, objects: ObjectRows, ignored: ObjectRows) -> None:
        """One annotation goes to the objects, to the ignored regions or nowhere."""
        annotation = self._content['annotations'][index]
        category = identifier(annotation, 'category_id')
        if category not in self._numbers:
            raise ValueError(f'category_id {category} is no category')
        number = self._numbers[category]
        if number <= SKIPPED_NUMBER or number > self._class_count:
            return
        box = corner_box(annotation, empty=self._rules.lenient)
        crowd = is_crowd(annotation)
        track_id = track_number(annotation, index + 1)
        if number <= 0 or crowd:
            class_index = ALL_CLASSES if number == 0 else abs(number) - 1
            ignored.add(place, box, class_index, 0 if crowd else track_id)
            return
        if track_id in objects.track_ids and not self._rules.lenient:
            raise ValueError(f'track_id {track_id} twice in one image')
        visibility, fields = visible_share(annotation), self._fields.parse(annotation)
        objects.add(place, box, number - 1, track_id)
        objects.visibilities.append(visibility)
        objects.fields.append(fields)
