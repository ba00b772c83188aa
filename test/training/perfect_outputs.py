"""A network that has learnt its samples by heart: what it says, and an engine that says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from centertrack_ros.datatypes import Candidates
from training.activations import DEPTH_EPSILON
from training.targets import targets_to_detections


class Oracle:
    """An engine that answers with what the labels say, frame after frame."""

    name, device = 'labels', 'none'

    def __init__(self, candidates: Iterable[Candidates]) -> None:
        self._candidates = iter(candidates)

    def run(self, image: Any, previous_image: Any, prior_heatmap: Any) -> Candidates:
        return next(self._candidates)

    def close(self) -> None:
        pass


def exact_maps(sample: Mapping[str, Any], heads: Mapping[str, int]) -> dict[str, torch.Tensor]:
    """Maps (1, C, h, w), raw, of a network that says exactly what a sample wants of it."""
    values = targets_to_detections(sample) | {'reg': None, 'wh': None}
    rows = np.flatnonzero(sample['mask'])
    indices = sample['indices'][rows]
    shape = sample['hm'].shape[1:]
    maps = {
        name: np.zeros((count, shape[0] * shape[1]), np.float32) for name, count in heads.items()
    }
    for name in ('hm', 'hm_hp'):
        if name in maps:
            maps[name] -= 20
    maps['hm'][sample['classes'][rows], indices] = 9
    for name in ('reg', 'wh', 'tracking', 'hps', 'dim', 'amodel_offset'):
        if name in maps:
            maps[name][:, indices] = sample[name][rows].T
    if 'dep' in maps:
        shares = 1 / (np.float64(sample['dep'][rows].T) + 1) - DEPTH_EPSILON
        maps['dep'][:, indices] = np.log(shares / (1 - shares))
        maps['rot'][:, indices] = values['rot'].T
    if 'hm_hp' in maps:
        joints = np.flatnonzero(sample['joint_mask'])
        cells = sample['joint_indices'][joints]
        maps['hm_hp'][sample['joint_classes'][joints], cells] = 9
        maps['hp_offset'][:, cells] = sample['hp_offset'][joints].T
    return {name: torch.from_numpy(map.reshape(1, -1, *shape)) for name, map in maps.items()}
