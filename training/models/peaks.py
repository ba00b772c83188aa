"""Peaks of heatmaps: which cells count as one, and the best of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from centertrack_ros.model_spec import PeakRule

# Logit of a cell that is no peak: a score of 2e-9, below every threshold.
NO_PEAK_LOGIT = -20.0


@dataclass(frozen=True)
class Peaks:
    """The K best peaks of each image, best first.

    Attributes:
        values: (B, K), of the heatmap: logits or scores.
        classes: (B, K) int64.
        index: (B, K) int64, flat cell y * w + x.
        best: (B, 1, h, w), the heatmap's best class of every cell.
    """

    values: Tensor
    classes: Tensor
    index: Tensor
    best: Tensor


def suppress_neighbours(heatmap: Tensor, floor: float) -> Tensor:
    """Set every cell that one of its eight neighbours exceeds to `floor`; plateaus stay.

    Args:
        heatmap: (B, C, h, w), each channel by itself.
        floor: 0 for scores, as `_nms` of CenterTrack and CenterNet; `NO_PEAK_LOGIT` for logits.
    """
    highest = functional.max_pool2d(heatmap, 3, stride=1, padding=1)
    return torch.where(heatmap == highest, heatmap, floor)


def best_peaks(heatmap: Tensor, count: int, rule: PeakRule, floor: float) -> Peaks:
    """The `count` best peaks of each image.

    With `cell`, the heatmap is first reduced to its best class at each cell. The originals
    (`class`) suppress each class by itself and then return two rows where two classes peak side
    by side, which to a tracker is one object twice; and suppressing one map instead of 80 takes
    a tenth of the time.

    Args:
        heatmap: (B, C, h, w), logits or scores.
        count: K.
        rule: see `DecodeRules.peaks`.
        floor: see `suppress_neighbours`.

    Raises:
        ValueError: the heatmap has fewer than K cells (`class`: in all its channels together).
    """
    places = heatmap[0].numel() if rule == 'class' else heatmap.shape[2] * heatmap.shape[3]
    if not 1 <= count <= places:
        raise ValueError(
            f'count: expected 1 to {places}, the cells of a heatmap {tuple(heatmap.shape[1:])}, '
            f'received {count}'
        )
    if rule == 'class':
        return _best_of_all_classes(heatmap, count, floor)
    # With the classes of a cell beside each other, ONNX Runtime leaves its own layout only once.
    cells = heatmap.permute(0, 2, 3, 1).flatten(1, 2)
    best = cells.amax(dim=2).unflatten(1, heatmap.shape[2:])[:, None]
    values, index = torch.topk(suppress_neighbours(best, floor).flatten(1), count)
    rows = cells.gather(1, index[:, :, None].expand(-1, -1, cells.shape[2]))
    return Peaks(values, rows.argmax(dim=2), index, best)


def channel_peaks(heatmap: Tensor, count: int, floor: float) -> tuple[Tensor, Tensor]:
    """The best peaks of each channel: values and flat cells, both (B, C, min(count, h * w))."""
    cells = suppress_neighbours(heatmap, floor).flatten(2)
    values, index = torch.topk(cells, min(count, cells.shape[2]))
    return values, index


def cell_positions(index: Tensor, width: int) -> Tensor:
    """Columns and rows (..., 2), int64, of flat cells (...) on a map of `width` columns."""
    row = torch.div(index, width, rounding_mode='floor')
    return torch.stack([index - row * width, row], dim=-1)


def _best_of_all_classes(heatmap: Tensor, count: int, floor: float) -> Peaks:
    """K best of every class, then K best of these, as `_topk` of both originals."""
    values, index = channel_peaks(heatmap, count, floor)
    per_class = values.shape[2]
    values, chosen = torch.topk(values.flatten(1), count)
    classes = torch.div(chosen, per_class, rounding_mode='floor')
    best = heatmap.amax(dim=1, keepdim=True)
    return Peaks(values, classes, index.flatten(1).gather(1, chosen), best)
