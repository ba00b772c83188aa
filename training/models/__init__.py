"""The networks. One file per architecture; `build_network` makes the one a ModelSpec names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from centertrack_ros.model_spec import ModelSpec
from training.models import dla, hourglass, mobilenetv2, mobilenetv4, resnet, timm_backbone
from training.models.mobilenetv3 import MobileNetV3CenterTrack
from training.models.network import CenterTrackNetwork


@dataclass(frozen=True)
class Architecture:
    """A network class and the constructor arguments that make one variant of it."""

    network: type[CenterTrackNetwork]
    variant: Mapping[str, Any] = field(default_factory=dict)


ARCHITECTURES: dict[str, Architecture] = {
    'mobilenetv3': Architecture(MobileNetV3CenterTrack),
    **{n: Architecture(dla.DlaNetwork, v) for n, v in dla.VARIANTS.items()},
    **{n: Architecture(resnet.ResNetNetwork, v) for n, v in resnet.VARIANTS.items()},
    **{n: Architecture(hourglass.HourglassNetwork, v) for n, v in hourglass.VARIANTS.items()},
    **{
        n: Architecture(mobilenetv2.MobileNetV2Network, v) for n, v in mobilenetv2.VARIANTS.items()
    },
    **{
        n: Architecture(mobilenetv4.MobileNetV4Network, v) for n, v in mobilenetv4.VARIANTS.items()
    },
    **{n: Architecture(timm_backbone.TimmNetwork, v) for n, v in timm_backbone.VARIANTS.items()},
}


def build_network(spec: ModelSpec) -> CenterTrackNetwork:
    """The network that `spec` describes, with random weights.

    Raises:
        ValueError: unknown architecture or option, or strides or an input size that are not this
            architecture's.
    """
    if spec.architecture not in ARCHITECTURES:
        raise ValueError(
            f'architecture: expected one of {sorted(ARCHITECTURES)}, '
            f'received {spec.architecture!r}'
        )
    architecture = ARCHITECTURES[spec.architecture]
    for name in ('stride', 'prior_heatmap_stride'):
        if getattr(spec, name) != getattr(architecture.network, name):
            raise ValueError(
                f'{name}: {spec.architecture} has {getattr(architecture.network, name)}, '
                f'the ModelSpec says {getattr(spec, name)}'
            )
    try:
        network = architecture.network(
            heads=spec.heads,
            previous_image=spec.previous_image,
            prior_heatmap=spec.prior_heatmap,
            **{**architecture.variant, **spec.network},
        )
    except TypeError as error:
        raise ValueError(f'network: {spec.architecture} takes no such options: {error}') from error
    for name in ('input_height', 'input_width'):
        if getattr(spec, name) % network.size_multiple:
            raise ValueError(
                f'{name}: expected a multiple of {network.size_multiple} for '
                f'{spec.architecture}, received {getattr(spec, name)}'
            )
    return network
