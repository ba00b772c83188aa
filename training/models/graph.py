"""The graph that is exported and evaluated: uint8 images in, candidate rows out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from centertrack_ros.engines.base import expected_inputs, expected_outputs
from centertrack_ros.model_spec import ModelSpec
from training.models.decode import candidate_rows
from training.models.layers import CellMap
from training.models.normalisation import ImageNormalisation


class TrackerGraph(nn.Module):
    """Normalisation, network and decoding; called with and returning plain tensors.

    Attributes:
        inputs: names of the arguments, see `engines.base.expected_inputs`.
        outputs: names of the results, fields of `Candidates`.
        rules: how its maps are decoded.
        dtype: what the network computes in; all else is in float32.
    """

    def __init__(self, network: nn.Module, spec: ModelSpec) -> None:
        super().__init__()
        self.network = network
        self.dtype = torch.float32
        self.inputs = tuple(expected_inputs(spec))
        self.outputs = tuple(expected_outputs(spec))
        self._max_candidates = spec.max_candidates
        self._box = spec.box
        self.rules = spec.decode
        self._normalise = ImageNormalisation(spec)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Images (B, H, W, 3) uint8 BGR, prior (B, 1, H/p, W/p) -> rows of `candidate_rows`."""
        given = {
            name: (value if name == 'prior_heatmap' else self._normalise(value)).to(self.dtype)
            for name, value in zip(self.inputs, inputs, strict=True)
        }
        maps = self.network(**given)
        rows = self.rows({name: _in_float32(values) for name, values in maps.items()})
        return tuple(rows[name] for name in self.outputs)

    def rows(
        self, maps: Mapping[str, Tensor | CellMap], *, activated: bool = False
    ) -> dict[str, Tensor]:
        """`candidate_rows` by the rules of the model."""
        return candidate_rows(
            maps, self._max_candidates, box=self._box, rules=self.rules, activated=activated
        )


def _in_float32(values: Tensor | CellMap) -> Tensor | CellMap:
    if isinstance(values, CellMap):
        return CellMap(values.shape, lambda index: values.at(index).float())
    return values.float()
