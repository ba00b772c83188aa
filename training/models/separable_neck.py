"""A neck and heads of depthwise-separable convolutions, for networks that a CPU has to run.

At stride 4 dense 3x3 convolutions cost more than a whole small backbone: with 64 channels and
four heads, separable ones make the network two to three times as fast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional

from training.heads import HEADS
from training.models.layers import (
    SeparableConv2d,
    convolution_norm,
    initialise_convolutions,
)


class SeparableNeck(nn.Module):
    """Feature pyramid (Lin et al. 2017) of which only the finest level is kept.

    Args:
        in_channels: of each level, finest first, each of half the size of the one before.
        channels: of every level inside and of the result.
    """

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            convolution_norm(count, channels, activation=False) for count in in_channels
        )
        self.refinements = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
                convolution_norm(channels, channels),
            )
            for _ in in_channels[1:]
        )
        initialise_convolutions(self)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels (B, C_i, H / 2^i, W / 2^i) -> (B, channels, H, W)."""
        x = self.laterals[-1](levels[-1])
        finer = zip(levels[-2::-1], self.laterals[-2::-1], self.refinements[::-1], strict=True)
        for level, lateral, refine in finer:
            # Nearest: the separable convolution after it smooths, and nothing is cheaper.
            x = refine(lateral(level) + functional.interpolate(x, scale_factor=2.0))
        return x


def make_separable_head(
    name: str, in_channels: int, out_channels: int, hidden_channels: int
) -> nn.Sequential:
    """Separable 3x3 convolution, ReLU, 1x1 convolution.

    Args:
        name: of the head, for its initial bias.
        in_channels, out_channels: of the whole head.
        hidden_channels: between the two.
    """
    hidden = SeparableConv2d(in_channels, hidden_channels, 3)
    initialise_convolutions(hidden)
    last = nn.Conv2d(hidden_channels, out_channels, 1)
    assert last.bias is not None
    nn.init.constant_(last.bias, HEADS[name].initial_bias)
    return nn.Sequential(hidden, nn.ReLU(inplace=True), last)


def make_separable_heads(
    in_channels: int, heads: Mapping[str, int], hidden_channels: int
) -> nn.ModuleDict:
    """All heads of a network."""
    return nn.ModuleDict(
        {
            name: make_separable_head(name, in_channels, count, hidden_channels)
            for name, count in heads.items()
        }
    )
