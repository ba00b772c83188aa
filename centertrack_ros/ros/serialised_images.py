"""Images from serialised messages, with no copy of the pixels.

rclpy turns a message into an object by decoding it to C and then to Python. For a raw image of
1920x1080 pixels that took 12 ms of one core, during which Python's other threads stand still; to
find the fields in the serialised message takes 9 microseconds, and the pixels stay where they are.

Layout: Common Data Representation of the OMG, "plain" versions 1 and 2, which differ only for
numbers of eight bytes; there are none in these messages.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage as CompressedImageMsg
from sensor_msgs.msg import Image as ImageMsg
from std_msgs.msg import Header

from centertrack_ros.datatypes import Image
from centertrack_ros.image_messages import ImageError, compressed_image_from_msg, image_from_msg

# First two bytes: plain CDR and CDR 2, each in both byte orders (the last bit: little endian).
PLAIN = (b'\x00\x00', b'\x00\x01', b'\x00\x06', b'\x00\x07')
# Behind the four bytes that say how it is written; alignment counts from here.
START = 4

Reader = Callable[[bytes], tuple[Header, Image]]


@dataclass
class _RawImage:
    """Fields of sensor_msgs/Image; `data` is a view of the message."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview


@dataclass
class _CompressedImage:
    """Fields of sensor_msgs/CompressedImage; `data` is a view of the message."""

    header: Header
    format: str
    data: memoryview


def reader_of(transport: str) -> Reader:
    """What turns a serialised message of `raw` or `compressed` images into header and pixels.

    The pixels are (H, W, 3) uint8 BGR, not writable where they are those of the message. Raises
    ImageError if the message holds no usable image.
    """
    return _compressed_image if transport == 'compressed' else _raw_image


def _raw_image(data: bytes) -> tuple[Header, Image]:
    if data[:2] not in PLAIN:
        message = _decoded(data, ImageMsg)
        return message.header, image_from_msg(message)
    try:
        fields = _Fields(data)
        header = fields.header()
        height, width = fields.uint32(), fields.uint32()
        encoding, is_bigendian, step = fields.text(), fields.uint8(), fields.uint32()
        image = _RawImage(header, height, width, encoding, is_bigendian, step, fields.octets())
    except struct.error as error:
        raise ImageError('truncated', f'serialised image of {len(data)} bytes: {error}') from error
    return header, image_from_msg(image)


def _compressed_image(data: bytes) -> tuple[Header, Image]:
    if data[:2] not in PLAIN:
        message = _decoded(data, CompressedImageMsg)
        return message.header, compressed_image_from_msg(message)
    try:
        fields = _Fields(data)
        image = _CompressedImage(fields.header(), fields.text(), fields.octets())
    except struct.error as error:
        raise ImageError('truncated', f'serialised image of {len(data)} bytes: {error}') from error
    return image.header, compressed_image_from_msg(image)


def _decoded(data: bytes, kind: type[Any]) -> Any:
    """The message in whatever other way it is written, by the middleware."""
    try:
        return deserialize_message(data, kind)
    except RuntimeError as error:
        raise ImageError('decode', f'serialised image of {len(data)} bytes: {error}') from error


class _Fields:
    """Reads one field after the other; struct.error where the message ends before it."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = START
        order = '<' if data[1] & 1 else '>'
        self._uint32 = struct.Struct(f'{order}I')
        self._int32 = struct.Struct(f'{order}i')

    def header(self) -> Header:
        (seconds,) = self._int32.unpack_from(self._data, self._at)
        self._at += self._int32.size
        return Header(stamp=Time(sec=seconds, nanosec=self.uint32()), frame_id=self.text())

    def uint8(self) -> int:
        (value,) = struct.unpack_from('B', self._data, self._at)
        self._at += 1
        return int(value)

    def uint32(self) -> int:
        self._at += (START - self._at) % 4
        (value,) = self._uint32.unpack_from(self._data, self._at)
        self._at += 4
        return int(value)

    def octets(self) -> memoryview:
        count = self.uint32()
        view = self._data[self._at : self._at + count]
        if len(view) < count:
            raise struct.error(f'{count} bytes are announced, {len(view)} are there')
        self._at += count
        return view

    def text(self) -> str:
        # The length counts the zero at the end.
        return str(self.octets()[:-1], 'utf-8', 'replace')
