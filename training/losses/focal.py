"""Losses of heatmaps: the penalty-reduced focal loss (alpha 2, beta 4) of CornerNet."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.activations import clamped_sigmoid
from training.losses.counts import Total, own
from training.models.layers import gather_cells


def focal_loss(
    logits: Tensor,
    heatmap: Tensor,
    indices: Tensor,
    classes: Tensor,
    mask: Tensor,
    *,
    score_floor: float = 0.0,
    total: Total = own,
) -> Tensor:
    """CenterTrack's form (`FastFocalLoss`): positives are named, not found in the heatmap.

    That a target is 1 means nothing but that the cell costs nothing as a negative. So regions to
    ignore are painted 1, and two objects in one cell count twice.

    Args:
        logits: (B, C, h, w) before the sigmoid.
        heatmap: (B, C, h, w) targets.
        indices, classes: (B, M) int64 cell and channel of the positives.
        mask: (B, M) 1 where the row is a positive.
        score_floor: scores are clamped to [floor, 1 - floor], which ends their gradient; the
            originals have 1e-4. At 0 the loss is exact for any logit.
        total: see `training.losses.counts`.

    Returns:
        Scalar; the sum over cells divided by the number of positives, or by 1 where there is none.
    """
    score, _, log_rest = _log_scores(logits, score_floor)
    negative = ((1 - heatmap) ** 4 * score**2 * log_rest).sum()
    peaks = gather_cells(logits, indices).gather(2, classes[..., None]).squeeze(2)  # (B, M)
    score, log_score, _ = _log_scores(peaks, score_floor)
    positive = ((1 - score) ** 2 * log_score * mask).sum()
    return -(positive + negative) / total(mask.sum()).clamp(min=1)


def peak_focal_loss(logits: Tensor, heatmap: Tensor, *, score_floor: float = 0.0) -> Tensor:
    """CenterNet's form (`_neg_loss`, `_not_faster_neg_loss`): every cell of 1 is a positive.

    Args:
        logits, heatmap: (B, C, h, w).
        score_floor: see `focal_loss`.

    Returns:
        Scalar, divided as `focal_loss` is.
    """
    score, log_score, log_rest = _log_scores(logits, score_floor)
    peak = heatmap == 1
    positive = (1 - score) ** 2 * log_score
    negative = (1 - heatmap) ** 4 * score**2 * log_rest
    return -torch.where(peak, positive, negative).sum() / peak.sum().clamp(min=1)


def _log_scores(logits: Tensor, floor: float) -> tuple[Tensor, Tensor, Tensor]:
    """Scores p, log p and log (1 - p)."""
    scores = clamped_sigmoid(logits, floor)
    if floor > 0:
        return scores, scores.log(), (1 - scores).log()
    # From the logits: no logarithm of 0, and the gradient never dies.
    return scores, functional.logsigmoid(logits), functional.logsigmoid(-logits)
