"""Weights of TensorFlow.js graph models, with json and numpy alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def read_graph_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """Tensor name -> values.

    Args:
        path: JSON of the graph model; its weights lie beside it, in one file of the same name
            that ends in `.bin`.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the manifest and the size of the binary file disagree.
    """
    manifest = json.loads(path.read_text())['weightsManifest']
    binary = path.with_suffix('.bin')
    data = binary.read_bytes()
    weights, offset = {}, 0
    for entry in (entry for group in manifest for entry in group['weights']):
        stored = np.dtype(entry.get('quantization', entry)['dtype'])
        count = int(np.prod(entry['shape'], dtype=np.int64))
        if offset + count * stored.itemsize > len(data):
            raise ValueError(f'{binary.name} ends within {entry["name"]}: {len(data)} bytes')
        values = np.frombuffer(data, stored, count, offset).reshape(entry['shape'])
        weights[entry['name']] = values.astype(np.float32)
        offset += count * stored.itemsize
    if offset != len(data):
        raise ValueError(f'{binary.name}: expected {offset} bytes, received {len(data)}')
    return weights


def convolution_kernel(values: NDArray[np.float32], *, depthwise: bool = False) -> Tensor:
    """TensorFlow's HWIO, or HWC1 where `depthwise`, as PyTorch's OIHW or C1HW."""
    return torch.from_numpy(values.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1)).copy())
