"""The training objective: labels for what is new, the starting detector for what must stay."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from training.config import LossWeights
from training.losses import TrackingLoss
from training.models.decode import to_float

Batch = Mapping[str, Tensor]
# Score from which the teacher's word about boxes counts.
_SEEN = 0.2
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
    used = {term: 1.0 for term in LABEL_TERMS if getattr(weights, term) > 0}
    labels = TrackingLoss(used)(maps, batch)
    terms = {name: labels[name] for name in used} | teacher_losses(maps, teacher(image))
    total = sum(getattr(weights, name) * term for name, term in terms.items())
    assert isinstance(total, Tensor)
    return total, {name: term.detach() for name, term in terms.items()}


def teacher_losses(maps: Mapping[str, Tensor], taught: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """How far the detector's heads moved from the teacher's maps (B, C, h, w).

    The heatmap term is the Kullback-Leibler divergence of each cell's yes or no, summed and
    divided by the number of objects that the teacher sees; the box term the L1 distance weighted
    by the teacher's best score, so that cells without an object say nothing.
    """
    logits = maps['hm'].float()
    scores = taught['hm'].sigmoid()
    cross_entropy = nn.functional.binary_cross_entropy_with_logits(logits, scores, reduction='sum')
    entropy = nn.functional.binary_cross_entropy_with_logits(
        taught['hm'], scores, reduction='sum'
    )
    best = scores.amax(1, keepdim=True)
    sure = torch.where(best > _SEEN, best, torch.zeros_like(best))
    peaks = sure * (best == nn.functional.max_pool2d(best, 3, stride=1, padding=1))
    distance = (maps['ltrb'].float() - taught['ltrb']).abs().mean(1, keepdim=True)
    return {
        'teacher_hm': (cross_entropy - entropy) / (peaks > 0).sum().clamp(min=1),
        'teacher_ltrb': (distance * sure).sum() / sure.sum().clamp(min=1),
    }
