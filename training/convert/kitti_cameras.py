"""The left colour camera of KITTI's cars: from a file of `calib`, or of a training video."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.convert.files import located, parse_numbers, read_lines

# A folder of `calib` with a file for each sequence or image, one file for all of them, or the
# cameras that are known.
Calibrations = Path | Literal['known'] | None

_CAMERA = 'P2:'
# Training videos of the tracking benchmark -> focal length, principal point, last column of P2,
# which the car had on that day. The label files alone tell that they belong together: boxes in
# space that are seen whole, projected so, lie on those in the image to 1.3 pixels (median of
# each edge, cars; pedestrians for 0017), and with the camera of another day 4 pixels beside them.
_KNOWN = (
    (range(14), (721.5377, 609.5593, 172.854), (44.85728, 0.2163791, 0.002745884)),
    (range(14, 18), (707.0493, 604.0814, 180.5066), (45.75831, -0.3454157, 0.004981016)),
    (range(18, 20), (718.3351, 600.3891, 181.5122), (44.50382, -0.5951107, 0.002616315)),
    (range(20, 21), (718.856, 607.1928, 185.2157), (45.38225, -0.1130887, 0.003779761)),
)


def find_camera(calibrations: Calibrations, name: str) -> NDArray[np.float64] | None:
    """The matrix (3, 4) of a sequence or image, None without calibrations.

    Raises:
        FileNotFoundError: there is no file for it.
        ValueError: the file has no P2 of 12 numbers, or the camera is not known.
    """
    if calibrations is None:
        return None
    if calibrations == 'known':
        return known_camera(name)
    return read_camera(calibrations if calibrations.is_file() else calibrations / f'{name}.txt')


def known_camera(sequence: str) -> NDArray[np.float64]:
    """The matrix (3, 4) of a training video of the tracking benchmark, 0000 to 0020.

    Raises:
        ValueError: for another sequence.
    """
    number = int(sequence) if sequence.isdecimal() else -1
    for numbers, (focal_length, x, y), last in _KNOWN:
        if number in numbers:
            inner = np.array([[focal_length, 0, x], [0, focal_length, y], [0, 0, 1]])
            return np.column_stack((inner, last))
    raise ValueError(
        f'expected one of the training videos 0000 to 0020, whose camera is known, received '
        f'{sequence!r}: name its calib folder'
    )


def read_camera(path: Path) -> NDArray[np.float64]:
    """The matrix (3, 4) in a file of `calib`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has no P2 of 12 numbers.
    """
    for number, line in read_lines(path, 'a calibration'):
        columns = line.split()
        if columns[0] == _CAMERA:
            with located(path, number):
                values = parse_numbers(columns[1:], '12 numbers after P2:')
                if len(values) != 12:
                    raise ValueError(f'expected 12 numbers after P2:, received {len(values)}')
                return np.array(values).reshape(3, 4)
    raise ValueError(f'{path}: expected a line that begins with P2:, received none')
