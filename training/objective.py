"""The training objective: labels for what is new, the starting detector for what must stay."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from training.config import LossWeights
from training.losses import TrackingLoss
from training.models.decode import to_float

Batch = Mapping[str, Tensor]
LABEL_TERMS = ('hm', 'ltrb', 'giou', 'reg', 'tracking')


class Teacher(nn.Module):
    """The starting detector, frozen; it sees the current image alone."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) -> its maps, float32."""
        return {name: head.float() for name, head in self.detector(image).items()}


def objective(
    network: nn.Module, teacher: Teacher, batch: Batch, weights: LossWeights
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of all terms and the terms by name, unweighted.

    Args:
        network: a CenterTrack network.
        teacher: the starting detector.
        batch: see `training.data.dataset`, collated.
        weights: weight of each term.
    """
    image = to_float(batch['image'])
    maps = network(image, to_float(batch['previous_image']), batch['prior_heatmap'])
    labels = TrackingLoss(dict.fromkeys(LABEL_TERMS, 1.0))(maps, batch)
    terms = {
        **{name: labels[name] for name in LABEL_TERMS},
        **teacher_losses(maps, teacher(image)),
    }
    total = sum(getattr(weights, name) * term for name, term in terms.items())
    assert isinstance(total, Tensor)
    return total, {name: term.detach() for name, term in terms.items()}


def teacher_losses(maps: Mapping[str, Tensor], taught: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """How far the detector's heads moved from the teacher's maps (B, C, h, w).

    The heatmap term is the Kullback-Leibler divergence of each cell's yes or no, per unit of
    probability that the teacher gives; the box term the L1 distance weighted by the teacher's
    best score, so that cells without an object say nothing.
    """
    logits = maps['hm'].float()
    scores = taught['hm'].sigmoid()
    cross_entropy = nn.functional.binary_cross_entropy_with_logits(logits, scores, reduction='sum')
    entropy = nn.functional.binary_cross_entropy_with_logits(taught['hm'], scores, reduction='sum')
    sure = scores.amax(1, keepdim=True)
    sure = torch.where(sure > 0.1, sure, torch.zeros_like(sure))
    distance = (maps['ltrb'].float() - taught['ltrb']).abs().mean(1, keepdim=True)
    return {
        'teacher_hm': (cross_entropy - entropy) / scores.sum().clamp(min=1),
        'teacher_ltrb': (distance * sure).sum() / sure.sum().clamp(min=1),
    }
