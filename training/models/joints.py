"""Key points: joints regressed from the centre of an object, moved to peaks of joint heatmaps.

CenterNet, section 6.2 (`multi_pose_decode`), and CenterTrack (`_update_kps_with_hm`) take the
nearest peak and differ in the numbers of `JOINT_RULES`; MoveNet takes the highest one, near ones
first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from centertrack_ros.model_spec import JointRule
from training.activations import activate
from training.models.layers import gather_cells, pick_pairs
from training.models.peaks import NO_PEAK_LOGIT, cell_positions, channel_peaks

# Added on every side of the joints where there is no box to look for peaks in.
WINDOW_MARGIN = 0.25
# Middle of a cell, where no head says the place inside it.
CELL_MIDDLE = 0.5


@dataclass(frozen=True)
class JointMatching:
    """Which peak replaces a regressed joint, and when; it always has to lie in the window.

    Attributes:
        threshold: score above which a peak counts.
        reach: largest distance from the regressed joint, in the longer side of the window.
        offset_heads: which head says where in its cell a peak lies, first found; none of them:
            in the middle.
        spread: None: the nearest peak is tried. Otherwise the one with the highest score times
            exp(-d^2 / (spread s)), d its distance from the regressed joint and s the shorter side
            of the map, all in cells; that product is the score of the joint, and a joint without
            a peak has a score of 0.
    """

    threshold: float
    reach: float | None
    offset_heads: tuple[str, ...]
    spread: float | None = None


JOINT_RULES: dict[JointRule, JointMatching] = {
    'centertrack': JointMatching(0.2, None, ('hp_offset', 'reg')),
    'centernet': JointMatching(0.1, 0.3, ('hp_offset',)),
    # MoveNet looks at all cells, we at their peaks; so low ones change nothing that counts.
    'movenet': JointMatching(0.01, None, ('hp_offset',), spread=0.3),
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
        where the joint is the regressed one, as in CenterTrack; see `JointMatching.spread` for
        those of MoveNet.
    """
    regressed = regressed_joints(maps, index)
    fallback = scores[:, :, None].expand(-1, -1, regressed.shape[2])
    if 'hm_hp' in maps:
        if window is None:
            window = joint_extent(regressed)
        matching = JOINT_RULES[rule]
        places, found = _peaks(maps, index.shape[1], matching, activated)
        if matching.spread is None:
            joints, fallback = _nearest(regressed, fallback, places, found, window, matching)
        else:
            found = found.masked_fill(found <= matching.threshold, 0.0)
            range_ = matching.spread * torch.sym_min(*maps['hm_hp'].shape[2:])
            joints, fallback = _highest(regressed, places, found, window, range_)
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
        if offsets.shape[2] > 2:
            joints = torch.arange(index.shape[1], device=index.device)
            offsets = pick_pairs(offsets, joints[:, None].expand_as(index).flatten(1))
        places = places + offsets.unflatten(1, index.shape[1:])
    return places, values if activated else activate('hm_hp', values)


def _nearest(
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
    squares = (regressed[:, :, :, None] - places[:, None]).square().sum(dim=4)
    squares = squares.masked_fill((found <= matching.threshold)[:, None], torch.inf)
    nearest_square, nearest = squares.min(dim=3)
    place, score = _chosen(places, nearest), _chosen(found[..., None], nearest).squeeze(3)
    low, high = window[:, :, None, :2], window[:, :, None, 2:]
    taken = ((place >= low) & (place <= high)).all(dim=3) & nearest_square.isfinite()
    if matching.reach is not None:
        longer = (high - low).amax(dim=3)
        taken = taken & (nearest_square.sqrt() <= longer * matching.reach)
    return (
        torch.where(taken[..., None], place, regressed),
        torch.where(taken, score, fallback),
    )


def _highest(
    regressed: Tensor, places: Tensor, found: Tensor, window: Tensor, range_: float
) -> tuple[Tensor, Tensor]:
    """As `_nearest`, but by the rule of MoveNet."""
    # One coordinate after the other: arrays of K J P pairs take longer than all else here.
    x, y = places[:, None].unbind(dim=4)
    joint_x, joint_y = regressed[:, :, :, None].unbind(dim=4)
    squares = (x - joint_x).square() + (y - joint_y).square()
    left, top, right, bottom = window[:, :, None, None].unbind(dim=4)
    inside = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    weighted = torch.where(inside, found[:, None] * torch.exp(-squares / range_), 0.0)
    score, best = weighted.max(dim=3)
    return torch.where((score > 0)[..., None], _chosen(places, best), regressed), score


def _chosen(values: Tensor, choice: Tensor) -> Tensor:
    """Values (B, K, J, D) of those (B, J, P, D) of the peaks `choice` (B, K, J)."""
    columns = choice[..., None, None].expand(-1, -1, -1, 1, values.shape[3])
    expanded = values[:, None].expand(-1, choice.shape[1], -1, -1, -1)
    return expanded.gather(3, columns).squeeze(3)
