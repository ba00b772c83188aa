"""What a file is exported for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from centertrack_ros.model_spec import ModelSpec
from training.models.deformable import DeformableConv2d, ExportForm, set_deformable_export
from training.models.network import CenterTrackNetwork

TargetName = Literal['onnxruntime', 'tensorrt', 'openvino']


@dataclass(frozen=True)
class Target:
    """What a runtime takes.

    Attributes:
        opset: version of the ONNX operators. The lowest that the exporter writes where many
            versions of the runtime are in use.
        deformable_opset: the same for a graph with DeformConv, which version 19 brought.
        deform_conv: whether it has the operator DeformConv.
        max_candidates: the largest K of its TopK, if there is one.
    """

    opset: int
    deformable_opset: int
    deform_conv: bool = True
    max_candidates: int | None = None


TARGETS: dict[TargetName, Target] = {
    'onnxruntime': Target(20, 20),
    'openvino': Target(20, 20, deform_conv=False),
    # Its parser refuses to transpose uint8 too: the graph casts first, for every target.
    'tensorrt': Target(18, 19, max_candidates=3840),
}


@dataclass(frozen=True)
class OnnxOptions:
    """How a graph is written as ONNX.

    Attributes:
        batch: images per call; None: any number, which costs no time (measured: within 1 % of a
            batch of one in ONNX Runtime on a CPU).
        half: compute in float16, with inputs, outputs, decoding and deformable sampling as ever.
        target: which runtime it is for.
        deformable: see `models.deformable.set_deformable_export`.
    """

    batch: int | None = None
    half: bool = False
    target: TargetName = 'onnxruntime'
    deformable: ExportForm = 'grid_sample'

    def __post_init__(self) -> None:
        if self.batch is not None and self.batch < 1:
            raise ValueError(f'batch: expected at least 1, received {self.batch}')
        if self.target not in TARGETS:
            raise ValueError(f'target: expected one of {list(TARGETS)}, received {self.target!r}')

    @property
    def opset(self) -> int:
        """Version of the operators to write."""
        target = TARGETS[self.target]
        return target.opset if self.deformable == 'grid_sample' else target.deformable_opset


def prepare_for_target(network: CenterTrackNetwork, spec: ModelSpec, options: OnnxOptions) -> None:
    """Set up the deformable convolutions of `network`, in place, and check what the target takes.

    Raises:
        ValueError: the target cannot run such a graph; the message says what it can.
    """
    target = TARGETS[options.target]
    deformable = any(isinstance(layer, DeformableConv2d) for layer in network.modules())
    if deformable and options.deformable == 'deform_conv' and not target.deform_conv:
        raise ValueError(
            f'deformable: {options.target} has no operator DeformConv; expected grid_sample, '
            "received 'deform_conv'"
        )
    if target.max_candidates is not None and spec.max_candidates >= target.max_candidates:
        raise ValueError(
            f'max_candidates: {options.target} finds fewer than {target.max_candidates} best '
            f'values, the model has {spec.max_candidates} candidates'
        )
    set_deformable_export(network, options.deformable)
