"""Batch normalisation over the batches of all processes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


def synchronised_batch_norm(network: nn.Module) -> nn.Module:
    """`network` with every `BatchNorm2d` replaced, in place, by one over all processes.

    Parameters stay the same objects, and names in the state stay the same. On GPUs the layer is
    PyTorch's, which refuses CPUs.

    Raises:
        ValueError: a layer derived from `BatchNorm2d`, whose own part would be lost.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, nn.BatchNorm2d) and type(layer) is not nn.BatchNorm2d:
            raise ValueError(
                f'optimisation.batch_norm: {name} is a {type(layer).__name__}, which cannot be '
                'synchronised; use train or frozen'
            )
    if any(parameter.is_cuda for parameter in network.parameters()):
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for layer in list(network.modules()):
        for name, child in layer.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(layer, name, SynchronisedBatchNorm2d(child))
    return network


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """`layer` with means and variances over all processes, on any device.

    All processes need as many values. In evaluation mode and without other processes it is a
    plain `BatchNorm2d`.
    """

    def __init__(self, layer: nn.BatchNorm2d) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum, layer.affine,
                         layer.track_running_stats, device='meta')  # fmt: skip
        self._parameters.update(layer._parameters)
        self._buffers.update(layer._buffers)
        self.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape and type."""
        if not self.training or not distributed.is_initialized():
            return super().forward(x)
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        mean = _MeanOfProcesses.apply(values.mean((0, 2, 3)))
        centred = values - mean[:, None, None]
        variance = _MeanOfProcesses.apply(centred.square().mean((0, 2, 3)))
        self._update_statistics(mean, variance, x.numel() // x.shape[1])
        scale = (variance + self.eps).rsqrt()
        shift = torch.zeros_like(scale)
        if self.affine:
            scale, shift = scale * self.weight, self.bias
        return (centred * scale[:, None, None] + shift[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _update_statistics(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics towards those of a batch, `count` values a process."""
        if not self.track_running_stats:
            return
        self.num_batches_tracked.add_(1)
        weight = self.momentum
        if weight is None:
            weight = 1 / float(self.num_batches_tracked)
        total = count * distributed.get_world_size()
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        unbiased = variance * (total / (total - 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), weight)


class _MeanOfProcesses(torch.autograd.Function):
    """Mean over all processes, whose gradient is that of all their losses."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        return _mean(values)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _mean(gradient)


def _mean(values: Tensor) -> Tensor:
    values = values.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(values)
    return values / distributed.get_world_size()
