"""Sources with only some of their classes, under the numbers that a model gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from training.data.labels import (
    ALL_CLASSES,
    FrameLabels,
    FramePair,
    ImageSource,
    LabelledFrame,
    PairSource,
)


def choose_classes(source: PairSource, given: Sequence[str], wanted: Sequence[str]) -> PairSource:
    """`source` with the classes of another model; objects of other classes are background.

    Args:
        source: its pictures stay as they are.
        given: class names of the source, in its order.
        wanted: class names of the model.

    Returns:
        `source` itself where the names are the same; an `ImageSource` where it is one.

    Raises:
        ValueError: the source does not have a class.
    """
    if missing := [name for name in wanted if name not in given]:
        raise ValueError(f'classes: expected some of {list(given)}, received {missing}')
    if tuple(given) == tuple(wanted):
        return source
    numbers = np.array([wanted.index(name) if name in wanted else -1 for name in given], np.int64)
    if isinstance(source, ImageSource):
        return _ChosenImages(source, numbers)
    return _Chosen(source, numbers)


class _Chosen:
    """Renumbers the classes of each pair: `numbers` of the old ones, -1 of those left out."""

    def __init__(self, source: PairSource, numbers: np.ndarray) -> None:
        self._source = source
        self._numbers = numbers

    def sample_pair(self, generator: np.random.Generator) -> FramePair:
        """See `PairSource`."""
        return self._chosen(self._source.sample_pair(generator))

    def _chosen(self, pair: FramePair) -> FramePair:
        return replace(
            pair, current=self._frame(pair.current), previous=self._frame(pair.previous)
        )

    def _frame(self, frame: LabelledFrame) -> LabelledFrame:
        return replace(frame, labels=_renumbered(frame.labels, self._numbers))


class _ChosenImages(_Chosen):
    """The same of a source with numbered frames."""

    _source: ImageSource

    def __len__(self) -> int:
        return len(self._source)

    def pair(self, index: int, generator: np.random.Generator) -> FramePair:
        """See `ImageSource`."""
        return self._chosen(self._source.pair(index, generator))

    def name(self, index: int) -> str:
        """See `ImageSource`."""
        return self._source.name(index)


def _renumbered(labels: FrameLabels, numbers: np.ndarray) -> FrameLabels:
    # The last place is for ALL_CLASSES, which is -1.
    regions = np.append(numbers, ALL_CLASSES)[labels.ignore_classes]
    kept = (regions >= 0) | (labels.ignore_classes == ALL_CLASSES)
    unlabelled = numbers[labels.unlabelled_classes]
    chosen = labels.select(numbers[labels.classes] >= 0)
    return replace(
        chosen,
        classes=numbers[chosen.classes],
        ignore_boxes=labels.ignore_boxes[kept],
        ignore_classes=regions[kept],
        unlabelled_classes=unlabelled[unlabelled >= 0],
        **{
            name: values[kept]
            for name in ('ignore_track_ids', 'ignore_rows')
            if (values := getattr(labels, name)) is not None
        },
    )
