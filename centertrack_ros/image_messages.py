"""Pixels of image messages: of ROS's own and of those that `rosbags` reads where there is no ROS.

Images follow cv_bridge's rules (which conversion, which pixel order) without needing it: the
released cv_bridge is compiled against numpy 1 and stops to import beside numpy 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import Image


class ImageMessage(Protocol):
    """The fields of sensor_msgs/Image that hold pixels; `data` is a buffer of bytes."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: Any


class CompressedImageMessage(Protocol):
    """The fields of sensor_msgs/CompressedImage that hold pixels; `data` is a buffer of bytes."""

    format: str
    data: Any


class ImageError(ValueError):
    """An image message that cannot be used.

    Attributes:
        reason: one of `empty`, `encoding`, `step`, `size`, `truncated`, `decode`; for counting.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class _Encoding:
    """How the pixels of an encoding lie in memory, and how they become BGR.

    Attributes:
        channels: values per pixel.
        to_bgr: OpenCV conversion code, None where the pixels already are BGR.
        bytes_per_value: 1, or 2 for the 16-bit kinds, which are scaled to 8 bits.
        even_width: True where two neighbours share their colour.
    """

    channels: int
    to_bgr: int | None
    bytes_per_value: int = 1
    even_width: bool = False


# OpenCV names a Bayer pattern by its second row, ROS by its first.
_BAYER = {
    'bayer_rggb': cv2.COLOR_BayerBG2BGR,
    'bayer_bggr': cv2.COLOR_BayerRG2BGR,
    'bayer_gbrg': cv2.COLOR_BayerGR2BGR,
    'bayer_grbg': cv2.COLOR_BayerGB2BGR,
}
_COLOR = {
    'mono': (1, cv2.COLOR_GRAY2BGR),
    'bgr': (3, None),
    'rgb': (3, cv2.COLOR_RGB2BGR),
    'bgra': (4, cv2.COLOR_BGRA2BGR),
    'rgba': (4, cv2.COLOR_RGBA2BGR),
}
_UYVY = _Encoding(2, cv2.COLOR_YUV2BGR_UYVY, even_width=True)
_YUYV = _Encoding(2, cv2.COLOR_YUV2BGR_YUY2, even_width=True)
_ENCODINGS = {
    **{f'{name}8': _Encoding(*row) for name, row in _COLOR.items()},
    **{f'{name}16': _Encoding(*row, bytes_per_value=2) for name, row in _COLOR.items()},
    **{f'{name}8': _Encoding(1, code) for name, code in _BAYER.items()},
    **{f'{name}16': _Encoding(1, code, bytes_per_value=2) for name, code in _BAYER.items()},
    # Without a colour meaning of their own: taken as OpenCV's order, as most drivers mean them
    # (cv_bridge hands them out unchanged and refuses to name their colours).
    '8UC1': _Encoding(1, cv2.COLOR_GRAY2BGR),
    '8UC3': _Encoding(3, None),
    '8UC4': _Encoding(4, cv2.COLOR_BGRA2BGR),
    'yuv422': _UYVY,
    'uyvy': _UYVY,
    'yuv422_yuy2': _YUYV,
    'yuyv': _YUYV,
}
ENCODINGS = tuple(_ENCODINGS)


def image_from_msg(msg: ImageMessage) -> Image:
    """Pixels of an image message in the order that the runtime uses.

    `bgr8` and `8UC3` are not copied: the result is a view into `msg.data`, with the message's
    row step. 16-bit values are scaled by 255 / 65535 and rounded, as cv_bridge does.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        ImageError: no pixels, an encoding that is not in `ENCODINGS`, or too little data.
    """
    if msg.width == 0 or msg.height == 0:
        raise ImageError('empty', f'image of {msg.width}x{msg.height} pixels has none')
    encoding = _ENCODINGS.get(msg.encoding)
    if encoding is None:
        raise ImageError(
            'encoding', f'encoding {msg.encoding!r}: expected one of {", ".join(ENCODINGS)}'
        )
    pixels = _pixels(msg, encoding)
    if encoding.to_bgr is None:
        return pixels
    try:
        return np.asarray(cv2.cvtColor(pixels, encoding.to_bgr), dtype=np.uint8)
    except cv2.error as error:
        raise ImageError(
            'size', f'{msg.encoding} image of {msg.width}x{msg.height} pixels: {error.err}'
        ) from error


def _pixels(msg: ImageMessage, encoding: _Encoding) -> Image:
    """View of the pixels as (H, W) or (H, W, channels) uint8; a scaled copy for 16 bits."""
    width, height = int(msg.width), int(msg.height)
    pixel_bytes = encoding.channels * encoding.bytes_per_value
    row_bytes = width * pixel_bytes
    if encoding.even_width and width % 2:
        raise ImageError('size', f'{msg.encoding} needs an even width, received {width}')
    if msg.step < row_bytes:
        raise ImageError(
            'step',
            f'{msg.encoding} rows of {width} pixels need {row_bytes} bytes, received step '
            f'{msg.step}',
        )
    # The padding of the last row may be missing: no pixel lies there.
    needed = (height - 1) * msg.step + row_bytes
    if len(msg.data) < needed:
        raise ImageError(
            'truncated',
            f'{msg.encoding} image of {width}x{height} pixels with step {msg.step} needs '
            f'{needed} bytes, received {len(msg.data)}',
        )
    flat = np.frombuffer(msg.data, np.uint8)
    dtype: np.dtype[Any] = np.dtype(np.uint8)
    if encoding.bytes_per_value == 2:
        dtype = np.dtype(np.uint16).newbyteorder('>' if msg.is_bigendian else '<')
    values: NDArray[Any] = np.ndarray(
        (height, width, encoding.channels),
        dtype,
        buffer=flat,
        strides=(msg.step, pixel_bytes, dtype.itemsize),
    )
    if encoding.channels == 1:
        values = values[:, :, 0]
    if encoding.bytes_per_value == 2:
        native = values.astype(np.uint16)
        return np.asarray(cv2.convertScaleAbs(native, alpha=255 / 65535), dtype=np.uint8)
    return values.view(np.uint8)


def compressed_image_from_msg(msg: CompressedImageMessage) -> Image:
    """Decode a JPEG, PNG or whatever else OpenCV reads; grey and 16-bit images become BGR.

    `msg.format` is not needed for it: the codec is found from the data.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        ImageError: there is no data, or it is no image.
    """
    if len(msg.data) == 0:
        raise ImageError('empty', 'compressed image without data')
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(msg.data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError('decode', f'compressed image ({msg.format}): {error.err}') from error
    if image is None:
        raise ImageError(
            'decode', f'compressed image ({msg.format}): {len(msg.data)} bytes are no image'
        )
    return np.asarray(image, dtype=np.uint8)
