"""The torch dataset: pairs from weighted sources, augmented, with their targets."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from training.augment import NO_AUGMENTATION, AugmentSettings, augment_pair
from training.data.coco_video import CocoVideoSource
from training.data.epoch_plan import EpochPlan
from training.data.faults import FaultCounts, FaultyPicture, SetFaults, SkippedPicture
from training.data.labels import FramePair, ImageSource, PairSource
from training.targets import PriorNoise, TargetSettings, build_prior_heatmap, build_targets

Sample = dict[str, NDArray[Any]]
NO_NOISE = PriorNoise(jitter=0.0, lost=0.0, false_near=0.0, false_anywhere=0.0, empty=0.0)

# Generators of items; `training.data.epoch_plan` has the other ones of the seed.
_ITEM_STREAM = 0
_MOST_ATTEMPTS = 100


class TrackingDataset(Dataset[Sample]):
    """The training pairs of a whole run; item `i` depends on the seed and `i` only.

    So the same seed gives the same batches for any number of workers and processes, and after a
    resume. Item `i` belongs to epoch `i // epoch_length`; see `EpochPlan` for what an epoch
    holds. Where a picture is broken and its source is told to skip it, a random pair of the same
    source takes its place.

    Args:
        sources: where pairs come from; those with frames (`ImageSource`) show all of them in
            turn.
        weights: share of each source, any numbers that are not negative.
        epoch_length: items of an epoch.
        epochs: of the run.
        seed: of everything random.
        targets: shapes and rules of the targets.
        augmentation: how much pairs are changed.
        prior_noise: faults of the prior heatmap.
        faults: those of the sets that the sources are made of.

    Raises:
        ValueError: sources and weights do not match, or there are no items.
    """

    def __init__(
        self,
        sources: Sequence[PairSource],
        weights: Sequence[float],
        *,
        epoch_length: int,
        seed: int,
        targets: TargetSettings,
        augmentation: AugmentSettings,
        prior_noise: PriorNoise,
        epochs: int = 1,
        faults: Sequence[SetFaults] = (),
    ) -> None:
        self.epoch_length = epoch_length
        self.epochs = epochs
        self._sources = tuple(sources)
        self._faults = tuple(faults)
        self._plan = EpochPlan(
            [len(source) if isinstance(source, ImageSource) else None for source in sources],
            weights,
            epoch_length,
            seed,
        )
        self._seed = seed
        self._targets = targets
        self._augmentation = augmentation
        self._prior_noise = prior_noise

    def __len__(self) -> int:
        return self.epochs * self.epoch_length

    @property
    def item_counts(self) -> tuple[int, ...]:
        """Items of an epoch of each source."""
        return tuple(self._plan.counts.tolist())

    @property
    def broken_pictures(self) -> Tensor:
        """(pictures of all sets,) bool, those that were found broken so far, by all workers."""
        return torch.cat([torch.zeros(0, dtype=torch.bool), *(x.broken for x in self._faults)])

    @property
    def faults(self) -> FaultCounts:
        """What was left out so far, by all worker processes together."""
        counts = [faults.counts for faults in self._faults]
        return FaultCounts(
            sum(count.entries for count in counts), sum(count.pictures for count in counts)
        )

    def __getitem__(self, index: int) -> Sample:
        """One sample; see `make_sample`.

        Raises:
            IndexError: there is no such item.
            FaultyPicture: a picture is broken, and faults of its set are fatal.
            ValueError: too many pictures are broken, or no sample can be made of a pair; the text
                names the file.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'item: expected 0 to {len(self) - 1}, received {index}')
        number, frame = self._plan.item(index)
        source = self._sources[number]
        for attempt in range(_MOST_ATTEMPTS):
            generator = np.random.default_rng([self._seed, _ITEM_STREAM, index, attempt])
            if attempt > 0 and isinstance(source, ImageSource):
                frame = int(generator.integers(len(source)))
            try:
                return self._sample(source, frame, generator)
            except SkippedPicture:
                continue
            except FaultyPicture:
                raise
            except (ValueError, cv2.error) as error:
                raise ValueError(f'item {index}, {_place(source, frame)}: {error}') from error
        raise ValueError(f'item {index}: {_MOST_ATTEMPTS} pairs in turn had a broken picture')

    def _sample(self, source: PairSource, frame: int, generator: np.random.Generator) -> Sample:
        if isinstance(source, ImageSource):
            pair = source.pair(frame, generator)
        else:
            pair = source.sample_pair(generator)
        return make_sample(pair, self._targets, self._augmentation, self._prior_noise, generator)


def _place(source: PairSource, frame: int) -> str:
    """Where a sample comes from, for complaints."""
    return source.name(frame) if isinstance(source, ImageSource) else type(source).__name__


class PreviousFramePairs(Dataset[Sample]):
    """Frames of sources, each with exactly its previous one, letterboxed and without any noise.

    The frames are spread evenly over the sources; where a picture is broken and its source is
    told to skip it, the next one takes its place.

    Args:
        sources: of videos.
        count: samples; all frames where there are fewer.
        targets: shapes and rules of the targets.
    """

    def __init__(
        self, sources: Sequence[CocoVideoSource], count: int, targets: TargetSettings
    ) -> None:
        self._frames = [(source, row) for source in sources for row in range(len(source))]
        count = min(count, len(self._frames))
        self._places = [place * len(self._frames) // count for place in range(count)]
        self._targets = targets

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Sample:
        """One sample; see `make_sample`."""
        for place in range(self._places[index], self._places[index] + len(self._frames)):
            source, row = self._frames[place % len(self._frames)]
            try:
                pair = source.evaluation_pair(row)
            except SkippedPicture:
                continue
            generator = np.random.default_rng(0)
            return make_sample(pair, self._targets, NO_AUGMENTATION, NO_NOISE, generator)
        raise ValueError('validation: all pictures are broken')


def make_sample(
    pair: FramePair,
    targets: TargetSettings,
    augmentation: AugmentSettings,
    prior_noise: PriorNoise,
    generator: np.random.Generator,
) -> Sample:
    """Network inputs and targets of one pair.

    Returns:
        `image`, `previous_image` (H, W, 3) uint8 BGR, `prior_heatmap` (1, H/p, W/p) float32,
        and the targets of `training.targets.build_targets`.
    """
    framed = augment_pair(
        pair,
        augmentation,
        (targets.input_height, targets.input_width),
        generator,
        pixel_middle=targets.rules.pixel_middle,
        previous_hulls=targets.rules.previous_hulls,
        resize=targets.rules.resize,
    )
    return {
        'image': np.ascontiguousarray(framed.current.image),
        'previous_image': np.ascontiguousarray(framed.previous.image),
        'prior_heatmap': build_prior_heatmap(
            framed.previous.labels, targets, prior_noise, generator
        ),
        **build_targets(framed.current.labels, framed.previous.labels, targets),
    }


def initialize_worker(worker_id: int) -> None:
    """For `DataLoader(worker_init_fn=...)`: one thread per worker, or they fight for the cores.

    Everything random comes from the generator of the item, so there is no state to seed.
    """
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    # A collection would write into every label that the worker shares with its parent, which
    # then costs memory in each of them.
    gc.freeze()
