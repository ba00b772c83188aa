"""ONNX Runtime: the portable default. CPU; CUDA where its provider is installed and works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.datatypes import Candidates, FloatArray, Image
from centertrack_ros.engines.base import OUTPUTS, candidates_from_outputs, expected_inputs
from centertrack_ros.model_spec import ModelSpec


class OnnxRuntimeEngine:
    """Runs an exported `.onnx` file; see `engines.base.Engine` for the contract."""

    def __init__(self, model_path: Path, spec: ModelSpec, *, device: str, threads: int) -> None:
        """Load the model.

        Args:
            model_path: `.onnx` file.
            spec: ModelSpec that lies beside it.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            threads: CPU threads, 0 = all cores.

        Raises:
            ImportError: onnxruntime is not installed.
            RuntimeError: the device asked for cannot be used.
            ValueError: the file is no model, or not the one the spec describes.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError(
                'engine onnxruntime needs the package onnxruntime (pip install onnxruntime, '
                'or onnxruntime-gpu for CUDA)'
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        providers = _providers(device, onnxruntime.get_available_providers())
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(model_path), options, providers=providers
            )
        except Exception as error:  # onnxruntime raises a dozen classes of its own
            raise ValueError(f'{model_path} cannot be loaded by ONNX Runtime: {error}') from error
        provider = self._session.get_providers()[0]
        if device.startswith('cuda') and provider == 'CPUExecutionProvider':
            raise RuntimeError(
                f'device {device!r} was asked for, but ONNX Runtime fell back to the CPU: its '
                'CUDA libraries could not be loaded (install onnxruntime-gpu, CUDA and cuDNN, '
                'or set device to cpu)'
            )
        _check_signature(self._session, spec, model_path)
        self.device = 'cpu' if provider == 'CPUExecutionProvider' else _cuda(device)
        self.name = f'onnxruntime {onnxruntime.__version__} ({provider})'

    def run(self, image: Image, previous_image: Image, prior_heatmap: FloatArray) -> Candidates:
        """Run the graph; see `engines.base.Engine.run`."""
        outputs = self._session.run(
            OUTPUTS,
            {'image': image, 'previous_image': previous_image, 'prior_heatmap': prior_heatmap},
        )
        return candidates_from_outputs(dict(zip(OUTPUTS, outputs, strict=True)))

    def close(self) -> None:
        """Free the session."""
        self._session = None


def _cuda(device: str) -> str:
    return device if ':' in device else 'cuda:0'


def _providers(device: str, available: list[str]) -> list[Any]:
    cpu: list[Any] = ['CPUExecutionProvider']
    if device == 'cpu':
        return cpu
    if 'CUDAExecutionProvider' not in available:
        if device.startswith('cuda'):
            raise RuntimeError(
                f'device {device!r}: this onnxruntime has only {available}; '
                'install onnxruntime-gpu or set device to cpu'
            )
        return cpu
    index = int(_cuda(device).split(':')[1]) if device.startswith('cuda') else 0
    return [('CUDAExecutionProvider', {'device_id': index}), *cpu]


def _check_signature(session: Any, spec: ModelSpec, model_path: Path) -> None:
    found = {entry.name: (entry.type, entry.shape[1:]) for entry in session.get_inputs()}
    types = {np.dtype(np.uint8): 'tensor(uint8)', np.dtype(np.float32): 'tensor(float)'}
    expected = {
        name: (types[np.dtype(dtype)], list(shape[1:]))
        for name, (dtype, shape) in expected_inputs(spec).items()
    }
    if found != expected:
        raise ValueError(
            f'{model_path} does not fit its ModelSpec: the spec says inputs {expected}, '
            f'the model has {found}'
        )
    outputs = {entry.name: entry.shape for entry in session.get_outputs()}
    if missing := sorted(set(OUTPUTS) - outputs.keys()):
        raise ValueError(f'{model_path}: outputs {missing} are missing; it has {sorted(outputs)}')
    rows = outputs['scores'][1]
    if rows != spec.max_candidates:
        raise ValueError(
            f'{model_path}: the spec says {spec.max_candidates} candidates, the model gives {rows}'
        )
