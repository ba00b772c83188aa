"""One table of nuScenes: a JSON list of objects that have a token each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from training.convert.files import read_json

Floats = NDArray[np.float64]
Row = Mapping[str, Any]


class Table:
    """One file; complaints name it and the token of the row.

    Attributes:
        path: the file.
        rows: by their tokens.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no list of objects with different tokens.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        content = read_json(path, 'a table of nuScenes')
        if not isinstance(content, list):
            raise ValueError(f'{path}: expected a list, received {type(content).__name__}')
        self.rows: dict[str, Row] = {}
        for index, row in enumerate(content):
            token = row.get('token') if isinstance(row, dict) else None
            if not isinstance(token, str) or not token:
                raise ValueError(f'{path}: row {index}: expected an object with a token')
            if token in self.rows:
                raise ValueError(f'{path}: token {token} is there twice')
            self.rows[token] = row

    def text(self, row: Row, key: str) -> str:
        """A text."""
        if not isinstance(row.get(key), str):
            raise self.error(row, f'{key}: expected text, received {row.get(key)!r}')
        value: str = row[key]
        return value

    def whole(self, row: Row, key: str) -> int:
        """A whole number from 1."""
        value = row.get(key)
        if not isinstance(value, int) or value < 1:
            raise self.error(row, f'{key}: expected a whole number from 1, received {value!r}')
        return value

    def numbers(self, row: Row, key: str, shape: tuple[int, ...]) -> Floats:
        """Finite numbers of this shape."""
        try:
            values = np.asarray(row.get(key), np.float64)
        except (TypeError, ValueError):
            values = np.zeros(0)
        if values.shape != shape or not np.isfinite(values).all():
            raise self.error(
                row, f'{key}: expected finite numbers of shape {shape}, received {row.get(key)!r}'
            )
        return values

    def rotation(self, row: Row) -> Floats:
        """Matrix (3, 3) of the quaternion w, x, y, z."""
        values = self.numbers(row, 'rotation', (4,))
        if not np.isclose(np.linalg.norm(values), 1, atol=1e-3):
            raise self.error(row, f'rotation: expected a length of 1, received {values.tolist()}')
        return Rotation.from_quat(values, scalar_first=True).as_matrix()

    def pose(self, row: Row) -> Floats:
        """Matrix (4, 4) of rotation and translation."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation(row)
        matrix[:3, 3] = self.numbers(row, 'translation', (3,))
        return matrix

    def error(self, row: Row, text: str) -> ValueError:
        """What is wrong with `row`."""
        return ValueError(f'{self.path}: token {row["token"]}: {text}')
