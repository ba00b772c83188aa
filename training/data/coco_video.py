"""Frames and pairs of frames from COCO-format annotations, see `training.data.coco_reader`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.datatypes import Image, IntArray
from training.data.coco_reader import read_coco_file
from training.data.coco_records import FrameRecord, ReadingRules
from training.data.faults import SetFaults
from training.data.images import ImageCache, read_image
from training.data.labels import FramePair, LabelledFrame
from training.data.pairs import evaluation_neighbour, sample_neighbour


class CocoVideoSource:
    """Frames and pairs of a COCO-format file.

    Args:
        annotation_path: the JSON.
        image_folder: where the `file_name`s lie.
        class_names: names of the network's classes, in its order; categories are mapped by name.
            Classes that the file does not have count as unlabelled, not as absent.
        max_frame_distance: frames of a training pair are nearer than this.
        rules: what the file means and which of its fields are read.
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
        rules: ReadingRules | None = None,
        cache: ImageCache | None = None,
    ) -> None:
        if max_frame_distance < 0:
            raise ValueError(
                f'max_frame_distance: expected 0 or more, received {max_frame_distance}'
            )
        if not image_folder.is_dir():
            raise FileNotFoundError(f'image folder {image_folder} does not exist')
        self.class_names = tuple(class_names)
        rules = rules or ReadingRules()
        file = read_coco_file(annotation_path, image_folder, self.class_names, rules)
        self.records = file.records
        self.faults = SetFaults(len(file.faults), len(self.records), rules.faults)
        self._source = annotation_path
        self._max_frame_distance = max_frame_distance
        self._cache = cache if cache is not None else ImageCache()
        self._videos = VideoIndex(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def frame(self, index: int) -> LabelledFrame:
        """Image and labels of one record.

        Raises:
            FaultyPicture: the image is absent, unreadable or of another size than annotated;
                `SkippedPicture` where `rules` skip faults.
            ValueError: too many of the images are.
        """
        record = self.records[index]
        try:
            image = read_record_image(record, self._cache.read)
        except (OSError, ValueError) as error:
            self.faults.refuse(index, f'{self._source}: images[{record.row}]: {error}')
        return LabelledFrame(image, record.labels)

    def name(self, index: int) -> str:
        """File and place of a record."""
        record = self.records[index]
        return f'{self._source}: images[{record.row}]: {record.path}'

    def sample_pair(self, generator: np.random.Generator) -> FramePair:
        """A random frame and a neighbour in time, before, after or itself."""
        return self.pair(int(generator.integers(len(self.records))), generator)

    def pair(self, index: int, generator: np.random.Generator) -> FramePair:
        """Frame `index` and a neighbour in time, before, after or itself."""
        return self._pair(index, self._videos.near(index, self._max_frame_distance, generator))

    def evaluation_pair(self, index: int) -> FramePair:
        """Frame `index` and exactly the one before it; with itself where there is none."""
        return self._pair(index, self._videos.previous(index))

    def _pair(self, index: int, previous_index: int) -> FramePair:
        current = self.frame(index)
        if previous_index == index:
            return FramePair(current, current, simulate_motion=True)
        return FramePair(current, self.frame(previous_index))


def read_record_image(record: FrameRecord, read: Callable[[Path], Image] = read_image) -> Image:
    """The picture of a record.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it cannot be decoded, or its size is not that of its annotation.
    """
    image = read(record.path)
    size = image.shape[:2]
    if record.size is not None and record.size != size:
        turned = ' (turned by its EXIF orientation?)' if record.size == size[::-1] else ''
        raise ValueError(
            f'{record.path}: expected {record.size[1]}x{record.size[0]} pixels as annotated, '
            f'received {size[1]}x{size[0]}{turned}'
        )
    return image


class VideoIndex:
    """Finds frames of the same video.

    Args:
        records: all frames; results are indices of them.
    """

    def __init__(self, records: Sequence[FrameRecord]) -> None:
        self._records = records
        self._rows: dict[Any, list[int]] = {}
        for index, record in enumerate(records):
            self._rows.setdefault(record.video, []).append(index)

    def previous(self, index: int) -> int:
        """Exactly the frame before record `index`; `index` where there is none."""
        rows, frames = self._video(index)
        return rows[evaluation_neighbour(frames, self._records[index].frame)]

    def near(self, index: int, max_distance: int, generator: np.random.Generator) -> int:
        """A random frame near record `index`, see `pairs.sample_neighbour`."""
        rows, frames = self._video(index)
        frame = self._records[index].frame
        return rows[sample_neighbour(frames, frame, max_distance, generator)]

    def _video(self, index: int) -> tuple[list[int], IntArray]:
        rows = self._rows[self._records[index].video]
        return rows, np.array([self._records[row].frame for row in rows])
