"""Targets of joints: places from the centre of the object, and places within their own cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import BoolArray, FloatArray, IntArray
from training.data.labels import Reals
from training.targets.objects import PlacedObjects

VISIBLE = 2


@dataclass(frozen=True)
class PlacedJoints:
    """The J joints of N objects on the output map.

    Attributes:
        places: (N, J, 2) float32 x, y in cells.
        cells: (N, J, 2) int64, theirs; 0 where the joint is not on the map.
        labelled: (N, J) whether somebody said where the joint is.
        on_map: (N, J) whether that is on the map.
        visible: (N, J) whether it is on the map and can be seen there.
    """

    places: FloatArray
    cells: IntArray
    labelled: BoolArray
    on_map: BoolArray
    visible: BoolArray


def place_joints(objects: PlacedObjects) -> PlacedJoints:
    """Joints on the map; none is labelled where the source has no joints.

    Raises:
        ValueError: the labels have another number of joints than the settings.
    """
    joints = objects.labels.joints
    shape = (len(objects), objects.settings.joint_count, 3)
    if joints is None:
        joints = np.zeros(shape, np.float32)
    if joints.shape != shape:
        raise ValueError(f'joints: expected {shape}, received {joints.shape}')
    places = joints[..., :2]
    height, width = objects.settings.output_shape
    labelled = joints[..., 2] > 0
    on_map = labelled & (places >= 0).all(axis=2) & (places < (width, height)).all(axis=2)
    return PlacedJoints(
        places=places,
        cells=np.where(on_map[..., None], places, 0).astype(np.int64),
        labelled=labelled,
        on_map=on_map,
        visible=on_map & (joints[..., 2] == VISIBLE),
    )


def regressed_joints(objects: PlacedObjects, joints: PlacedJoints) -> tuple[Reals, BoolArray]:
    """Head `hps`: joint - cell of the object (N, 2 J), and where it is known."""
    offsets = joints.places - objects.cells[:, None]
    known = np.repeat(joints.on_map, 2, axis=1)
    return offsets.reshape(known.shape), known


def joint_targets(objects: PlacedObjects, joints: PlacedJoints) -> dict[str, NDArray[Any]]:
    """One row per joint of each object, row r J + j for joint j of the object in row r.

    Returns:
        `joint_indices`, `joint_classes` (M J,) int64: cell and number of the joint;
        `joint_mask` (M J,) float32: 1 for visible joints, the positives of `hm_hp`;
        `hp_offset` (M J, 2) float32: joint - its cell, and `hp_offset_mask`. Hidden joints have
        values too, but masks of 0.
    """
    settings, count = objects.settings, objects.settings.joint_count
    total = settings.max_objects * count
    rows, numbers = np.nonzero(objects.learnt[:, None] & joints.on_map)
    places = objects.rows[rows] * count + numbers
    cells = joints.cells[rows, numbers]
    visible = joints.visible[rows, numbers]
    targets: dict[str, NDArray[Any]] = {
        'joint_indices': np.zeros(total, np.int64),
        'joint_classes': np.zeros(total, np.int64),
        'joint_mask': np.zeros(total, np.float32),
        'hp_offset': np.zeros((total, 2), np.float32),
        'hp_offset_mask': np.zeros((total, 2), np.float32),
    }
    targets['joint_indices'][places] = cells[:, 1] * settings.output_shape[1] + cells[:, 0]
    targets['joint_classes'][places] = numbers
    targets['joint_mask'][places] = visible
    targets['hp_offset'][places] = joints.places[rows, numbers] - cells
    targets['hp_offset_mask'][places] = visible[:, None]
    return targets
