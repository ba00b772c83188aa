"""MobileNetV2 (Sandler et al. 2018) as CenterTrack's `generic_network.py` builds it.

With the upward path of deep layer aggregation (`dlaup`) or transposed convolutions (`msraup`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, get_args

from torch import Tensor, nn

from training.models import dla_up
from training.models.deconvolution_neck import make_deconvolution_neck
from training.models.dla_up import DlaUp
from training.models.layers import convolution_norm, initialise_convolutions
from training.models.network import CenterTrackNetwork, InputStems, make_heads

Neck = Literal['dla_up', 'deconvolution']

# Table 2 of the paper: blocks of each stage and the stride of the first of them.
_BLOCKS = (1, 2, 3, 4, 3, 3, 1)
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
# Stages with the last features of the strides 4, 8, 16 and 32.
_LEVELS = (1, 2, 4, 6)

VARIANTS: dict[str, dict[str, Any]] = {
    'mobilenetv2': {'neck': 'dla_up'},
    'mobilenetv2_plain': {'neck': 'dla_up', 'deformable': False},
    'mobilenetv2_deconvolution': {'neck': 'deconvolution'},
}
_POSITIONS = [(stage, index) for stage, count in enumerate(_BLOCKS) for index in range(count)]
ORIGINAL_NAMES: tuple[tuple[str, str], ...] = (
    (r'^(?:backbone\.)?pre_img_layer\.', 'stems.previous_image.'),
    (r'^(?:backbone\.)?pre_hm_layer\.', 'stems.prior_heatmap.'),
    (r'^(?:backbone\.)?features\.0\.', 'stems.image.'),
    *(
        (rf'^(?:backbone\.)?features\.{number}\.conv\.', f'stages.{stage}.{index}.layers.')
        for number, (stage, index) in enumerate(_POSITIONS, start=1)
    ),
    (r'^neck\.deconv_layers\.', 'neck.'),
    *dla_up.ORIGINAL_NAMES,
)
WITHOUT_EFFECT: tuple[tuple[str, str], ...] = (
    (r'^(?:backbone\.)?(features\.18|classifier)\.', 'classifier of ImageNet'),
)


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise 3x3 and 1x1 projection, around which a shortcut leads if it can.

    (B, C, H, W) -> (B, `out_channels`, H / stride, W / stride).

    Args:
        in_channels, out_channels: ends of the block.
        expansion: hidden channels per input channel; at 1 there is no expansion layer.
        stride: of the depthwise convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = expansion * in_channels
        expand = [_convolution_norm_relu6(in_channels, hidden)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expand,
            _convolution_norm_relu6(hidden, hidden, 3, stride, groups=hidden),
            *convolution_norm(hidden, out_channels, activation=False),
        )
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        result: Tensor = self.layers(x)
        return x + result if self.has_shortcut else result


class MobileNetV2Network(CenterTrackNetwork):
    """Images and prior heatmap in, one map per head out, at stride 4."""

    original_names = ORIGINAL_NAMES
    without_effect = WITHOUT_EFFECT

    def __init__(
        self,
        heads: Mapping[str, int],
        *,
        previous_image: bool,
        prior_heatmap: bool,
        neck: Neck = 'dla_up',
        deformable: bool = True,
        stem_channels: int = 32,
        widths: Sequence[int] = (16, 24, 32, 64, 96, 160, 320),
        expansion: int = 6,
        neck_channels: Sequence[int] = (256, 256, 256),
        head_channels: int = 64,
        head_layers: int = 1,
    ) -> None:
        """Build the network with random weights.

        Args:
            heads, previous_image, prior_heatmap: see `CenterTrackNetwork`.
            neck: `dla_up` merges the features of all strides, `deconvolution` takes the coarsest.
            deformable: deformable convolutions in the neck.
            stem_channels: of the first layer.
            widths: channels of the seven stages.
            expansion: of all blocks but those of the first stage, which have none.
            neck_channels: after each of the three steps of the neck `deconvolution`; those of
                `dla_up` are the backbone's.
            head_channels, head_layers: see `make_heads`.

        Raises:
            ValueError: an unknown neck.
        """
        super().__init__(heads, previous_image=previous_image, prior_heatmap=prior_heatmap)
        if neck not in get_args(Neck):
            raise ValueError(f'neck: expected one of {get_args(Neck)}, received {neck!r}')
        # The original adds the other inputs as they are, without an activation.
        self.stems = InputStems(
            partial(_convolution_norm_relu6, out_channels=stem_channels, kernel_size=3, stride=2),
            previous_image=previous_image,
            prior_heatmap=prior_heatmap,
            make_other=partial(
                convolution_norm,
                out_channels=stem_channels,
                kernel_size=3,
                stride=2,
                activation=False,
            ),
        )
        self.stages = nn.ModuleList()
        channels = stem_channels
        for width, count, stride in zip(widths, _BLOCKS, _STRIDES, strict=True):
            stage = nn.Sequential()
            for index in range(count):
                factor = expansion if len(self.stages) > 0 else 1
                stage.append(
                    InvertedResidual(channels, width, factor, stride if index == 0 else 1)
                )
                channels = width
            self.stages.append(stage)
        for part in (self.stems, self.stages):
            initialise_convolutions(part)
        self.neck: nn.Module
        if neck == 'dla_up':
            self.levels = _LEVELS
            node: dla_up.NodeKind = 'deformable' if deformable else 'plain'
            self.neck = DlaUp([widths[stage] for stage in _LEVELS], node)
            channels = self.neck.out_channels
        else:
            self.levels = _LEVELS[-1:]
            self.neck = make_deconvolution_neck(channels, neck_channels, deformable=deformable)
            channels = neck_channels[-1]
        self.heads = make_heads(channels, heads, head_channels, head_layers)

    def _features(
        self, image: Tensor, previous_image: Tensor | None, prior_heatmap: Tensor | None
    ) -> Tensor:
        x = self.stems(image, previous_image, prior_heatmap)
        levels = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.levels:
                levels.append(x)
        features: Tensor = self.neck(levels if isinstance(self.neck, DlaUp) else x)
        return features


def _convolution_norm_relu6(
    in_channels: int, out_channels: int, kernel_size: int = 1, stride: int = 1, *, groups: int = 1
) -> nn.Sequential:
    """`convolution_norm` with the activation of the paper."""
    layers = convolution_norm(
        in_channels, out_channels, kernel_size, stride, groups=groups, activation=False
    )
    return layers.append(nn.ReLU6(inplace=True))
