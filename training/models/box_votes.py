"""Boxes of peaks as the mean of what the cells around them say."""

from __future__ import annotations

import torch
from torch import Tensor

from centertrack_ros.model_spec import EdgeRule
from training.activations import activate
from training.models.layers import CellMap, gather_cells

# Steps in x and y to the 3x3 cells around a peak, itself among them.
_STEPS = tuple((x, y) for y in (-1, 0, 1) for x in (-1, 0, 1))
# Keeps the mean finite where all scores underflow.
_LEAST_WEIGHT = 1e-12


def voted_edges(
    edges: Tensor | CellMap,
    best: Tensor,
    index: Tensor,
    cells: Tensor,
    *,
    rule: EdgeRule,
    activated: bool,
) -> Tensor:
    """Mean box of the 3x3 cells around each peak, weighted by the squares of their best scores.

    Neighbours see the same object a little differently, and their errors are not the same.

    Args:
        edges: (B, 4, h, w), left, top, right and bottom edge seen from each cell, in cells.
        best: (B, 1, h, w), best of all classes, logits, or scores if `activated`.
        index: (B, K) int64, flat cells of the peaks.
        cells: (B, K, 2), their columns and rows.
        rule: how they are told, see `DecodeRules.edges`.
        activated: see `decode.candidate_rows`.

    Returns:
        (B, K, 4), edges seen from the cells of the peaks, told in the same way.
    """
    height, width = best.shape[2:]
    steps = torch.tensor(_STEPS, device=index.device)
    around = cells.long()[:, :, None] + steps
    columns, rows = around[..., 0], around[..., 1]
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    # A cell outside the map counts nothing; any other can stand for it.
    flat = torch.where(inside, rows * width + columns, index[:, :, None]).flatten(1)
    values = gather_cells(best, flat).unflatten(1, (-1, len(_STEPS)))
    scores = values if activated else activate('hm', values)
    weights = (scores * scores + _LEAST_WEIGHT) * inside[..., None].to(scores.dtype)
    outwards = -steps if rule == 'distances' else steps
    seen_from_peak = torch.cat([outwards, steps], dim=1).to(scores.dtype)
    said = gather_cells(edges, flat).unflatten(1, (-1, len(_STEPS))) + seen_from_peak
    return (weights * said).sum(dim=2) / weights.sum(dim=2)
