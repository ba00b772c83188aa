"""All targets of one frame, put together by the heads that are wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.labels import FrameLabels, Reals
from training.targets import boxes3d
from training.targets.boxes3d import HeadValues
from training.targets.heatmaps import class_heatmap, joint_heatmap
from training.targets.joints import joint_targets, place_joints, regressed_joints
from training.targets.masks import object_masks
from training.targets.objects import PlacedObjects, place_objects
from training.targets.prior import previous_centers
from training.targets.settings import TargetSettings

Targets = dict[str, NDArray[Any]]


def build_targets(
    current: FrameLabels,
    previous: FrameLabels,
    settings: TargetSettings,
    *,
    to_cells: Reals | None = None,
) -> Targets:
    """Targets of one frame.

    The peak of an object lies in the cell of the centre of its box, clipped to the map; all
    that is regressed is measured from that whole cell, without a half cell added. Objects that
    are hidden or cut off too much keep their peak in the heatmap, which makes their surroundings
    cheap, but are no positives. When two objects share a cell, the more visible one owns it: a
    cell can say only one box. What the labels do not know has a mask of 0.

    Row k belongs to object k. If there are more than M objects, the M most visible ones that can
    be learnt have the rows; under the rules of the original, see `TargetRules.annotation_rows`.

    Args:
        current: objects of the frame, in input pixels.
        previous: objects of the previous frame, in pixels of its input.
        settings: shapes, heads and rules.
        to_cells: affine map (2, 3) from the pixels of `current` to output cells, if they are
            other than those of the input.

    Returns:
        Always `hm` (C, h, w) float32 with ignored regions painted 1, `indices` (M,) int64 cell
        number y w + x, `classes` (M,) int64, `mask` (M,) float32. Each head of objects that is
        wanted as `<head>` and `<head>_mask` (M, channels) float32, in the units of
        `training.heads`, but for

        - `rot`: `rot_bins` (M, 2) int64, 1 where a bin is active, `rot_residuals` (M, 2)
          float32, angle - middle of the bin, `rot_mask` (M,) float32;
        - `conv_weight`: `masks` (M, h, w) float32, `masks_mask` (M,) float32.

        With `hm_hp` or `hp_offset` also `hm_hp` (J, h, w) and what `joint_targets` returns.
    """
    if to_cells is None:
        to_cells = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]) / settings.stride
    objects = place_objects(current, settings, to_cells)
    cells = objects.cells[:, 1] * settings.output_shape[1] + objects.cells[:, 0]
    targets: Targets = {
        'hm': class_heatmap(objects),
        'indices': objects.in_rows(cells),
        'classes': objects.in_rows(objects.labels.classes),
        'mask': objects.in_rows(np.ones(len(objects), np.float32)),
    }
    for name in settings.heads:
        if name == 'tracking':
            targets |= _head(name, _tracking(objects, previous), objects)
        elif name in _OBJECT_HEADS:
            targets |= _head(name, _OBJECT_HEADS[name](objects), objects)
    if 'rot' in settings.heads:
        targets |= _rotation(objects)
    if 'conv_weight' in settings.heads:
        targets |= object_masks(objects)
    return targets | _joints(objects)


def _centers(objects: PlacedObjects) -> HeadValues:
    return _every(objects.centers - objects.cells)


def _sizes(objects: PlacedObjects) -> HeadValues:
    return _every(objects.boxes[:, 2:] - objects.boxes[:, :2])


def _edges(objects: PlacedObjects) -> HeadValues:
    offsets = objects.boxes - np.tile(objects.cells, 2)
    outwards = [-1, -1, 1, 1] if objects.settings.rules.edges == 'distances' else 1
    return _every(offsets * outwards)


def _whole_edges(objects: PlacedObjects) -> HeadValues:
    return _every(objects.labels.boxes - np.tile(objects.cells, 2))


def _every(values: Reals) -> HeadValues:
    return values, np.ones(values.shape, bool)


# Heads that follow from the frame alone; the first four need no more than boxes.
_OBJECT_HEADS: dict[str, Callable[[PlacedObjects], HeadValues]] = {
    'reg': _centers,
    'wh': _sizes,
    'ltrb': _edges,
    'ltrb_amodal': _whole_edges,
    'dep': boxes3d.depths,
    'dim': boxes3d.dimensions,
    'amodel_offset': boxes3d.amodal_offsets,
    'nuscenes_att': boxes3d.attributes,
    'velocity': boxes3d.velocities,
}


def _tracking(objects: PlacedObjects, previous: FrameLabels) -> HeadValues:
    """Old centre - cell, where the track was known."""
    centers, known = previous_centers(objects.labels.track_ids, previous, objects.settings)
    return centers - objects.cells, np.repeat(known[:, None], 2, axis=1)


def _head(name: str, values: HeadValues, objects: PlacedObjects) -> Targets:
    """`<name>` and `<name>_mask` (M, channels); 0 where the mask is."""
    numbers, known = values
    numbers = np.where(known, numbers, 0).astype(np.float32)
    return {
        name: objects.in_rows(numbers),
        f'{name}_mask': objects.in_rows(known.astype(np.float32)),
    }


def _rotation(objects: PlacedObjects) -> Targets:
    bins, residuals, known = boxes3d.rotation_bins(objects)
    return {
        'rot_bins': objects.in_rows(bins),
        'rot_residuals': objects.in_rows(
            np.where(known[:, None], residuals, 0).astype(np.float32)
        ),
        'rot_mask': objects.in_rows(known.astype(np.float32)),
    }


def _joints(objects: PlacedObjects) -> Targets:
    """Targets of the heads of joints, as far as they are wanted."""
    wanted = {'hps', 'hm_hp', 'hp_offset'} & set(objects.settings.heads)
    if not wanted:
        return {}
    joints = place_joints(objects)
    targets: Targets = {}
    if 'hps' in wanted:
        targets |= _head('hps', regressed_joints(objects, joints), objects)
    if wanted != {'hps'}:
        targets['hm_hp'] = joint_heatmap(objects, joints)
        targets |= joint_targets(objects, joints)
    return targets
