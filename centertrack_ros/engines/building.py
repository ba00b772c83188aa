"""A named engine from its class, whose module is imported only then."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path

from centertrack_ros.engines.base import Engine
from centertrack_ros.model_spec import ModelSpec

_LOGGER = logging.getLogger(__name__)
_CLASSES = {
    'onnxruntime': ('centertrack_ros.engines.onnxruntime', 'OnnxRuntimeEngine'),
    'openvino': ('centertrack_ros.engines.openvino', 'OpenVinoEngine'),
    'tensorrt': ('centertrack_ros.engines.tensorrt', 'TensorRtEngine'),
    'pytorch': ('centertrack_ros.engines.pytorch', 'PyTorchEngine'),
}
ENGINES = tuple(_CLASSES)


def build_engine(
    model_path: Path,
    spec: ModelSpec,
    *,
    engine: str,
    device: str,
    precision: str,
    threads: int,
) -> Engine:
    """Build the engine called `engine`; see `engines.create_engine`, which also knows `auto`."""
    if engine not in _CLASSES:
        raise ValueError(f'engine: expected one of {["auto", *ENGINES]}, received {engine!r}')
    module, name = _CLASSES[engine]
    build = getattr(importlib.import_module(module), name)
    built: Engine = build(model_path, spec, device=device, precision=precision, threads=threads)
    _LOGGER.info('engine %s on %s', built.name, built.device)
    return built
