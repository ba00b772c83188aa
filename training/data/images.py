"""Reading pictures, with a bounded memory of the decoded ones."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np

from centertrack_ros.datatypes import Image


class ImageCache:
    """Decoded pictures, the least recently used one dropped first when `limit_bytes` is full.

    Decoding a 640x480 JPEG takes as long as all warps of a training pair together, and small
    sets fit into memory. Each worker process has its own cache. Callers must not write to the
    arrays.
    """

    def __init__(self, limit_bytes: int = 256 << 20) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._images: OrderedDict[Path, Image] = OrderedDict()

    def read(self, path: Path) -> Image:
        """The picture as (H, W, 3) uint8 BGR, read-only; ValueError where it is unreadable."""
        image = self._images.get(path)
        if image is not None:
            self._images.move_to_end(path)
            return image
        image = read_image(path)
        image.flags.writeable = False
        self._images[path] = image
        self._used_bytes += image.nbytes
        while self._used_bytes > self._limit_bytes and len(self._images) > 1:
            _, dropped = self._images.popitem(last=False)
            self._used_bytes -= dropped.nbytes
        return image


def read_image(path: Path, flags: int = cv2.IMREAD_COLOR) -> Image:
    """Decode a picture.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: OpenCV cannot decode it, or not to its end.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist')
    # Not imread: it fills what a cut-off JPEG lacks with grey.
    data = np.fromfile(path, np.uint8)
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error as error:
        raise ValueError(f'{path} cannot be decoded: {error}') from error
    if image is None:
        raise ValueError(f'{path} is cut off or not a picture that OpenCV can decode')
    return image
