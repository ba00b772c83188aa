"""A graph as an exported program of PyTorch (`.pt2`), for `centertrack_ros.engines.pytorch`."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx

from centertrack_ros.model_spec import ModelSpec
from training.exporting.preparation import (
    dynamic_shapes,
    example_batch,
    example_inputs,
    prepared_copy,
)
from training.models.graph import TrackerGraph

# Extra files inside a program.
SPEC_FILE = 'model_spec.json'
NAMES_FILE = 'names.json'
_ATEN = torch.ops.aten


def export_program(
    graph: TrackerGraph, spec: ModelSpec, path: Path, batch: int | None = None
) -> None:
    """Write `graph` in float32 for `batch` images per call; None: any number.

    Its size is that of `spec` or, if `adaptive`, any. Batch norms are folded into the
    convolutions before them. The ModelSpec and the names of inputs and outputs lie inside.
    Which precision it computes in is up to who runs it: the casts at both ends of the network and
    round deformable sampling are a part of the program.
    """
    with warnings.catch_warnings(), torch.no_grad():
        # Of its own deprecated internals.
        warnings.simplefilter('ignore')
        program = torch.export.export(
            prepared_copy(graph),
            example_inputs(spec, example_batch(batch)),
            dynamic_shapes=dynamic_shapes(spec, batch),
            strict=False,
        )
        _remove_dtype_checks(program.graph)
        _fold_batch_norms(program)
        program.graph_module.recompile()
    names = {'inputs': list(graph.inputs), 'outputs': list(graph.outputs)}
    torch.export.save(
        program,
        str(path),
        extra_files={
            SPEC_FILE: json.dumps(spec.to_dict(), ensure_ascii=False),
            NAMES_FILE: json.dumps(names),
        },
    )


def _remove_dtype_checks(graph: fx.Graph) -> None:
    """Nothing may insist on float32 where an engine computes in less."""
    for node in list(graph.nodes):
        if node.target is _ATEN._assert_tensor_metadata.default:
            graph.erase_node(node)


def _fold_batch_norms(program: torch.export.ExportedProgram) -> None:
    """Replace each batch norm after a convolution by other weights of the convolution.

    Its shift takes the place of the convolution's bias, so that no parameter is added.
    """
    names = {
        **program.graph_signature.inputs_to_parameters,
        **program.graph_signature.inputs_to_buffers,
    }
    for norm in list(program.graph.nodes):
        if norm.target is not _ATEN.batch_norm.default:
            continue
        convolution = norm.args[0]
        if not _can_take(convolution, norm):
            continue
        keys = {key: names[node.name] for key, node in _tensors_of(convolution, norm).items()}
        state = program.state_dict
        values = {key: state[name] for key, name in keys.items()}
        scale = values['weight'] / torch.sqrt(values['variance'] + norm.args[7])
        bias = values.get('convolution_bias', torch.zeros_like(scale))
        _store(state, keys['convolution_weight'], values['convolution_weight'] * _column(scale))
        _store(state, keys['bias'], values['bias'] + (bias - values['mean']) * scale)
        inputs, weight, _, *options = (*convolution.args, None)[: max(3, len(convolution.args))]
        convolution.args = (inputs, weight, norm.args[2], *options)
        norm.replace_all_uses_with(convolution)
        program.graph.erase_node(norm)


def _can_take(convolution: Any, norm: fx.Node) -> bool:
    """Whether the weights of a node are its own, and nothing else reads its result."""
    if not isinstance(convolution, fx.Node) or convolution.target is not _ATEN.conv2d.default:
        return False
    own = [node for node in _tensors_of(convolution, norm).values() if isinstance(node, fx.Node)]
    return list(convolution.users) == [norm] and all(len(node.users) == 1 for node in own)


def _tensors_of(convolution: fx.Node, norm: fx.Node) -> dict[str, fx.Node]:
    found = {
        'convolution_weight': convolution.args[1],
        'convolution_bias': convolution.args[2] if len(convolution.args) > 2 else None,
        **dict(zip(('weight', 'bias', 'mean', 'variance'), norm.args[1:5], strict=True)),
    }
    return {key: node for key, node in found.items() if isinstance(node, fx.Node)}


def _column(scale: Tensor) -> Tensor:
    return scale[:, None, None, None]


def _store(state: dict[str, Any], name: str, values: Tensor) -> None:
    was = state[name]
    state[name] = torch.nn.Parameter(values) if isinstance(was, torch.nn.Parameter) else values
