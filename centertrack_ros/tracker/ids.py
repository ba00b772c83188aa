"""Which track of this image is which of the image before."""

from __future__ import annotations

import numpy as np

from centertrack_ros.datatypes import IntArray


def rows_of_ids(ids: IntArray, before: IntArray) -> IntArray:
    """Row of `before` (M,) that has each of `ids` (N,), -1 where none has it.

    Args:
        ids: of the tracks of this image, in their order.
        before: of the tracks of the image before, each once, in any order.
    """
    if len(before) == 0:
        return np.full(len(ids), -1, np.int64)
    order = np.argsort(before)
    rows = order[np.minimum(np.searchsorted(before, ids, sorter=order), len(before) - 1)]
    return np.where(before[rows] == ids, rows, -1)
