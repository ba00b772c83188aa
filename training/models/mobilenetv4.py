"""MobileNetV4-Conv-Small with a separable neck and heads: the network for CPUs.

Backbone: Qin et al. 2024, "MobileNetV4: Universal Models for the Mobile Ecosystem", table of
MNv4-Conv-S without its classifier, that is without the last 1x1 convolution to 960 channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from training.models.layers import convolution_norm, initialise_convolutions
from training.models.network import CenterTrackNetwork, InputStems
from training.models.separable_neck import SeparableNeck, make_separable_heads


@dataclass(frozen=True)
class _Block:
    """One universal inverted bottleneck (UIB).

    Attributes:
        start: kernel of the depthwise convolution before the expansion, 0 for none.
        middle: kernel of the one after it, 0 for none.
        expansion: expanded channels per input channel.
        out: output channels.
        stride: of the last of the depthwise convolutions.

    Both kernels: ExtraDW. `middle` alone: IB, the inverted bottleneck of MobileNetV2. `start`
    alone: like ConvNeXt. Neither: FFN.
    """

    start: int
    middle: int
    expansion: int
    out: int
    stride: int = 1


_STEM, _STRIDE_4, _EXPANDED_8, _STRIDE_8 = 32, 32, 96, 64
_STRIDE_16 = (
    _Block(5, 5, 3, 96, stride=2),
    _Block(0, 3, 2, 96),
    _Block(0, 3, 2, 96),
    _Block(0, 3, 2, 96),
    _Block(0, 3, 2, 96),
    _Block(3, 0, 4, 96),
)
_STRIDE_32 = (
    _Block(3, 3, 6, 128, stride=2),
    _Block(5, 5, 4, 128),
    _Block(0, 5, 4, 128),
    _Block(0, 5, 3, 128),
    _Block(0, 3, 4, 128),
    _Block(0, 3, 4, 128),
)

VARIANTS: dict[str, dict[str, Any]] = {'mobilenetv4_small': {}}


class UniversalInvertedBottleneck(nn.Module):
    """Optional depthwise, expansion, optional depthwise, projection (section 3 of the paper)."""

    def __init__(self, in_channels: int, block: _Block, out_channels: int) -> None:
        super().__init__()
        if block.stride != 1 and not (block.start or block.middle):
            raise ValueError('stride: a block without depthwise convolution has none')
        expanded = in_channels * block.expansion
        start_stride = 1 if block.middle else block.stride
        layers: list[nn.Module] = []
        if block.start:
            layers.append(
                convolution_norm(
                    in_channels,
                    in_channels,
                    block.start,
                    start_stride,
                    groups=in_channels,
                    activation=False,
                )
            )
        layers.append(convolution_norm(in_channels, expanded))
        if block.middle:
            layers.append(
                convolution_norm(expanded, expanded, block.middle, block.stride, groups=expanded)
            )
        layers.append(convolution_norm(expanded, out_channels, activation=False))
        self.layers = nn.Sequential(*layers)
        self.residual = block.stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        features = self.layers(x)
        return x + features if self.residual else features


class MobileNetV4Network(CenterTrackNetwork):
    """Images and prior heatmap in, one map per head out, at stride 4.

    The stems of both images are summed at stride 2, before their activation. The prior heatmap
    has stride 4 and joins at the next convolution: at full size its stem would cost four times as
    much, and drawing and moving it sixteen times.
    """

    prior_heatmap_stride = 4

    def __init__(
        self,
        heads: Mapping[str, int],
        *,
        previous_image: bool,
        prior_heatmap: bool,
        neck_channels: int = 64,
        head_channels: int = 64,
        width_percent: int = 100,
    ) -> None:
        """Build the network with random weights.

        Args:
            heads: channels of each head.
            previous_image, prior_heatmap: see `CenterTrackNetwork`.
            neck_channels: of the map that the heads read.
            head_channels: of the hidden layer of each head.
            width_percent: channels of the backbone, in percent of the paper's.
        """
        super().__init__(heads, previous_image=previous_image, prior_heatmap=prior_heatmap)
        stem, stride_4, expanded_8, stride_8 = (
            _scaled(count, width_percent) for count in (_STEM, _STRIDE_4, _EXPANDED_8, _STRIDE_8)
        )
        self.stems = InputStems(
            lambda channels: convolution_norm(channels, stem, 3, 2, activation=False),
            previous_image=previous_image,
            prior_heatmap=False,
        )
        self.reduce_4 = convolution_norm(stem, stride_4, 3, 2, activation=False)
        self.prior_stem = (
            convolution_norm(1, stride_4, 3, activation=False) if prior_heatmap else None
        )
        self.stage_4 = convolution_norm(stride_4, stride_4)
        self.stage_8 = nn.Sequential(
            convolution_norm(stride_4, expanded_8, 3, 2), convolution_norm(expanded_8, stride_8)
        )
        self.stage_16, stride_16 = _stage(stride_8, _STRIDE_16, width_percent)
        self.stage_32, stride_32 = _stage(stride_16, _STRIDE_32, width_percent)
        initialise_convolutions(self)
        self.neck = SeparableNeck((stride_4, stride_8, stride_16, stride_32), neck_channels)
        self.heads = make_separable_heads(neck_channels, heads, head_channels)

    def _features(
        self, image: Tensor, previous_image: Tensor | None, prior_heatmap: Tensor | None
    ) -> Tensor:
        x = self.reduce_4(functional.relu(self.stems(image, previous_image, None)))
        if self.prior_stem is not None and prior_heatmap is not None:
            x = x + self.prior_stem(prior_heatmap)
        levels = [self.stage_4(functional.relu(x))]
        for stage in (self.stage_8, self.stage_16, self.stage_32):
            levels.append(stage(levels[-1]))
        features: Tensor = self.neck(levels)
        return features


def _stage(
    in_channels: int, blocks: tuple[_Block, ...], width_percent: int
) -> tuple[nn.Sequential, int]:
    """The blocks of one stride in a row, and how many channels they return."""
    layers = []
    for block in blocks:
        out_channels = _scaled(block.out, width_percent)
        layers.append(UniversalInvertedBottleneck(in_channels, block, out_channels))
        in_channels = out_channels
    return nn.Sequential(*layers), in_channels


def _scaled(channels: int, percent: int) -> int:
    """The share of `channels`, as the nearest multiple of 8, which runtimes vectorise best."""
    return max(8, round(channels * percent / 800) * 8)
