"""Inference engines behind one contract, chosen by name, file and device."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

from centertrack_ros.engines.base import Engine
from centertrack_ros.model_spec import ModelSpec

_LOGGER = logging.getLogger(__name__)


def create_engine(
    model_path: Path, spec: ModelSpec, *, engine: str = 'auto', device: str = 'auto', threads: int
) -> Engine:
    """Build the engine called `engine`; each imports its library only when it is built.

    `auto` takes ONNX Runtime, which runs everywhere, and OpenVINO where only that is installed.

    Args:
        model_path: exported model.
        spec: ModelSpec that lies beside it.
        engine: `auto`, `onnxruntime` or `openvino`.
        device: `auto`, `cpu`, `cuda[:N]` or `tensorrt[:N]`.
        threads: CPU threads, 0 = all cores.

    Raises:
        ImportError: the library is missing; the message names the package to install.
        RuntimeError: the device cannot be used.
        ValueError: unknown engine, or model and spec do not fit.
    """
    if engine == 'auto':
        engine = _choose()
    built: Engine
    if engine == 'onnxruntime':
        from centertrack_ros.engines.onnxruntime import OnnxRuntimeEngine

        built = OnnxRuntimeEngine(model_path, spec, device=device, threads=threads)
    elif engine == 'openvino':
        from centertrack_ros.engines.openvino import OpenVinoEngine

        built = OpenVinoEngine(model_path, spec, device=device, threads=threads)
    else:
        raise ValueError(f'engine: expected auto, onnxruntime or openvino, received {engine!r}')
    _LOGGER.info('engine %s on %s', built.name, built.device)
    return built


def _choose() -> str:
    for name in ('onnxruntime', 'openvino'):
        if importlib.util.find_spec(name) is not None:
            _LOGGER.info('engine auto: %s is installed', name)
            return name
    raise ImportError('no inference library is installed: pip install onnxruntime')
