"""The recording with its tracks drawn: an annotated video, and one picture for the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from centertrack_ros.datatypes import Image
from centertrack_ros.drawing import Trails, draw_tracks
from centertrack_ros.replay.records import FrameRecord
from centertrack_ros.replay.sources import Source

# MPEG-4 part 2: the one codec for .mp4 that every OpenCV wheel can write.
CODEC = 'mp4v'


def busiest_image(records: Sequence[FrameRecord]) -> int:
    """Index of the first image with the most tracks."""
    return int(np.argmax([len(record.tracks) for record in records]))


def draw_recording(
    source: Source,
    records: Sequence[FrameRecord],
    class_names: Sequence[str],
    *,
    sample_index: int,
    video_path: Path | None = None,
    progress: Callable[[], object] = lambda: None,
) -> Image:
    """Read the recording once more and draw the tracks.

    It is a pass of its own, so that drawing and encoding do not disturb what is measured.

    Args:
        source: the recording.
        records: its replay.
        class_names: `ModelSpec.classes`.
        sample_index: image that is returned.
        video_path: .mp4 to write; None stops after the sample.
        progress: called after each image.

    Returns:
        (H, W, 3) uint8 BGR, the annotated sample.

    Raises:
        ValueError: the recording broke, or the video cannot be written.
    """
    trails = Trails()
    writer: _VideoFile | None = None
    sample: Image | None = None
    try:
        for index, (frame, record) in enumerate(zip(source, records, strict=False)):
            if record.reset_reason:
                trails.clear()
            trails.update(record.tracks)
            wanted = index == sample_index
            if wanted or video_path is not None:
                drawn = draw_tracks(frame.image, record.tracks, class_names, trails)
                sample = drawn if wanted else sample
                if video_path is not None:
                    writer = writer or _VideoFile(video_path, drawn, source.fps)
                    writer.write(drawn)
            progress()
            if sample is not None and video_path is None:
                break
    finally:
        if writer is not None:
            writer.close()
    if sample is None:
        raise ValueError(f'{source.description}: image {sample_index + 1} cannot be read again')
    return sample


class _VideoFile:
    """An .mp4 of the size of its first image; others are scaled into it."""

    def __init__(self, path: Path, first: Image, fps: float) -> None:
        # The codec halves the colour planes: odd sizes lose their last row or column.
        height, width = (size + size % 2 for size in first.shape[:2])
        self._size = (width, height)
        code = cv2.VideoWriter.fourcc(*CODEC)
        # Its time base has 16 bits, which a rate like 9.9999998 does not fit.
        self._writer = cv2.VideoWriter(str(path), code, round(fps, 2), self._size)
        if not self._writer.isOpened():
            raise ValueError(
                f'{path}: this build of OpenCV cannot write {CODEC} video of {width}x{height} at '
                f'{fps:.2f} images per second; leave out --video'
            )

    def write(self, image: Image) -> None:
        height, width = image.shape[:2]
        scale = min(self._size[0] / width, self._size[1] / height)
        # An image that is one pixel short of an even size is padded, not blurred.
        if width + 1 < self._size[0] or height + 1 < self._size[1] or scale < 1:
            size = (max(1, int(width * scale)), max(1, int(height * scale)))
            image = np.asarray(cv2.resize(image, size), dtype=np.uint8)
        canvas = np.zeros((self._size[1], self._size[0], 3), np.uint8)
        canvas[: image.shape[0], : image.shape[1]] = image
        self._writer.write(canvas)

    def close(self) -> None:
        self._writer.release()
