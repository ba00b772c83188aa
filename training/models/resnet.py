"""ResNet with transposed convolutions, the fast networks of CenterNet and CenterTrack.

He et al. 2016 with the neck of Xiao et al. 2018. The originals (`resdcn.py`, `resnet_dcn.py`,
`msra_resnet.py`) know no previous image and no prior heatmap with this backbone; here they enter
as in the other networks (CenterTrack, section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from training.models.deconvolution_neck import make_deconvolution_neck
from training.models.layers import convolution_norm, initialise_convolutions
from training.models.network import CenterTrackNetwork, InputStems, make_heads

# Initial share of the previous image and the prior heatmap in the sum of the stems: little, as
# the detector that a tracker starts from has never seen them; not 0, which ReLU would keep.
SHARE_OF_OTHER_INPUTS = 0.1

_DEPTHS: dict[str, dict[str, Any]] = {
    'resnet18': {'blocks': (2, 2, 2, 2)},
    'resnet34': {'blocks': (3, 4, 6, 3)},
    'resnet50': {'blocks': (3, 4, 6, 3), 'bottleneck': True},
    'resnet101': {'blocks': (3, 4, 23, 3), 'bottleneck': True},
    'resnet152': {'blocks': (3, 8, 36, 3), 'bottleneck': True},
}
VARIANTS: dict[str, dict[str, Any]] = {
    name + ('_deformable' if deformable else ''): {**depth, 'deformable': deformable}
    for deformable in (False, True)
    for name, depth in _DEPTHS.items()
}
ORIGINAL_NAMES: tuple[tuple[str, str], ...] = (
    (r'^conv1\.', r'stems.image.0.'),
    (r'^bn1\.', r'stems.image.1.'),
    (r'^deconv_layers\.', r'neck.'),
    *((rf'^layer{index + 1}\.', f'stages.{index}.') for index in range(4)),
    (r'^(stages\.\d+\.\d+)\.conv(\d)\.', r'\1.convolution_\2.'),
    (r'^(stages\.\d+\.\d+)\.bn(\d)\.', r'\1.norm_\2.'),
    (r'^(stages\.\d+\.\d+)\.downsample\.', r'\1.shortcut.'),
)
WITHOUT_EFFECT: tuple[tuple[str, str], ...] = ((r'^fc\.', 'classifier of ImageNet'),)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, figure 5, left).

    (B, C, H, W) -> (B, `channels`, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.out_channels = channels
        self.convolution_1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm_1 = nn.BatchNorm2d(channels)
        self.convolution_2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm_2 = nn.BatchNorm2d(channels)
        self.shortcut = _make_shortcut(in_channels, channels, stride)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        inner = self.activation(self.norm_1(self.convolution_1(x)))
        return self.activation(self.norm_2(self.convolution_2(inner)) + self.shortcut(x))


class BottleneckBlock(nn.Module):
    """1x1, 3x3 and 1x1 convolution and a shortcut (He et al. 2016, figure 5, right).

    The stride is in the 3x3 convolution, as in PyTorch's weights and the originals.
    (B, C, H, W) -> (B, 4 * `channels`, H / stride, W / stride).
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.out_channels = 4 * channels
        self.convolution_1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.norm_1 = nn.BatchNorm2d(channels)
        self.convolution_2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.norm_2 = nn.BatchNorm2d(channels)
        self.convolution_3 = nn.Conv2d(channels, self.out_channels, 1, bias=False)
        self.norm_3 = nn.BatchNorm2d(self.out_channels)
        self.shortcut = _make_shortcut(in_channels, self.out_channels, stride)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        inner = self.activation(self.norm_1(self.convolution_1(x)))
        inner = self.activation(self.norm_2(self.convolution_2(inner)))
        return self.activation(self.norm_3(self.convolution_3(inner)) + self.shortcut(x))


def _make_shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """What brings the input of a residual block to the shape of its output."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return convolution_norm(in_channels, out_channels, stride=stride, activation=False)


def make_stem(in_channels: int, out_channels: int, scale: float = 1.0) -> nn.Sequential:
    """First layer: 7x7 convolution of stride 2, batch norm that starts at `scale`, ReLU."""
    stem = convolution_norm(in_channels, out_channels, 7, stride=2)
    nn.init.constant_(stem[1].weight, scale)
    return stem


class ResNetNetwork(CenterTrackNetwork):
    """Images and prior heatmap in, one map per head out, at stride 4."""

    original_names = ORIGINAL_NAMES
    without_effect = WITHOUT_EFFECT

    def __init__(
        self,
        heads: Mapping[str, int],
        *,
        previous_image: bool,
        prior_heatmap: bool,
        blocks: Sequence[int],
        bottleneck: bool = False,
        deformable: bool = False,
        widths: Sequence[int] = (64, 128, 256, 512),
        neck_channels: Sequence[int] | None = None,
        head_channels: int = 64,
        head_layers: int = 1,
    ) -> None:
        """Build the network with random weights.

        Args:
            heads, previous_image, prior_heatmap: see `CenterTrackNetwork`.
            blocks: residual blocks in each of the four stages.
            bottleneck: blocks of three convolutions instead of two.
            deformable: a deformable convolution before each step of the neck.
            widths: channels of the four stages, before the bottleneck's factor of 4; the stem
                has those of the first.
            neck_channels: after each of the three steps of the neck. None is CenterTrack's rule:
                256, 128, 64 for a deformable neck before heads of 64 channels, else 256 thrice.
            head_channels, head_layers: see `make_heads`.
        """
        super().__init__(heads, previous_image=previous_image, prior_heatmap=prior_heatmap)
        if neck_channels is None:
            is_slim = deformable and head_channels == 64
            neck_channels = (256, 128, 64) if is_slim else (256, 256, 256)
        self.stems = InputStems(
            partial(make_stem, out_channels=widths[0]),
            previous_image=previous_image,
            prior_heatmap=prior_heatmap,
            make_other=partial(make_stem, out_channels=widths[0], scale=SHARE_OF_OTHER_INPUTS),
        )
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        block_type = BottleneckBlock if bottleneck else ResidualBlock
        self.stages = nn.Sequential()
        channels = widths[0]
        for width, count in zip(widths, blocks, strict=True):
            stage = nn.Sequential()
            for index in range(count):
                # The pool has halved the size for the first stage.
                stride = 2 if index == 0 and len(self.stages) > 0 else 1
                stage.append(block_type(channels, width, stride))
                channels = stage[-1].out_channels
            self.stages.append(stage)
        for part in (self.stems, self.stages):
            initialise_convolutions(part)
        self.neck = make_deconvolution_neck(channels, neck_channels, deformable=deformable)
        self.heads = make_heads(neck_channels[-1], heads, head_channels, head_layers)

    def _features(
        self, image: Tensor, previous_image: Tensor | None, prior_heatmap: Tensor | None
    ) -> Tensor:
        x = self.pool(self.stems(image, previous_image, prior_heatmap))
        features: Tensor = self.neck(self.stages(x))
        return features
