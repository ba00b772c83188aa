"""Tiny sets as COCO-format files with their pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from training.classes import COCO_JOINTS
from training.convert.annotations import AnnotationFile, Counts
from training.convert.files import staged_folder
from training.data.tiny import boxes3d, figures, shapes
from training.data.tiny.canvas import Size
from training.data.tiny.scene import TinyFrame, clipped_box

ANNOTATIONS, IMAGES = 'annotations.json', 'images'
_VIDEOS = 2
# Strides of all networks divide it, so that pictures need no margin.
_SIZE_MULTIPLE = 32


@dataclass(frozen=True)
class Kind:
    """One kind of set.

    Attributes:
        make_video: frames, size (height, width) and Generator -> a video.
        classes: names.
        size: (height, width) unless something else is wanted.
        category_fields: further ones of every category.
    """

    make_video: Callable[[int, Size, np.random.Generator], tuple[TinyFrame, ...]]
    classes: tuple[str, ...]
    size: Size
    category_fields: dict[str, Any] = field(default_factory=dict)


KINDS: dict[str, Kind] = {
    'video': Kind(shapes.shape_video, shapes.CLASSES, (96, 128)),
    'pose': Kind(
        figures.figure_video, figures.CLASSES, (128, 160),
        {'keypoints': list(COCO_JOINTS), 'skeleton': [list(pair) for pair in figures.SKELETON]},
    ),
    'boxes3d': Kind(boxes3d.box_video, boxes3d.CLASSES, (96, 192)),
}  # fmt: skip


def write_tiny_set(
    kind: str, folder: Path, *, frames: int = 40, seed: int = 1, size: Size | None = None
) -> Counts:
    """Make a set and write it into a new folder: `annotations.json` and `images`.

    The same arguments give the same bytes.

    Args:
        kind: one of `KINDS`.
        folder: is made; nothing is left of it when something goes wrong.
        frames: of all videos together; there are two.
        seed: of everything random.
        size: (height, width) of the pictures, multiples of 32; None: that of the kind.

    Returns:
        What was written.

    Raises:
        FileExistsError: the folder exists.
        ValueError: no such kind, size or number of frames.
    """
    if kind not in KINDS:
        raise ValueError(f'kind: expected one of {sorted(KINDS)}, received {kind!r}')
    size = size or KINDS[kind].size
    if min(size) < 64 or any(length % _SIZE_MULTIPLE for length in size):
        raise ValueError(f'size: expected multiples of {_SIZE_MULTIPLE} from 64, received {size}')
    if frames < 2 * _VIDEOS:
        raise ValueError(f'frames: expected at least {2 * _VIDEOS}, received {frames}')
    categories = [
        {'id': number, 'name': name, **KINDS[kind].category_fields}
        for number, name in enumerate(KINDS[kind].classes, start=1)
    ]
    output = AnnotationFile(categories)
    with staged_folder(folder) as staged:
        for index in range(_VIDEOS):
            # Videos differ in length by one where the frames do not divide.
            length = (frames + index) // _VIDEOS
            generator = np.random.default_rng([seed, index])
            video = KINDS[kind].make_video(length, size, generator)
            _add_video(output, f'video_{index + 1}', video, staged / IMAGES, size)
        (staged / ANNOTATIONS).write_text(json.dumps(output.content()) + '\n', encoding='utf-8')
    return output.counts


def _add_video(
    output: AnnotationFile, name: str, video: tuple[TinyFrame, ...], images: Path, size: Size
) -> None:
    (images / name).mkdir(parents=True)
    video_id = output.add_video(name)
    for number, frame in enumerate(video, start=1):
        file_name = f'{name}/{number:06d}.png'
        # As bytes: OpenCV says of a full disk no more than False.
        done, data = cv2.imencode('.png', frame.image)
        assert done
        (images / file_name).write_bytes(data.tobytes())
        image_id = output.add_image(file_name, size, video=video_id, frame=number, **frame.fields)
        for found in frame.objects:
            output.add_box(
                image_id,
                found.category + 1,
                [round(value, 4) for value in clipped_box(found.box, size)],
                track_id=found.track,
                visibility=round(found.visibility, 4),
                **found.fields,
            )
