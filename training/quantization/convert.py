"""Full precision to Q/DQ by ONNX Runtime's quantiser, and back to float layer by layer."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper
from onnxruntime.quantization import (
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.calibrate import TensorData, TensorsData, save_tensors_data

from training.quantization.layers import QUANTIZED, WEIGHTED, pixel_tensors
from training.quantization.ranges import Range

# `cpu`: uint8 activations, ONNX Runtime and OpenVINO. `tensorrt`: symmetric int8, float bias.
Target = Literal['cpu', 'tensorrt']


def quantize(
    model: ModelProto, nodes: Collection[str], ranges: Mapping[str, Range], target: Target
) -> ModelProto:
    """A copy of the model with Q/DQ pairs around the nodes, weights per output channel.

    Args:
        model: full precision.
        nodes: names of nodes to quantise.
        ranges: of every tensor that they read and write.
        target: what it is for.
    """
    if not nodes:
        # For the quantiser an empty list means all.
        copy = ModelProto()
        copy.CopyFrom(model)
        return copy
    symmetric = target == 'tensorrt'
    options: dict[str, Any] = {
        'WeightSymmetric': True,
        'ActivationSymmetric': symmetric,
        # Removed, they could not be brought back with a layer.
        'QDQKeepRemovableActivations': True,
        # TensorRT's parser refuses the int32 of a quantised bias.
        'QuantizeBias': not symmetric,
    }
    source = ModelProto()
    source.CopyFrom(model)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        cache, output = Path(folder) / 'ranges.json', Path(folder) / 'quantized.onnx'
        save_tensors_data(_tensors_data(ranges), cache)
        quantize_static(
            source,
            output,
            None,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=list(nodes),
            calibrate_method=CalibrationMethod.MinMax,
            extra_options=options,
            calibration_cache_path=cache,
        )
        return onnx.load(output)


def with_int8_nodes(
    model: ModelProto,
    quantized: ModelProto,
    nodes: Collection[str],
    *,
    outputs: bool,
) -> ModelProto:
    """A copy of the quantised model in which only some nodes compute in INT8.

    Args:
        model: full precision.
        quantized: what `quantize` made of it.
        nodes: names of those nodes.
        outputs: whether nodes with weights also write 8 bits where float follows. ONNX Runtime
            needs that to compute them in INT8; OpenVINO and TensorRT lose by it.
    """
    result = ModelProto()
    result.CopyFrom(quantized)
    graph = result.graph
    kept = _kept_pairs(model, set(nodes), outputs)
    quantizers = {node.output[0]: node for node in graph.node if node.op_type == 'QuantizeLinear'}
    # Output of a DequantizeLinear -> what is read instead of it.
    plain: dict[str, str] = {}
    constants = {entry.name for entry in model.graph.initializer}
    weights = {
        name
        for node in model.graph.node
        if node.name in nodes and node.op_type in WEIGHTED
        for name in node.input[1:]
        if name in constants
    }
    for node in graph.node:
        if node.op_type != 'DequantizeLinear':
            continue
        tensor = _dequantized(node, quantizers)
        if tensor not in kept and tensor not in weights:
            plain[node.output[0]] = tensor
    left = [node for node in graph.node if not plain.keys() & set(node.output)]
    for node in left:
        for index, name in enumerate(node.input):
            node.input[index] = plain.get(name, name)
    exact = {
        entry.name
        for entry in quantized.graph.initializer
        if entry.data_type == TensorProto.UINT8 and not numpy_helper.to_array(entry).any()
    }
    left = _read_pixels(model, left, quantizers, exact)
    return _without_unused(result, left, model)


def _read_pixels(
    model: ModelProto,
    nodes: list[NodeProto],
    quantizers: Mapping[str, NodeProto],
    exact: Collection[str],
) -> list[NodeProto]:
    """The nodes, with uint8 images (range 0 to 255) read as they are instead of through float.

    Args:
        model: full precision.
        nodes: of the quantised model.
        quantizers: output -> QuantizeLinear.
        exact: names of uint8 zero points of 0.
    """
    pixels = pixel_tensors(model)
    orders = {node.output[0]: node for node in model.graph.node if node.op_type == 'Transpose'}
    result: list[NodeProto] = []
    for node in nodes:
        quantizer = quantizers.get(node.input[0]) if node.op_type == 'DequantizeLinear' else None
        tensor = quantizer.input[0] if quantizer is not None else ''
        order = orders.get(tensor)
        if tensor in pixels and order is not None and node.input[2] in exact:
            copy = onnx.NodeProto()
            copy.CopyFrom(order)
            copy.name = f'{order.name}_uint8'
            copy.input[0], copy.output[0] = pixels[tensor], f'{tensor}_uint8'
            node.input[0] = copy.output[0]
            result.append(copy)
        result.append(node)
    return result


def _dequantized(node: NodeProto, quantizers: Mapping[str, NodeProto]) -> str:
    """Name in the full-precision model of what a DequantizeLinear gives."""
    producer = quantizers.get(node.input[0])
    if producer is not None:
        return str(producer.input[0])
    return str(node.input[0]).removesuffix('_quantized')


def _kept_pairs(model: ModelProto, nodes: Collection[str], outputs: bool) -> set[str]:
    """Tensors that pass a Q/DQ pair."""
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    kept: set[str] = set()
    for node in model.graph.node:
        if node.name not in nodes:
            continue
        kept.update(node.input)
        if outputs:
            kept.update(node.output)
    for node in model.graph.node:
        # One step with what follows it.
        behind = readers.get(node.output[0], [])
        if (
            node.op_type in (*WEIGHTED, 'Add')
            and len(behind) == 1
            and behind[0].op_type in ('Relu', 'Clip')
            and behind[0].name in nodes
        ):
            kept.discard(node.output[0])
    return kept


def _without_unused(result: ModelProto, nodes: list[NodeProto], model: ModelProto) -> ModelProto:
    """`result` with these nodes, less those that nobody reads; constants likewise."""
    wanted = {entry.name for entry in result.graph.output}
    left: list[NodeProto] = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            left.append(node)
            wanted.update(node.input)
    constants = {entry.name: entry for entry in result.graph.initializer}
    constants |= {
        entry.name: entry for entry in model.graph.initializer if entry.name not in constants
    }
    # A bias that is computed from its 8 bits keeps its name.
    wanted -= {name for node in left for name in node.output}
    copies = [
        onnx.TensorProto.FromString(entry.SerializeToString())
        for name, entry in constants.items()
        if name in wanted
    ]
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(left)]
    del result.graph.node[:], result.graph.initializer[:]
    result.graph.node.extend(nodes)
    result.graph.initializer.extend(copies)
    return result


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice to preprocess the model, which lasts no longer than this file."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _tensors_data(ranges: Mapping[str, Range]) -> TensorsData:
    return TensorsData(
        CalibrationMethod.MinMax,
        {
            name: TensorData(lowest=np.array(low, np.float32), highest=np.array(high, np.float32))
            for name, (low, high) in ranges.items()
        },
    )
