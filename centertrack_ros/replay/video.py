"""The recording with its tracks drawn: an annotated video, and one picture for the report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from centertrack_ros.camera_info import Calibration
from centertrack_ros.datatypes import Image
from centertrack_ros.drawing import Trails, draw_note, draw_tracks
from centertrack_ros.drawing_3d import draw_boxes_3d
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
    calibration: Calibration | None = None,
    joint_names: Sequence[str] = (),
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
        calibration: of the camera; None draws no boxes in space.
        joint_names: `ModelSpec.joints`.
        progress: called after each image.

    Returns:
        (H, W, 3) uint8 BGR, the annotated sample.

    Raises:
        ValueError: the recording broke, or the video cannot be written.
    """
    sample: Image | None = None
    writer: _VideoFile | None = None
    with contextlib.ExitStack() as stack:
        images = _drawn_images(source, records, class_names, calibration, joint_names)
        for index, drawn in enumerate(images):
            sample = drawn if index == sample_index else sample
            if video_path is not None:
                if writer is None:
                    writer = _VideoFile(video_path, drawn, source.fps)
                    stack.callback(writer.close)
                writer.write(drawn)
            progress()
            if sample is not None and video_path is None:
                break
    if sample is None:
        raise ValueError(f'{source.description}: image {sample_index + 1} cannot be read again')
    return sample


def _drawn_images(
    source: Source,
    records: Sequence[FrameRecord],
    class_names: Sequence[str],
    calibration: Calibration | None,
    joint_names: Sequence[str],
) -> Iterator[Image]:
    trails = Trails()
    for number, (frame, record) in enumerate(zip(source, records, strict=False), start=1):
        if record.reset_reason:
            trails.clear()
        trails.update(record.tracks)
        drawn, framed = frame.image, None
        if record.boxes_3d is not None and calibration is not None:
            # A rectangle round each box in space would only hide it.
            framed = ~record.boxes_3d.known
            camera_matrix = calibration.for_image(drawn.shape[1], drawn.shape[0])
            drawn = draw_boxes_3d(drawn, record.boxes_3d, camera_matrix, record.tracks.ids)
        drawn = draw_tracks(
            drawn,
            record.tracks,
            class_names,
            trails,
            joints=record.joints,
            joint_names=joint_names,
            framed=framed,
        )
        dropped = record.latency_ms is None
        yield draw_note(drawn, f'image {number}: dropped') if dropped else drawn


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
