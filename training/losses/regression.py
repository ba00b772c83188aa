"""Losses of numbers per object, and of yes or no per object.

All take rows (B, M, C) gathered at the objects, and a mask of elements (B, M, C) unless they say
otherwise; what is masked may hold anything, even infinity. For `total` see
`training.losses.counts`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.losses.counts import Total, own

# What the originals add to the number of elements; it makes an empty sum 0.
COUNT_EPSILON = 1e-4
# Added to the targets that `relative_l1_loss` divides by.
TARGET_EPSILON = 1e-4


def l1_loss(predicted: Tensor, target: Tensor, mask: Tensor, *, total: Total = own) -> Tensor:
    """Sum of absolute differences over the number of elements (`RegWeightedL1Loss`).

    `RegL1Loss` of CenterNet is the same with one mask for all elements of an object.
    """
    difference = _selected(predicted, mask) - _selected(target, mask)
    return (difference.abs() * mask).sum() / (total(mask.sum()) + COUNT_EPSILON)


def smooth_l1_loss(predicted: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Quadratic below a difference of 1; per object, not per element (`RegLoss` of CenterNet).

    Args:
        predicted, target: (B, M, C).
        mask: (B, M).
    """
    elements = mask[..., None].expand_as(target)
    predicted, target = _selected(predicted, elements), _selected(target, elements)
    total = functional.smooth_l1_loss(predicted, target, reduction='sum')
    return total / (mask.sum() + COUNT_EPSILON)


def relative_l1_loss(predicted: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Differences as shares of the target, which is to be positive (`NormRegL1Loss`)."""
    scale = _selected(target, mask) + TARGET_EPSILON
    ratio = _selected(predicted, mask) / torch.where(mask > 0, scale, torch.ones_like(scale))
    return l1_loss(ratio, torch.ones_like(ratio), mask)


def mean_l1_loss(predicted: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean over all elements, where masked ones count as right (`L1Loss` of CenterNet)."""
    difference = _selected(predicted, mask) - _selected(target, mask)
    return (difference.abs() * mask).sum() / max(1, difference.numel())


def binary_loss(logits: Tensor, target: Tensor, mask: Tensor, *, total: Total = own) -> Tensor:
    """Binary cross entropy over the number of elements (`WeightedBCELoss`)."""
    loss = functional.binary_cross_entropy_with_logits(
        _selected(logits, mask), _selected(target, mask), reduction='none'
    )
    return (loss * mask).sum() / (total(mask.sum()) + COUNT_EPSILON)


def giou_loss(predicted: Tensor, target: Tensor, mask: Tensor, *, total: Total = own) -> Tensor:
    """1 - generalised IoU (Rezatofighi et al. 2019) of left, top, right, bottom distances.

    All boxes are measured from the same point, so the overlap is that of the smaller distances.
    Distances may be negative: a box clipped at an edge need not contain the point.

    Args:
        predicted, target: (B, M, 4).
        mask: (B, M).
    """
    elements = mask[..., None].expand_as(target)
    predicted, target = _selected(predicted, elements), _selected(target, elements)
    overlap = _area(torch.minimum(predicted, target))
    union = _area(predicted) + _area(target) - overlap
    hull = _area(torch.maximum(predicted, target)).clamp(min=1e-6)
    giou = overlap / union.clamp(min=1e-6) - (hull - union) / hull
    return ((1 - giou) * mask).sum() / total(mask.sum()).clamp(min=1)


def _selected(values: Tensor, mask: Tensor) -> Tensor:
    """`values`, 0 where `mask` is: a product alone would turn infinity into not-a-number."""
    return torch.where(mask > 0, values, torch.zeros_like(values))


def _area(sides: Tensor) -> Tensor:
    """Area (...) of left, top, right, bottom distances (..., 4), zero for empty boxes."""
    width = (sides[..., 0] + sides[..., 2]).clamp(min=0)
    height = (sides[..., 1] + sides[..., 3]).clamp(min=0)
    return width * height
