"""Pixels out of serialised messages: the same as through ROS's own objects, whatever is broken."""

import struct

import cv2
import numpy as np
import pytest
from harness import clip_frames, make_header, make_image, make_jpeg
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

from centertrack_ros.image_messages import ImageError, compressed_image_from_msg, image_from_msg
from centertrack_ros.ros.serialised_images import reader_of


def swapped(message):
    """A bgr8 message as a machine of the other byte order writes it."""
    out = bytearray(b'\x00\x00\x00\x00')

    def put(form, value):
        size = struct.calcsize(form)
        out.extend(bytes(-(len(out) - 4) % size))
        out.extend(struct.pack(form, value))

    def put_bytes(value):
        put('>I', len(value))
        out.extend(value)

    put('>i', message.header.stamp.sec)
    put('>I', message.header.stamp.nanosec)
    put_bytes(message.header.frame_id.encode() + b'\0')
    put('>I', message.height)
    put('>I', message.width)
    put_bytes(message.encoding.encode() + b'\0')
    put('>B', message.is_bigendian)
    put('>I', message.step)
    put_bytes(message.data.tobytes())
    return bytes(out)


@pytest.mark.parametrize('frame_id', ['', 'a', 'ab', 'abc', 'camera', 'Kamera ä'])
def test_raw_images_are_what_ros_reads(frame_id):
    frame = clip_frames(1)[0][:31, :45]
    message = make_image(np.ascontiguousarray(frame), 12.25)
    message.header.frame_id = frame_id
    data = serialize_message(message)
    header, image = reader_of('raw')(data)
    assert header == deserialize_message(data, Image).header == message.header
    np.testing.assert_array_equal(image, image_from_msg(message))
    # A view: no pixel was copied.
    assert np.shares_memory(image, np.frombuffer(data, np.uint8))


def test_every_field_counts():
    pixels = np.random.default_rng(1).integers(0, 2**16, (6, 5, 3)).astype('>u2')
    message = Image(header=make_header(1.0), height=6, width=5, encoding='rgb16', is_bigendian=1)
    message.step = 32
    rows = np.pad(pixels.view(np.uint8).reshape(6, -1), ((0, 0), (0, 2)))
    message.data.frombytes(rows.tobytes())
    _, image = reader_of('raw')(serialize_message(message))
    np.testing.assert_array_equal(image, image_from_msg(message))


def test_the_other_byte_order():
    message = make_image(clip_frames(1)[0][:20, :30].copy(), 3.5)
    header, image = reader_of('raw')(swapped(message))
    assert header == message.header
    np.testing.assert_array_equal(image, image_from_msg(message))


def test_compressed_images_are_what_ros_reads():
    message = make_jpeg(clip_frames(1)[0], 2.5)
    data = serialize_message(message)
    header, image = reader_of('compressed')(data)
    assert header == message.header
    np.testing.assert_array_equal(image, compressed_image_from_msg(message))


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_a_message_cut_off_anywhere_is_an_image_error(transport):
    frame = np.full((4, 5, 3), 7, np.uint8)
    message = make_image(frame, 1.0) if transport == 'raw' else make_jpeg(frame, 1.0)
    data = serialize_message(message)
    used = len(data)
    if transport == 'raw':  # padding may follow the pixels
        used = data.rindex(b'\x07') + 1
    for length in range(4, used):
        with pytest.raises(ImageError) as caught:
            reader_of(transport)(data[:length])
        assert caught.value.reason == 'truncated'


def test_random_bytes_are_an_image_error():
    random = np.random.default_rng(2)
    for transport in ('raw', 'compressed'):
        for _ in range(300):
            # Plain CDR, CDR 2, a list of parameters, and nonsense.
            kind = (b'\x00\x01', b'\x00\x07', b'\x00\x03', b'\xff\xff')[random.integers(4)]
            data = (kind + b'\x00\x00' + random.bytes(64))[: random.integers(0, 68)]
            with pytest.raises(ImageError):
                reader_of(transport)(data)


def test_a_message_without_pixels():
    for transport, kind in (('raw', Image), ('compressed', CompressedImage)):
        with pytest.raises(ImageError) as caught:
            reader_of(transport)(serialize_message(kind(header=make_header(1.0))))
        assert caught.value.reason == 'empty'


def test_pixels_may_be_drawn_on_after_a_copy_only():
    frame = clip_frames(1)[0]
    _, image = reader_of('raw')(serialize_message(make_image(frame, 1.0)))
    assert not image.flags.writeable
    # Resizing, the only use in the loop, does not need to write.
    np.testing.assert_array_equal(cv2.resize(image, (64, 48)), cv2.resize(frame, (64, 48)))
