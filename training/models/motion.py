"""The part of a network grown from a detector that sees two images and the prior heatmap."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from torch import Tensor, nn
from torch.nn import functional

from training.models.layers import SameConv2d, SeparableConv2d, upsample_twice, zero_convolution
from training.models.network import CenterTrackNetwork

MOTION_HEADS = ('reg', 'tracking')
# Channels of the default detector's stem, and of the map that its heads read.
STEM_CHANNELS = 16
FEATURE_CHANNELS = 128


class Motion(nn.Module):
    """What moved where, and the heads that tell it.

    Without one of the inputs its stem is missing; without both, the current image has to do.

    Args:
        heads: channels of each, of `MOTION_HEADS`.
        previous_image, prior_heatmap: see `CenterTrackNetwork`.
        stem_channels, activation: of the detector's stem; the previous image has such a one.
        feature_channels: of the map that the detector's heads read.
    """

    def __init__(
        self,
        heads: Mapping[str, int],
        *,
        previous_image: bool,
        prior_heatmap: bool,
        stem_channels: int = STEM_CHANNELS,
        feature_channels: int = FEATURE_CHANNELS,
        activation: Callable[[Tensor], Tensor] = functional.hardswish,
    ) -> None:
        super().__init__()
        self._activation = activation
        self.previous_stem = SameConv2d(3, stem_channels, 3, stride=2) if previous_image else None
        # Sums instead of concatenations throughout: the trunk takes a quarter less time.
        self.reduce_current = SeparableConv2d(stem_channels, 32, 5, stride=2)
        self.reduce_previous = (
            SeparableConv2d(stem_channels, 32, 5, stride=2) if previous_image else None
        )
        self.refine_4 = SeparableConv2d(32, 48, 5)
        self.prior_stem = nn.Conv2d(1, 48, 3, padding=1, bias=False) if prior_heatmap else None
        self.reduce_8 = SeparableConv2d(48, 48, 5, stride=2)
        self.reduce_16 = SeparableConv2d(48, 64, 5, stride=2)
        self.context = SeparableConv2d(64, 64, 5)
        self.lateral_16 = nn.Conv2d(64, 48, 1)
        self.refine_8 = SeparableConv2d(48, 48, 5)
        self.appearance = nn.Conv2d(feature_channels, 48, 1)
        self.hidden = SeparableConv2d(48, 64, 3)
        self._heads = dict(heads)
        # One convolution for all of them: runtimes compute it faster than one each.
        self.outputs = nn.Conv2d(64, sum(heads.values()), 1)

    def forward(
        self,
        stem: Tensor,
        features: Tensor,
        previous_image: Tensor,
        prior_heatmap: Tensor | None,
    ) -> dict[str, Tensor]:
        """Tell the motion.

        Args:
            stem: (B, `stem_channels`, H/2, W/2), the detector's stem on the current image.
            features: (B, `feature_channels`, H/4, W/4), what the detector's heads read.
            previous_image: (B, 3, H, W), not read where its stem is missing.
            prior_heatmap: (B, 1, H/4, W/4), the same; None for an empty one.

        Returns:
            head name -> (B, channels, H/4, W/4).
        """
        relu = functional.relu
        at_4 = self.reduce_current(stem)
        if self.previous_stem is not None and self.reduce_previous is not None:
            previous = self._activation(self.previous_stem(previous_image))
            at_4 = at_4 + self.reduce_previous(previous)
        at_4 = self.refine_4(relu(at_4))
        if self.prior_stem is not None and prior_heatmap is not None:
            at_4 = at_4 + self.prior_stem(prior_heatmap)
        at_4 = relu(at_4)
        at_8 = relu(self.reduce_8(at_4))
        at_16 = relu(self.context(relu(self.reduce_16(at_8))))
        at_8 = relu(self.refine_8(at_8 + upsample_twice(self.lateral_16(at_16))))
        return self._maps(at_4 + upsample_twice(at_8), features)

    def _maps(self, trunk: Tensor, features: Tensor) -> dict[str, Tensor]:
        """The last layers, from the (B, 48, H/4, W/4) that the trunk has to say."""
        at_4 = functional.relu(trunk + self.appearance(features))
        outputs = self.outputs(functional.relu(self.hidden(at_4)))
        maps = outputs.split(tuple(self._heads.values()), dim=1)
        return dict(zip(self._heads, maps, strict=True))


class NetworkWithMotion(CenterTrackNetwork):
    """A detector that stays what it is, and beside it the trunk that sees the motion.

    Attributes:
        heads: those that read the detector's map alone.
        motion: the trunk with the other heads, None where there are none.
    """

    heads: nn.ModuleDict
    motion: Motion | None

    def _stacks(
        self, image: Tensor, previous_image: Tensor | None, prior_heatmap: Tensor | None
    ) -> list[dict[str, Tensor]]:
        """See `CenterTrackNetwork`.

        No previous image stands for the image itself, as on the first frame.
        """
        seen, features = self._seen(image)
        maps = {name: head(features) for name, head in self.heads.items()}
        if self.motion is not None:
            before = image if previous_image is None else previous_image
            maps |= self.motion(seen, features, before, prior_heatmap)
        return [maps]

    def _seen(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Of the image what `Motion.forward` calls `stem` and `features`."""
        raise NotImplementedError


Grown = TypeVar('Grown', bound=NetworkWithMotion)


def split_heads(
    heads: Mapping[str, int], of_motion: Collection[str]
) -> tuple[dict[str, int], dict[str, int]]:
    """Channels of the heads that read the detector's map alone, and of those of the trunk."""
    own = {name: count for name, count in heads.items() if name not in of_motion}
    return own, {name: count for name, count in heads.items() if name in of_motion}


def grow(
    network: Grown, known: nn.Module, eyes: Mapping[str, Tensor], *stems: SameConv2d | None
) -> Grown:
    """`network` as it says exactly what `known` says; the offsets begin at zero.

    Args:
        network: changed.
        known: the same with fewer heads.
        eyes: weights of a stem, with which the trunk first sees the previous image.
        stems: further ones that begin with these weights.
    """
    network.load_state_dict({**network.state_dict(), **known.state_dict()})
    if network.motion is not None:
        for stem in (*stems, network.motion.previous_stem):
            if stem is not None:
                stem.load_state_dict(eyes)
        zero_convolution(network.motion.outputs)
    return network
