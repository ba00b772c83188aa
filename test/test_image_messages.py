from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from centertrack_ros.image_messages import (
    ENCODINGS,
    ImageError,
    compressed_image_from_msg,
    image_from_msg,
)

YUV = {'yuv422': 'uyvy', 'uyvy': 'uyvy', 'yuv422_yuy2': 'yuyv', 'yuyv': 'yuyv'}


@dataclass
class Message:
    """The fields of sensor_msgs/Image, so that this runs without ROS."""

    width: int
    height: int
    encoding: str
    step: int
    data: bytes
    is_bigendian: int = 0


@dataclass
class CompressedMessage:
    data: bytes
    format: str = 'jpeg'


def make_message(pixels, encoding, *, padding=0, is_bigendian=0):
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return Message(
        pixels.shape[1], len(pixels), encoding, rows.shape[1], rows.tobytes(), is_bigendian
    )


@pytest.fixture
def bgr():
    return np.random.default_rng(1).integers(0, 256, (6, 8, 3)).astype(np.uint8)


@pytest.mark.parametrize('padding', [0, 1, 5])
@pytest.mark.parametrize(
    ('encoding', 'order'),
    [
        ('bgr8', [0, 1, 2]),
        ('8UC3', [0, 1, 2]),
        ('rgb8', [2, 1, 0]),
        ('bgra8', [0, 1, 2, 1]),
        ('8UC4', [0, 1, 2, 1]),
        ('rgba8', [2, 1, 0, 1]),
    ],
)
def test_colour_orders(bgr, encoding, order, padding):
    message = make_message(bgr[..., order], encoding, padding=padding)
    np.testing.assert_array_equal(image_from_msg(message), bgr)


@pytest.mark.parametrize('encoding', ['mono8', '8UC1'])
@pytest.mark.parametrize('padding', [0, 3])
def test_grey(bgr, encoding, padding):
    image = image_from_msg(make_message(bgr[..., 0], encoding, padding=padding))
    np.testing.assert_array_equal(image, np.repeat(bgr[..., :1], 3, axis=2))


@pytest.mark.parametrize('is_bigendian', [0, 1])
@pytest.mark.parametrize(
    ('encoding', 'order'),
    [
        ('bgr16', [0, 1, 2]),
        ('rgb16', [2, 1, 0]),
        ('bgra16', [0, 1, 2, 1]),
        ('rgba16', [2, 1, 0, 1]),
    ],
)
def test_16_bits_are_scaled_whatever_the_byte_order(bgr, encoding, order, is_bigendian):
    dtype = '>u2' if is_bigendian else '<u2'
    values = (bgr[..., order].astype(np.uint16) * 257).astype(dtype)
    message = make_message(values, encoding, padding=2, is_bigendian=is_bigendian)
    np.testing.assert_array_equal(image_from_msg(message), bgr)


def test_16_bit_values_are_rounded():
    values = np.array([[0, 128, 129, 65406, 65407, 65535]], '<u2')
    image = image_from_msg(make_message(values, 'mono16'))
    assert image[0, :, 0].tolist() == [0, 0, 1, 254, 255, 255]


def test_8_bit_images_do_not_mind_the_byte_order(bgr):
    np.testing.assert_array_equal(image_from_msg(make_message(bgr, 'bgr8', is_bigendian=1)), bgr)


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('bits', [8, 16])
def test_bayer(pattern, bits):
    color = np.array([40, 120, 220], np.uint8)  # blue, green, red
    mosaic = np.empty((8, 8), np.uint8)
    for index, letter in enumerate(pattern):
        mosaic[index // 2 :: 2, index % 2 :: 2] = color['bgr'.index(letter)]
    values = mosaic if bits == 8 else mosaic.astype('<u2') * np.uint16(257)
    image = image_from_msg(make_message(values, f'bayer_{pattern}{bits}'))
    np.testing.assert_array_equal(image[2:-2, 2:-2], np.broadcast_to(color, (4, 4, 3)))


@pytest.mark.parametrize(('encoding', 'order'), YUV.items())
def test_yuv422(encoding, order):
    color = np.full((2, 4, 3), (60, 100, 180), np.uint8)
    planes = cv2.cvtColor(color, cv2.COLOR_BGR2YUV_I420).ravel()
    values = {'y': planes[0], 'u': planes[8], 'v': planes[10]}
    packed = np.array([values[letter] for letter in order], np.uint8)
    pixels = np.tile(packed, (2, 2)).reshape(2, 4, 2)
    image = image_from_msg(make_message(pixels, encoding, padding=4))
    np.testing.assert_allclose(image, color, atol=3)


def test_bgr8_is_not_copied_also_with_padding(bgr):
    data = bytearray(make_message(bgr, 'bgr8', padding=4).data)
    message = replace(make_message(bgr, 'bgr8', padding=4), data=data)
    image = image_from_msg(message)
    data[0] ^= 255
    assert image[0, 0, 0] == bgr[0, 0, 0] ^ 255


def test_the_message_is_not_written_to(bgr):
    for encoding in ('rgb8', 'mono16'):
        pixels = bgr if encoding == 'rgb8' else bgr[..., 0].astype('>u2')
        message = make_message(pixels, encoding, is_bigendian=1)
        before = bytes(message.data)
        message.data = bytearray(before)
        image_from_msg(message)
        assert message.data == before


def test_padding_of_the_last_row_may_be_missing(bgr):
    message = make_message(bgr, 'bgr8', padding=9)
    message.data = message.data[:-9]
    np.testing.assert_array_equal(image_from_msg(message), bgr)
    message.data = message.data[:-1]
    with pytest.raises(ImageError, match='received'):
        image_from_msg(message)


@pytest.mark.parametrize(
    ('changes', 'reason', 'text'),
    [
        ({'width': 0}, 'empty', 'image of 0x6 pixels'),
        ({'height': 0}, 'empty', 'image of 8x0 pixels'),
        ({'encoding': '32FC1'}, 'encoding', "encoding '32FC1': expected one of mono8"),
        ({'encoding': ''}, 'encoding', "encoding '': expected one of"),
        ({'step': 23}, 'step', 'rows of 8 pixels need 24 bytes, received step 23'),
        ({'data': b''}, 'truncated', 'needs 144 bytes, received 0'),
        ({'data': bytes(143)}, 'truncated', 'needs 144 bytes, received 143'),
        ({'height': 2**32 - 1}, 'truncated', 'received 144'),
        ({'encoding': 'yuyv', 'width': 7}, 'size', 'even width, received 7'),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(bgr, changes, reason, text):
    message = replace(make_message(bgr, 'bgr8'), **changes)
    with pytest.raises(ImageError) as caught:
        image_from_msg(message)
    assert caught.value.reason == reason
    assert text in str(caught.value)


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('size', [(1, 1), (1, 2), (2, 1), (3, 3)])
def test_tiny_images(encoding, size):
    height, width = size
    message = Message(width, height, encoding, width * 8, bytes(height * width * 8))
    if width % 2 and encoding in YUV:
        with pytest.raises(ImageError, match='even width'):
            image_from_msg(message)
        return
    image = image_from_msg(message)
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp'])
@pytest.mark.parametrize('shape', [(6, 8), (6, 8, 3)])
def test_compressed_images(suffix, shape):
    pixels = np.full(shape, 90, np.uint8)
    data = cv2.imencode(suffix, pixels)[1].tobytes()
    image = compressed_image_from_msg(CompressedMessage(data))
    np.testing.assert_allclose(image, np.full((6, 8, 3), 90), atol=2)


def test_compressed_images_with_alpha_or_16_bits_become_bgr(bgr):
    alpha = np.dstack([bgr, bgr[..., 0]])
    data = cv2.imencode('.png', alpha)[1].tobytes()
    np.testing.assert_array_equal(compressed_image_from_msg(CompressedMessage(data)), bgr)
    deep = cv2.imencode('.png', bgr.astype(np.uint16) * 257)[1].tobytes()
    np.testing.assert_array_equal(compressed_image_from_msg(CompressedMessage(deep)), bgr)


@pytest.mark.parametrize(
    ('data', 'reason'), [(b'', 'empty'), (b'rubbish', 'decode'), (b'\xff\xd8\xff', 'decode')]
)
def test_broken_compressed_images_are_refused(data, reason):
    with pytest.raises(ImageError) as caught:
        compressed_image_from_msg(CompressedMessage(data))
    assert caught.value.reason == reason


def test_the_same_as_cv_bridge():
    bridge = pytest.importorskip('cv_bridge', reason='no cv_bridge for this Python is installed')
    sensor_msgs = pytest.importorskip('sensor_msgs.msg')
    try:
        converter = bridge.CvBridge()
        converter.cv2_to_imgmsg(np.zeros((2, 2, 3), np.uint8), 'bgr8')
    except Exception as error:
        pytest.skip(f'the installed cv_bridge does not work beside this numpy: {error}')
    for encoding in (name for name in ENCODINGS if not name.startswith('8UC')):
        message = random_message(encoding, sensor_msgs.Image)
        try:
            expected = converter.imgmsg_to_cv2(message, 'bgr8')
        except bridge.CvBridgeError:
            continue  # an encoding that this release does not know
        np.testing.assert_array_equal(image_from_msg(message), expected, err_msg=encoding)


def random_message(encoding, kind):
    """Message of 8x6 random pixels."""
    name = encoding.rstrip('0123456789')
    channels = {'mono': 1, 'bgr': 3, 'rgb': 3, 'bgra': 4, 'rgba': 4}.get(name, 1)
    if encoding in YUV:
        channels = 2
    row_bytes = 8 * channels * (2 if encoding.endswith('16') else 1)
    message = kind(width=8, height=6, encoding=encoding, step=row_bytes)
    message.data.frombytes(np.random.default_rng(2).bytes(6 * row_bytes))
    return message
