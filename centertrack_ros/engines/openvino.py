"""OpenVINO, an optional extra: often the fastest engine on Intel and AMD processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.datatypes import Candidates, FloatArray, Image
from centertrack_ros.engines.base import (
    candidates_from_outputs,
    check_inputs,
    check_outputs,
    expected_inputs,
    expected_outputs,
)
from centertrack_ros.model_spec import ModelSpec


class OpenVinoEngine:
    """Runs an exported `.onnx` file; see `engines.base.Engine` for the contract."""

    def __init__(self, model_path: Path, spec: ModelSpec, *, device: str, threads: int) -> None:
        """Load and compile the model.

        Args:
            model_path: `.onnx` file.
            spec: ModelSpec that lies beside it.
            device: `auto` or `cpu`.
            threads: CPU threads, 0 = all cores.

        Raises:
            ImportError: openvino is not installed.
            ValueError: another device, no model, or not the one the spec describes.
        """
        if device not in ('auto', 'cpu'):
            raise ValueError(f'engine openvino: expected device auto or cpu, received {device!r}')
        try:
            import openvino
        except ImportError as error:
            raise ImportError(
                'engine openvino needs the package openvino (pip install openvino)'
            ) from error
        # Without the hint OpenVINO computes in bfloat16 on processors that can.
        settings: dict[str, Any] = {
            'INFERENCE_PRECISION_HINT': 'f32',
            'PERFORMANCE_HINT': 'LATENCY',
        }
        if threads:
            settings['INFERENCE_NUM_THREADS'] = threads
        try:
            model = openvino.Core().read_model(str(model_path))
            # Shapes and types are compared with the spec before anything is computed.
            _check_signature(model, spec, model_path)
            self._request: Any = openvino.compile_model(model, 'CPU', settings)
        except RuntimeError as error:
            raise ValueError(f'{model_path} cannot be loaded by OpenVINO: {error}') from error
        self._inputs, self._outputs = tuple(expected_inputs(spec)), expected_outputs(spec)
        self.device = 'cpu'
        self.name = f'openvino {openvino.__version__.split("-")[0]} (CPU, f32)'

    def run(self, image: Image, previous_image: Image, prior_heatmap: FloatArray) -> Candidates:
        """Run the graph; see `engines.base.Engine.run`."""
        given = {'image': image, 'previous_image': previous_image, 'prior_heatmap': prior_heatmap}
        results = self._request({name: given[name] for name in self._inputs})
        # The arrays are views of buffers that the next call overwrites.
        return candidates_from_outputs({name: np.array(results[name]) for name in self._outputs})

    def close(self) -> None:
        """Free the compiled model."""
        self._request = None


def _check_signature(model: Any, spec: ModelSpec, model_path: Path) -> None:
    found = {
        port.get_any_name(): (
            np.dtype(port.get_element_type().to_dtype()).name,
            _shape(port)[1:],
        )
        for port in model.inputs
    }
    check_inputs(found, spec, model_path)
    outputs = {port.get_any_name(): _shape(port) for port in model.outputs}
    check_outputs(outputs, spec, model_path)


def _shape(port: Any) -> tuple[int | None, ...]:
    return tuple(
        size.get_length() if size.is_static else None for size in port.get_partial_shape()
    )
