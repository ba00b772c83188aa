"""The neck of "Simple Baselines" (Xiao et al. 2018), plain or with deformable convolutions.

Three times, a transposed convolution doubles the size. CenterNet (`resnet_dcn.py`) and CenterTrack
(`resdcn.py`, `necks/msraup.py`) put a deformable convolution before each of them, CenterNet's
`msra_resnet.py` does not.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from training.models.deformable import DeformableConv2d


def make_deconvolution_neck(
    in_channels: int, channels: Sequence[int], *, deformable: bool
) -> nn.Sequential:
    """Layers that take (B, `in_channels`, H, W) to (B, `channels[-1]`, H * 2^n, W * 2^n).

    They stand in one row, as those of the originals, so that their indices are the same.

    Args:
        in_channels: of the coarsest features.
        channels: after each of the n doublings.
        deformable: with a deformable 3x3 convolution before each doubling, which then changes the
            number of channels instead of the transposed one.
    """
    layers: list[nn.Module] = []
    for count in channels:
        if deformable:
            layers += [
                DeformableConv2d(in_channels, count),
                nn.BatchNorm2d(count),
                nn.ReLU(inplace=True),
            ]
            in_channels = count
        layers += [
            nn.ConvTranspose2d(in_channels, count, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(count),
            nn.ReLU(inplace=True),
        ]
        in_channels = count
    return nn.Sequential(*layers)
