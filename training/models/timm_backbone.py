"""Any convolutional backbone of timm (PyTorch Image Models) with a separable neck and heads.

timm and torchvision, which timm imports, are needed by this architecture alone and are looked for
when a network is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from training.models.network import CenterTrackNetwork
from training.models.separable_neck import SeparableNeck, make_separable_heads

LEVEL_STRIDES = (4, 8, 16, 32)

VARIANTS: dict[str, dict[str, Any]] = {'timm': {}}


class TimmNetwork(CenterTrackNetwork):
    """Images and prior heatmap in, one map per head out, at stride 4.

    All inputs are channels of one tensor, because first layers differ from backbone to backbone.
    To a first convolution that is the same as one stem per input, summed; an input of zeros is
    the same as one that is left out.
    """

    def __init__(
        self,
        heads: Mapping[str, int],
        *,
        previous_image: bool,
        prior_heatmap: bool,
        backbone: str = 'resnet18',
        neck_channels: int = 64,
        head_channels: int = 64,
    ) -> None:
        """Build the network with random weights.

        Args:
            heads: channels of each head.
            previous_image, prior_heatmap: see `CenterTrackNetwork`.
            backbone: timm's name of it.
            neck_channels: of the map that the heads read.
            head_channels: of the hidden layer of each head.

        Raises:
            ImportError: timm or torchvision is missing or broken.
            ValueError: timm has no such backbone, or it has not the strides 4, 8, 16 and 32.
        """
        super().__init__(heads, previous_image=previous_image, prior_heatmap=prior_heatmap)
        input_channels = 3 + 3 * previous_image + prior_heatmap
        self.backbone, channels = make_backbone(backbone, input_channels)
        # Some return (B, H, W, C), such as Swin.
        self._channels_last = str(getattr(self.backbone, 'output_fmt', 'NCHW')).endswith('NHWC')
        self.neck = SeparableNeck(channels, neck_channels)
        self.heads = make_separable_heads(neck_channels, heads, head_channels)

    def _features(
        self, image: Tensor, previous_image: Tensor | None, prior_heatmap: Tensor | None
    ) -> Tensor:
        inputs = [image]
        for channels, built, value in (
            (3, self.has_previous_image, previous_image),
            (1, self.has_prior_heatmap, prior_heatmap),
        ):
            if built:
                inputs.append(torch.zeros_like(image[:, :channels]) if value is None else value)
        levels: list[Tensor] = self.backbone(torch.cat(inputs, 1))
        if self._channels_last:
            levels = [level.permute(0, 3, 1, 2) for level in levels]
        features: Tensor = self.neck(levels)
        return features


def make_backbone(name: str, input_channels: int) -> tuple[nn.Module, list[int]]:
    """The backbone with random weights, and the channels of the levels that it returns.

    Its levels have the strides `LEVEL_STRIDES`; layers behind the last one are left out.

    Raises:
        ImportError, ValueError: see `TimmNetwork`.
    """
    try:
        import timm
    # A torchvision that does not fit torch fails with whatever it meets first.
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        raise ImportError(
            f'architecture timm: timm cannot be imported ({error}). '
            'Install it (pip install timm) with the torchvision that fits your torch: '
            'timm needs a torchvision whose operators load.'
        ) from error
    options = {'features_only': True, 'pretrained': False, 'in_chans': input_channels}
    try:
        backbone = timm.create_model(name, **options)
        features = backbone.feature_info
        levels = level_indices(features.reduction())
        if len(levels) < len(features.reduction()):
            # Built again, because features that nobody reads may have layers of their own.
            indices = [features.out_indices[level] for level in levels]
            backbone = timm.create_model(name, out_indices=indices, **options)
    except (RuntimeError, ValueError, AttributeError) as error:
        raise ValueError(f'backbone: timm cannot build {name!r} as a pyramid: {error}') from error
    return backbone, list(backbone.feature_info.channels())


def level_indices(strides: Sequence[int]) -> list[int]:
    """Which features are the pyramid's levels: of several of one stride the last one.

    Raises:
        ValueError: a stride is missing.
    """
    missing = [stride for stride in LEVEL_STRIDES if stride not in strides]
    if missing:
        raise ValueError(f'expected features at the strides {LEVEL_STRIDES}, received {strides}')
    return [
        max(index for index, found in enumerate(strides) if found == stride)
        for stride in LEVEL_STRIDES
    ]
