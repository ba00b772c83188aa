"""Focal losses against their formula, and that what is not to be learnt costs nothing."""

from __future__ import annotations

import math

import pytest
import torch

from training.losses import focal_loss, peak_focal_loss

NONE = torch.zeros(1, 4, dtype=torch.int64)
EMPTY = torch.zeros(1, 4)
ONE = torch.tensor([[1.0, 0, 0, 0]])


@pytest.mark.parametrize('floor', [0.0, 1e-4])
def test_value_of_one_cell(floor: float) -> None:
    logits = torch.zeros(1, 1, 1, 2)  # scores of 0.5
    heatmap = torch.tensor([[[[1.0, 0.5]]]])
    mask = torch.ones(1, 1)
    loss = focal_loss(logits, heatmap, NONE[:, :1], NONE[:, :1], mask, score_floor=floor)
    expected = 0.25 * math.log(2) + 0.5**4 * 0.25 * math.log(2)
    assert loss.item() == pytest.approx(expected)
    assert peak_focal_loss(logits, heatmap, score_floor=floor).item() == pytest.approx(expected)


def test_is_the_formula() -> None:
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
    for floor in (0.0, 1e-4):
        loss = focal_loss(logits, heatmap, indices, classes, mask, score_floor=floor)
        torch.testing.assert_close(loss, expected)


def test_both_forms_agree_where_peaks_are_the_positives() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(1, 2, 6, 8, generator=generator)
    heatmap = 0.9 * torch.rand(1, 2, 6, 8, generator=generator)
    indices, classes = torch.tensor([[9, 30]]), torch.tensor([[0, 1]])
    heatmap[0, 0, 1, 1] = heatmap[0, 1, 3, 6] = 1
    loss = focal_loss(logits, heatmap, indices, classes, torch.ones(1, 2))
    torch.testing.assert_close(loss, peak_focal_loss(logits, heatmap))


def test_two_objects_in_a_cell_count_twice_only_where_they_are_named() -> None:
    logits, heatmap = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    twice = focal_loss(logits, heatmap, NONE[:, :2], NONE[:, :2], torch.ones(1, 2))
    assert twice.item() == pytest.approx(0.25 * math.log(2))  # 2 positives / 2
    assert peak_focal_loss(logits, heatmap).item() == pytest.approx(0.25 * math.log(2))


def test_ignored_cells_have_no_gradient() -> None:
    logits = torch.randn(1, 2, 6, 8, requires_grad=True)
    heatmap = torch.zeros(1, 2, 6, 8)
    heatmap[:, 1, 2:4] = 1.0
    focal_loss(logits, heatmap, NONE, NONE, EMPTY).backward()
    assert logits.grad is not None
    assert (logits.grad[:, 1, 2:4] == 0).all()
    assert (logits.grad[:, 0] != 0).all()


def test_painted_cells_are_positives_of_centernet() -> None:
    logits = torch.zeros(1, 2, 6, 8, requires_grad=True)
    heatmap = torch.zeros(1, 2, 6, 8)
    heatmap[:, 1, 2:4] = 1.0
    peak_focal_loss(logits, heatmap).backward()
    assert logits.grad is not None
    assert (logits.grad[:, 1, 2:4] < 0).all()


def test_positive_in_an_ignored_region_is_still_learnt() -> None:
    logits = torch.zeros(1, 2, 6, 8, requires_grad=True)
    indices = torch.tensor([[9, 0, 0, 0]])
    focal_loss(logits, torch.ones(1, 2, 6, 8), indices, NONE, ONE).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0, 1, 1] < 0
    assert logits.grad.count_nonzero() == 1


@pytest.mark.parametrize('floor', [0.0, 1e-4])
@pytest.mark.parametrize('value', [-200.0, 200.0])
def test_extreme_logits_stay_finite(value: float, floor: float) -> None:
    logits = torch.full((1, 2, 6, 8), value, requires_grad=True)
    heatmap = torch.zeros(1, 2, 6, 8)
    heatmap[0, 0, 1, 1] = 1
    indices = torch.tensor([[9, 0, 0, 0]])
    for loss in (
        focal_loss(logits, heatmap, indices, NONE, ONE, score_floor=floor),
        peak_focal_loss(logits, heatmap, score_floor=floor),
    ):
        logits.grad = None
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(logits.grad).all()
        # The clamp ends the gradient; the logarithm of the sigmoid keeps it.
        assert bool(logits.grad.count_nonzero()) == (floor == 0)


@pytest.mark.parametrize('floor', [0.0, 1e-4])
def test_no_object_leaves_the_background_undivided(floor: float) -> None:
    logits = torch.zeros(1, 2, 6, 8)
    heatmap = torch.zeros(1, 2, 6, 8)
    expected = 2 * 6 * 8 * 0.25 * math.log(2)
    loss = focal_loss(logits, heatmap, NONE, NONE, EMPTY, score_floor=floor)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert peak_focal_loss(logits, heatmap).item() == pytest.approx(expected, rel=1e-5)
