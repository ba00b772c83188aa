from __future__ import annotations

import pytest
import torch

from training.models.layers import SameConv2d


@pytest.mark.parametrize(('trained', 'dtype'), [(True, torch.float32), (False, torch.bfloat16)])
def test_depthwise_layers_that_are_trained_stay_in_float32(trained, dtype):
    torch.manual_seed(0)
    layer = SameConv2d(4, 4, 5, stride=2, groups=4).requires_grad_(trained)
    x = torch.randn(1, 4, 8, 12)
    expected = layer(x)
    with torch.autocast('cpu', torch.bfloat16):
        found = layer(x)
    assert found.dtype == dtype
    assert torch.equal(found, expected) == trained


def test_other_layers_follow_autocast():
    layer = SameConv2d(4, 4, 3)
    with torch.autocast('cpu', torch.bfloat16):
        assert layer(torch.randn(1, 4, 8, 12)).dtype == torch.bfloat16
