"""Where the images of a replay come from: bag, video file, image folder, MOT sequence folder."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from centertrack_ros.camera_info import Calibration
from centertrack_ros.datatypes import Image

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.ppm', '.pgm')
BAG_SUFFIXES = ('.mcap', '.db3')
SEQUENCE_FILE = 'seqinfo.ini'
# Seconds of each image, one a line, beside `seqinfo.ini`: for cameras that drop images.
TIMESTAMPS_FILE = 'timestamps.txt'
DEFAULT_FRAME_ID = 'camera'
NANOSECONDS = 1_000_000_000
# For folders that say nothing of their rate.
DEFAULT_FPS = 30.0
MAX_FPS = 1000.0
# Containers without an index estimate their length; a video this much shorter is damaged.
SHORTEST_PART = 0.9


@dataclass(frozen=True)
class Frame:
    """One image of a recording.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        stamp_ns: time of exposure, nanoseconds; whole numbers, so that the stamps of a bag come
            out again as they went in.
        frame_id: name of the camera frame.
    """

    image: Image
    stamp_ns: int
    frame_id: str = DEFAULT_FRAME_ID

    @property
    def stamp(self) -> float:
        """Time of exposure, seconds."""
        return self.stamp_ns / NANOSECONDS


class Source(Protocol):
    """A recording; every loop over it starts at its first image."""

    @property
    def description(self) -> str:
        """What it is, for people: `video vtest.avi`."""

    @property
    def fps(self) -> float:
        """Images per second at which it was recorded."""

    @property
    def count(self) -> int | None:
        """Number of images, None where only reading it all would tell."""

    @property
    def calibration(self) -> Calibration | None:
        """The camera, None where the recording does not say it.

        Raises:
            CameraInfoError: what it says is no calibration.
        """

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images in their order.

        Raises:
            ValueError: the recording is broken; the message says where.
        """


class VideoSource:
    """A video file; image `i` has the stamp `i / fps`."""

    def __init__(self, path: Path, fps: float | None = None) -> None:
        """Open it once to learn its rate.

        Args:
            path: any file that OpenCV can read.
            fps: images per second; None takes what the file says.

        Raises:
            ValueError: OpenCV cannot read it, or it does not say its rate.
        """
        self._path = path
        capture = self._open()
        declared = capture.get(cv2.CAP_PROP_FPS)
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        self._declared_count = max(count, 0)
        self._fps = declared if fps is None else fps
        if not 0.0 < self._fps <= MAX_FPS:
            raise ValueError(
                f'{path}: expected a frame rate of up to {MAX_FPS:g}, the file says '
                f'{declared:g}; give the right one with --fps'
            )

    @property
    def description(self) -> str:
        """What it is, for people."""
        return f'video {self._path.name}'

    @property
    def fps(self) -> float:
        """Images per second."""
        return self._fps

    @property
    def count(self) -> int | None:
        """Number of images the container declares."""
        return self._declared_count or None

    @property
    def calibration(self) -> Calibration | None:
        """Such files do not say it."""
        return None

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images; ValueError where the file is cut off or holds none."""
        capture = self._open()
        index = 0
        try:
            while True:
                found, image = capture.read()
                if not found:
                    break
                yield Frame(
                    image.astype(np.uint8, copy=False), round(index * NANOSECONDS / self._fps)
                )
                index += 1
        finally:
            capture.release()
        if index == 0:
            raise ValueError(f'{self._path}: expected a video, found no readable image in it')
        if index < SHORTEST_PART * self._declared_count:
            raise ValueError(
                f'{self._path}: the video breaks off after {index} of {self._declared_count} '
                'images; copy it again, or convert what is there with a video tool'
            )

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self._path))
        if not capture.isOpened():
            raise ValueError(
                f'{self._path}: expected a video file, rosbag2, image folder or MOT sequence '
                'folder; OpenCV cannot open it as a video'
            )
        return capture


class ImageFolderSource:
    """Image files in the order of the numbers in their names."""

    def __init__(
        self,
        files: list[Path],
        description: str,
        fps: float,
        stamps_ns: list[int] | None = None,
    ) -> None:
        """Take the files.

        Args:
            files: paths of the images in their order, at least one.
            description: what it is, for people.
            fps: images per second.
            stamps_ns: time of each image, nanoseconds; None gives image `i` the stamp `i / fps`.
        """
        self._files = files
        self._description = description
        self._fps = fps
        self._stamps_ns = stamps_ns or [
            round(index * NANOSECONDS / fps) for index in range(len(files))
        ]

    @property
    def description(self) -> str:
        """What it is, for people."""
        return self._description

    @property
    def fps(self) -> float:
        """Images per second."""
        return self._fps

    @property
    def count(self) -> int | None:
        """Number of images."""
        return len(self._files)

    @property
    def calibration(self) -> Calibration | None:
        """Such files do not say it."""
        return None

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images; ValueError for a file that is none."""
        for path, stamp_ns in zip(self._files, self._stamps_ns, strict=True):
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                raise ValueError(f'{path}: expected an image, OpenCV cannot read the file')
            yield Frame(image.astype(np.uint8, copy=False), stamp_ns)


def open_source(path: Path, *, topic: str | None = None, fps: float | None = None) -> Source:
    """Find out what a path is and open it.

    Args:
        path: rosbag2 folder or file, video file, image folder, or MOT sequence folder (with
            `seqinfo.ini`, and `timestamps.txt` where its images are not evenly spaced; the
            `img1` inside it will do).
        topic: image topic of a bag with several.
        fps: images per second of videos and folders, evenly spaced; None takes what the
            recording says, and 30 for folders without `seqinfo.ini`.

    Raises:
        FileNotFoundError: there is no such path.
        ValueError: it holds no images, or does not fit the other arguments.
    """
    if not path.exists():
        raise FileNotFoundError(f'{path} does not exist: expected a recording')
    if fps is not None and not 0.0 < fps <= MAX_FPS:
        raise ValueError(f'fps: expected more than 0 and up to {MAX_FPS:g}, received {fps}')
    if _is_bag(path):
        # rosbags takes 0.2 s to import, and only bags need it.
        from centertrack_ros.replay.bag_source import BagSource

        return BagSource(path, topic)
    if topic is not None:
        raise ValueError(f'{path} is no rosbag2: it has no topic {topic!r}')
    if path.is_file():
        return VideoSource(path, fps)
    if (path / SEQUENCE_FILE).is_file():
        return _open_sequence(path, fps)
    if (path.resolve().parent / SEQUENCE_FILE).is_file():
        return _open_sequence(path.resolve().parent, fps)
    return _open_folder(path, f'images of {path.name}', fps or DEFAULT_FPS)


def _is_bag(path: Path) -> bool:
    return (path / 'metadata.yaml').is_file() or path.suffix in BAG_SUFFIXES


def _open_sequence(path: Path, fps: float | None) -> ImageFolderSource:
    info_path = path / SEQUENCE_FILE
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(info_path, encoding='utf-8')
        section = parser['Sequence']
        declared = section.getfloat('frameRate', fallback=DEFAULT_FPS)
        length = section.getint('seqLength', fallback=0)
    except (configparser.Error, KeyError, ValueError) as error:
        raise ValueError(f'{info_path}: expected a [Sequence] section, {error!r}') from error
    if not 0.0 < declared <= MAX_FPS:
        raise ValueError(f'{info_path}: frameRate: expected a rate, received {declared}')
    folder = path / section.get('imDir', fallback='img1')
    if not folder.is_dir():
        raise ValueError(f'{info_path} says that the images lie in {folder}, which does not exist')
    times_path = path / TIMESTAMPS_FILE
    stamps_ns = _read_stamps(times_path) if fps is None and times_path.is_file() else None
    source = _open_folder(folder, f'MOT sequence {path.name}', fps or declared, stamps_ns)
    if length and length != source.count:
        raise ValueError(
            f'{info_path}: expected seqLength = {length} images, {folder} holds {source.count}'
        )
    return source


def _read_stamps(path: Path) -> list[int]:
    try:
        times = np.array(path.read_text(encoding='utf-8').split(), np.float64)
    except ValueError as error:
        raise ValueError(f'{path}: expected one time in seconds a line, {error}') from error
    if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        raise ValueError(f'{path}: expected rising times in seconds, received others')
    return [round(time * NANOSECONDS) for time in times.tolist()]


def _open_folder(
    path: Path, description: str, fps: float, stamps_ns: list[int] | None = None
) -> ImageFolderSource:
    files = [entry for entry in path.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise ValueError(
            f'{path}: expected image files ({", ".join(IMAGE_SUFFIXES)}), {SEQUENCE_FILE} or '
            'the metadata.yaml of a rosbag2, found none of them'
        )
    if stamps_ns is not None and len(stamps_ns) != len(files):
        raise ValueError(
            f'{path.parent / TIMESTAMPS_FILE}: expected the times of {len(files)} images, '
            f'received {len(stamps_ns)}'
        )
    return ImageFolderSource(sorted(files, key=_natural_key), description, fps, stamps_ns)


def _natural_key(path: Path) -> list[tuple[int, str]]:
    """`image_9` before `image_10`; equal numbers in the order of their text."""
    parts = re.findall(r'\d+|\D+', path.name)
    return [(int(part), part) if part.isdecimal() else (-1, part) for part in parts]
