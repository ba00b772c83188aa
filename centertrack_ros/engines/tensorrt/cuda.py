"""CUDA through cuda-bindings: errors as exceptions, and the GPU that a device name means."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from centertrack_ros.engines.base import parse_device


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU.

    Attributes:
        index: of the device in this process.
        name: its product name.
        capability: compute capability, 86 for 8.6.
    """

    index: int
    name: str
    capability: int

    @property
    def text(self) -> str:
        """Name and compute capability, which tell GPUs apart that need engines of their own."""
        return f'{self.name} sm{self.capability}'


def cuda_runtime() -> Any:
    """The module `cuda.bindings.runtime`.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return importlib.import_module('cuda.bindings.runtime')
    except ImportError as error:
        raise ImportError(
            'engine tensorrt needs the package cuda-bindings, of the major version of the CUDA '
            "driver (pip install cuda-bindings, or 'cuda-bindings<13' for CUDA 12)"
        ) from error


def check(result: tuple[Any, ...]) -> Any:
    """What a call of cuda-bindings returned, without the error code in front.

    Raises:
        RuntimeError: the code says that it failed; the message has its name and meaning.
    """
    error, *values = result
    if int(error):
        meaning = cuda_runtime().cudaGetErrorString(error)[1]
        raise RuntimeError(f'CUDA: {error.name}: {meaning.decode()}')
    return values[0] if len(values) == 1 else tuple(values)


def find_gpu(device: str) -> Gpu:
    """The GPU called `auto` (the first), `cuda` or `cuda:N`.

    Raises:
        ImportError: cuda-bindings is not installed.
        RuntimeError: there is no such GPU or no driver.
        ValueError: not the name of a GPU.
    """
    _, index = parse_device(device, ('auto', 'cuda'))
    runtime = cuda_runtime()
    try:
        count = check(runtime.cudaGetDeviceCount())
    except RuntimeError as error:
        raise RuntimeError(
            f'device {device!r}: engine tensorrt needs an NVIDIA GPU with its driver ({error}); '
            'set engine to onnxruntime or openvino to run on the CPU'
        ) from error
    if index >= count:
        raise RuntimeError(f'device {device!r}: this machine has {count} GPUs, cuda:0 first')
    properties = check(runtime.cudaGetDeviceProperties(index))
    name = properties.name.decode() if isinstance(properties.name, bytes) else properties.name
    return Gpu(index, name.strip('\0 '), 10 * properties.major + properties.minor)
