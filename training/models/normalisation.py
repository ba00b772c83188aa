"""From pictures to what a network reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from centertrack_ros.model_spec import ModelSpec


class ImageNormalisation(nn.Module):
    """`(image - channel_mean) / channel_std` of a model, in training and in the exported graph."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        mean, std = (torch.tensor(v)[:, None, None] for v in (spec.channel_mean, spec.channel_std))
        self._changes = bool((mean != 0).any() or (std != 1).any())
        self.register_buffer('_mean', mean, persistent=False)
        self.register_buffer('_std', std, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """uint8 images (B, H, W, 3) to float32 (B, 3, H, W), in memory as they were."""
        # Cast first: TensorRT's parser refuses to transpose uint8.
        values = image.float().permute(0, 3, 1, 2)
        return (values - self._mean) / self._std if self._changes else values
