"""Upward path of deep layer aggregation: features of all strides into one map (Yu et al. 2018).

CenterNet's form of it (`pose_dla_dcn.py`, CenterTrack's `dla.py` and the neck `dlaup`), and the
older one of its `dlav0.py`. The backbone may be any that has strides 4, 8, 16 and 32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from training.models.deformable import DeformableConv2d

NodeKind = Literal['deformable', 'plain', 'gcn', 'concatenated']

# Names in the originals, for keys that begin with `dla_up`, `ida_up` or `neck`.
ORIGINAL_NAMES: tuple[tuple[str, str], ...] = (
    (r'^(?:neck\.)?dla_up\.ida_(\d+)\.', r'neck.stages.\1.'),
    (r'^(?:neck\.)?ida_up\.', 'neck.last.'),
    (r'^(neck\.(?:stages\.\d+|last))\.(proj|up|node)_1\.', r'\1.0.\2.'),
    (r'^(neck\.(?:stages\.\d+|last))\.(proj|up|node)_2\.', r'\1.1.\2.'),
    (r'^(neck\.(?:stages\.\d+|last))\.(proj|up|node)_3\.', r'\1.2.\2.'),
    (r'^(neck\..*)\.proj\.', r'\1.projection.'),
    (r'^(neck\..*)\.up\.', r'\1.upsampling.'),
    (r'^(neck\..*)\.conv\.(\d+)\.', r'\1.\2.'),
    (r'^(neck\..*)\.conv\.', r'\1.0.'),
    (r'^(neck\..*)\.actf\.0\.', r'\1.1.'),
    (r'^(neck\..*)\.gcl\.', r'\1.0.columns_first.'),
    (r'^(neck\..*)\.gcr\.', r'\1.0.rows_first.'),
    (r'^(neck\..*)\.act\.0\.', r'\1.1.'),
)


class DlaUp(nn.Module):
    """Merges feature maps, coarsest first, until one of the finest stride is left.

    Args:
        channels: of the inputs, finest first; each is half as large as the one before.
        node: convolutions of the path. `deformable`: 3x3; `plain`: 1x1; `gcn`: large separable
            ones (Peng et al. 2017) where maps have been added; `concatenated`: maps are
            concatenated instead of added, then 3x3 (`dlav0`).
        last_stage: merge the results of all stages but the coarsest once more, as all but
            `dlav0` do.

    Attributes:
        out_channels: channels of the result.
    """

    def __init__(
        self, channels: Sequence[int], node: NodeKind = 'deformable', last_stage: bool = True
    ) -> None:
        super().__init__()
        self.out_channels = channels[0]
        self.stages = nn.ModuleList()
        coarser = [channels[-1]]
        for out_channels in reversed(channels[:-1]):
            self.stages.append(_stage(out_channels, coarser, [2] * len(coarser), node))
            coarser = [out_channels] * (len(coarser) + 1)
        self.last: nn.ModuleList | None = None
        if last_stage:
            factors = [2**level for level in range(1, len(channels) - 1)]
            self.last = _stage(channels[0], channels[1:-1], factors, node)
        _initialise(self)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """(B, C_i, H / 2^i, W / 2^i) of each i, finest first -> (B, C_0, H, W)."""
        maps = [features[-1]]
        results: list[Tensor] = []
        for stage, finest in zip(self.stages, reversed(features[:-1]), strict=True):
            assert isinstance(stage, nn.ModuleList)
            maps = [finest, *_merge(stage, [finest, *maps])]
            results.insert(0, maps[-1])
        if self.last is None:
            return results[0]
        return _merge(self.last, results)[-1]


class Step(nn.Module):
    """Brings a map to the size and channels of a finer one and merges the two."""

    def __init__(self, in_channels: int, out_channels: int, factor: int, node: NodeKind) -> None:
        super().__init__()
        self.concatenates = node == 'concatenated'
        self.projection = _projection(in_channels, out_channels, node)
        self.upsampling = nn.ConvTranspose2d(
            out_channels,
            out_channels,
            2 * factor,
            stride=factor,
            padding=factor // 2,
            groups=out_channels,
            bias=False,
        )
        self.node = _node(out_channels, node)

    def forward(self, finer: Tensor, x: Tensor) -> Tensor:
        """(B, O, H, W) and (B, C, H / factor, W / factor) -> (B, O, H, W)."""
        x = self.upsampling(self.projection(x))
        merged: Tensor = self.node(torch.cat((finer, x), 1) if self.concatenates else finer + x)
        return merged


class GlobalConvolution(nn.Module):
    """A large kernel as the sum of two separable ones."""

    def __init__(self, channels: int, kernel_size: int = 7) -> None:
        super().__init__()
        column, row = (kernel_size, 1), (1, kernel_size)
        self.columns_first = nn.Sequential(
            _convolution(channels, channels, column), _convolution(channels, channels, row)
        )
        self.rows_first = nn.Sequential(
            _convolution(channels, channels, row), _convolution(channels, channels, column)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> same shape."""
        total: Tensor = self.columns_first(x) + self.rows_first(x)
        return total


def bilinear_kernel(factor: int) -> Tensor:
    """Kernel (2 factor, 2 factor) of a transposed convolution that interpolates linearly."""
    positions = torch.arange(2 * factor) - (2 * factor - 1) / 2
    edge = 1 - positions.abs() / factor
    return edge[:, None] * edge


def _merge(stage: nn.ModuleList, maps: list[Tensor]) -> list[Tensor]:
    """Each map but the first, merged with all those before it."""
    merged: list[Tensor] = []
    finer = maps[0]
    for step, x in zip(stage, maps[1:], strict=True):
        finer = step(finer, x)
        merged.append(finer)
    return merged


def _stage(
    out_channels: int, channels: Sequence[int], factors: Sequence[int], node: NodeKind
) -> nn.ModuleList:
    return nn.ModuleList(
        Step(count, out_channels, factor, node)
        for count, factor in zip(channels, factors, strict=True)
    )


def _projection(in_channels: int, out_channels: int, node: NodeKind) -> nn.Sequential:
    if node == 'deformable':
        return _activated(DeformableConv2d(in_channels, out_channels), out_channels)
    return _activated(_convolution(in_channels, out_channels, (1, 1)), out_channels)


def _node(channels: int, node: NodeKind) -> nn.Sequential:
    layer: nn.Module
    if node == 'deformable':
        layer = DeformableConv2d(channels, channels)
    elif node == 'gcn':
        layer = GlobalConvolution(channels)
    elif node == 'concatenated':
        layer = _convolution(2 * channels, channels, (3, 3))
    elif node == 'plain':
        layer = _convolution(channels, channels, (1, 1))
    else:
        raise ValueError(
            f'node: expected deformable, plain, gcn or concatenated, received {node!r}'
        )
    return _activated(layer, channels)


def _activated(layer: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(layer, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _convolution(in_channels: int, out_channels: int, kernel: tuple[int, int]) -> nn.Conv2d:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Conv2d(in_channels, out_channels, kernel, padding=padding, bias=False)


def _initialise(neck: nn.Module) -> None:
    for module in neck.modules():
        if isinstance(module, nn.ConvTranspose2d):
            with torch.no_grad():
                module.weight.copy_(bilinear_kernel(module.stride[0]))
        elif isinstance(module, nn.Conv2d) and module.bias is None:  # not the offsets: zero
            fan_out = math.prod(module.kernel_size) * module.out_channels
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
