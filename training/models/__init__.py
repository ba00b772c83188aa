"""The networks. One file per architecture; `build_network` makes the one a ModelSpec names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import SIZE_MULTIPLE
from training.models import dla, hourglass, mobilenetv2, mobilenetv4, resnet, timm_backbone
from training.models.mobilenetv3 import MobileNetV3CenterTrack
from training.models.movenet import MoveNetCenterTrack
from training.models.network import CenterTrackNetwork
from training.models.original_checkpoint import LoadReport, load_checkpoint

__all__ = ['ARCHITECTURES', 'Architecture', 'LoadReport', 'build_network', 'load_checkpoint']


@dataclass(frozen=True)
class Architecture:
    """A network class and the constructor arguments that make one variant of it."""

    network: type[CenterTrackNetwork]
    variant: Mapping[str, Any]


_FAMILIES: tuple[tuple[type[CenterTrackNetwork], Mapping[str, Mapping[str, Any]]], ...] = (
    (MobileNetV3CenterTrack, {'mobilenetv3': {}}),
    (MoveNetCenterTrack, {'movenet': {}}),
    (dla.DlaNetwork, dla.VARIANTS),
    (resnet.ResNetNetwork, resnet.VARIANTS),
    (hourglass.HourglassNetwork, hourglass.VARIANTS),
    (mobilenetv2.MobileNetV2Network, mobilenetv2.VARIANTS),
    (mobilenetv4.MobileNetV4Network, mobilenetv4.VARIANTS),
    (timm_backbone.TimmNetwork, timm_backbone.VARIANTS),
)
ARCHITECTURES: dict[str, Architecture] = {
    name: Architecture(network, variant)
    for network, variants in _FAMILIES
    for name, variant in variants.items()
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
    if spec.resize == 'adaptive' and SIZE_MULTIPLE % network.size_multiple:
        raise ValueError(
            f'resize: {spec.architecture} takes inputs in multiples of {network.size_multiple} '
            f'only, those of adaptive models are multiples of {SIZE_MULTIPLE}; use letterbox'
        )
    for name in ('input_height', 'input_width'):
        if getattr(spec, name) % network.size_multiple:
            raise ValueError(
                f'{name}: expected a multiple of {network.size_multiple} for '
                f'{spec.architecture}, received {getattr(spec, name)}'
            )
    return network
