"""Stacked hourglass network (Newell et al. 2016) in the form of CornerNet and CenterNet.

The originals are CenterNet's `large_hourglass.py` and simple-CenterNet's `hourglass.py`. They know
no previous image and no prior heatmap; here these enter as in the other networks (CenterTrack,
section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from training.heads import HEADS
from training.models.layers import convolution_norm
from training.models.network import CenterTrackNetwork, InputStems, make_heads
from training.models.original_checkpoint import HEAD_ALIASES
from training.models.resnet import SHARE_OF_OTHER_INPUTS, ResidualBlock, make_stem

# Named by depth: 104 layers with both stacks (Law and Deng 2018), half as many with one.
VARIANTS: dict[str, dict[str, Any]] = {
    'hourglass52': {'stacks': 1},
    'hourglass104': {'stacks': 2},
}

_HEAD_NAMES = '|'.join([*HEADS, *HEAD_ALIASES])
ORIGINAL_NAMES: tuple[tuple[str, str], ...] = (
    (r'^pre\.0\.conv\.', r'stems.image.0.'),
    (r'^pre\.0\.bn\.', r'stems.image.1.'),
    (r'^pre\.1\.', r'reduction.'),
    (r'^kps\.', r'hourglasses.'),
    (r'^cnvs\.(\d+)\.conv\.', r'features.\1.0.'),
    (r'^cnvs\.(\d+)\.bn\.', r'features.\1.1.'),
    (r'^inters_\.(\d+)\.', r'transitions.\1.from_input.'),
    (r'^cnvs_\.(\d+)\.', r'transitions.\1.from_features.'),
    (r'^inters\.(\d+)\.', r'transitions.\1.block.'),
    # simple-CenterNet calls `top` what CenterNet calls `up1`.
    (r'\.(up1|top)\.', r'.skip_path.'),
    (r'\.low1\.', r'.descent.'),
    (r'\.low3\.', r'.ascent.'),
    # Hourglasses contain each other by this name.
    (r'\.low2(?=\.)', r'.inner'),
    (r'\.conv(\d)\.', r'.convolution_\1.'),
    (r'\.bn(\d)\.', r'.norm_\1.'),
    (r'\.skip\.', r'.shortcut.'),
    (rf'^({_HEAD_NAMES})\.(\d+)\.0\.conv\.', r'\1.\2.0.'),
    (rf'^({_HEAD_NAMES})\.(\d+)\.1\.', r'\1.\2.2.'),
)


class Hourglass(nn.Module):
    """Down to the coarsest scale and back, with a path that skips it at every scale.

    Args:
        widths: channels of each scale, finest first; each has half the size of the one before.
        blocks: residual blocks of each scale on each of its paths.
    """

    def __init__(self, widths: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        outer, inner, count = widths[0], widths[1], blocks[0]
        self.skip_path = _make_blocks([outer] * (count + 1))
        self.descent = _make_blocks([outer, *[inner] * count], stride=2)
        self.inner = (
            Hourglass(widths[1:], blocks[1:])
            if len(widths) > 2
            else _make_blocks([inner] * (blocks[1] + 1))
        )
        self.ascent = _make_blocks([*[inner] * count, outer])

    def forward(self, x: Tensor) -> Tensor:
        """(B, `widths[0]`, H, W) -> same shape; H and W halve evenly `len(widths)` - 1 times."""
        low = self.ascent(self.inner(self.descent(x)))
        return self.skip_path(x) + functional.interpolate(low, scale_factor=2, mode='nearest')


class Transition(nn.Module):
    """Input of the next hourglass from that of the last one and from what it made of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.from_input = convolution_norm(channels, channels, activation=False)
        self.from_features = convolution_norm(channels, channels, activation=False)
        self.block = ResidualBlock(channels, channels)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """Both (B, `channels`, H, W) -> same shape."""
        return self.block(functional.relu(self.from_input(x) + self.from_features(features)))


class HourglassNetwork(CenterTrackNetwork):
    """Images and prior heatmap in, one map per head and stack out, at stride 4."""

    original_names = ORIGINAL_NAMES

    def __init__(
        self,
        heads: Mapping[str, int],
        *,
        previous_image: bool,
        prior_heatmap: bool,
        stacks: int,
        stem_channels: int = 128,
        widths: Sequence[int] = (256, 256, 384, 384, 384, 512),
        blocks: Sequence[int] = (2, 2, 2, 2, 2, 4),
        head_channels: int = 256,
        head_layers: int = 1,
    ) -> None:
        """Build the network with random weights.

        Args:
            heads, previous_image, prior_heatmap: see `CenterTrackNetwork`.
            stacks: hourglasses after one another, each with features and heads of its own.
            stem_channels: of the first layer.
            widths, blocks: see `Hourglass`.
            head_channels, head_layers: see `make_heads`.

        Raises:
            ValueError: `widths` and `blocks` are not of the same length of at least 2.
        """
        super().__init__(heads, previous_image=previous_image, prior_heatmap=prior_heatmap)
        if len(widths) != len(blocks) or len(widths) < 2:
            raise ValueError(
                'widths, blocks: expected two or more values each, as many of one as of the '
                f'other, received {len(widths)} and {len(blocks)}'
            )
        channels = widths[0]
        self.size_multiple = 4 * 2 ** (len(widths) - 1)
        self.stems = InputStems(
            partial(make_stem, out_channels=stem_channels),
            previous_image=previous_image,
            prior_heatmap=prior_heatmap,
            make_other=partial(make_stem, out_channels=stem_channels, scale=SHARE_OF_OTHER_INPUTS),
        )
        self.reduction = ResidualBlock(stem_channels, channels, stride=2)
        self.hourglasses = nn.ModuleList(Hourglass(widths, blocks) for _ in range(stacks))
        self.features = nn.ModuleList(
            convolution_norm(channels, channels, 3) for _ in range(stacks)
        )
        self.transitions = nn.ModuleList(Transition(channels) for _ in range(stacks - 1))
        stacked = [make_heads(channels, heads, head_channels, head_layers) for _ in range(stacks)]
        self.heads = nn.ModuleDict(
            {name: nn.ModuleList(one[name] for one in stacked) for name in heads}
        )

    def _stacks(
        self, image: Tensor, previous_image: Tensor | None, prior_heatmap: Tensor | None
    ) -> list[dict[str, Tensor]]:
        x = self.reduction(self.stems(image, previous_image, prior_heatmap))
        results = []
        for stack, hourglass in enumerate(self.hourglasses):
            features = self.features[stack](hourglass(x))
            results.append({name: head[stack](features) for name, head in self.heads.items()})
            if stack < len(self.transitions):
                x = self.transitions[stack](x, features)
        return results


def _make_blocks(channels: Sequence[int], stride: int = 1) -> nn.Sequential:
    """Residual blocks from each number of channels to the next; the first has the stride."""
    return nn.Sequential(
        *(
            ResidualBlock(before, after, stride if index == 0 else 1)
            for index, (before, after) in enumerate(pairwise(channels))
        )
    )
