"""Which source, and which of its frames, each item of an epoch comes from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import IntArray

# What the generators of a seed are for; the items themselves have 0, see `training.data.dataset`.
_ORDER_STREAM = 1
_FRAMES_STREAM = 2
# Items of one batch may belong to two epochs.
_KEPT_EPOCHS = 2


class EpochPlan:
    """The plan of every epoch of a run: a pure function of the seed and the epoch.

    Every source has the same number of items in each epoch. A source of frames goes through all
    of them in random order before it begins anew in another order, over the ends of epochs too.

    Args:
        frame_counts: frames of each source; None for a source that invents its samples.
        weights: share of each source against the others.
        length: items of an epoch.
        seed: of everything random.

    Raises:
        ValueError: weights that are negative, all zero or of another number; no items; a source
            without frames.
    """

    def __init__(
        self,
        frame_counts: Sequence[int | None],
        weights: Sequence[float],
        length: int,
        seed: int,
    ) -> None:
        if not frame_counts or len(frame_counts) != len(weights):
            raise ValueError(
                f'sources and weights: expected as many of one as of the other, at least one, '
                f'received {len(frame_counts)} and {len(weights)}'
            )
        if 0 in frame_counts:
            raise ValueError(f'sources: expected frames in each, received {list(frame_counts)}')
        if length < 1:
            raise ValueError(f'length: expected 1 or more, received {length}')
        self.length = length
        self.counts = item_counts(weights, length)
        self._frame_counts = tuple(frame_counts)
        self._seed = seed
        self._epochs: dict[int, tuple[IntArray, IntArray]] = {}

    def item(self, index: int) -> tuple[int, int]:
        """Source and frame of item `index` of the run; frame -1 where the source invents it."""
        epoch, place = divmod(index, self.length)
        if epoch not in self._epochs:
            while len(self._epochs) >= _KEPT_EPOCHS:
                del self._epochs[next(iter(self._epochs))]
            self._epochs[epoch] = self.epoch(epoch)
        sources, frames = self._epochs[epoch]
        return int(sources[place]), int(frames[place])

    def epoch(self, epoch: int) -> tuple[IntArray, IntArray]:
        """Sources (L,) and frames (L,) int64 of all items of an epoch."""
        sources = np.repeat(np.arange(len(self.counts)), self.counts)
        frames = np.concatenate(
            [self._frames(source, epoch, int(count)) for source, count in enumerate(self.counts)]
        )
        order = self._generator(_ORDER_STREAM, epoch).permutation(self.length)
        return sources[order], frames[order]

    def _frames(self, source: int, epoch: int, count: int) -> IntArray:
        """The frames of one source in `epoch`: a piece of the endless row of permutations."""
        frame_count = self._frame_counts[source]
        if frame_count is None or count == 0:
            return np.full(count, -1, np.int64)
        first, end = epoch * count, (epoch + 1) * count
        passes = range(first // frame_count, -(-end // frame_count))
        row = np.concatenate(
            [
                self._generator(_FRAMES_STREAM, source, number).permutation(frame_count)
                for number in passes
            ]
        )
        start = first - passes[0] * frame_count
        return row[start : start + count].astype(np.int64)

    def _generator(self, *numbers: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, *numbers])


def item_counts(weights: Sequence[float], length: int) -> NDArray[np.int64]:
    """Items of an epoch of each source: the shares, rounded so that they add up to `length`.

    Raises:
        ValueError: weights are negative or all zero.
    """
    shares = np.asarray(weights, np.float64)
    if not np.isfinite(shares).all() or shares.min() < 0 or not shares.sum() > 0:
        raise ValueError(f'weights: expected none negative, one positive, received {weights}')
    # Less digits: 0.1 + 0.2 must not take an item away from 0.3.
    exact = np.round(shares / shares.sum() * length, 9)
    counts = np.floor(exact).astype(np.int64)
    # The largest remainders are rounded up; of equal ones the first.
    largest = np.argsort(counts - exact, kind='stable')
    counts[largest[: length - counts.sum()]] += 1
    return counts
