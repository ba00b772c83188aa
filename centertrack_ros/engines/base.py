"""The contract that every inference engine fulfils."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import Candidates, FloatArray, Image
from centertrack_ros.model_spec import ModelSpec

OUTPUTS = ['scores', 'classes', 'cells', 'boxes', 'tracking']


class Engine(Protocol):
    """Runs one exported graph. Built by `engines.create_engine`, used by one thread at a time.

    Attributes:
        name: library, version and provider, for people.
        device: `cpu` or `cuda:N`.
    """

    name: str
    device: str

    def run(self, image: Image, previous_image: Image, prior_heatmap: FloatArray) -> Candidates:
        """Run the network and the decoding that is part of its graph.

        Args:
            image: (B, H, W, 3) uint8 BGR, C-contiguous, the size given by ModelSpec.
            previous_image: same shape and type; on the first frame the image itself.
            prior_heatmap: (B, 1, H/p, W/p) float32 in [0, 1], p = `prior_heatmap_stride`.
        """

    def close(self) -> None:
        """Free what the engine holds; it cannot be used afterwards."""


def expected_inputs(spec: ModelSpec) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    """Type and shape (batch of 1) of every input of a model with this spec."""
    image = (1, spec.input_height, spec.input_width, 3)
    return {
        'image': (np.uint8, image),
        'previous_image': (np.uint8, image),
        'prior_heatmap': (np.float32, (1, 1, *spec.prior_heatmap_shape)),
    }


def check_inputs(
    found: Mapping[str, tuple[str, tuple[int, ...]]], spec: ModelSpec, model_path: Path
) -> None:
    """Make sure that a model takes what its spec says.

    Args:
        found: input name -> NumPy name of its type, and its shape without the batch.
        spec: ModelSpec that lies beside the model.
        model_path: for the message.

    Raises:
        ValueError: they differ; the message has both.
    """
    expected = {
        name: (np.dtype(dtype).name, shape[1:])
        for name, (dtype, shape) in expected_inputs(spec).items()
    }
    if found != expected:
        raise ValueError(
            f'{model_path} does not fit its ModelSpec: the spec says inputs {expected}, '
            f'the model has {found}'
        )


def candidates_from_outputs(outputs: Mapping[str, NDArray[Any]]) -> Candidates:
    """Give the arrays of a graph, by the names in `OUTPUTS`, the types of `Candidates`."""
    return Candidates(
        scores=outputs['scores'].astype(np.float32, copy=False),
        classes=outputs['classes'].astype(np.int64, copy=False),
        cells=outputs['cells'].astype(np.float32, copy=False),
        boxes=outputs['boxes'].astype(np.float32, copy=False),
        tracking=outputs['tracking'].astype(np.float32, copy=False),
    )
