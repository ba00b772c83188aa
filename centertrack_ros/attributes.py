"""States of objects that nuScenes knows, the channels of the head `nuscenes_att`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from centertrack_ros.datatypes import BoolArray, FloatArray, IntArray

ATTRIBUTES = ('cycle.with_rider', 'cycle.without_rider', 'pedestrian.moving',
              'pedestrian.standing', 'pedestrian.sitting_lying_down', 'vehicle.moving',
              'vehicle.parked', 'vehicle.stopped')  # fmt: skip
_CYCLES, _PEDESTRIANS, _VEHICLES = slice(0, 2), slice(2, 5), slice(5, 8)
# Class -> channels that it can have; cones and barriers have none.
ATTRIBUTES_OF: Mapping[str, slice] = {
    'car': _VEHICLES, 'truck': _VEHICLES, 'bus': _VEHICLES, 'trailer': _VEHICLES,
    'construction_vehicle': _VEHICLES, 'pedestrian': _PEDESTRIANS, 'motorcycle': _CYCLES,
    'bicycle': _CYCLES, 'traffic_cone': slice(0, 0), 'barrier': slice(0, 0),
}  # fmt: skip


def allowed_attributes(class_names: Sequence[str]) -> BoolArray:
    """Which attributes (C, 8) objects of each class can have; none for classes not of nuScenes."""
    allowed = np.zeros((len(class_names), len(ATTRIBUTES)), np.bool_)
    for row, name in enumerate(class_names):
        allowed[row, ATTRIBUTES_OF.get(name, slice(0, 0))] = True
    return allowed


def likeliest_attributes(logits: FloatArray, allowed: BoolArray) -> IntArray:
    """The attribute (N,) with the largest logit of those that an object can have, -1 = none.

    Args:
        logits: (N, 8), see `Detections.attributes`.
        allowed: (N, 8), rows of `allowed_attributes`.
    """
    best = np.where(allowed, logits, np.float32(-np.inf)).argmax(axis=1)
    return np.where(allowed.any(axis=1), best, -1)


def attribute_name(attribute: int) -> str:
    """Name of an attribute by its index; '' for -1."""
    return ATTRIBUTES[attribute] if attribute >= 0 else ''
