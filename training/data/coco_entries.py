"""The entries of COCO-format files; every function raises ValueError with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.datatypes import FloatArray

# What fits into the int64 of the labels.
_LARGEST_ID = 2**63 - 1


def image_fields(entry: Any, index: int, folder: Path) -> dict[str, Any]:
    """What `FrameRecord` says of an image, but for its labels.

    Args:
        entry: of the list of images.
        index: its place there.
        folder: where the `file_name`s lie.
    """
    file_name = required(entry, 'file_name')
    if not isinstance(file_name, str) or not file_name:
        raise ValueError(f'file_name {file_name!r} is no name')
    still = 'video_id' not in entry
    video = (identifier(entry, 'video_id'), entry.get('sensor_id', 1)) if not still else None
    frame = 1 if still else required(entry, 'frame_id')
    if not isinstance(frame, int):
        raise ValueError(f'frame_id {frame!r} is no whole number')
    return {
        'row': index,
        'path': folder / file_name,
        'video': ('still', index) if still else video,
        'frame': frame,
        'size': _size(entry),
        'camera_matrix': _camera_matrix(entry),
    }


def corner_box(entry: Mapping[str, Any], *, empty: bool = False) -> list[float]:
    """Xyxy from COCO's left, top, width, height; `empty` allows a box without area."""
    values = required(entry, 'bbox')
    if not isinstance(values, list) or len(values) != 4:
        raise ValueError(f'bbox {values!r} is not four numbers')
    if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in values):
        raise ValueError(f'bbox {values!r} is not four finite numbers')
    left, top, width, height = values
    if (width <= 0 or height <= 0) and not empty:
        raise ValueError(f'bbox {values!r} has no area')
    return [left, top, left + width, top + height]


def track_number(entry: Mapping[str, Any], default: int) -> int:
    """Its `track_id`, `default` where it has none."""
    number = entry.get('track_id', default)
    if not isinstance(number, int) or abs(number) > _LARGEST_ID:
        raise ValueError(f'track_id {number!r} is no whole number')
    return number


def visible_share(entry: Mapping[str, Any]) -> float:
    """Its `visibility`, 1 where it has none."""
    visibility = entry.get('visibility', 1.0)
    if not isinstance(visibility, (int, float)) or not 0.0 <= visibility <= 1.0:
        raise ValueError(f'visibility {visibility!r} is not in [0, 1]')
    return float(visibility)


def is_crowd(entry: Mapping[str, Any]) -> bool:
    """Whether it stands for a crowd."""
    crowd = entry.get('iscrowd', 0)
    if not isinstance(crowd, int):
        raise ValueError(f'iscrowd {crowd!r} is neither 0 nor 1')
    return crowd > 0


def identifier(entry: Any, name: str) -> int | str:
    """The number or text `name` of an entry."""
    value = required(entry, name)
    if not isinstance(value, (int, str)):
        raise ValueError(f'{name} {value!r} is neither a whole number nor a text')
    return value


def required(entry: Any, name: str) -> Any:
    """The value `name` of an entry."""
    if not isinstance(entry, dict) or name not in entry:
        raise ValueError(f'{name!r} is missing')
    return entry[name]


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    """(height, width), where the file says."""
    if not {'height', 'width'} <= set(entry):
        return None
    height, width = entry['height'], entry['width']
    if not all(isinstance(side, (int, float)) and side >= 1 for side in (height, width)):
        raise ValueError(f'width {width!r} and height {height!r} are no size in pixels')
    return int(height), int(width)


def _camera_matrix(entry: Mapping[str, Any]) -> FloatArray | None:
    if 'calib' not in entry:
        return None
    try:
        matrix = np.asarray(entry['calib'], np.float32)
    except (TypeError, ValueError):
        matrix = np.zeros(0, np.float32)
    if matrix.shape != (3, 4) or not np.isfinite(matrix).all():
        raise ValueError(f'calib {entry["calib"]!r} is no 3x4 matrix')
    return matrix
