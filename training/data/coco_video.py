"""COCO-format annotations, with or without the video fields of CenterTrack.

Images may carry `video_id` and `frame_id` (whole number, the order in the video), annotations
`track_id`. A file without them is a set of still pictures: each becomes a video of one frame and
each box gets a track of its own (CenterTrack, `generic_dataset.py`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.datatypes import IntArray
from training.data.images import ImageCache
from training.data.labels import FrameLabels, FramePair, LabelledFrame
from training.data.pairs import evaluation_neighbour, sample_neighbour


@dataclass(frozen=True)
class FrameRecord:
    """One image of the annotation file.

    Attributes:
        path: the picture.
        video: index of its video.
        frame: number that orders the frames of the video.
        labels: its objects, in pixels of the picture.
    """

    path: Path
    video: int
    frame: int
    labels: FrameLabels


class CocoVideoSource:
    """Frames and pairs of a COCO-format file.

    Args:
        annotation_path: the JSON.
        image_folder: where the `file_name`s lie.
        class_names: names of the network's classes, in its order; categories are mapped by name.
            Classes that the file does not have count as unlabelled, not as absent.
        max_frame_distance: training pairs are at most this many frames apart.
        skipped_categories: names of categories to leave out although no class has that name.
        cache: decoded pictures; may be shared with other sources.

    Raises:
        FileNotFoundError: the file or the folder does not exist.
        ValueError: the file breaks the format; the text names file, list and index.
    """

    def __init__(
        self,
        annotation_path: Path,
        image_folder: Path,
        class_names: Sequence[str],
        *,
        max_frame_distance: int = 3,
        skipped_categories: Sequence[str] = (),
        cache: ImageCache | None = None,
    ) -> None:
        if max_frame_distance < 0:
            raise ValueError(
                f'max_frame_distance: expected 0 or more, received {max_frame_distance}'
            )
        if not image_folder.is_dir():
            raise FileNotFoundError(f'image folder {image_folder} does not exist')
        self.class_names = tuple(class_names)
        self.records = read_coco_video(
            annotation_path, image_folder, self.class_names, skipped_categories
        )
        self._max_frame_distance = max_frame_distance
        self._cache = cache if cache is not None else ImageCache()
        self._videos = _frames_of_videos(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def frame(self, index: int) -> LabelledFrame:
        """Image and labels of one record; ValueError where its size is not the annotated one."""
        record = self.records[index]
        return LabelledFrame(self._cache.read(record.path), record.labels)

    def sample_pair(self, generator: np.random.Generator) -> FramePair:
        """A random frame and a neighbour in time, before, after or itself."""
        index = int(generator.integers(len(self.records)))
        record = self.records[index]
        rows = self._videos[record.video]
        frames = np.array([self.records[row].frame for row in rows])
        chosen = sample_neighbour(frames, record.frame, self._max_frame_distance, generator)
        return self._pair(index, rows[chosen])

    def evaluation_pair(self, index: int) -> FramePair:
        """Frame `index` and exactly the one before it; with itself where there is none."""
        record = self.records[index]
        rows = self._videos[record.video]
        frames = np.array([self.records[row].frame for row in rows])
        return self._pair(index, rows[evaluation_neighbour(frames, record.frame)])

    def _pair(self, index: int, previous_index: int) -> FramePair:
        current = self.frame(index)
        if previous_index == index:
            return FramePair(current, current, simulate_motion=True)
        return FramePair(current, self.frame(previous_index))


def read_coco_video(
    annotation_path: Path,
    image_folder: Path,
    class_names: Sequence[str],
    skipped_categories: Sequence[str] = (),
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
    return _Reader(annotation_path, content, image_folder).records(class_names, skipped_categories)


class _Reader:
    """Checks one parsed file; every complaint names the file, the list and the index."""

    def __init__(self, path: Path, content: Any, image_folder: Path) -> None:
        self._path = path
        self._folder = image_folder
        for name in ('images', 'annotations', 'categories'):
            if not isinstance(content, dict) or not isinstance(content.get(name), list):
                raise ValueError(f'{path}: expected a list {name!r} at the top level')
        self._content = content

    def records(
        self, class_names: Sequence[str], skipped_categories: Sequence[str]
    ) -> list[FrameRecord]:
        """All images with their labels."""
        class_of = self._class_of_category(class_names, skipped_categories)
        unlabelled = np.setdiff1d(np.arange(len(class_names)), list(class_of.values()))
        images = self._images()
        rows: dict[Any, list[int]] = {image_id: [] for image_id in images}
        for index, annotation in enumerate(self._content['annotations']):
            image_id = self._value(annotation, 'image_id', 'annotations', index)
            if image_id not in rows:
                raise self._error('annotations', index, f'image_id {image_id} is no image')
            rows[image_id].append(index)
        return [
            FrameRecord(
                path=self._folder / image['file_name'],
                video=image['video_id'],
                frame=image['frame_id'],
                labels=self._labels(rows[image_id], class_of, unlabelled),
            )
            for image_id, image in images.items()
        ]

    def _class_of_category(
        self, class_names: Sequence[str], skipped_categories: Sequence[str]
    ) -> dict[Any, int]:
        """Category id -> class index, -1 for the skipped ones."""
        indices = {name: index for index, name in enumerate(class_names)}
        classes = {}
        for index, category in enumerate(self._content['categories']):
            name = self._value(category, 'name', 'categories', index)
            if name not in indices and name not in skipped_categories:
                raise self._error(
                    'categories', index, f'category {name!r} is no class of the model'
                )
            classes[self._value(category, 'id', 'categories', index)] = indices.get(name, -1)
        return classes

    def _images(self) -> dict[Any, dict[str, Any]]:
        """Image id -> file name, video and frame; a video of one where the file has no videos."""
        images: dict[Any, dict[str, Any]] = {}
        taken: set[tuple[Any, int]] = set()
        for index, image in enumerate(self._content['images']):
            image_id = self._value(image, 'id', 'images', index)
            if image_id in images:
                raise self._error('images', index, f'id {image_id} was used before')
            file_name = self._value(image, 'file_name', 'images', index)
            still = 'video_id' not in image
            video = ('still', index) if still else image['video_id']
            frame = 1 if still else self._value(image, 'frame_id', 'images', index)
            if not isinstance(frame, int):
                raise self._error('images', index, f'frame_id {frame!r} is no whole number')
            if (video, frame) in taken:
                raise self._error('images', index, f'video {video} has frame {frame} twice')
            taken.add((video, frame))
            images[image_id] = {'file_name': file_name, 'video_id': video, 'frame_id': frame}
        return images

    def _labels(
        self, rows: Sequence[int], class_of: Mapping[Any, int], unlabelled: IntArray
    ) -> FrameLabels:
        """Labels of one image from its rows of the annotation list."""
        objects: dict[str, list[Any]] = {'boxes': [], 'classes': [], 'ids': [], 'visible': []}
        ignored: dict[str, list[Any]] = {'boxes': [], 'classes': []}
        for index in rows:
            annotation = self._content['annotations'][index]
            category = self._value(annotation, 'category_id', 'annotations', index)
            if category not in class_of:
                raise self._error('annotations', index, f'category_id {category} is no category')
            if class_of[category] < 0:
                continue
            box = self._box(annotation, index)
            if annotation.get('iscrowd', 0):
                ignored['boxes'].append(box)
                ignored['classes'].append(class_of[category])
                continue
            track_id = annotation.get('track_id', index + 1)
            if track_id in objects['ids']:
                raise self._error('annotations', index, f'track_id {track_id} twice in one image')
            objects['boxes'].append(box)
            objects['classes'].append(class_of[category])
            objects['ids'].append(track_id)
            objects['visible'].append(self._visibility(annotation, index))
        return FrameLabels.from_rows(
            objects['boxes'],
            objects['classes'],
            objects['ids'],
            objects['visible'],
            ignored['boxes'],
            ignored['classes'],
            unlabelled,
        )

    def _box(self, annotation: Mapping[str, Any], index: int) -> list[float]:
        """Xyxy from COCO's left, top, width, height."""
        values = self._value(annotation, 'bbox', 'annotations', index)
        if not isinstance(values, list) or len(values) != 4:
            raise self._error('annotations', index, f'bbox {values!r} is not four numbers')
        if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
            raise self._error('annotations', index, f'bbox {values!r} is not four finite numbers')
        left, top, width, height = values
        if width <= 0 or height <= 0:
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
        return ValueError(f'{self._path}: {table}[{index}]: {reason}')


def _frames_of_videos(records: Sequence[FrameRecord]) -> dict[Any, list[int]]:
    """Video -> rows of its records."""
    videos: dict[Any, list[int]] = {}
    for index, record in enumerate(records):
        videos.setdefault(record.video, []).append(index)
    return videos
