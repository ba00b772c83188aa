"""The networks. One file per architecture; `build_network` makes the one a ModelSpec names."""

from __future__ import annotations

from torch import nn

from centertrack_ros.model_spec import ModelSpec
from training.models.mobilenetv3 import MobileNetV3CenterTrack

ARCHITECTURES = {'mobilenetv3': MobileNetV3CenterTrack}


def build_network(spec: ModelSpec) -> nn.Module:
    """The network that `spec` describes, with random weights.

    Raises:
        ValueError: unknown architecture, or strides that are not this architecture's.
    """
    if spec.architecture not in ARCHITECTURES:
        raise ValueError(
            f'architecture: expected one of {sorted(ARCHITECTURES)}, '
            f'received {spec.architecture!r}'
        )
    architecture = ARCHITECTURES[spec.architecture]
    for name in ('stride', 'prior_heatmap_stride'):
        if getattr(spec, name) != getattr(architecture, name):
            raise ValueError(
                f'{name}: {spec.architecture} has {getattr(architecture, name)}, '
                f'the ModelSpec says {getattr(spec, name)}'
            )
    return architecture(spec.heads)
