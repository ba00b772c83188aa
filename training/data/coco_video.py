"""Frames and pairs of frames from COCO-format annotations, see `training.data.coco_reader`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.datatypes import IntArray
from training.data.coco_reader import FrameRecord, ReadingRules, read_coco_video
from training.data.images import ImageCache
from training.data.labels import FramePair, LabelledFrame
from training.data.pairs import evaluation_neighbour, sample_neighbour


class CocoVideoSource:
    """Frames and pairs of a COCO-format file.

    Args:
        annotation_path: the JSON.
        image_folder: where the `file_name`s lie.
        class_names: names of the network's classes, in its order; categories are mapped by name.
            Classes that the file does not have count as unlabelled, not as absent.
        max_frame_distance: training pairs are at most this many frames apart.
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
        self.records = read_coco_video(annotation_path, image_folder, self.class_names, rules)
        self._max_frame_distance = max_frame_distance
        self._cache = cache if cache is not None else ImageCache()
        self._videos = VideoIndex(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def frame(self, index: int) -> LabelledFrame:
        """Image and labels of one record; ValueError where its size is not the annotated one."""
        record = self.records[index]
        return LabelledFrame(self._cache.read(record.path), record.labels)

    def sample_pair(self, generator: np.random.Generator) -> FramePair:
        """A random frame and a neighbour in time, before, after or itself."""
        index = int(generator.integers(len(self.records)))
        return self._pair(index, self._videos.near(index, self._max_frame_distance, generator))

    def evaluation_pair(self, index: int) -> FramePair:
        """Frame `index` and exactly the one before it; with itself where there is none."""
        return self._pair(index, self._videos.previous(index))

    def _pair(self, index: int, previous_index: int) -> FramePair:
        current = self.frame(index)
        if previous_index == index:
            return FramePair(current, current, simulate_motion=True)
        return FramePair(current, self.frame(previous_index))


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
