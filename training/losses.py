"""Losses of CenterTrack; every one is zero where nothing is to be learnt."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.layers import gather_cells


def focal_loss(
    logits: Tensor, heatmap: Tensor, indices: Tensor, classes: Tensor, mask: Tensor
) -> Tensor:
    """Penalty-reduced focal loss (alpha 2, beta 4) of CornerNet as CenterTrack writes it.

    Positives are looked up at `indices` and `classes`; that a target is 1 means nothing but that
    the cell costs nothing as a negative. So regions to ignore are painted 1.

    Args:
        logits: (B, C, H, W) before the sigmoid.
        heatmap: (B, C, H, W) targets.
        indices, classes: (B, M) int64 cell and channel of the objects.
        mask: (B, M) 1 where the row is an object.

    Returns:
        Scalar; the sum over cells divided by the number of objects, or by 1 where there is none.
    """
    # Logs of the sigmoid from the logits: no clamp, and the gradient never dies.
    logits = logits.float()
    lost = functional.softplus(logits)  # -log(1 - p)
    negative = ((1 - heatmap) ** 4 * logits.sigmoid() ** 2 * lost).sum()
    scores = gather_cells(logits, indices).gather(2, classes[..., None]).squeeze(2)  # (B, M)
    positive = ((1 - scores.sigmoid()) ** 2 * functional.softplus(-scores) * mask).sum()
    return (positive + negative) / mask.sum().clamp(min=1)


def masked_l1_loss(feature_map: Tensor, target: Tensor, indices: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference per object and channel, over the objects with `mask` 1.

    Args:
        feature_map: (B, D, H, W).
        target: (B, M, D).
        indices: (B, M) flat cells.
        mask: (B, M).
    """
    difference = (gather_cells(feature_map.float(), indices) - target).abs() * mask[..., None]
    # `where` and not only the product: a masked row may hold anything, even infinity.
    difference = torch.where(mask[..., None] > 0, difference, torch.zeros_like(difference))
    return difference.sum() / (mask.sum() * target.shape[2]).clamp(min=1)


def masked_giou_loss(feature_map: Tensor, target: Tensor, indices: Tensor, mask: Tensor) -> Tensor:
    """1 - generalised IoU (Rezatofighi et al. 2019) of left, top, right, bottom distances.

    All boxes are measured from the same point, so the overlap is that of the smaller distances.
    Distances may be negative: a box clipped at an edge need not contain the point.

    Args:
        feature_map: (B, 4, H, W).
        target: (B, M, 4).
        indices: (B, M) flat cells.
        mask: (B, M).
    """
    predicted = gather_cells(feature_map.float(), indices)
    overlap_sides = torch.minimum(predicted, target)
    hull_sides = torch.maximum(predicted, target)
    overlap = _area(overlap_sides)
    union = _area(predicted) + _area(target) - overlap
    hull = _area(hull_sides).clamp(min=1e-6)
    giou = overlap / union.clamp(min=1e-6) - (hull - union) / hull
    loss = torch.where(mask > 0, 1 - giou, torch.zeros_like(giou))
    return loss.sum() / mask.sum().clamp(min=1)


class TrackingLoss(nn.Module):
    """Weighted sum of the losses of all heads.

    Args:
        weights: factor of each loss: `hm`, `ltrb`, `reg`, `tracking`, and `giou` for the boxes;
            what is not named is not computed.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        unknown = sorted(set(weights) - {'hm', 'ltrb', 'giou', 'reg', 'tracking'})
        if unknown:
            raise ValueError(
                f'weights: expected hm, ltrb, giou, reg, tracking, received {unknown}'
            )
        self.weights = dict(weights)

    def forward(
        self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Each loss without its weight, and their weighted sum as `total`.

        Args:
            outputs: head name -> map (B, D, H, W); `hm` holds logits, the others are in cells.
            batch: collated targets of `targets.build_targets`.
        """
        indices, mask = batch['indices'], batch['mask']
        losses: dict[str, Tensor] = {}
        for name in self.weights:
            if name == 'hm':
                losses[name] = focal_loss(
                    outputs['hm'], batch['heatmap'], indices, batch['classes'], mask
                )
            elif name == 'giou':
                losses[name] = masked_giou_loss(outputs['ltrb'], batch['ltrb'], indices, mask)
            else:
                rows = batch['tracking_mask'] if name == 'tracking' else mask
                losses[name] = masked_l1_loss(outputs[name], batch[name], indices, rows)
        terms = [self.weights[name] * loss for name, loss in losses.items()]
        return {**losses, 'total': torch.stack(terms).sum()}


def _area(sides: Tensor) -> Tensor:
    """Area (...) of left, top, right, bottom distances (..., 4), zero for empty boxes."""
    width = (sides[..., 0] + sides[..., 2]).clamp(min=0)
    height = (sides[..., 1] + sides[..., 3]).clamp(min=0)
    return width * height
