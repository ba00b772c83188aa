"""The networks. One file per architecture; `build_network` makes the one a ModelSpec names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from centertrack_ros.model_spec import ModelSpec
from training.models.mobilenetv3 import MobileNetV3CenterTrack
from training.models.network import CenterTrackNetwork


@dataclass(frozen=True)
class Architecture:
    """A network class and the constructor arguments that make one variant of it."""

    network: type[CenterTrackNetwork]
    variant: Mapping[str, Any] = field(default_factory=dict)


ARCHITECTURES: dict[str, Architecture] = {
    'mobilenetv3': Architecture(MobileNetV3CenterTrack),
}


def build_network(spec: ModelSpec) -> CenterTrackNetwork:
    """The network that `spec` describes, with random weights.

    Raises:
        ValueError: unknown architecture or option, or strides that are not this architecture's.
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
        return architecture.network(
            heads=spec.heads,
            previous_image=spec.previous_image,
            prior_heatmap=spec.prior_heatmap,
            **{**architecture.variant, **spec.network},
        )
    except TypeError as error:
        raise ValueError(f'network: {spec.architecture} takes no such options: {error}') from error
