"""The torch dataset: pairs from weighted sources, augmented, with their targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from training.augment import NO_AUGMENTATION, AugmentSettings, augment_pair
from training.data.coco_video import CocoVideoSource
from training.data.labels import FramePair, PairSource
from training.targets import PriorNoise, TargetSettings, build_prior_heatmap, build_targets

Sample = dict[str, NDArray[Any]]
NO_NOISE = PriorNoise(jitter=0.0, lost=0.0, false_near=0.0, false_anywhere=0.0, empty=0.0)


class TrackingDataset(Dataset[Sample]):
    """Random training pairs; item `i` of an epoch depends on seed, epoch and `i` only.

    So the same seed gives the same batches for any number of workers, and after a resume.

    Args:
        sources: where pairs come from.
        weights: share of each source, any positive numbers.
        length: items of an epoch.
        seed: of everything random.
        targets: shapes and rules of the targets.
        augmentation: how much pairs are changed.
        prior_noise: faults of the prior heatmap.

    Raises:
        ValueError: sources and weights do not match, or no weight is positive.
    """

    def __init__(
        self,
        sources: Sequence[PairSource],
        weights: Sequence[float],
        *,
        length: int,
        seed: int,
        targets: TargetSettings,
        augmentation: AugmentSettings,
        prior_noise: PriorNoise,
    ) -> None:
        if not sources or len(sources) != len(weights):
            raise ValueError(
                f'sources and weights: expected as many of one as of the other, at least one, '
                f'received {len(sources)} and {len(weights)}'
            )
        shares = np.asarray(weights, np.float64)
        if shares.min() < 0 or not shares.sum() > 0:
            raise ValueError(f'weights: expected none negative, one positive, received {weights}')
        self._sources = tuple(sources)
        self._shares = shares / shares.sum()
        self._length = length
        self._seed = seed
        self._targets = targets
        self._augmentation = augmentation
        self._prior_noise = prior_noise
        # Shared memory: workers that outlive an epoch must see the change.
        self._epoch = torch.zeros(1, dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]

    def set_epoch(self, epoch: int) -> None:
        """Choose the items of `epoch`; call it before iterating over the loader."""
        self._epoch[0] = epoch

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Sample:
        """One sample; see `make_sample`."""
        generator = np.random.default_rng([self._seed, int(self._epoch[0]), index])
        source = self._sources[generator.choice(len(self._sources), p=self._shares)]
        pair = source.sample_pair(generator)
        return make_sample(pair, self._targets, self._augmentation, self._prior_noise, generator)


class EvaluationDataset(Dataset[Sample]):
    """All frames of a source in order, each with exactly its previous one, letterboxed.

    The prior heatmap is drawn from the labels of the previous frame, without faults.
    """

    def __init__(self, source: CocoVideoSource, targets: TargetSettings) -> None:
        self._source = source
        self._targets = targets

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Sample:
        """One sample; see `make_sample`."""
        pair = self._source.evaluation_pair(index)
        return make_sample(
            pair, self._targets, NO_AUGMENTATION, NO_NOISE, np.random.default_rng(0)
        )


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
    """For `DataLoader(worker_init_fn=...)`: one thread per worker, or they fight for the cores."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
