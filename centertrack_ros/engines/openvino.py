"""OpenVINO, an optional extra: often the fastest engine on Intel and AMD processors."""

from __future__ import annotations

import functools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.datatypes import Candidates, FloatArray, Image
from centertrack_ros.engines.base import (
    candidates_from_outputs,
    check_batch,
    check_inputs,
    check_outputs,
    expected_inputs,
    expected_outputs,
    named_inputs,
    parse_device,
)
from centertrack_ros.engines.files import check_precision, model_file
from centertrack_ros.model_spec import ModelSpec

# Of an int8 file, what is not quantised is computed in the first that the processor has.
_HINTS = {'fp32': ('f32',), 'bf16': ('bf16',), 'int8': ('bf16', 'f32')}
# Sizes and batches for which a compiled model is kept.
_KEPT_SIZES = 8


class OpenVinoEngine:
    """Runs an exported `.onnx` file; see `engines.base.Engine` for the contract.

    A model that takes any size is compiled for each size that comes (0.3 s for the default model,
    when the first image of a size arrives): 7 % faster in fp32 and 13 % in bf16 than one compiled
    for all sizes, measured on two cores.
    """

    def __init__(
        self,
        model_path: Path,
        spec: ModelSpec,
        *,
        device: str = 'auto',
        precision: str = 'auto',
        threads: int = 0,
    ) -> None:
        """Load and compile the model.

        Args:
            model_path: `.onnx` file of the fp32 model; the others lie beside it.
            spec: ModelSpec that lies beside it.
            device: `auto` or `cpu`.
            precision: `fp32`, `bf16`, `int8`, or `auto`: fp32.
            threads: CPU threads, 0 = all cores.

        Raises:
            FileNotFoundError: there is no file of that precision.
            ImportError: openvino is not installed.
            RuntimeError: the processor does not compute in that precision.
            ValueError: another device or precision, no model, or not the one the spec describes.
        """
        parse_device(device, ('auto', 'cpu'))
        check_precision(precision, ('auto', *_HINTS))
        try:
            import openvino
        except ImportError as error:
            raise ImportError(
                'engine openvino needs the package openvino (pip install openvino)'
            ) from error
        self.precision = 'fp32' if precision == 'auto' else precision
        self.device = 'cpu'
        self.name = f'openvino {openvino.__version__.split("-")[0]} (CPU, {self.precision})'
        self._path = model_file(model_path, precision=self.precision)
        self._core = _core()
        abilities = self._core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
        hints = [
            hint for hint in _HINTS[self.precision] if hint == 'f32' or hint.upper() in abilities
        ]
        if not hints:
            raise RuntimeError(
                f'precision bf16: this processor computes in {sorted(abilities)} only; '
                'set precision to fp32 or int8'
            )
        self._settings: dict[str, Any] = {
            # Without the hint OpenVINO computes in bfloat16 on processors that can.
            'INFERENCE_PRECISION_HINT': hints[0],
            # One request at a time: the other hint, THROUGHPUT, divides the cores among several.
            'PERFORMANCE_HINT': 'LATENCY',
        }
        if threads:
            self._settings['INFERENCE_NUM_THREADS'] = threads
        try:
            self._model: Any = self._core.read_model(str(self._path))
        except RuntimeError as error:
            raise ValueError(f'{self._path} cannot be loaded by OpenVINO: {error}') from error
        # Shapes and types are compared with the spec before anything is computed.
        self.max_batch = _check_signature(self._model, spec, self._path)
        self._inputs, self._outputs = tuple(expected_inputs(spec)), expected_outputs(spec)
        self._requests: OrderedDict[tuple[tuple[int, ...], ...], Any] = OrderedDict()
        shapes = (shape for _, shape in expected_inputs(spec).values())
        self._request(tuple((self.max_batch or 1, *shape[1:]) for shape in shapes))

    def run(self, image: Image, previous_image: Image, prior_heatmap: FloatArray) -> Candidates:
        """Run the graph; see `engines.base.Engine.run`."""
        check_batch(len(image), self.max_batch, self._path)
        inputs = named_inputs(self._inputs, image, previous_image, prior_heatmap)
        request = self._request(tuple(array.shape for array in inputs.values()))
        # The inputs are read where they lie; the outputs are copies, as the next call overwrites
        # the buffers.
        results = request.infer(inputs, share_inputs=True, share_outputs=False)
        return candidates_from_outputs({name: results[name] for name in self._outputs})

    def close(self) -> None:
        """Free the compiled models."""
        self._requests.clear()
        self._model = None

    def _request(self, shapes: tuple[tuple[int, ...], ...]) -> Any:
        """The model compiled for these shapes of its inputs."""
        if shapes in self._requests:
            self._requests.move_to_end(shapes)
            return self._requests[shapes]
        try:
            model = self._model
            if model.is_dynamic():
                model = model.clone()
                model.reshape(
                    {name: list(shape) for name, shape in zip(self._inputs, shapes, strict=True)}
                )
            compiled = self._core.compile_model(model, 'CPU', self._settings)
        except RuntimeError as error:
            raise ValueError(
                f'{self._path} cannot be compiled by OpenVINO for inputs of {shapes}: {error}'
            ) from error
        self._requests[shapes] = compiled.create_infer_request()
        if len(self._requests) > _KEPT_SIZES:
            self._requests.popitem(last=False)
        return self._requests[shapes]


@functools.cache
def _core() -> Any:
    """The library's state, one for all engines and for as long as the process lives.

    Its CPU plugin gives the thread that loads it a stack for signal handlers of its own, and
    unmaps that when it is dropped; dropped by another thread, as an engine may be, it leaves the
    first one to die of SIGSEGV at its next signal (seen with 2026.4).
    """
    import openvino

    return openvino.Core()


def _check_signature(model: Any, spec: ModelSpec, model_path: Path) -> int | None:
    """Compare with the spec; gives the batch size of the file, None if it takes any."""
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
    return _shape(model.inputs[0])[0]


def _shape(port: Any) -> tuple[int | None, ...]:
    return tuple(
        size.get_length() if size.is_static else None for size in port.get_partial_shape()
    )
