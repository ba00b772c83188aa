"""ONNX Runtime: the portable default. CPU; CUDA and TensorRT where their providers work."""

from __future__ import annotations

import contextlib
import io
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from centertrack_ros.engines.binding import DeviceBinding
from centertrack_ros.engines.files import check_precision, model_file
from centertrack_ros.model_spec import ModelSpec

_LOGGER = logging.getLogger(__name__)
_CPU_PROVIDER = 'CPUExecutionProvider'
_GPU_PROVIDERS = {'cuda': 'CUDAExecutionProvider', 'tensorrt': 'TensorrtExecutionProvider'}
_NUMPY_NAMES = {'tensor(uint8)': 'uint8', 'tensor(float)': 'float32'}
_PRECISIONS = ('auto', 'fp32', 'fp16', 'int8')
# A GPU provider leaves the arithmetic of shapes to the CPU on purpose.
_SHAPE_OPERATIONS = frozenset(
    {
        *('Add', 'Cast', 'Concat', 'Constant', 'ConstantOfShape', 'Div', 'Equal', 'Expand'),
        *('Floor', 'Gather', 'Identity', 'Mod', 'Mul', 'Range', 'Reshape', 'Shape', 'Slice'),
        *('Squeeze', 'Sub', 'Unsqueeze', 'Where'),
    }
)


class OnnxRuntimeEngine:
    """Runs an exported `.onnx` file; see `engines.base.Engine` for the contract."""

    def __init__(
        self,
        model_path: Path,
        spec: ModelSpec,
        *,
        device: str = 'auto',
        precision: str = 'auto',
        threads: int = 0,
    ) -> None:
        """Load the model.

        Args:
            model_path: `.onnx` file of the fp32 model; the others lie beside it.
            spec: ModelSpec that lies beside it.
            device: `auto`, `cpu`, `cuda[:N]` or `tensorrt[:N]`.
            precision: `fp32`, `fp16`, `int8`, or `auto`: fp32 on the CPU; on a GPU fp16 where
                that file exists.
            threads: CPU threads, 0 = all cores.

        Raises:
            FileNotFoundError: there is no file of that precision.
            ImportError: onnxruntime is not installed.
            RuntimeError: the device asked for cannot be used.
            ValueError: no such device or precision, or the file is not the model that the spec
                describes.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError(
                'engine onnxruntime needs the package onnxruntime (pip install onnxruntime, '
                'or onnxruntime-gpu for CUDA)'
            ) from error
        check_precision(precision, _PRECISIONS)
        opened = _open(Path(model_path), device, precision, threads)
        session: Any = opened.session
        self._session, self._path = session, opened.path
        self.precision, self.device = opened.precision, opened.device
        self.max_batch = _check_signature(session, spec, opened.path)
        self._inputs, self._outputs = tuple(expected_inputs(spec)), expected_outputs(spec)
        self._binding: DeviceBinding | None = None
        if self.device != 'cpu':
            kind, index = parse_device(self.device, ('cuda',))
            self._binding = DeviceBinding(
                session, self._inputs, self._outputs, device=kind, index=index
            )
        provider = session.get_providers()[0]
        self.name = f'onnxruntime {onnxruntime.__version__} ({provider}, {self.precision})'

    def run(self, image: Image, previous_image: Image, prior_heatmap: FloatArray) -> Candidates:
        """Run the graph; see `engines.base.Engine.run`."""
        check_batch(len(image), self.max_batch, self._path)
        inputs = named_inputs(self._inputs, image, previous_image, prior_heatmap)
        if self._binding is not None:
            return candidates_from_outputs(self._binding.run(inputs))
        outputs = self._session.run(self._outputs, inputs)
        return candidates_from_outputs(dict(zip(self._outputs, outputs, strict=True)))

    def close(self) -> None:
        """Free the session."""
        self._session = self._binding = None


@dataclass(frozen=True)
class _Opened:
    session: Any
    path: Path
    precision: str
    device: str


def _open(model_path: Path, device: str, precision: str, threads: int) -> _Opened:
    """A session on the device asked for; on the CPU if `auto` finds nothing better."""
    asked, index = parse_device(device, ('auto', 'cpu', *_GPU_PROVIDERS))
    kind = _usable_kind(asked, device)
    if kind != 'cpu':
        path, computed_in = _file(model_path, kind, precision)
        complaints = _load_gpu_libraries()
        session = _session(path, kind, index, threads)
        provider = session.get_providers()[0]
        if provider == _GPU_PROVIDERS[kind]:
            _report_cpu_nodes(session, provider)
            if precision == 'auto' and computed_in == 'fp32':
                _LOGGER.warning('%s runs in fp32: %s', provider, _missing_half(model_path))
            return _Opened(session, path, computed_in, f'cuda:{index}')
        _report_fall_back(asked, device, _GPU_PROVIDERS[kind], complaints)
    path, computed_in = _file(model_path, 'cpu', precision)
    return _Opened(_session(path, 'cpu', 0, threads), path, computed_in, 'cpu')


def _usable_kind(asked: str, device: str) -> str:
    """`cpu`, `cuda` or `tensorrt`; `auto` is the GPU if this build of the library knows it."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if asked == 'auto':
        return 'cuda' if _GPU_PROVIDERS['cuda'] in available else 'cpu'
    if asked != 'cpu' and _GPU_PROVIDERS[asked] not in available:
        raise RuntimeError(
            f'device {device!r}: this onnxruntime has only {available}; '
            'install onnxruntime-gpu or set device to cpu'
        )
    return asked


def _file(model_path: Path, kind: str, precision: str) -> tuple[Path, str]:
    """File to load, and its precision."""
    if precision == 'auto' and kind != 'cpu':
        precision = 'fp32' if _missing_half(model_path) else 'fp16'
    precision = 'fp32' if precision == 'auto' else precision
    # NVIDIA's TensorRT takes no unsigned activations.
    return model_file(model_path, precision=precision, symmetric=kind == 'tensorrt'), precision


def _missing_half(model_path: Path) -> str:
    """Why there is no fp16, '' if there is."""
    try:
        model_file(model_path, precision='fp16')
    except FileNotFoundError as error:
        return str(error)
    return ''


def _load_gpu_libraries() -> str:
    """Load CUDA and cuDNN of pip packages, which are found no other way; gives the complaints."""
    import onnxruntime

    with contextlib.redirect_stdout(io.StringIO()) as output:
        onnxruntime.preload_dlls()
    lines = (line for line in output.getvalue().splitlines() if line.startswith('Failed'))
    return ', '.join(line.partition(': ')[0] for line in lines)


def _session(path: Path, kind: str, index: int, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    providers: list[Any] = [_CPU_PROVIDER]
    if kind != 'cpu':
        options.add_session_config_entry('session.record_ep_graph_assignment_info', '1')
        names = ['tensorrt', 'cuda'] if kind == 'tensorrt' else ['cuda']
        providers = [(_GPU_PROVIDERS[name], {'device_id': index}) for name in names] + providers
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime raises a dozen classes of its own
        raise ValueError(f'{path} cannot be loaded by ONNX Runtime: {error}') from error


def _report_fall_back(asked: str, device: str, provider: str, complaints: str) -> None:
    """ONNX Runtime itself goes on with the CPU and only prints a line."""
    text = (
        f'ONNX Runtime fell back from {provider} to the CPU: '
        f'{complaints or "it printed the reason above"} (install onnxruntime-gpu, CUDA, cuDNN and '
        'for tensorrt TensorRT, in the versions it asks for'
    )
    if asked != 'auto':
        raise RuntimeError(f'device {device!r} was asked for, but {text}; or set device to cpu)')
    _LOGGER.warning('device auto: %s; or set device to cpu to say that this is meant)', text)


def _report_cpu_nodes(session: Any, provider: str) -> None:
    """Say which operations a GPU provider could not take: each costs a copy to and fro."""
    nodes: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        if part.ep_name == _CPU_PROVIDER:
            nodes.update(node.op_type for node in part.get_nodes())
    if slow := {name: count for name, count in nodes.items() if name not in _SHAPE_OPERATIONS}:
        _LOGGER.warning('%s leaves these operations to the CPU, which is slow: %s', provider, slow)


def _check_signature(session: Any, spec: ModelSpec, model_path: Path) -> int | None:
    """Compare with the spec; gives the batch size of the file, None if it takes any."""
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
    batch = session.get_inputs()[0].shape[0]
    return batch if isinstance(batch, int) else None
