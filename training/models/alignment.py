"""Channel counts that runtimes compute fast: the same function, in an exported network."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.layers import ReducedSeparable

# ONNX Runtime computes in blocks of channels only where a depthwise convolution has a multiple of
# this many; with others, the layers around it change between two layouts as well. 4 % in all.
CHANNEL_MULTIPLE = 4

Module = TypeVar('Module', bound=nn.Module)


def aligned_copy(module: Module) -> Module:
    """A copy in which the inner channels of every `ReducedSeparable` are padded with zeros.

    Weights keep their names and stand at the beginning of the padded ones.
    """
    result = copy.deepcopy(module)
    for layer in result.modules():
        if isinstance(layer, ReducedSeparable):
            missing = -layer.reduce.out_channels % CHANNEL_MULTIPLE
            _pad(layer.reduce, out_channels=missing)
            _pad(layer.separable.depthwise, out_channels=missing)
            _pad(layer.separable.pointwise, in_channels=missing)
    return result


def _pad(convolution: nn.Conv2d, *, out_channels: int = 0, in_channels: int = 0) -> None:
    """Add channels of zeros in place; inputs of a depthwise convolution follow its outputs."""
    depthwise = convolution.groups > 1
    convolution.weight = _padded(convolution.weight, (0, 0, 0, 0, 0, in_channels, 0, out_channels))
    if convolution.bias is not None:
        convolution.bias = _padded(convolution.bias, (0, out_channels))
    convolution.out_channels += out_channels
    convolution.in_channels += out_channels if depthwise else in_channels
    convolution.groups += out_channels if depthwise else 0


def _padded(values: Tensor, edges: tuple[int, ...]) -> nn.Parameter:
    with torch.no_grad():
        return nn.Parameter(functional.pad(values, edges))
