"""Images of a rosbag2 (sqlite3 or mcap), read without ROS."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.serde import SerdeError

from centertrack_ros.camera_info import Calibration, calibration_from_msg
from centertrack_ros.image_messages import ImageError, compressed_image_from_msg, image_from_msg
from centertrack_ros.replay.bag_types import (
    CAMERA_INFO_TYPE,
    COMPRESSED_TYPE,
    IMAGE_TYPE,
    typestore,
)
from centertrack_ros.replay.intrinsics import camera_info_topic
from centertrack_ros.replay.sources import DEFAULT_FPS, NANOSECONDS, Frame

IMAGE_TYPES = (IMAGE_TYPE, COMPRESSED_TYPE)
# So many images tell the rate; a whole bag of raw images would take long to read for it.
RATE_IMAGES = 50
# What a damaged bag makes rosbags and the libraries below it raise.
BAG_ERRORS = (
    ReaderError,
    SerdeError,
    sqlite3.Error,
    struct.error,
    OSError,
    EOFError,
    KeyError,
    IndexError,
    AssertionError,
    UnicodeDecodeError,
    ValueError,
)


class BagSource:
    """One image topic of a bag; stamps are those of the headers.

    Images whose header has no stamp get the time at which they were recorded.
    """

    def __init__(self, path: Path, topic: str | None = None) -> None:
        """Look for the topic.

        Args:
            path: folder of the bag, or its only .db3 or .mcap file.
            topic: name of the topic; None takes the only one with images.

        Raises:
            ValueError: it is no readable bag, has no image topic, or several.
        """
        # A storage file inside its folder: the folder's metadata knows more (other parts of a
        # recording that was split, compression).
        inside = path.is_file() and (path.parent / 'metadata.yaml').is_file()
        self._path = path.parent if inside else path
        with self._opened() as reader:
            connections = _choose_topic(self._path, reader.connections, topic)
            self._topic = connections[0].topic
            self._count = sum(connection.msgcount for connection in connections)
            if self._count == 0:
                raise ValueError(f'{self._path}: topic {self._topic} holds no images')
            self._fps = _rate(reader, connections)

    @property
    def description(self) -> str:
        """What it is, for people."""
        return f'bag {self._path.name}, topic {self._topic}'

    @property
    def fps(self) -> float:
        """Images per second, from the median distance of the first stamps."""
        return self._fps

    @property
    def count(self) -> int | None:
        """Number of images on the topic."""
        return self._count

    @property
    def calibration(self) -> Calibration | None:
        """What the first CameraInfo beside the image topic says; None where there is none."""
        beside = camera_info_topic(self._topic)
        with self._opened() as reader:
            connections = [
                entry
                for entry in reader.connections
                if entry.topic == beside and entry.msgtype == CAMERA_INFO_TYPE
            ]
            if not connections:
                return None
            for connection, _, data in reader.messages(connections=connections):
                message: Any = typestore().deserialize_cdr(data, connection.msgtype)
                break
            else:
                return None
        return calibration_from_msg(message)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images; ValueError for a message that is no image or a damaged bag."""
        store = typestore()
        with self._opened() as reader:
            connections = _choose_topic(self._path, reader.connections, self._topic)
            for number, (connection, received_ns, data) in enumerate(
                reader.messages(connections=connections), start=1
            ):
                message: Any = store.deserialize_cdr(data, connection.msgtype)
                try:
                    if connection.msgtype == IMAGE_TYPE:
                        image = image_from_msg(message)
                    else:
                        image = compressed_image_from_msg(message)
                except ImageError as error:
                    raise ValueError(f'image {number} of {self._topic}: {error}') from error
                stamp = message.header.stamp
                stamp_ns = stamp.sec * NANOSECONDS + stamp.nanosec
                yield Frame(image, stamp_ns or received_ns, message.header.frame_id)

    @contextmanager
    def _opened(self) -> Iterator[Reader]:
        """The open bag; every complaint of the libraries below becomes one ValueError."""
        try:
            with Reader(self._path) as reader:
                yield reader
        except BAG_ERRORS as error:
            text = str(error) or type(error).__name__
            if text.startswith(str(self._path)):
                raise
            raise ValueError(
                f'{self._path}: expected a rosbag2 (sqlite3 or mcap) with images; {text} '
                '(`ros2 bag reindex` mends recordings that were cut off)'
            ) from error


def _choose_topic(
    path: Path, connections: list[Connection], topic: str | None
) -> list[Connection]:
    images = [entry for entry in connections if entry.msgtype in IMAGE_TYPES]
    names = sorted({entry.topic for entry in images})
    if not names:
        others = sorted({f'{entry.topic} ({entry.msgtype})' for entry in connections})
        raise ValueError(f'{path}: expected a topic with {IMAGE_TYPES}, the bag has {others}')
    if topic is None and len(names) > 1:
        raise ValueError(f'{path}: the bag has the image topics {names}; choose with --topic')
    chosen = names[0] if topic is None else topic
    if chosen not in names:
        raise ValueError(f'{path}: topic {chosen!r} is not among its image topics {names}')
    return [entry for entry in images if entry.topic == chosen]


def _rate(reader: Reader, connections: list[Connection]) -> float:
    stamps_ns = []
    for _, received_ns, data in reader.messages(connections=connections):
        stamps_ns.append(_header_stamp_ns(data) or received_ns)
        if len(stamps_ns) == RATE_IMAGES:
            break
    steps = np.diff(stamps_ns)
    steps = steps[steps > 0]
    return float(NANOSECONDS / np.median(steps)) if len(steps) else DEFAULT_FPS


def _header_stamp_ns(data: bytes) -> int:
    """Stamp of a serialised message that begins with a header, without reading its pixels."""
    # CDR: four bytes of representation, of which the second says little endian, then the stamp.
    order = '<' if data[1] & 1 else '>'
    seconds, nanoseconds = struct.unpack_from(f'{order}iI', data, 4)
    return int(seconds) * NANOSECONDS + int(nanoseconds)
