"""Weights of a network from the ONNX file that `training.export` made of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor

from centertrack_ros.model_spec import ModelSpec

# Where the exported graph keeps its network (`models.graph.TrackerGraph`).
_PREFIX = 'network.'
# Where the file tells the shapes of weights that the export padded: JSON, name -> sizes.
_SHAPES = 'unpadded_shapes'
# Where it tells which weights it lacks, as others are equal: JSON, name -> name in the file.
_EQUAL = 'equal_weights'
# Where it tells which weights it lacks, as they are zero: JSON, name -> sizes.
_ZERO = 'zero_weights'


def record_weights(
    path: Path, weights: Mapping[str, Tensor], properties: Mapping[str, str] | None = None
) -> None:
    """Write into an exported file how its weights differ from those of the network.

    Some are larger, of equal ones the exporter keeps one, and of biases that are zero none.

    Args:
        path: `.onnx` file, replaced.
        weights: those of the graph before the export, by their names in the file.
        properties: what else its metadata shall hold.
    """
    model = onnx.load(path)
    shapes = {
        entry.name: list(weights[entry.name].shape)
        for entry in model.graph.initializer
        if entry.name in weights and list(weights[entry.name].shape) != list(entry.dims)
    }
    held = [entry.name for entry in model.graph.initializer if entry.name in weights]
    equal = {}
    for name in weights.keys() - set(held):
        same = (other for other in held if torch.equal(weights[name], weights[other]))
        if (other := next(same, None)) is not None:
            equal[name] = other
    absent = weights.keys() - set(held) - equal.keys()
    zero = {name: list(weights[name].shape) for name in absent if not weights[name].any()}
    own = {_SHAPES: json.dumps(shapes), _EQUAL: json.dumps(equal, sort_keys=True)}
    own[_ZERO] = json.dumps(zero, sort_keys=True)
    onnx.helper.set_model_props(model, {**(properties or {}), **own})
    onnx.save(model, path)


def read_exported_model(path: Path) -> tuple[ModelSpec, dict[str, Tensor]]:
    """A model of `training.export`: what it is, and its weights (`read_exported_weights`).

    Raises:
        FileNotFoundError: the file, or the ModelSpec beside it, does not exist.
        ValueError: it is no such model.
    """
    return ModelSpec.load(path), read_exported_weights(path)


def read_exported_weights(path: Path) -> dict[str, Tensor]:
    """Name in the network -> values; heads that the graph does not need are not in the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such model.
    """
    try:
        model = onnx.load(path)
    except DecodeError as error:
        raise ValueError(f'{path}: expected an ONNX file: {error}') from error
    properties = {entry.key: entry.value for entry in model.metadata_props}
    shapes = json.loads(properties.get(_SHAPES, '{}'))
    weights = {
        entry.name.removeprefix(_PREFIX): _cropped(entry, shapes.get(entry.name, entry.dims))
        for entry in model.graph.initializer
        if entry.name.startswith(_PREFIX)
    }
    for name, other in json.loads(properties.get(_EQUAL, '{}')).items():
        if name.startswith(_PREFIX):
            weights[name.removeprefix(_PREFIX)] = weights[other.removeprefix(_PREFIX)].clone()
    for name, sizes in json.loads(properties.get(_ZERO, '{}')).items():
        if name.startswith(_PREFIX):
            weights[name.removeprefix(_PREFIX)] = torch.zeros(sizes)
    if not weights:
        raise ValueError(f'{path}: expected a model of training.export, found no weights of one')
    return weights


def _cropped(entry: onnx.TensorProto, shape: Iterable[int]) -> Tensor:
    values = numpy_helper.to_array(entry)[tuple(slice(size) for size in shape)]
    return torch.from_numpy(values.copy())
