"""The annotation file that a converter fills, and its counts."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from centertrack_ros.files import write_atomically

Half = Literal['first', 'second']
HALVES: tuple[Half, ...] = ('first', 'second')


@dataclass
class Counts:
    """What a conversion found.

    Attributes:
        videos, images: written.
        boxes: objects to be learnt.
        tracks: different tracks among them.
        ignored: labels that became ignored regions.
        skipped: reason -> number of labels or images that were left out.
    """

    videos: int = 0
    images: int = 0
    boxes: int = 0
    tracks: int = 0
    ignored: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        text = (
            f'{self.videos} videos, {self.images} images, {self.boxes} boxes, '
            f'{self.tracks} tracks, {self.ignored} ignored, {self.skipped.total()} skipped'
        )
        reasons = ', '.join(f'{reason}: {n}' for reason, n in sorted(self.skipped.items()))
        return f'{text} ({reasons})' if reasons else text


class AnnotationFile:
    """A COCO-format file while it is filled.

    Args:
        categories: ids and names; see `numbered` for names alone.
    """

    def __init__(self, categories: Sequence[Mapping[str, Any]]) -> None:
        self.counts = Counts()
        self._categories = [dict(category) for category in categories]
        self._videos: list[dict[str, Any]] = []
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._video_of: dict[int, int | None] = {}
        self._seen: set[tuple[int, int]] = set()
        self._tracks: set[tuple[int | None, int]] = set()

    @classmethod
    def numbered(cls, class_names: Sequence[str]) -> AnnotationFile:
        """With categories from 1 in the order of the names; ValueError for a repeated name."""
        if len(set(class_names)) != len(class_names) or not class_names:
            raise ValueError(f'classes: expected different names, received {list(class_names)}')
        return cls([{'id': i, 'name': name} for i, name in enumerate(class_names, start=1)])

    def add_video(self, name: str, **fields: Any) -> int:
        """One more video, with further `fields` such as `fps`; returns its id."""
        self.counts.videos += 1
        self._videos.append({'id': self.counts.videos, 'file_name': name, **fields})
        return self.counts.videos

    def add_image(
        self,
        file_name: str,
        size: tuple[int, int],
        *,
        video: int | None = None,
        frame: int | None = None,
        **fields: Any,
    ) -> int:
        """One more image.

        Args:
            file_name: path inside the folder of the images.
            size: (height, width) in pixels.
            video: its video; None for a still.
            frame: its number in the video, from 1.
            fields: further ones; an `id` replaces the next free number.

        Returns:
            Its id.

        Raises:
            ValueError: the name, the size, the frame or the id is none, or the id is taken.
        """
        if not isinstance(file_name, str) or not file_name:
            raise ValueError(f'file_name: expected text, received {file_name!r}')
        if not all(isinstance(value, int) and value > 0 for value in size):
            raise ValueError(f'size: expected whole numbers from 1, received {size}')
        if video is not None and not isinstance(frame, int):
            raise ValueError(f'frame: expected a whole number, received {frame!r}')
        image: dict[str, Any] = {'id': len(self._images) + 1, 'file_name': file_name}
        image |= {'height': size[0], 'width': size[1]}
        if video is not None:
            image |= {'video_id': video, 'frame_id': frame}
        image |= fields
        image_id: int = image['id']
        if image_id in self._video_of:
            raise ValueError(f'expected every image id once, received {image_id!r} twice')
        self._video_of[image_id] = video
        self._images.append(image)
        self.counts.images += 1
        return image_id

    def add_box(
        self, image_id: int, category_id: int, box: Sequence[float], **fields: Any
    ) -> bool:
        """One object to be learnt; a box without area is counted as skipped instead.

        Args:
            image_id: see `add_image`.
            category_id: one of the categories.
            box: left, top, width, height in pixels.
            fields: further ones, such as `track_id`; an `id` replaces the next free number.

        Returns:
            Whether it was added.

        Raises:
            ValueError: the box is no box, or its track is in the image already.
        """
        if not self._has_area(box):
            return False
        track_id = fields.get('track_id')
        if track_id is not None:
            if (image_id, track_id) in self._seen:
                raise ValueError(
                    f'expected every track once per image, received track {track_id} twice'
                )
            self._seen.add((image_id, track_id))
            self._tracks.add((self._video_of[image_id], track_id))
            self.counts.tracks = len(self._tracks)
        self._append(image_id, category_id, box, fields, crowd=0)
        self.counts.boxes += 1
        return True

    def add_region(
        self, image_id: int, category_ids: Sequence[int], box: Sequence[float], **fields: Any
    ) -> bool:
        """One region in which objects of some classes are not looked at; see `add_box`."""
        if not self._has_area(box):
            return False
        for category_id in category_ids:
            self._append(image_id, category_id, box, fields, crowd=1)
        self.counts.ignored += 1
        return True

    def skip(self, reason: str) -> None:
        """Count a label or an image that is left out."""
        self.counts.skipped[reason] += 1

    def content(self) -> dict[str, Any]:
        """What is written."""
        return {
            'categories': self._categories,
            'videos': self._videos,
            'images': self._images,
            'annotations': self._annotations,
        }

    def write(self, path: Path) -> None:
        """Write the JSON; on failure an existing file stays as it was."""
        write_atomically(path, json.dumps(self.content()))

    def _has_area(self, box: Sequence[float]) -> bool:
        if len(box) != 4 or not all(math.isfinite(value) for value in box) or min(box[2:]) < 0:
            raise ValueError(
                'expected a box of left, top, width, height with sizes from 0, '
                f'received {list(box)}'
            )
        if min(box[2:]) == 0:
            self.skip('box without area')
            return False
        return True

    def _append(
        self,
        image_id: int,
        category_id: int,
        box: Sequence[float],
        fields: Mapping[str, Any],
        crowd: int,
    ) -> None:
        annotation = {
            'id': len(self._annotations) + 1,
            'image_id': image_id,
            'category_id': category_id,
            'bbox': list(box),
            'area': box[2] * box[3],
            'iscrowd': crowd,
        }
        self._annotations.append(annotation | dict(fields))


def half_of(count: int, half: Half | None, first_count: int) -> range:
    """Indices of the frames of one half of a video; of all frames where `half` is None."""
    if half is None:
        return range(count)
    first_count = min(first_count, count)
    return range(first_count) if half == 'first' else range(first_count, count)
