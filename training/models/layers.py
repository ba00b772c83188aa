"""Layers shared by the architectures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's 'SAME' padding: at stride 2 the odd pixel goes to the end."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, groups=groups, bias=bias)
        total = kernel_size - stride
        before = total // 2
        self._symmetric = total % 2 == 0
        self._edges = (before, total - before, before, total - before)
        if self._symmetric:
            self.padding = (before, before)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride); H and W are multiples of the stride."""
        if not self._symmetric:
            x = functional.pad(x, self._edges)
        if self.groups > 1 and self.weight.requires_grad and torch.is_autocast_enabled('cpu'):
            # Backwards, oneDNN takes three times as long in bf16 as in fp32 for a depthwise one.
            with torch.autocast('cpu', enabled=False):
                return super().forward(x.float())
        return super().forward(x)


def convolution_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    activation: bool = True,
) -> nn.Sequential:
    """Convolution without bias, batch norm and, with `activation`, ReLU.

    (B, C, H, W) -> (B, C', H / stride, W / stride); `kernel_size` is odd.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=kernel_size // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(out_channels),
    ]
    if activation:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def initialise_convolutions(module: nn.Module) -> None:
    """He initialisation of every convolution in `module`, so that signals keep their variance."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            # By inputs: PyTorch counts the outputs of a depthwise convolution over all groups.
            nn.init.kaiming_normal_(layer.weight, mode='fan_in', nonlinearity='relu')
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def global_mean(x: Tensor) -> Tensor:
    """Mean of each channel: (B, C, H, W) -> (B, C, 1, 1)."""
    if torch.onnx.is_in_onnx_export():
        # The exporter would write ReduceMean, for which ONNX Runtime leaves its own layout.
        return torch.onnx.ops.symbolic(
            'GlobalAveragePool', (x,), dtype=x.dtype, shape=(*x.shape[:2], 1, 1), version=1
        )
    return x.mean((2, 3), keepdim=True)


class SqueezeExcite(nn.Module):
    """Channel gate: global mean, two 1x1 convolutions, hard sigmoid (MobileNetV3, section 5.3)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> same shape."""
        gate = self.expand(functional.relu(self.reduce(global_mean(x))))
        return x * functional.hardsigmoid(gate)


class SeparableConv2d(nn.Module):
    """Depthwise convolution without bias, then a 1x1 convolution with one; no activation."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.depthwise = SameConv2d(
            in_channels, in_channels, kernel_size, stride, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        return self.pointwise(self.depthwise(x))


class ReducedSeparable(nn.Module):
    """1x1 convolution to a few channels, ReLU, 5x5 separable convolution; no activation."""

    def __init__(self, in_channels: int, squeezed: int, out_channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(in_channels, squeezed, 1)
        self.separable = SeparableConv2d(squeezed, out_channels, 5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        return self.separable(functional.relu(self.reduce(x)))


def upsample_twice(x: Tensor) -> Tensor:
    """Bilinear, output sample i at input position i / 2 (TensorFlow 1's rule).

    (B, C, H, W) -> (B, C, 2H, 2W).
    """
    batch, channels, height, width = x.shape
    if torch.onnx.is_in_onnx_export():
        # PyTorch has no name for this rule and would export it as Pad, Resize and Slice. As one
        # Resize, ONNX Runtime computes it in its own layout: 3 ms less at 640x480 on one core.
        return torch.onnx.ops.symbolic(
            'Resize',
            (x, None, torch.tensor([1.0, 1.0, 2.0, 2.0])),
            {'mode': 'linear', 'coordinate_transformation_mode': 'asymmetric'},
            dtype=x.dtype,
            shape=(batch, channels, 2 * height, 2 * width),
            version=18,
        )
    # `align_corners` over one repeated edge samples at the same positions.
    padded = functional.pad(x, (0, 1, 0, 1), mode='replicate')
    size = (2 * height + 1, 2 * width + 1)
    scaled = functional.interpolate(padded, size=size, mode='bilinear', align_corners=True)
    return scaled[:, :, : 2 * height, : 2 * width]


@dataclass(frozen=True)
class CellMap:
    """Stands for a map (B, C, H, W) of which only some cells are computed.

    Attributes:
        shape: of the map that it stands for.
        at: flat cells (B, M) int64 -> values (B, M, C).
    """

    shape: tuple[int, ...]
    at: Callable[[Tensor], Tensor]


def gather_cells(feature_map: Tensor | CellMap, indices: Tensor) -> Tensor:
    """Values (B, M, C) of a map (B, C, H, W) at flat cells (B, M) int64."""
    if isinstance(feature_map, CellMap):
        return feature_map.at(indices)
    channels = feature_map.shape[1]
    picked = feature_map.flatten(2).gather(2, indices[:, None].expand(-1, channels, -1))
    return picked.transpose(1, 2)


def pick_pairs(values: Tensor, numbers: Tensor) -> Tensor:
    """Pair number (B, M) int64 of those in each row (B, M, 2 C) -> (B, M, 2)."""
    pairs = values.unflatten(2, (-1, 2))
    return pairs.gather(2, numbers[:, :, None, None].expand(-1, -1, 1, 2)).squeeze(2)


def zero_convolution(convolution: nn.Conv2d) -> nn.Conv2d:
    """Set weights and bias of `convolution` to zero, so that it starts without effect."""
    with torch.no_grad():
        convolution.weight.zero_()
        if convolution.bias is not None:
            convolution.bias.zero_()
    return convolution
