"""MobileNetV2 and a feature pyramid as in MoveNet multipose, as a CenterTrack network.

Backbone: Sandler et al. 2018, table 2, 1.5 times as wide, to which MoveNet (Google, Apache-2.0)
adds the feature pyramid of Lin et al. 2017 down to stride 4; `training.models.movenet_multipose`
reads its weights. Batch norms are folded.

What CenterTrack adds is in a trunk of its own (`training.models.motion`), which only the head
`tracking` reads, so that the pose network stays what it was; see `training.models.mobilenetv3`
for why. The trunk has stems of its own for both images: with a third of the channels they take
half the time of one that has those of the pose network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from training.heads import HEADS
from training.models.layers import SameConv2d, SeparableConv2d
from training.models.motion import STEM_CHANNELS as MOTION_STEM_CHANNELS
from training.models.motion import Motion, NetworkWithMotion, grow, split_heads
from training.models.unnormalised import LITTLE_EFFECT, initialise_unnormalised

STEM_CHANNELS = 48
FEATURE_CHANNELS = 24
_HEAD_CHANNELS = 96
_TOP_CHANNELS = 1280
_MOTION_HEADS = ('tracking',)


@dataclass(frozen=True)
class _Block:
    """One row of the architecture's table."""

    out: int
    stride: int = 1
    expansion: int = 6


BLOCKS = (
    _Block(24, expansion=1),
    _Block(40, stride=2),
    _Block(40),
    _Block(48, stride=2),
    *[_Block(48)] * 2,
    _Block(96, stride=2),
    *[_Block(96)] * 3,
    *[_Block(144)] * 3,
    _Block(240, stride=2),
    *[_Block(240)] * 2,
    _Block(480),
)
# Stride -> block after which the pyramid takes its features; stride 32 is after the top.
_TAPS = {4: 2, 8: 5, 16: 9}
# Channels of the pyramid, from coarse to fine: what each level adds, and is merged to.
_LEVEL_CHANNELS = {32: 64, 16: 64, 8: 32, 4: 24}
_MERGED_CHANNELS = {16: 32, 8: 24, 4: FEATURE_CHANNELS}
# For `initialise_unnormalised`, by the numbers of the blocks.
_INPUT_SQUARES = {
    r'^blocks\.(2|4|5|7|8|9|11|12|14|15)\.project$': LITTLE_EFFECT,
    r'(^|\.)(previous_|prior_|motion_)?stem$|\.(expand|pointwise)$|^(top|lateral_(4|8|16))$': 1,
    r'^merge_\d+\.depthwise$|^motion\.outputs$': 1,
}


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and projection, around which a shortcut leads if it can.

    (B, C, H, W) -> (B, `block.out`, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, block: _Block) -> None:
        super().__init__()
        hidden = block.expansion * in_channels
        self.expand = nn.Conv2d(in_channels, hidden, 1) if block.expansion > 1 else None
        self.depthwise = SameConv2d(hidden, hidden, 3, block.stride, groups=hidden)
        self.project = nn.Conv2d(hidden, block.out, 1)
        self.has_shortcut = block.stride == 1 and in_channels == block.out

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        hidden = x if self.expand is None else functional.relu6(self.expand(x))
        result: Tensor = self.project(functional.relu6(self.depthwise(hidden)))
        return x + result if self.has_shortcut else result


class MoveNetCenterTrack(NetworkWithMotion):
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
            heads: channels of each head; only `tracking` reads the motion.
            previous_image, prior_heatmap: see `CenterTrackNetwork`.
        """
        super().__init__(heads, previous_image=previous_image, prior_heatmap=prior_heatmap)
        self.stem = SameConv2d(3, STEM_CHANNELS, 3, stride=2)
        channels = [STEM_CHANNELS, *(block.out for block in BLOCKS)]
        self.blocks = nn.ModuleList(
            InvertedResidual(count, block) for count, block in zip(channels, BLOCKS, strict=False)
        )
        self.top = nn.Conv2d(BLOCKS[-1].out, _TOP_CHANNELS, 1)
        self.lateral_32 = nn.Conv2d(_TOP_CHANNELS, _LEVEL_CHANNELS[32], 1)
        for stride, tap in _TAPS.items():
            level = _LEVEL_CHANNELS[stride]
            self.add_module(f'lateral_{stride}', nn.Conv2d(BLOCKS[tap].out, level, 1))
            self.add_module(f'merge_{stride}', SeparableConv2d(level, _MERGED_CHANNELS[stride], 3))
        own_heads, motion_heads = split_heads(heads, _MOTION_HEADS)
        self.heads = nn.ModuleDict({name: _make_head(n) for name, n in own_heads.items()})
        self.motion_stem: SameConv2d | None = None
        self.motion: Motion | None = None
        if motion_heads:
            self.motion_stem = SameConv2d(3, MOTION_STEM_CHANNELS, 3, stride=2)
            self.motion = Motion(
                motion_heads,
                previous_image=previous_image,
                prior_heatmap=prior_heatmap,
                feature_channels=FEATURE_CHANNELS,
                activation=functional.relu6,
            )
        initialise_unnormalised(self, _INPUT_SQUARES)
        for name, head in self.heads.items():
            nn.init.constant_(head[-1].bias, HEADS[name].initial_bias)

    def _seen(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """See `NetworkWithMotion`."""
        features = self._appearance(functional.relu6(self.stem(image)))
        # Not read where there is no motion to tell.
        stem = self.motion_stem
        return (features if stem is None else functional.relu6(stem(image))), features

    def _appearance(self, x: Tensor) -> Tensor:
        """The (B, 24, H/4, W/4) map that the heads read, from the stem's output."""
        levels = {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            levels[index] = x
        x = self.lateral_32(functional.relu6(self.top(x)))
        for stride in (16, 8, 4):
            lateral = self.get_submodule(f'lateral_{stride}')(levels[_TAPS[stride]])
            x = lateral + functional.interpolate(x, scale_factor=2, mode='bilinear')
            x = functional.relu(self.get_submodule(f'merge_{stride}')(x))
        return x


def _make_head(channels: int) -> nn.Sequential:
    """A separable convolution, ReLU, a 1x1 convolution."""
    return nn.Sequential(
        SeparableConv2d(FEATURE_CHANNELS, _HEAD_CHANNELS, 3),
        nn.ReLU(),
        nn.Conv2d(_HEAD_CHANNELS, channels, 1),
    )


def grow_pose_tracker(
    pose: MoveNetCenterTrack,
    heads: Mapping[str, int],
    *,
    previous_image: bool = True,
    prior_heatmap: bool = True,
) -> MoveNetCenterTrack:
    """A network with more heads that says exactly what `pose` says.

    The offsets begin at zero, and the motion trunk first sees with the strongest eyes of `pose`.

    Args:
        pose: its heads are a part of `heads`.
        heads: channels of every head.
        previous_image, prior_heatmap: see `CenterTrackNetwork`.
    """
    network = MoveNetCenterTrack(heads, previous_image=previous_image, prior_heatmap=prior_heatmap)
    strength = pose.stem.weight.flatten(1).norm(dim=1)
    strongest = strength.topk(MOTION_STEM_CHANNELS).indices
    eyes = {name: values[strongest] for name, values in pose.stem.state_dict().items()}
    return grow(network, pose, eyes, network.motion_stem)
