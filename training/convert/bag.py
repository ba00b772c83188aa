"""Frames out of a rosbag2, and an annotation file without annotations, for labelling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from centertrack_ros.replay.sources import Source
from training.convert.annotations import AnnotationFile, Counts
from training.convert.files import staged_folder

ANNOTATIONS = 'annotations.json'
IMAGES = 'images'
# Suffix -> how OpenCV encodes it.
_ENCODINGS: dict[str, list[int]] = {'.png': [], '.jpg': [cv2.IMWRITE_JPEG_QUALITY, 95]}
SUFFIXES = tuple(_ENCODINGS)


def convert_bag(
    source: Source,
    folder: Path,
    class_names: Sequence[str],
    *,
    every: int = 1,
    suffix: str = '.png',
) -> Counts:
    """Write pictures and the empty annotation file; nothing is left behind on failure.

    Args:
        source: the recording, see `replay.sources.open_source`.
        folder: new folder; gets `images/000001.png` and so on, and `annotations.json`, whose
            images have their time as `stamp_ns` in nanoseconds and as `timestamp` in seconds.
        class_names: what will be labelled.
        every: 1 takes every image, 2 every second one.
        suffix: `.png` keeps the pixels, `.jpg` saves space.

    Raises:
        FileExistsError: the folder exists.
        OSError: a picture could not be written.
        ValueError: the recording is broken or empty, or an argument out of range.
    """
    if every < 1:
        raise ValueError(f'every: expected 1 or more, received {every}')
    if suffix not in SUFFIXES:
        raise ValueError(f'suffix: expected one of {SUFFIXES}, received {suffix!r}')
    output = AnnotationFile.numbered(class_names)
    with staged_folder(folder) as staged:
        (staged / IMAGES).mkdir()
        video = output.add_video(source.description)
        for index, frame in enumerate(source):
            if index % every:
                output.skip('between the chosen images')
                continue
            number = output.counts.images + 1
            name = f'{number:06d}{suffix}'
            path = staged / IMAGES / name
            if not cv2.imwrite(str(path), frame.image, _ENCODINGS[suffix]):
                raise OSError(f'{folder / IMAGES / name} could not be written')
            size = frame.image.shape[:2]
            times = {'stamp_ns': frame.stamp_ns, 'timestamp': frame.stamp_ns / 1e9}
            output.add_image(name, size, video=video, frame=number, **times)
        if not output.counts.images:
            raise ValueError(f'{source.description}: expected images, found none')
        output.write(staged / ANNOTATIONS)
    return output.counts
