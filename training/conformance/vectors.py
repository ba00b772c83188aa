"""Recorded arrays, cases made of them, and how results are compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MANIFEST = 'arrays.json'


# CenterTrack's names in a batch of targets -> ours, where they differ.
BATCH_NAMES = {
    'ind': 'indices',
    'cat': 'classes',
    'hp_ind': 'joint_indices',
    'joint': 'joint_classes',
    'hm_hp_mask': 'joint_mask',
    'rotbin': 'rot_bins',
    'rotres': 'rot_residuals',
}


class NotRecorded(Exception):
    """Something that a case needs is not in the folder."""


class Arrays(Mapping[str, NDArray[Any]]):
    """The arrays of one `.npz`, loaded when they are read; knows which were."""

    def __init__(self, path: Path) -> None:
        self._file = np.load(path)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._file:
            raise NotRecorded(name)
        self.read.add(name)
        array: NDArray[Any] = self._file[name]
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._file.files)

    def __len__(self) -> int:
        return len(self._file.files)

    def __contains__(self, name: object) -> bool:
        return name in self._file

    def under(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Arrays whose name begins with `prefix` and a slash, without both."""
        start = f'{prefix}/'
        return {name[len(start) :]: self[name] for name in self if name.startswith(start)}


class Vectors:
    """A folder of vectors.

    Raises:
        FileNotFoundError: there is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise FileNotFoundError(f'{folder}: expected a folder of conformance vectors')
        self.folder = folder
        self._arrays: dict[str, Arrays] = {}

    def arrays(self, file: str) -> Arrays:
        """The arrays of `file`."""
        if file not in self._arrays:
            self._arrays[file] = Arrays(self.folder / file)
        return self._arrays[file]

    def document(self, file: str) -> Any:
        """The parsed JSON of `file`."""
        return json.loads((self.folder / file).read_text(encoding='utf-8'))

    def files(self) -> list[str]:
        """All files of arrays and entries, relative to the folder."""
        paths = [path for path in self.folder.rglob('*') if path.suffix in ('.npz', '.json')]
        names = sorted(path.relative_to(self.folder).as_posix() for path in paths)
        return [name for name in names if name != MANIFEST]


@dataclass(frozen=True)
class Comparison:
    """One result against the recorded one.

    Attributes:
        name: of the array.
        error: largest difference; infinite where shapes differ or a value is no number.
        share: largest difference as a share of what is allowed there; at most 1 is a pass.
    """

    name: str
    error: float
    share: float


@dataclass(frozen=True)
class Case:
    """Something to run.

    Attributes:
        file: the `.npz` (or `.json` where there is none) that it belongs to.
        name: unique within the file.
        arrays: names of the arrays of `file` that it owns; all have to be read by `run`.
        run: runs our code and compares.
        other_arrays: file and name of arrays of other files that it uses with other cases.
    """

    file: str
    name: str
    arrays: tuple[str, ...]
    run: Callable[[], Iterable[Comparison]]
    other_arrays: tuple[tuple[str, str], ...] = ()


def compare(
    name: str,
    received: ArrayLike,
    expected: ArrayLike,
    *,
    absolute: float = 0.0,
    relative: float = 0.0,
) -> Comparison:
    """Compare arrays of numbers; every element may differ by `absolute + relative * |expected|`.

    Not-a-number equals itself only.
    """
    ours, theirs = np.asarray(received, np.float64), np.asarray(expected, np.float64)
    if ours.shape != theirs.shape:
        return Comparison(f'{name} {ours.shape} != {theirs.shape}', np.inf, np.inf)
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid='ignore', divide='ignore'):
        difference = np.where(same, 0.0, np.abs(ours - theirs))
        shares = np.where(same, 0.0, difference / (absolute + relative * np.abs(theirs)))
    return Comparison(
        name,
        float(np.nan_to_num(difference, nan=np.inf).max(initial=0.0)),
        float(np.nan_to_num(shares, nan=np.inf, posinf=np.inf).max(initial=0.0)),
    )


def equal(name: str, received: ArrayLike, expected: ArrayLike) -> Comparison:
    """Compare where nothing may differ."""
    return compare(name, received, expected)


def same(name: str, received: object, expected: object) -> Comparison:
    """Compare values that are not numbers."""
    return (
        Comparison(name, 0.0, 0.0)
        if received == expected
        else Comparison(f'{name}: {str(received)[:80]} != {str(expected)[:80]}', np.inf, np.inf)
    )


def owned(arrays: Mapping[str, Any], prefix: str) -> tuple[str, ...]:
    """Names of the arrays below `prefix/`."""
    return tuple(name for name in arrays if name.startswith(f'{prefix}/'))
