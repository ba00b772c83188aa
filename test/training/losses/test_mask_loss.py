"""Dice loss of masks."""

from __future__ import annotations

import pytest
import torch

from training.heads import mask_weight_count
from training.losses import dice_loss, mask_loss
from training.models.masks import dynamic_masks


def squares() -> torch.Tensor:
    masks = torch.zeros(2, 3, 6, 8)
    masks[0, 0, 1:4, 1:4] = masks[0, 1, 2:5, 3:8] = masks[1, 0, 0:2, 0:2] = 1
    return masks


KNOWN = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


def test_perfect_masks_cost_nothing() -> None:
    assert dice_loss(squares(), squares(), KNOWN).item() == pytest.approx(0.0, abs=1e-6)


def test_value_is_one_ratio_per_image() -> None:
    predicted = torch.zeros(2, 3, 6, 8)
    predicted[0, 0, 1:4, 1:4] = 1  # 9 of 9 + 15 cells
    predicted[1, 0, 0:2, 0:1] = 0.5  # 2 of 4 cells
    first = 1 - (2 * 9 + 1) / (9 + 24 + 1)
    second = 1 - (2 * 2 * 0.5 + 1) / (2 * 0.25 + 4 + 1)
    expected = (first + second) / 2
    assert dice_loss(predicted, squares(), KNOWN).item() == pytest.approx(expected)


def test_rows_without_an_object_do_not_count() -> None:
    predicted = squares()
    predicted[:, 2] = torch.nan
    assert dice_loss(predicted, squares(), KNOWN).item() == pytest.approx(0.0, abs=1e-6)


def example(count: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(2, count, 6, 8, generator=generator)
    weights = torch.randn(2, mask_weight_count(count), 6, 8, generator=generator)
    return features, weights, torch.tensor([[9, 30, 0], [47, 0, 0]])


def test_masks_are_made_at_the_whole_cells() -> None:
    features, weights, indices = example()
    loss = mask_loss(features, weights, squares(), indices, KNOWN)
    centers = torch.tensor([[[1.0, 1], [6, 3], [0, 0]], [[7, 5], [0, 0], [0, 0]]])
    rows = weights.flatten(2).gather(2, indices[:, None].expand(-1, weights.shape[1], -1))
    predicted = dynamic_masks(features, rows.transpose(1, 2), centers).sigmoid()
    torch.testing.assert_close(loss, dice_loss(predicted, squares(), KNOWN))


def test_empty_rows_between_objects() -> None:
    features, weights, indices = example()
    loss = mask_loss(features, weights, squares(), indices, KNOWN)
    order = [2, 0, 1]  # of which only the last row of image 1 is used in no image
    moved = (squares()[:, order], indices[:, order], KNOWN[:, order])
    torch.testing.assert_close(mask_loss(features, weights, *moved), loss)


def test_masks_are_learnt() -> None:
    features, weights, indices = example(8)
    features.requires_grad_()
    weights.requires_grad_()
    optimiser = torch.optim.Adam([features, weights], lr=0.1)
    for _ in range(60):
        optimiser.zero_grad()
        loss = mask_loss(features, weights, squares(), indices, KNOWN)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1


@pytest.mark.parametrize('rows', [3, 0])
def test_nothing_to_learn(rows: int) -> None:
    features, weights, _ = example()
    features.requires_grad_()
    weights.requires_grad_()
    indices = torch.zeros(2, rows, dtype=torch.int64)
    loss = mask_loss(features, weights, torch.zeros(2, rows, 6, 8), indices, torch.zeros(2, rows))
    loss.backward()
    assert loss == 0
    assert (features.grad == 0).all()
    assert (weights.grad == 0).all()


@pytest.mark.parametrize('scale', [-1e4, 1e4])
def test_extreme_logits(scale: float) -> None:
    features, weights, indices = example()
    weights = (weights * scale).requires_grad_()
    loss = mask_loss(features, weights, squares(), indices, KNOWN)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(weights.grad).all()
