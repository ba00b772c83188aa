"""What a recording or its user says of the camera, for models with boxes in space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from centertrack_ros.camera_info import Calibration, CameraInfoError
from centertrack_ros.replay.sources import Source

OPTION = '--camera-matrix'
MEANING = 'fx fy cx cy in pixels of the images, or a YAML file of camera_calibration'


def find_calibration(
    given: Sequence[str] | None, source: Source
) -> tuple[Calibration | None, str]:
    """The camera of a recording.

    Args:
        given: fx, fy, cx, cy or the path of a YAML file, as on the command line; None = what the
            recording says.
        source: the recording.

    Returns:
        The calibration and where it is from; None and what to do about it where nobody knows.

    Raises:
        FileNotFoundError, ValueError: what was given is neither, or no calibration.
    """
    if given is not None:
        return _given(given, source), f'{OPTION} {" ".join(given)}'
    try:
        calibration = source.calibration
    except CameraInfoError as error:
        return None, f'camera_info of the {source.description}: {error}; or give {OPTION}'
    if calibration is None:
        return None, (
            f'{source.description} does not say its camera matrix; give it with {OPTION} '
            f'({MEANING})'
        )
    return calibration, f'camera_info of the {source.description}'


def camera_info_topic(image_topic: str) -> str:
    """Topic of the CameraInfo beside an image topic, by the convention of image_transport."""
    base = image_topic.removesuffix('/compressed')
    return f'{base.rpartition("/")[0]}/camera_info'


def read_calibration(path: Path) -> Calibration:
    """Read a YAML file of ROS's camera_calibration: `projection_matrix` and the image's size.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is something else; the text names the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{OPTION} {path}: no such file; expected {MEANING}')
    try:
        content: Any = yaml.safe_load(path.read_text(encoding='utf-8'))
        matrix = np.array(content['projection_matrix']['data'], np.float64).reshape(3, 4)
        width, height = int(content['image_width']), int(content['image_height'])
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path}: expected image_width, image_height and projection_matrix (3x4) as '
            f'camera_calibration writes them; {type(error).__name__}: {error}'
        ) from error
    if not np.isfinite(matrix).all() or min(matrix[0, 0], matrix[1, 1], width, height) <= 0:
        raise ValueError(
            f'{path}: expected focal lengths and a size above 0, received {matrix.tolist()} for '
            f'{width}x{height}'
        )
    return Calibration(matrix.astype(np.float32), width, height)


def _given(given: Sequence[str], source: Source) -> Calibration:
    if len(given) == 1:
        return read_calibration(Path(given[0]))
    try:
        fx, fy, cx, cy = (float(text) for text in given)
    except ValueError as error:
        raise ValueError(f'{OPTION}: expected {MEANING}, received {" ".join(given)}') from error
    if not all(map(math.isfinite, (fx, fy, cx, cy))) or min(fx, fy) <= 0:
        raise ValueError(f'{OPTION}: expected {MEANING}, received {" ".join(given)}')
    first = next(iter(source), None)
    if first is None:
        raise ValueError(f'{source.description}: expected images, found none')
    height, width = first.image.shape[:2]
    matrix = np.array([[fx, 0, cx, 0], [0, fy, cy, 0], [0, 0, 1, 0]], np.float32)
    return Calibration(matrix, width, height)
