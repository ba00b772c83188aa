"""Losses against their formulas, and that what is not to be learnt costs nothing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from training.losses import (
    TrackingLoss,
    focal_loss,
    gather_cells,
    masked_giou_loss,
    masked_l1_loss,
)

NONE = torch.zeros(1, 4, dtype=torch.int64)


def empty_batch() -> dict[str, Tensor]:
    """One picture of 6 x 8 cells and 2 classes without objects."""
    return {
        'heatmap': torch.zeros(1, 2, 6, 8),
        'indices': NONE,
        'classes': NONE,
        'mask': torch.zeros(1, 4),
        'ltrb': torch.zeros(1, 4, 4),
        'reg': torch.zeros(1, 4, 2),
        'tracking': torch.zeros(1, 4, 2),
        'tracking_mask': torch.zeros(1, 4),
    }


def test_gather_cells() -> None:
    feature_map = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    indices = torch.tensor([[7, 0], [19, 6]])
    values = gather_cells(feature_map, indices)
    assert values.shape == (2, 2, 3)
    assert values[0, 0].tolist() == feature_map[0, :, 1, 2].tolist()
    assert values[1, 0].tolist() == feature_map[1, :, 3, 4].tolist()


def test_focal_loss_is_the_formula() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, 4, 5, generator=generator)
    heatmap = torch.rand(2, 3, 4, 5, generator=generator)
    indices = torch.tensor([[7, 0], [19, 6]])
    classes = torch.tensor([[2, 0], [1, 1]])
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    p = logits.sigmoid()
    negative = -((1 - heatmap) ** 4 * p**2 * (1 - p).log()).sum()
    positive = torch.tensor(0.0)
    for picture, row in ((0, 0), (0, 1), (1, 0)):
        score = p[picture, classes[picture, row]].flatten()[indices[picture, row]]
        positive -= (1 - score) ** 2 * score.log()
    expected = (positive + negative) / 3
    loss = focal_loss(logits, heatmap, indices, classes, mask)
    torch.testing.assert_close(loss, expected)


def test_ignored_cells_have_no_gradient() -> None:
    logits = torch.randn(1, 2, 6, 8, requires_grad=True)
    batch = empty_batch()
    heatmap = batch['heatmap']
    heatmap[:, 1, 2:4] = 1.0
    focal_loss(logits, heatmap, NONE, NONE, batch['mask']).backward()
    assert logits.grad is not None
    assert (logits.grad[:, 1, 2:4] == 0).all()
    assert (logits.grad[:, 0] != 0).all()


def test_positive_in_an_ignored_region_is_still_learnt() -> None:
    logits = torch.zeros(1, 2, 6, 8, requires_grad=True)
    indices = torch.tensor([[9, 0, 0, 0]])
    mask = torch.tensor([[1.0, 0, 0, 0]])
    focal_loss(logits, torch.ones(1, 2, 6, 8), indices, NONE, mask).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0, 1, 1] < 0
    assert logits.grad.count_nonzero() == 1


@pytest.mark.parametrize('value', [-200.0, 200.0])
def test_extreme_logits_stay_finite_and_keep_a_gradient(value: float) -> None:
    logits = torch.full((1, 2, 6, 8), value, requires_grad=True)
    indices, mask = torch.tensor([[9, 0, 0, 0]]), torch.tensor([[1.0, 0, 0, 0]])
    loss = focal_loss(logits, torch.zeros(1, 2, 6, 8), indices, NONE, mask)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.count_nonzero() > 0


def test_masked_l1_is_the_mean_over_objects_and_channels() -> None:
    feature_map = torch.zeros(1, 2, 6, 8)
    feature_map[0, :, 1, 1] = torch.tensor([3.0, -1.0])
    indices = torch.tensor([[9, 9, 0, 0]])
    target = torch.tensor([[[1.0, 1.0], [3.0, -1.0], [9.0, 9.0], [math.inf, 0.0]]])
    mask = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    assert masked_l1_loss(feature_map, target, indices, mask).item() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ('predicted', 'target', 'expected'),
    [
        ([2, 2, 2, 2], [2, 2, 2, 2], 0.0),
        ([2, 2, 2, 2], [1, 1, 1, 1], 1 - 4 / 16),
        # Halves of one square: no overlap, the hull is twice the union of none.
        ([2, 2, 0, 2], [0, 2, 2, 2], 1.0),
        # Empty prediction beside the box: union 4, hull 4.
        ([0, 0, 0, 0], [1, 1, 1, 1], 1.0),
        # Left and right of the point with a gap: union 8, hull 4 x 4 = 16 minus nothing.
        ([3, 1, -1, 1], [-1, 1, 3, 1], 1 + (12 - 8) / 12),
    ],
)
def test_giou_of_known_boxes(predicted: list[float], target: list[float], expected: float) -> None:
    feature_map = torch.tensor(predicted, dtype=torch.float32)[None, :, None, None]
    loss = masked_giou_loss(
        feature_map,
        torch.tensor([[target]], dtype=torch.float32),
        torch.zeros(1, 1, dtype=torch.int64),
        torch.ones(1, 1),
    )
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_nothing_to_learn_is_finite_and_zero_but_for_the_background() -> None:
    outputs = {
        'hm': torch.zeros(1, 2, 6, 8, requires_grad=True),
        'ltrb': torch.zeros(1, 4, 6, 8, requires_grad=True),
        'reg': torch.zeros(1, 2, 6, 8, requires_grad=True),
        'tracking': torch.zeros(1, 2, 6, 8, requires_grad=True),
    }
    loss = TrackingLoss({'hm': 1, 'ltrb': 0.1, 'giou': 1, 'reg': 1, 'tracking': 1})
    losses = loss(outputs, empty_batch())
    assert all(losses[name] == 0 for name in ('ltrb', 'giou', 'reg', 'tracking'))
    assert losses['hm'] > 0
    losses['total'].backward()
    assert all(torch.isfinite(head.grad).all() for head in outputs.values())


def test_total_is_the_weighted_sum_and_bf16_is_computed_in_float32() -> None:
    batch = empty_batch()
    batch['mask'][0, 0] = batch['tracking_mask'][0, 0] = 1
    batch['tracking'][0, 0] = 2.0
    outputs = {name: torch.ones(1, 2, 6, 8, dtype=torch.bfloat16) for name in ('hm', 'tracking')}
    losses = TrackingLoss({'hm': 0.5, 'tracking': 3.0})(outputs, batch)
    assert losses['tracking'].item() == pytest.approx(1.0)
    assert losses['total'].dtype == torch.float32
    assert losses['total'].item() == pytest.approx(0.5 * losses['hm'].item() + 3.0)


def test_unknown_loss() -> None:
    with pytest.raises(ValueError, match='wh'):
        TrackingLoss({'hm': 1.0, 'wh': 0.1})
