"""Weights of a network from the ONNX file that `training.export` made of it."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor

# Where the exported graph keeps its network (`models.graph.TrackerGraph`).
_PREFIX = 'network.'


def read_exported_weights(path: Path) -> dict[str, Tensor]:
    """Name in the network -> values; heads that the graph does not need are not in the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such model.
    """
    try:
        initializers = onnx.load(path).graph.initializer
    except DecodeError as error:
        raise ValueError(f'{path}: expected an ONNX file: {error}') from error
    weights = {
        entry.name.removeprefix(_PREFIX): torch.from_numpy(numpy_helper.to_array(entry).copy())
        for entry in initializers
        if entry.name.startswith(_PREFIX)
    }
    if not weights:
        raise ValueError(f'{path}: expected a model of training.export, found no weights of one')
    return weights
