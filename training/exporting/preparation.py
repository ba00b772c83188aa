"""The graph as it is exported: the same function, in a form that runtimes compute fast."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from centertrack_ros.engines.base import expected_inputs
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import SIZE_MULTIPLE
from training.models.cell_heads import with_cell_heads
from training.models.deformable import DeformableConv2d
from training.models.graph import TrackerGraph

# Largest number of images in one call of a file that takes any number.
MAX_BATCH = 64


def prepared_copy(graph: TrackerGraph, *, half: bool = False) -> TrackerGraph:
    """A copy of `graph` whose heads are computed at the peaks only.

    Args:
        graph: in evaluation mode afterwards, else untouched.
        half: compute in float16, but for the places of deformable samples.
    """
    result = copy.copy(graph.eval())
    result._modules = dict(graph._modules)
    # Votes are read at nine times as many cells.
    dense = ('ltrb',) if graph.rules.box_votes else ()
    result.network = with_cell_heads(graph.network, dense)
    if half:
        result.network.half()
        for layer in result.network.modules():
            if isinstance(layer, DeformableConv2d):
                layer.conv_offset_mask.float()
        result.dtype = torch.float16
    return result


def example_inputs(spec: ModelSpec, batch: int = 1) -> tuple[Tensor, ...]:
    """Black images and an empty prior heatmap, as the model takes them."""
    return tuple(
        torch.zeros((batch, *shape[1:]), dtype=torch.uint8 if name != 'prior_heatmap' else None)
        for name, (_, shape) in expected_inputs(spec).items()
    )


def dynamic_shapes(spec: ModelSpec, batch: int | None) -> tuple[tuple[dict[int, Any], ...]] | None:
    """Which sizes of the inputs vary, for the arguments `*inputs` of the graph.

    Args:
        spec: `adaptive` models take images of any size.
        batch: images per call; None: any number.
    """
    image: dict[int, Any] = {}
    prior: dict[int, Any] = {}
    if batch is None:
        image[0] = prior[0] = torch.export.Dim('batch', max=MAX_BATCH)
    if spec.resize == 'adaptive':
        # Names of the dimensions in the file; multiples, or the graph would check and round.
        rows, columns = torch.export.Dim('rows', max=4096), torch.export.Dim('columns', max=4096)
        image |= {1: SIZE_MULTIPLE * rows, 2: SIZE_MULTIPLE * columns}
        multiple = SIZE_MULTIPLE // spec.prior_heatmap_stride
        prior |= {2: multiple * rows, 3: multiple * columns}
    if not image:
        return None
    return (tuple(prior if name == 'prior_heatmap' else image for name in expected_inputs(spec)),)


def example_batch(batch: int | None) -> int:
    """Images of the example to trace; of a batch of one, PyTorch would take it as fixed."""
    return 2 if batch is None else batch
