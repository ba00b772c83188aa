"""Loss of the observation angle in two overlapping bins (Mousavian et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.losses.counts import Total, own


def bin_rotation_loss(
    predicted: Tensor,
    bins: Tensor,
    residuals: Tensor,
    mask: Tensor,
    *,
    average_padding: bool = False,
    total: Total = own,
) -> Tensor:
    """Cross entropy of each bin, and smooth L1 of sine and cosine where the bin is active.

    The original (`BinRotLoss`) averages the cross entropy over all rows: each empty one adds
    log 2 per bin and thins out the gradient of the others. Here only objects count, unless
    `average_padding` asks for the original. It also learns residuals of rows that `mask` leaves
    out, if their bin is active.

    Args:
        predicted: (B, M, 8): per bin the logits of inactive and active, sine, cosine.
        bins: (B, M, 2) int64, 1 where the bin is active.
        residuals: (B, M, 2) angle - centre of the bin, radians.
        mask: (B, M) 1 where the angle is known.
        average_padding: the value of the original.
        total: see `training.losses.counts`.

    Returns:
        Scalar.
    """
    known = (mask > 0)[..., None]  # (B, M, 1)
    active = bins > 0 if average_padding else (bins > 0) & known  # (B, M, 2)
    values = predicted.unflatten(2, (2, 4))
    logits, waves = values[..., :2], values[..., 2:]
    logits = torch.where(known[..., None], logits, torch.zeros_like(logits))
    entropy = functional.cross_entropy(
        logits.flatten(0, 2), bins.flatten(), reduction='none'
    ).unflatten(0, bins.shape)
    counted = torch.ones_like(known) if average_padding else known
    classification = _mean_per_bin(entropy, counted.expand_as(bins), total)
    waves = torch.where(active[..., None], waves, torch.zeros_like(waves))
    angles = torch.where(active, residuals, torch.zeros_like(residuals))
    wanted = torch.stack([angles.sin(), angles.cos()], dim=-1)
    differences = functional.smooth_l1_loss(waves, wanted, reduction='none').sum(dim=-1)
    return (classification + _mean_per_bin(differences, active, total)).sum()


def _mean_per_bin(values: Tensor, counted: Tensor, total: Total) -> Tensor:
    """Means (2,) of `values` (B, M, 2) where `counted`, 0 where nothing is."""
    return (values * counted).sum((0, 1)) / total(counted.sum((0, 1))).clamp(min=1)
