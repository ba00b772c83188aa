"""A graph as an ONNX file."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import onnx
import torch

from centertrack_ros.model_spec import ModelSpec
from training.exporting.options import OnnxOptions
from training.exporting.preparation import (
    dynamic_shapes,
    example_batch,
    example_inputs,
    prepared_copy,
)
from training.models.alignment import aligned_copy
from training.models.exported_weights import record_weights
from training.models.graph import TrackerGraph

# Key of the metadata of a file under which the whole ModelSpec stands, as its JSON.
SPEC_KEY = 'model_spec'
DEFAULT_OPTIONS = OnnxOptions()


def export_onnx(
    graph: TrackerGraph, spec: ModelSpec, path: Path, options: OnnxOptions = DEFAULT_OPTIONS
) -> None:
    """Write `graph` at the size of `spec` or, if `adaptive`, at any size.

    Channels are padded for speed (`models.alignment`), and heads that are read at peaks alone
    are computed there alone (`models.cell_heads`). The metadata of the file have the ModelSpec
    and what `read_exported_weights` needs to undo the padding.
    """
    # What is no graph of ours, such as a test's, is exported as it is.
    ours = isinstance(graph, TrackerGraph)
    prepared = prepared_copy(graph, half=options.half) if ours else graph.eval()
    with warnings.catch_warnings():
        # The exporter warns of its own deprecated internals and of torchvision being absent.
        warnings.simplefilter('ignore')
        logging.getLogger('torch.onnx').setLevel(logging.ERROR)
        torch.onnx.export(
            aligned_copy(prepared),
            example_inputs(spec, example_batch(options.batch)),
            str(path),
            dynamo=True,
            external_data=False,
            opset_version=options.opset,
            input_names=graph.inputs,
            output_names=graph.outputs,
            dynamic_shapes=dynamic_shapes(spec, options.batch),
            verbose=False,
        )
    _drop_traces(path)
    properties = {SPEC_KEY: json.dumps(spec.to_dict(), ensure_ascii=False)}
    record_weights(path, graph.state_dict(), properties)


def _drop_traces(path: Path) -> None:
    """Take out what tells where on this machine each node was written: half a megabyte."""
    model = onnx.load(path)
    parts = [model.graph, *model.graph.node, *model.graph.value_info]
    for part in (*parts, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ''
    onnx.save(model, path)


def read_spec(path: Path) -> ModelSpec:
    """The ModelSpec in the metadata of an exported file.

    Raises:
        ValueError: the file has none, or none that is valid.
    """
    model = onnx.load(path, load_external_data=False)
    for entry in model.metadata_props:
        if entry.key == SPEC_KEY:
            return ModelSpec.from_dict(json.loads(entry.value))
    raise ValueError(f'{path}: expected a ModelSpec in the metadata under {SPEC_KEY!r}')
