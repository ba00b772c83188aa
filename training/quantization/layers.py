"""What of an exported graph may be computed in INT8: the network, by its layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import ModelProto, NodeProto, TensorProto

# Operators with weights.
WEIGHTED = ('Conv', 'ConvTranspose', 'Gemm', 'MatMul')
# Operators that runtimes compute on whole numbers; others between them stay in float.
# Not Resize: both runtimes compute it in float, and what follows rounds once less.
QUANTIZED = (*WEIGHTED, 'Add', 'Mul', 'Concat', 'Relu', 'Clip', 'MaxPool', 'AveragePool',
             'GlobalAveragePool')  # fmt: skip
# Operator -> its inputs that are positions: 8 bits do not hold a fraction of a cell.
_POSITIONS = {'GridSample': (1,), 'DeformConv': (2,)}
# Where the exported graph keeps its network (`models.graph.TrackerGraph`).
_PREFIX = 'network.'


@dataclass(frozen=True)
class Layer:
    """Nodes that are quantised, or not, together.

    Attributes:
        name: of the module in the network, such as `blocks.3`.
        nodes: names of its nodes that may be quantised.
        multiplications: output of each node with weights -> multiplications for each of its
            values.
    """

    name: str
    nodes: tuple[str, ...]
    multiplications: Mapping[str, float]


def find_layers(model: ModelProto) -> list[Layer]:
    """The layers that may be quantised, in the order of the graph.

    A node may be if it has weights, or has nodes with weights before and after it: so
    normalisation and decoding stay in float, with the heads that are computed at the decoded
    cells only (`models.cell_heads`), which is little work. So does what gives positions to
    deformable convolutions, back to the convolution that it comes from, and what reads an input
    that is no image (the prior heatmap), with what it is merged with.

    Args:
        model: of `training.export`; every node has a name of its own.

    Raises:
        ValueError: no node has weights.
    """
    graph = model.graph
    sizes = {entry.name: tuple(entry.dims) for entry in graph.initializer}
    producers = {output: node for node in graph.node for output in node.output}
    decoded = _reached(graph.node, [node for node in graph.node if node.op_type == 'TopK'])
    weighted = [node for node in graph.node if _weight(node, sizes) and node.name not in decoded]
    if not weighted:
        raise ValueError('expected an exported network, found no convolution with weights in it')
    after = _reached(graph.node, weighted)
    before = _reaching(graph.node, weighted)
    floating = _positions(graph.node, producers, sizes) | _merges(model) | decoded
    nodes: dict[str, list[str]] = {}
    work: dict[str, dict[str, float]] = {}
    # Tensor -> name of the layer that it comes from.
    origin: dict[str, str] = {}
    for node in graph.node:
        weight = _weight(node, sizes)
        if weight:
            name = _module_of(weight)
        else:
            name = next((origin[x] for x in reversed(node.input) if x in origin), '')
        origin.update(dict.fromkeys(node.output, name) if name else {})
        inside = bool(weight) or (node.name in after and node.name in before)
        if not inside or node.op_type not in QUANTIZED or node.name in floating:
            continue
        nodes.setdefault(name, []).append(node.name)
        if weight:
            work.setdefault(name, {})[node.output[0]] = _products(node, sizes[weight])
    return [Layer(name, tuple(found), work.get(name, {})) for name, found in nodes.items()]


def pixel_tensors(model: ModelProto) -> dict[str, str]:
    """Tensors that are an image in another order or type -> that input."""
    found = {
        entry.name: entry.name
        for entry in model.graph.input
        if entry.type.tensor_type.elem_type == TensorProto.UINT8
    }
    for node in model.graph.node:
        if node.op_type in ('Cast', 'Transpose') and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def load_graph(path: Path) -> ModelProto:
    """The model, in which each node with weights has its own.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no ONNX file, is quantised already, or has nodes without a name.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: expected an .onnx of training.export')
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's class of it depends on its implementation
        raise ValueError(f'{path}: expected an ONNX file: {error}') from error
    if any(node.op_type == 'DequantizeLinear' for node in model.graph.node):
        raise ValueError(f'{path} is quantised already: give the model that it was made from')
    names = [node.name for node in model.graph.node]
    if not all(names) or len(set(names)) != len(names):
        raise ValueError(
            f'{path}: expected nodes with names of their own, as training.export does'
        )
    _unshare(model)
    return model


def _unshare(model: ModelProto) -> None:
    """Give each node with weights its own: the exporter keeps one of equal ones.

    The scale of a quantised bias depends on the node.
    """
    constants = {entry.name: entry for entry in model.graph.initializer}
    seen: set[str] = set()
    for node in model.graph.node:
        if node.op_type not in WEIGHTED:
            continue
        for index, name in enumerate(node.input):
            if name in seen and name in constants:
                copy = model.graph.initializer.add()
                copy.CopyFrom(constants[name])
                copy.name = node.input[index] = f'{name}_of_{node.name}'
            seen.add(name)


def _products(node: NodeProto, sizes: tuple[int, ...]) -> float:
    """Multiplications for each value that a node with such weights gives."""
    # Weights are (out, in, ...) of a convolution, (in, out / groups, ...) of a transposed one.
    outputs = sizes[0]
    if node.op_type != 'Conv':
        group = next((entry.i for entry in node.attribute if entry.name == 'group'), 1)
        outputs = sizes[1] * group
    return math.prod(sizes) / outputs


def _merges(model: ModelProto) -> set[str]:
    """Names of nodes that read float inputs of the graph, and of those that read their output."""
    inputs = {
        entry.name
        for entry in model.graph.input
        if entry.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    first = [node for node in model.graph.node if inputs.intersection(node.input)]
    outputs = {name for node in first for name in node.output}
    second = [node for node in model.graph.node if outputs.intersection(node.input)]
    return {node.name for node in (*first, *second)}


def _weight(node: NodeProto, sizes: Mapping[str, tuple[int, ...]]) -> str:
    """Name of the weights of a node, '' where it has none."""
    if node.op_type not in WEIGHTED or node.input[1] not in sizes:
        return ''
    return str(node.input[1])


def _module_of(weight: str) -> str:
    """`network.blocks.3.expand.weight` -> `blocks.3`."""
    parts = weight.removeprefix(_PREFIX).removesuffix('.weight').split('.')
    return '.'.join(parts[:-1]) or parts[0]


def _reached(nodes: Iterable[NodeProto], starts: list[NodeProto]) -> set[str]:
    """Names of nodes behind one of `starts`."""
    found: set[str] = set()
    tensors = {output for node in starts for output in node.output}
    for node in nodes:
        if tensors.intersection(node.input):
            found.add(node.name)
            tensors.update(node.output)
    return found


def _reaching(nodes: Iterable[NodeProto], ends: list[NodeProto]) -> set[str]:
    """Names of nodes in front of one of `ends`."""
    found: set[str] = set()
    tensors = {name for node in ends for name in node.input}
    for node in reversed(list(nodes)):
        if tensors.intersection(node.output):
            found.add(node.name)
            tensors.update(node.input)
    return found


def _positions(
    nodes: Iterable[NodeProto],
    producers: Mapping[str, NodeProto],
    sizes: Mapping[str, tuple[int, ...]],
) -> set[str]:
    """Names of nodes that give positions, back to the first with weights."""
    found: set[str] = set()
    waiting = [node.input[index] for node in nodes for index in _POSITIONS.get(node.op_type, ())]
    while waiting:
        node = producers.get(waiting.pop())
        if node is None or node.name in found:
            continue
        found.add(node.name)
        if not _weight(node, sizes):
            waiting.extend(node.input)
    return found
