"""CenterTrack's own network: deep layer aggregation, 34 layers, and an upward path to stride 4.

DLA-34 is that of Yu et al. 2018; what the detector adds is in `training.models.dla_up`. The
networks of CenterNet (`pose_dla_dcn.py`, `dlav0.py`), CenterTrack (`dla.py`, `dlav0.py`, and
`dla34` with `dlaup` of its generic network) and CenterNet-CondInst differ in options only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models import dla_up
from training.models.condinst_heads import make_condinst_heads
from training.models.dla_up import DlaUp, NodeKind
from training.models.layers import convolution_norm
from training.models.network import CenterTrackNetwork, InputStems, make_heads

LEVELS = (1, 1, 1, 2, 2, 1)
CHANNELS = (16, 32, 64, 128, 256, 512)

# Options that make each architecture.
VARIANTS: dict[str, dict[str, Any]] = {
    'dla34': {'node': 'deformable'},
    'dla34_plain': {'node': 'plain'},
    'dla34_gcn': {'node': 'gcn'},
    'dlav0_34': {'node': 'concatenated', 'last_stage': False},
}

# Their names of tensors, as regular expressions that are replaced one after the other. `base` is
# CenterTrack's, CenterNet's and CondInst's, `backbone` that of CenterTrack's generic network; DLA
# trained on ImageNet has neither.
ORIGINAL_NAMES: tuple[tuple[str, str], ...] = (
    (r'^(?:base\.|backbone\.)?base_layer\.', 'stems.image.'),
    (r'^(?:(?:base|backbone)\.)?pre_img_layer\.', 'stems.previous_image.'),
    (r'^(?:(?:base|backbone)\.)?pre_hm_layer\.', 'stems.prior_heatmap.'),
    (r'^(?:base\.|backbone\.)?level(\d)\.', r'levels.\1.'),
    (r'\btree1\.', 'first.'),
    (r'\btree2\.', 'second.'),
    (r'^(levels\..*)\.conv([12])\.', r'\1.convolution\2.'),
    (r'^(levels\..*)\.bn([12])\.', r'\1.normalisation\2.'),
    (r'^(levels\..*root)\.conv\.', r'\1.0.'),
    (r'^(levels\..*root)\.bn\.', r'\1.1.'),
    (r'^(levels\..*)\.project\.', r'\1.projection.'),
    *dla_up.ORIGINAL_NAMES,
)

# Tensors that the originals have and that change nothing.
WITHOUT_EFFECT: tuple[tuple[str, str], ...] = (
    (
        r'^(?:base\.|backbone\.)?level[34]\.project\.',
        'the result is handed to a tree that makes its own',
    ),
    (r'^(?:base\.|backbone\.)?fc\.', 'classifies ImageNet'),
)


class DlaNetwork(CenterTrackNetwork):
    """DLA-34 and an upward path; 19.9 million parameters with all inputs and the heads of MOT."""

    original_names = ORIGINAL_NAMES
    without_effect = WITHOUT_EFFECT

    def __init__(
        self,
        heads: Mapping[str, int],
        *,
        previous_image: bool,
        prior_heatmap: bool,
        node: NodeKind = 'deformable',
        last_stage: bool = True,
        head_channels: int = 256,
        head_layers: int = 1,
        head_style: Literal['relu', 'condinst'] = 'relu',
        channels: Sequence[int] = CHANNELS,
    ) -> None:
        """A network with random weights that can be trained from there.

        Args:
            heads, previous_image, prior_heatmap: see `CenterTrackNetwork`.
            node, last_stage: see `DlaUp`.
            head_channels, head_layers: hidden ones of each head; the originals have 64 channels
                behind a generic network, and two layers for 3D (`reg` keeps one).
            head_style: `condinst`: see `make_condinst_heads`.
            channels: of the levels of stride 1, 2, 4, 8, 16 and 32.

        Raises:
            ValueError: an unknown head, node or style, or another number of channels.
        """
        super().__init__(heads, previous_image=previous_image, prior_heatmap=prior_heatmap)
        if len(channels) != len(LEVELS):
            raise ValueError(f'channels: expected {len(LEVELS)}, received {len(channels)}')
        self.stems = InputStems(
            lambda count: convolution_norm(count, channels[0], 7),
            previous_image=previous_image,
            prior_heatmap=prior_heatmap,
        )
        self.levels = nn.ModuleList(
            [
                convolution_norm(channels[0], channels[0], 3),
                convolution_norm(channels[0], channels[1], 3, stride=2),
            ]
        )
        for level in range(2, len(LEVELS)):
            self.levels.append(
                Tree(
                    LEVELS[level],
                    channels[level - 1],
                    channels[level],
                    stride=2,
                    keeps_input=level > 2,
                )
            )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
        self.neck = DlaUp(channels[2:], node, last_stage)
        if head_style == 'relu':
            self.heads = make_heads(self.neck.out_channels, heads, head_channels, head_layers)
        elif head_style == 'condinst':
            self.heads = make_condinst_heads(self.neck.out_channels, heads, head_channels)
        else:
            raise ValueError(f'head_style: expected relu or condinst, received {head_style!r}')

    def _features(
        self, image: Tensor, previous_image: Tensor | None, prior_heatmap: Tensor | None
    ) -> Tensor:
        x = self.stems(image, previous_image, prior_heatmap)
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        merged: Tensor = self.neck(features[2:])
        return merged


class Tree(nn.Module):
    """Hierarchical aggregation: two subtrees, whose results and inputs one root merges.

    Args:
        depth: 1: the subtrees are residual blocks.
        in_channels, out_channels: of the tree.
        stride: of the first block.
        keeps_input: the root sees the input too, pooled.
        root_channels: more that the root sees, from trees above.
    """

    def __init__(
        self,
        depth: int,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        keeps_input: bool = False,
        root_channels: int = 0,
    ) -> None:
        super().__init__()
        self.is_leaf = depth == 1
        self.stride = stride
        self.keeps_input = keeps_input
        if keeps_input:
            root_channels += in_channels
        if not self.is_leaf:
            self.first: nn.Module = Tree(depth - 1, in_channels, out_channels, stride=stride)
            self.second: nn.Module = Tree(
                depth - 1, out_channels, out_channels, root_channels=root_channels + out_channels
            )
            return
        self.first = ResidualBlock(in_channels, out_channels, stride)
        self.second = ResidualBlock(out_channels, out_channels, 1)
        self.root = convolution_norm(2 * out_channels + root_channels, out_channels, 1)
        self.projection: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.projection = convolution_norm(in_channels, out_channels, activation=False)

    def forward(self, x: Tensor, others: tuple[Tensor, ...] = ()) -> Tensor:
        """(B, C, H, W) and what trees above hand on -> (B, O, H / stride, W / stride)."""
        pooled = x
        if self.stride > 1 and (self.is_leaf or self.keeps_input):
            pooled = functional.max_pool2d(x, self.stride, self.stride)
        if self.keeps_input:
            others = (*others, pooled)
        result: Tensor
        if self.is_leaf:
            first = self.first(x, self.projection(pooled))
            second = self.second(first, first)
            result = self.root(torch.cat((second, first, *others), dim=1))
        else:
            first = self.first(x)
            result = self.second(first, (*others, first))
        return result


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions; what is added to them comes from outside."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.normalisation1 = nn.BatchNorm2d(out_channels)
        self.convolution2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.normalisation2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """(B, C, H, W) and (B, O, H / stride, W / stride) -> the shape of `residual`."""
        x = functional.relu(self.normalisation1(self.convolution1(x)))
        return functional.relu(self.normalisation2(self.convolution2(x)) + residual)
