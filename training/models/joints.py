"""Key points: joints regressed from the centre of an object, moved to peaks of joint heatmaps.

CenterNet, section 6.2 (`multi_pose_decode`), and CenterTrack (`_update_kps_with_hm`), which
differ in the numbers of `JOINT_RULES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from centertrack_ros.model_spec import JointRule
from training.activations import activate
from training.models.layers import gather_cells
from training.models.peaks import NO_PEAK_LOGIT, cell_positions, channel_peaks

# Added on every side of the joints where there is no box to look for peaks in.
WINDOW_MARGIN = 0.25
# Middle of a cell, where no head says the place inside it.
CELL_MIDDLE = 0.5


@dataclass(frozen=True)
class JointMatching:
    """When the nearest peak replaces a regressed joint; it always has to lie in the window.

    Attributes:
        threshold: score above which a peak counts.
        reach: largest distance from the regressed joint, in the longer side of the window.
        offset_heads: which head says where in its cell a peak lies, first found; none of them:
            in the middle.
    """

    threshold: float
    reach: float | None
    offset_heads: tuple[str, ...]


JOINT_RULES: dict[JointRule, JointMatching] = {
    'centertrack': JointMatching(0.2, None, ('hp_offset', 'reg')),
    'centernet': JointMatching(0.1, 0.3, ('hp_offset',)),
}


def keypoint_rows(
    maps: Mapping[str, Tensor],
    index: Tensor,
    scores: Tensor,
    window: Tensor | None,
    *,
    rule: JointRule,
    activated: bool = False,
) -> Tensor:
    """Joints of objects.

    Args:
        maps: head name -> (B, C, h, w), `hps` and what there is of `hm_hp`, `hp_offset`, `reg`.
        index: (B, K) int64, cells of the objects.
        scores: (B, K), theirs.
        window: (B, K, 4) xyxy, output cells, in which peaks are taken for an object; None: round
            its regressed joints. CenterTrack never takes the amodal box, which joints of others
            fill as well.
        rule: row of `JOINT_RULES`.
        activated: whether `hm_hp` holds scores, not logits.

    Returns:
        (B, K, J, 3) x, y in output cells and the score: that of the peak, or that of the object
        where the joint is the regressed one, as in CenterTrack.
    """
    regressed = regressed_joints(maps, index)
    fallback = scores[:, :, None].expand(-1, -1, regressed.shape[2])
    if 'hm_hp' in maps:
        if window is None:
            window = joint_extent(regressed)
        places, found = _peaks(maps, index.shape[1], JOINT_RULES[rule], activated)
        joints, fallback = _matched(regressed, fallback, places, found, window, JOINT_RULES[rule])
    else:
        joints = regressed
    return torch.cat([joints, fallback[..., None]], dim=3)


def regressed_joints(maps: Mapping[str, Tensor], index: Tensor) -> Tensor:
    """Joints (B, K, J, 2) x, y in output cells, as the head `hps` says them at cells (B, K)."""
    offsets = gather_cells(maps['hps'], index).unflatten(2, (-1, 2))
    cells = cell_positions(index, maps['hps'].shape[3]).to(offsets.dtype)
    return offsets + cells[:, :, None]


def joint_extent(joints: Tensor) -> Tensor:
    """Box (B, K, 4) xyxy round joints (B, K, J, 2), with a margin.

    As CenterTrack, which takes the margin on the right and below from the box that has already
    grown on the other side.
    """
    low, high = joints.amin(dim=2), joints.amax(dim=2)
    low = low - (high - low) * WINDOW_MARGIN
    high = high + (high - low) * WINDOW_MARGIN
    return torch.cat([low, high], dim=2)


def pose_scores(keypoints: Tensor, scores: Tensor) -> Tensor:
    """Score (B, K) of whole poses (B, K, J, 3): the object's times the mean of its joints'.

    CenterTrack's `kps_score`.
    """
    return scores * keypoints[..., 2].mean(dim=2)


def _peaks(
    maps: Mapping[str, Tensor], count: int, matching: JointMatching, activated: bool
) -> tuple[Tensor, Tensor]:
    """The best peaks of each joint: places (B, J, P, 2) in output cells, scores (B, J, P)."""
    heatmap = maps['hm_hp']
    values, index = channel_peaks(heatmap, count, 0.0 if activated else NO_PEAK_LOGIT)
    places = cell_positions(index, heatmap.shape[3]).to(heatmap.dtype)
    head = next((name for name in matching.offset_heads if name in maps), None)
    if head is None:
        places = places + CELL_MIDDLE
    else:
        offsets = gather_cells(maps[head], index.flatten(1))
        places = places + offsets.unflatten(1, index.shape[1:])
    return places, values if activated else activate('hm_hp', values)


def _matched(
    regressed: Tensor,
    fallback: Tensor,
    places: Tensor,
    found: Tensor,
    window: Tensor,
    matching: JointMatching,
) -> tuple[Tensor, Tensor]:
    """Joints (B, K, J, 2) and their scores (B, K, J) after the nearest peak of each was tried.

    `fallback` (B, K, J) is the score of a joint that stays as regressed; see `_peaks`.
    """
    # A peak that does not count is nowhere: B, K, J, P squared distances.
    places = places[:, None]
    steps = regressed[:, :, :, None] - places
    squares = steps.square().sum(dim=4)
    squares = squares.masked_fill((found <= matching.threshold)[:, None], torch.inf)
    nearest_square, nearest = squares.min(dim=3)
    objects = nearest.shape[1]
    place = (
        places.expand(-1, objects, -1, -1, -1)
        .gather(3, nearest[..., None, None].expand(-1, -1, -1, 1, 2))
        .squeeze(3)
    )
    score = found[:, None].expand(-1, objects, -1, -1).gather(3, nearest[..., None]).squeeze(3)
    low, high = window[:, :, None, :2], window[:, :, None, 2:]
    taken = ((place >= low) & (place <= high)).all(dim=3) & nearest_square.isfinite()
    if matching.reach is not None:
        longer = (high - low).amax(dim=3)
        taken = taken & (nearest_square.sqrt() <= longer * matching.reach)
    return (
        torch.where(taken[..., None], place, regressed),
        torch.where(taken, score, fallback),
    )
