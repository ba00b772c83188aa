"""Heads of CenterNet-CondInst, which finds objects and their masks (`pose_dla_dcn.py` there)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from training.heads import HEADS


def make_condinst_heads(
    in_channels: int, heads: Mapping[str, int], hidden_channels: int
) -> nn.ModuleDict:
    """All heads of a network.

    `seg_feat` is a small network of its own. The others are two convolutions with nothing between
    them: the original has lost the ReLU there, and its weights were trained that way.
    """
    return nn.ModuleDict(
        {
            name: _feature_head(in_channels, hidden_channels, count)
            if name == 'seg_feat'
            else _linear_head(name, in_channels, hidden_channels, count)
            for name, count in heads.items()
        }
    )


def _linear_head(name: str, in_channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    last = nn.Conv2d(hidden, out_channels, 1)
    assert last.bias is not None
    nn.init.constant_(last.bias, HEADS[name].initial_bias)
    return nn.Sequential(nn.Conv2d(in_channels, hidden, 3, padding=1, bias=False), last)


def _feature_head(in_channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs, kernel in (
        (in_channels, hidden, 3),
        (hidden, hidden, 3),
        (hidden, out_channels, 1),
    ):
        layers += [
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
