"""Activations of heads."""

from __future__ import annotations

import pytest
import torch

from training.activations import activate, clamped_sigmoid, depth_from_logits


def test_clamped_sigmoid_ends_the_gradient_outside() -> None:
    logits = torch.tensor([-20.0, 0.0, 20.0], requires_grad=True)
    scores = clamped_sigmoid(logits)
    scores.sum().backward()
    torch.testing.assert_close(scores, torch.tensor([1e-4, 0.5, 1 - 1e-4]))
    assert logits.grad.tolist() == [0.0, 0.25, 0.0]
    assert clamped_sigmoid(logits, 0.0)[0].item() == pytest.approx(2.06e-9, rel=1e-3)


def test_depth() -> None:
    logits = torch.tensor([0.0, -2.944439, -1000.0, 1000.0])  # 1 / 20 at the second
    depth = depth_from_logits(logits)
    torch.testing.assert_close(depth, torch.tensor([1.0, 19.0, 1e6, 0.0]), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(depth_from_logits(logits, 1.4), depth * 1.4)


def test_heads_are_activated_as_the_table_says() -> None:
    logits = torch.tensor([-20.0, 1.0])
    assert activate('wh', logits) is logits
    torch.testing.assert_close(activate('hm', logits), logits.sigmoid())
    torch.testing.assert_close(activate('hm_hp', logits, score_floor=0.1)[0], torch.tensor(0.1))
    torch.testing.assert_close(
        activate('dep', logits, depth_scale=2.0), 2 * depth_from_logits(logits)
    )
    with pytest.raises(KeyError):
        activate('magic', logits)
