"""Targets read back as objects: what a network would see that says exactly its targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import FloatArray
from centertrack_ros.model_spec import EdgeRule
from training.targets.boxes3d import rotation_channels

Arrays = Mapping[str, NDArray[Any]]

# What stands for an unknown value where something has to be drawn (`_add_instance`).
_PLACEHOLDERS = {'dep': 2.0, 'dim': 1.0}
_COPIED = ('tracking', 'dep', 'dim', 'amodel_offset', 'nuscenes_att', 'velocity')


def targets_to_detections(
    targets: Arrays, edges: EdgeRule = 'distances'
) -> dict[str, NDArray[Any]]:
    """The learnt objects of one frame, in the order of their rows, for debugging and previews.

    Follows `_format_gt_det` of CenterTrack's `generic_dataset.py`.

    Args:
        targets: those of `build_targets`, with the heads `reg` and `wh`, or `ltrb`.
        edges: what `ltrb` holds, see `TargetRules.edges`.

    Returns:
        `scores` (n,) float32, all 1, `classes` (n,) int64, `cells` (n, 2) int64, `boxes` (n, 4)
        float32 xyxy in cells; `centers` (n, 2) of the boxes in cells; of the other heads the
        values as the network says them, 0 where unknown (a depth of 2, dimensions of 1, an angle
        of 0), but places in cells instead of offsets for `ltrb_amodal` (n, 4) and for `hps`
        (n, 2 J), where joints off the map are 0.
    """
    rows = np.flatnonzero(targets['mask'])
    indices = targets['indices'][rows]
    width = targets['hm'].shape[2]
    cells = np.stack([indices % width, indices // width], axis=1)
    boxes = _boxes(targets, rows, cells, edges)
    found: dict[str, NDArray[Any]] = {
        'scores': np.ones(len(rows), np.float32),
        'classes': targets['classes'][rows],
        'cells': cells,
        'boxes': boxes,
        'centers': _centers(targets, rows, cells, boxes),
    }
    for name in _COPIED:
        if name in targets:
            known = targets[f'{name}_mask'][rows] > 0
            unknown = _PLACEHOLDERS.get(name, 0.0)
            found[name] = np.where(known, targets[name][rows], np.float32(unknown))
    if 'ltrb_amodal' in targets:
        found['ltrb_amodal'] = _from_cells(targets['ltrb_amodal'][rows], cells)
    if 'hps' in targets:
        joints = _from_cells(targets['hps'][rows], cells)
        found['hps'] = joints * (targets['hps_mask'][rows] > 0)
    if 'rot_bins' in targets:
        found['rot'] = rotation_channels(
            targets['rot_bins'][rows], targets['rot_residuals'][rows], targets['rot_mask'][rows]
        )
    return found


def _boxes(
    targets: Arrays, rows: NDArray[Any], cells: NDArray[Any], edges: EdgeRule
) -> FloatArray:
    if 'wh' not in targets:
        signs = np.array([-1, -1, 1, 1] if edges == 'distances' else [1, 1, 1, 1], np.float32)
        return _from_cells(targets['ltrb'][rows] * signs, cells)
    centers = _from_cells(targets['reg'][rows], cells)
    half = targets['wh'][rows] / np.float32(2)
    return np.concatenate([centers - half, centers + half], axis=1)


def _centers(
    targets: Arrays, rows: NDArray[Any], cells: NDArray[Any], boxes: FloatArray
) -> FloatArray:
    if 'reg' in targets:
        return _from_cells(targets['reg'][rows], cells)
    return (boxes[:, :2] + boxes[:, 2:]) / np.float32(2)


def _from_cells(offsets: FloatArray, cells: NDArray[Any]) -> FloatArray:
    """Places (n, 2 k) that lie `offsets` (n, 2 k) away from cells (n, 2)."""
    places: FloatArray = offsets + np.tile(cells, offsets.shape[1] // 2).astype(np.float32)
    return places
