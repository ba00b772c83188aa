"""The images of a turn in a file, so that all children get the same ones, decoded once.

Nothing of the project: children in other environments read them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = list[NDArray[np.uint8]]
_STAMPS = 'stamps_ns'


def write_turn(path: Path, images: Sequence[NDArray[Any]], stamps_ns: Sequence[int]) -> None:
    """Write images, (H, W, 3) uint8 BGR of any sizes, and their stamps in nanoseconds."""
    arrays = {f'{index:06d}': image for index, image in enumerate(images)}
    with path.open('wb') as file:
        np.savez(file, **arrays, **{_STAMPS: np.array(stamps_ns, np.int64)})


def read_turn(path: Path) -> tuple[Images, list[int]]:
    """Images and stamps as `write_turn` got them."""
    with np.load(path) as arrays:
        stamps_ns = arrays[_STAMPS].tolist()
        return [arrays[f'{index:06d}'] for index in range(len(stamps_ns))], stamps_ns
