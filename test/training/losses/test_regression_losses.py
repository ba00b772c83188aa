"""Losses per object on numbers that can be computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from training.losses import (
    binary_loss,
    giou_loss,
    l1_loss,
    mean_l1_loss,
    relative_l1_loss,
    smooth_l1_loss,
)

# Differences of objects 0 and 1: 2, 0.5 and 1, 0; the others are masked.
PREDICTED = torch.tensor([[[3.0, 1.5], [3.0, -1.0], [math.inf, math.nan], [1.0, 1.0]]])
TARGET = torch.tensor([[[1.0, 1.0], [2.0, -1.0], [9.0, 9.0], [math.inf, math.nan]]])
OBJECTS = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
ELEMENTS = OBJECTS[..., None].expand(1, 4, 2)


def test_l1_is_the_mean_over_elements() -> None:
    assert l1_loss(PREDICTED, TARGET, ELEMENTS).item() == pytest.approx(3.5 / 4.0001)


def test_l1_of_single_elements() -> None:
    mask = ELEMENTS.clone()
    mask[0, 0, 0] = 0
    assert l1_loss(PREDICTED, TARGET, mask).item() == pytest.approx(1.5 / 3.0001)


def test_smooth_l1_is_per_object() -> None:
    expected = (1.5 + 0.125 + 0.5) / 2.0001
    assert smooth_l1_loss(PREDICTED, TARGET, OBJECTS).item() == pytest.approx(expected)


def test_relative_l1_divides_by_the_target() -> None:
    mask = torch.tensor([[[1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]])
    expected = (2 + 0.5 + 0.5) / 3
    received = relative_l1_loss(PREDICTED, TARGET, mask)
    assert received.item() == pytest.approx(expected, rel=1e-3)  # 1e-4 is added below


def test_mean_l1_counts_masked_elements() -> None:
    assert mean_l1_loss(PREDICTED, TARGET, ELEMENTS).item() == pytest.approx(3.5 / 8)


def test_binary_loss() -> None:
    logits = torch.tensor([[[0.0, math.log(3.0)], [math.nan, 100.0]]])
    target = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    mask = torch.tensor([[[1.0, 1.0], [0.0, 1.0]]])
    expected = (math.log(2) + math.log(4) + 0) / 3.0001
    assert binary_loss(logits, target, mask).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    'loss', [l1_loss, smooth_l1_loss, relative_l1_loss, mean_l1_loss, binary_loss, giou_loss]
)
@pytest.mark.parametrize('rows', [4, 0])
def test_nothing_to_learn_is_zero_with_a_finite_gradient(loss, rows: int) -> None:
    predicted = torch.full((2, rows, 4), 1e30, requires_grad=True)
    mask = torch.zeros(2, rows)
    if loss not in (smooth_l1_loss, giou_loss):
        mask = mask[..., None].expand(2, rows, 4)
    value = loss(predicted, torch.zeros(2, rows, 4), mask)
    value.backward()
    assert value == 0
    assert predicted.grad is not None
    assert (predicted.grad == 0).all()


@pytest.mark.parametrize('loss', [l1_loss, relative_l1_loss, mean_l1_loss, binary_loss])
def test_masked_infinity_does_not_reach_the_gradient(loss) -> None:
    predicted = PREDICTED.clone().requires_grad_()
    loss(predicted, TARGET, ELEMENTS).backward()
    assert predicted.grad is not None
    assert torch.isfinite(predicted.grad).all()
    assert (predicted.grad[0, 2:] == 0).all()


@pytest.mark.parametrize('value', [-1e4, 1e4])
def test_extreme_logits_of_attributes(value: float) -> None:
    logits = torch.full((1, 1, 8), value, requires_grad=True)
    loss = binary_loss(logits, torch.ones(1, 1, 8), torch.ones(1, 1, 8))
    loss.backward()
    assert loss.item() == pytest.approx(max(0.0, -value), rel=1e-4)
    assert torch.isfinite(logits.grad).all()


def giou(predicted: list[float], target: list[float]) -> Tensor:
    rows = (torch.tensor([[box]], dtype=torch.float32) for box in (predicted, target))
    return giou_loss(*rows, torch.ones(1, 1))


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
    assert giou(predicted, target).item() == pytest.approx(expected, abs=1e-6)
