"""ONNX Runtime: the portable default. CPU; CUDA and TensorRT where their providers work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from centertrack_ros.datatypes import Candidates, FloatArray, Image
from centertrack_ros.engines.base import (
    candidates_from_outputs,
    check_inputs,
    check_outputs,
    expected_inputs,
    expected_outputs,
)
from centertrack_ros.model_spec import ModelSpec

_CPU_PROVIDER = 'CPUExecutionProvider'
_NUMPY_NAMES = {'tensor(uint8)': 'uint8', 'tensor(float)': 'float32'}
_GPU_PROVIDERS = {'cuda': 'CUDAExecutionProvider', 'tensorrt': 'TensorrtExecutionProvider'}


class OnnxRuntimeEngine:
    """Runs an exported `.onnx` file; see `engines.base.Engine` for the contract."""

    def __init__(self, model_path: Path, spec: ModelSpec, *, device: str, threads: int) -> None:
        """Load the model.

        Args:
            model_path: `.onnx` file.
            spec: ModelSpec that lies beside it.
            device: `auto`, `cpu`, `cuda[:N]` or `tensorrt[:N]`.
            threads: CPU threads, 0 = all cores.

        Raises:
            ImportError: onnxruntime is not installed.
            RuntimeError: the device asked for cannot be used.
            ValueError: no such device, or the file is not the model that the spec describes.
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
        kind, _, index = device.partition(':')
        if provider != _GPU_PROVIDERS.get(kind, provider):
            raise RuntimeError(
                f'device {device!r} was asked for, but ONNX Runtime fell back to {provider}: the '
                'libraries of the other could not be loaded (install onnxruntime-gpu, CUDA, cuDNN '
                'and for tensorrt TensorRT, or set device to cpu)'
            )
        _check_signature(self._session, spec, model_path)
        self._inputs, self._outputs = tuple(expected_inputs(spec)), expected_outputs(spec)
        self.device = 'cpu' if provider == _CPU_PROVIDER else f'cuda:{index or 0}'
        self.name = f'onnxruntime {onnxruntime.__version__} ({provider})'

    def run(self, image: Image, previous_image: Image, prior_heatmap: FloatArray) -> Candidates:
        """Run the graph; see `engines.base.Engine.run`."""
        given = {'image': image, 'previous_image': previous_image, 'prior_heatmap': prior_heatmap}
        outputs = self._session.run(self._outputs, {name: given[name] for name in self._inputs})
        return candidates_from_outputs(dict(zip(self._outputs, outputs, strict=True)))

    def close(self) -> None:
        """Free the session."""
        self._session = None


def _providers(device: str, available: list[str]) -> list[Any]:
    """What to run on, best first; all that the first cannot do goes to the next."""
    kind, _, index = device.partition(':')
    if kind not in ('auto', 'cpu', *_GPU_PROVIDERS) or not (index or '0').isdigit():
        raise ValueError(
            'device: expected auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N, '
            f'received {device!r}'
        )
    if kind == 'cpu' or (kind == 'auto' and _GPU_PROVIDERS['cuda'] not in available):
        return [_CPU_PROVIDER]
    wanted = ['cuda'] if kind == 'auto' else [kind]
    if kind == 'tensorrt':
        wanted.append('cuda')
    missing = [name for name in wanted if _GPU_PROVIDERS[name] not in available]
    if missing:
        raise RuntimeError(
            f'device {device!r}: this onnxruntime has only {available}; '
            'install onnxruntime-gpu or set device to cpu'
        )
    options = {'device_id': int(index or 0)}
    return [*((_GPU_PROVIDERS[name], options) for name in wanted), _CPU_PROVIDER]


def _check_signature(session: Any, spec: ModelSpec, model_path: Path) -> None:
    found = {
        entry.name: (
            _NUMPY_NAMES.get(entry.type, entry.type),
            # Sizes that may vary have names instead.
            tuple(size if isinstance(size, int) else None for size in entry.shape[1:]),
        )
        for entry in session.get_inputs()
    }
    check_inputs(found, spec, model_path)
    outputs = {entry.name: tuple(entry.shape) for entry in session.get_outputs()}
    check_outputs(outputs, spec, model_path)
