"""From head maps to K candidate rows, inside the graph: what is exported is what is evaluated."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from centertrack_ros.model_spec import BoxKind, DecodeRules
from training.activations import activate
from training.models.box_votes import voted_edges
from training.models.joints import CELL_MIDDLE, joint_extent, keypoint_rows, regressed_joints
from training.models.layers import gather_cells, pick_pairs
from training.models.masks import dynamic_masks
from training.models.peaks import NO_PEAK_LOGIT, Peaks, best_peaks, cell_positions

DEFAULT_RULES = DecodeRules()
# Row of the result -> head whose values it holds as they are.
_ROWS_OF_HEADS = {
    'dimensions': 'dim',
    'rotation': 'rot',
    'amodal_offset': 'amodel_offset',
    'attributes': 'nuscenes_att',
    'velocity': 'velocity',
}


def candidate_rows(
    maps: Mapping[str, Tensor],
    count: int,
    *,
    box: BoxKind | None,
    rules: DecodeRules = DEFAULT_RULES,
    activated: bool = False,
) -> dict[str, Tensor]:
    """The `count` best peaks of every image and what the other heads say there.

    Follows `generic_decode` of CenterTrack and `ctdet_decode`, `multi_pose_decode`,
    `ddd_decode` of CenterNet, which with the defaults it improves on (`rules`). Activations
    come after the gathers where they can: a sigmoid is monotonic, so peaks are found on logits.

    Args:
        maps: head name -> (B, C, h, w), raw.
        count: K; rows beyond the peaks that there are have a score of (nearly) 0.
        box: which head the boxes come from, see `_boxes`; None: none of them.
        rules: how to decode.
        activated: whether `maps` went through `training.activations.activate` already, as those
            that `training.models.flip` merged.

    Returns:
        Fields of `centertrack_ros.datatypes.Candidates`, in their order: `scores`, `classes`,
        `cells` and `boxes`, and what the heads in `maps` say besides.

    Raises:
        ValueError: K exceeds the number of places for peaks.
    """
    heatmap = maps['hm']
    peaks = best_peaks(heatmap, count, rules.peaks, 0.0 if activated else NO_PEAK_LOGIT)
    index = peaks.index
    scores = peaks.values if activated else activate('hm', peaks.values)
    cells = cell_positions(index, heatmap.shape[3]).to(heatmap.dtype)
    rows = {
        'scores': scores,
        'classes': peaks.classes,
        'cells': cells,
        'boxes': _boxes(maps, peaks, cells, box, rules, activated),
    }
    if 'tracking' in maps:
        rows['tracking'] = gather_cells(maps['tracking'], index)
    if 'hps' in maps:
        window = _joint_window(maps, peaks, cells, rules, activated)
        rows['keypoints'] = keypoint_rows(
            maps, index, scores, window, rule=rules.joints, activated=activated
        )
    if 'dep' in maps:
        depth = gather_cells(maps['dep'], index)[:, :, 0]
        rows['depth'] = depth if activated else activate('dep', depth)
    for name, head in _ROWS_OF_HEADS.items():
        if head in maps:
            rows[name] = gather_cells(maps[head], index)
    if 'conv_weight' in maps:
        weights = gather_cells(maps['conv_weight'], index)
        centers = _centers(maps, index, cells)
        rows['masks'] = dynamic_masks(maps['seg_feat'], weights, centers).sigmoid()
    return rows


def _boxes(
    maps: Mapping[str, Tensor],
    peaks: Peaks,
    cells: Tensor,
    box: BoxKind | None,
    rules: DecodeRules,
    activated: bool,
) -> Tensor:
    """Boxes (B, K, 4) xyxy in output cells.

    `ltrb`, `ltrb_amodal`: edges measured from the integer cell; `wh`: sizes around cell + `reg`,
    of the peak's class where the head has a pair of channels per class. Without any of them, the
    extent of the joints, or else an empty box at the centre.
    """
    index = peaks.index
    if box == 'wh':
        half = _sizes(maps, index, peaks.classes, rules) / 2
        center = _centers(maps, index, cells)
        return torch.cat([center - half, center + half], dim=2)
    if box is None:
        if 'hps' in maps:
            return joint_extent(regressed_joints(maps, index))
        return _centers(maps, index, cells).repeat(1, 1, 2)
    if box == 'ltrb' and rules.box_votes:
        edges = voted_edges(
            maps[box], peaks.best, index, cells, rule=rules.edges, activated=activated
        )
    else:
        edges = gather_cells(maps[box], index)
    first, second = edges.split(2, dim=2)
    if box == 'ltrb' and rules.edges == 'distances':
        return torch.cat([cells - first, cells + second], dim=2)
    return torch.cat([cells + first, cells + second], dim=2)


def _joint_window(
    maps: Mapping[str, Tensor],
    peaks: Peaks,
    cells: Tensor,
    rules: DecodeRules,
    activated: bool,
) -> Tensor | None:
    """The visible box of each object, whatever its box is; None without a head for it."""
    box: BoxKind
    for box in ('ltrb', 'wh'):
        if box in maps:
            return _boxes(maps, peaks, cells, box, rules, activated)
    return None


def _sizes(
    maps: Mapping[str, Tensor], index: Tensor, classes: Tensor, rules: DecodeRules
) -> Tensor:
    sizes = gather_cells(maps['wh'], index)
    if sizes.shape[2] > 2:
        sizes = pick_pairs(sizes, classes)
    return sizes.clamp(min=0) if rules.clamp_sizes else sizes


def _centers(maps: Mapping[str, Tensor], index: Tensor, cells: Tensor) -> Tensor:
    """Sub-pixel centres (B, K, 2), output cells."""
    if 'reg' in maps:
        return cells + gather_cells(maps['reg'], index)
    return cells + CELL_MIDDLE
