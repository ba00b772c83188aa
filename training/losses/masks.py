"""Loss of the masks of objects (CondInst, CenterNet-CondInst)."""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.counts import Total, own
from training.models.layers import gather_cells
from training.models.masks import dynamic_masks

# In numerator and denominator: two empty masks agree.
SMOOTHING = 1.0


def dice_loss(predicted: Tensor, target: Tensor, mask: Tensor, *, total: Total = own) -> Tensor:
    """1 - Dice coefficient with squares in the denominator, mean over the images.

    One ratio for all objects of an image together, so large ones count more (as in the original).

    Args:
        predicted: (B, K, h, w) in [0, 1].
        target: (B, K, h, w) in [0, 1].
        mask: (B, K) 1 where the row is an object.
        total: see `training.losses.counts`.
    """
    known = (mask > 0)[..., None, None]
    predicted = torch.where(known, predicted, torch.zeros_like(predicted))
    target = torch.where(known, target, torch.zeros_like(target))
    overlap = (predicted * target).sum((1, 2, 3))
    sizes = (predicted**2).sum((1, 2, 3)) + (target**2).sum((1, 2, 3))
    losses = 1 - (2 * overlap + SMOOTHING) / (sizes + SMOOTHING)
    return losses.sum() / total(torch.ones_like(losses).sum())


def mask_loss(
    features: Tensor,
    weights: Tensor,
    target: Tensor,
    indices: Tensor,
    mask: Tensor,
    *,
    total: Total = own,
) -> Tensor:
    """Dice loss of the masks that the network makes of its features (`DiceLoss`).

    Args:
        features: (B, n, h, w), map `seg_feat`.
        weights: (B, 2 n^2 + 5 n + 1, h, w), map `conv_weight`.
        target: (B, M, h, w) masks in [0, 1].
        indices: (B, M) int64 cells of the objects; masks are made relative to the whole cell.
        mask: (B, M) 1 where the row is an object.
        total: see `training.losses.counts`.
    """
    # Most of the M rows are empty in all images, and each costs n maps.
    used = (mask > 0).any(dim=0)
    indices, mask, target = indices[:, used], mask[:, used], target[:, used]
    width = features.shape[3]
    cells = torch.stack([indices % width, indices // width], dim=2).to(features.dtype)
    logits = dynamic_masks(features, gather_cells(weights, indices), cells)
    return dice_loss(logits.sigmoid(), target, mask, total=total)
