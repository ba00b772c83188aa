"""Targets of boxes in space: depth, size, angle, projected centre, motion and attribute."""

from __future__ import annotations

import numpy as np

from centertrack_ros.camera_geometry import BIN_CENTERS
from centertrack_ros.datatypes import BoolArray, FloatArray, IntArray
from training.data.labels import Reals
from training.targets.objects import PlacedObjects

# Values (N, D) of a head and which of them are known; unknown ones may be not-a-number.
HeadValues = tuple[Reals, BoolArray]

# nuScenes: attributes of cycles, pedestrians and vehicles. One of a group is true of an object,
# the other groups do not apply to it.
ATTRIBUTE_GROUPS = ((0, 1), (2, 3, 4), (5, 6, 7))
ATTRIBUTE_COUNT = 8
# Where a bin begins and ends: its half circle and pi / 6 beyond both ends.
_NEAR, _FAR = np.pi / 6, 5 * np.pi / 6


def depths(objects: PlacedObjects) -> HeadValues:
    """Head `dep`: metres (N, 1)."""
    return _known(objects.labels.depth, (len(objects), 1))


def dimensions(objects: PlacedObjects) -> HeadValues:
    """Head `dim`: height, width, length (N, 3), metres."""
    return _known(objects.labels.dimensions, (len(objects), 3))


def amodal_offsets(objects: PlacedObjects) -> HeadValues:
    """Head `amodel_offset`: projected middle of the 3D box - cell (N, 2), cells.

    From the cell, not from the middle of the 2D box, although CenterTrack decodes it so.
    """
    centers, known = _known(objects.labels.amodal_centers, (len(objects), 2))
    return centers - objects.cells, known


def velocities(objects: PlacedObjects) -> HeadValues:
    """Head `velocity`: camera frame (N, 3), metres per second."""
    return _known(objects.labels.velocity, (len(objects), 3))


def attributes(objects: PlacedObjects) -> HeadValues:
    """Head `nuscenes_att`: 1 for the attribute (N, 8); known are those of its group."""
    values = np.zeros((len(objects), ATTRIBUTE_COUNT), np.float32)
    known = np.zeros(values.shape, bool)
    numbers = objects.labels.attributes
    if numbers is None:
        return values, known
    for group in ATTRIBUTE_GROUPS:
        members = np.flatnonzero(np.isin(numbers - 1, group))
        known[np.ix_(members, np.array(group))] = True
    rows = np.flatnonzero(numbers > 0)
    values[rows, numbers[rows] - 1] = 1
    return values, known


def rotation_bins(objects: PlacedObjects) -> tuple[IntArray, Reals, BoolArray]:
    """Head `rot`: which of the two bins are active (N, 2), angle - their middles, known (N,).

    Mousavian et al. 2017 as CenterTrack has it; decoded by `camera_geometry.alpha_from_bins`.
    """
    alpha = objects.labels.alpha
    if alpha is None:
        alpha = np.full(len(objects), np.nan)
    active = np.stack(
        [(alpha < _NEAR) | (alpha > _FAR), (alpha > -_NEAR) | (alpha < -_FAR)], axis=1
    ).astype(np.int64)
    residuals = (alpha[:, None] - np.array(BIN_CENTERS)) * active
    return active, residuals, ~np.isnan(alpha)


def rotation_channels(bins: IntArray, residuals: Reals, known: Reals) -> FloatArray:
    """What the head `rot` would say exactly (N, 8); `camera_geometry.alpha_from_bins` reads it.

    Args:
        bins, residuals: (N, 2), as `rotation_bins` makes them.
        known: (N,); unknown angles count as 0, which is in both bins.
    """
    unknown = (known == 0)[:, None]
    active = np.where(unknown, 1, bins)
    angles = np.where(unknown, -np.array(BIN_CENTERS), residuals)
    waves = (np.sin(angles) * active, np.where(active > 0, np.cos(angles), 1))
    channels = np.stack([np.zeros(active.shape), active, *waves], axis=2)
    return channels.reshape(len(bins), 8).astype(np.float32)


def _known(values: Reals | None, shape: tuple[int, int]) -> HeadValues:
    """Values (N, D) and whether all of a row are numbers; all unknown where there are none."""
    if values is None:
        return np.zeros(shape, np.float32), np.zeros(shape, bool)
    values = values.reshape(shape)
    return values, np.broadcast_to(~np.isnan(values).any(axis=1, keepdims=True), shape)
