"""Loss of the observation angle: what is learnt, and how it differs from the original's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from training.losses import bin_rotation_loss

GENERATOR = torch.Generator().manual_seed(3)
PREDICTED = torch.randn(2, 5, 8, generator=GENERATOR)
BINS = torch.tensor([[[1, 0], [0, 1], [1, 1], [0, 0], [0, 0]], [[1, 1]] + [[0, 0]] * 4])
RESIDUALS = torch.randn(2, 5, 2, generator=GENERATOR)
MASK = torch.tensor([[1.0, 1, 1, 0, 0], [1.0, 0, 0, 0, 0]])


def test_value_of_one_object() -> None:
    predicted = torch.tensor([[[0, math.log(3), 0.5, 0.0, math.log(4), 0, 7.0, 7.0]]])
    loss = bin_rotation_loss(
        predicted, torch.tensor([[[1, 0]]]), torch.tensor([[[math.pi / 2, 9.0]]]), torch.ones(1, 1)
    )
    # Bin 1 is active with probability 3/4, its sine 0.5 should be 1; bin 2 is off at 4/5.
    expected = -math.log(0.75) - math.log(0.8) + 0.5 * 0.5**2 + 0.0
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_right_answers_cost_nothing() -> None:
    angles = RESIDUALS[MASK > 0]
    bins = BINS[MASK > 0]
    logits = 50.0 * torch.stack([1 - 2 * bins, 2 * bins - 1], dim=-1)
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1)
    predicted = torch.cat([logits, waves], dim=-1).flatten(1)[None]
    loss = bin_rotation_loss(predicted, bins[None], angles[None], torch.ones(1, len(bins)))
    assert loss.item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize('bins', [BINS, torch.zeros_like(BINS)])
def test_the_original_adds_log_2_per_empty_row_and_bin(bins: Tensor) -> None:
    clean = bin_rotation_loss(PREDICTED, bins, RESIDUALS, MASK)
    original = bin_rotation_loss(PREDICTED, bins, RESIDUALS, MASK, average_padding=True)
    share = float(MASK.mean())
    entropy = _entropy(bins)
    residual = clean - entropy
    padded = share * entropy + (1 - share) * 2 * math.log(2)
    torch.testing.assert_close(original, padded + residual)
    assert (residual.abs() > 0.1) == bins.any()


def _entropy(bins: Tensor) -> Tensor:
    """Cross entropy of the objects: both bins, mean over the rows with mask 1."""
    logits = PREDICTED.unflatten(2, (2, 4))[..., :2].log_softmax(-1)
    chosen = logits.gather(3, bins[..., None]).squeeze(3).sum(2)
    return -chosen[MASK > 0].mean()


def test_rows_without_a_known_angle_are_not_learnt() -> None:
    predicted = PREDICTED.clone()
    predicted[MASK == 0] = math.nan
    predicted.requires_grad_()
    bin_rotation_loss(predicted, torch.ones_like(BINS), RESIDUALS, MASK).backward()
    assert predicted.grad is not None
    assert torch.isfinite(predicted.grad).all()
    assert (predicted.grad[MASK == 0] == 0).all()
    assert (predicted.grad[MASK == 1] != 0).all()


def test_the_original_learns_residuals_whatever_the_mask() -> None:
    predicted = PREDICTED.clone().requires_grad_()
    loss = bin_rotation_loss(
        predicted, torch.ones_like(BINS), RESIDUALS, torch.zeros_like(MASK), average_padding=True
    )
    loss.backward()
    assert predicted.grad is not None
    by_part = predicted.grad.unflatten(2, (2, 4))
    assert (by_part[..., :2] == 0).all()
    assert (by_part[..., 2:] != 0).all()


@pytest.mark.parametrize('rows', [3, 0])
def test_nothing_to_learn(rows: int) -> None:
    predicted = torch.randn(2, rows, 8, requires_grad=True)
    bins = torch.zeros(2, rows, 2, dtype=torch.int64)
    arguments = (predicted, bins, torch.zeros(2, rows, 2), torch.zeros(2, rows))
    loss = bin_rotation_loss(*arguments)
    loss.backward()
    assert loss == 0
    assert (predicted.grad == 0).all()
    original = bin_rotation_loss(*arguments, average_padding=True)
    assert original.item() == pytest.approx(2 * math.log(2) if rows else 0.0)


@pytest.mark.parametrize('value', [-1e4, 1e4])
def test_extreme_values(value: float) -> None:
    predicted = torch.full((2, 5, 8), value, requires_grad=True)
    loss = bin_rotation_loss(predicted, BINS, RESIDUALS, MASK)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(predicted.grad).all()
