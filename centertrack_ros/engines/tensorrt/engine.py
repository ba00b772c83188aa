"""TensorRT behind the contract of all engines: the fastest on NVIDIA GPUs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.datatypes import Candidates, FloatArray, Image
from centertrack_ros.engines.base import (
    candidates_from_outputs,
    check_batch,
    expected_inputs,
    expected_outputs,
    named_inputs,
)
from centertrack_ros.engines.tensorrt.buffers import Stream
from centertrack_ros.engines.tensorrt.build import check_signature
from centertrack_ros.engines.tensorrt.cache import (
    kernels_path,
    read_engine,
    remove_engine,
)
from centertrack_ros.engines.tensorrt.cuda import check, cuda_runtime, find_gpu
from centertrack_ros.engines.tensorrt.library import (
    check_gpu,
    create_context,
    load_library,
    numpy_type,
)
from centertrack_ros.engines.tensorrt.plans import open_store
from centertrack_ros.engines.tensorrt.profiles import input_shapes
from centertrack_ros.engines.tensorrt.session import Session
from centertrack_ros.files import write_atomically
from centertrack_ros.model_spec import ModelSpec

_LOGGER = logging.getLogger(__name__)
# Input shapes whose buffers and graphs are kept; the one unused for longest makes room.
_MOST_SESSIONS = 4


class TensorRtEngine:
    """Runs an exported model on an NVIDIA GPU; see `engines.base.Engine` for the contract.

    A call whose `previous_image` is the very array that was `image` in the call before finds it
    on the GPU: callers must not write to arrays that they have passed. Input shapes may change
    between calls; the first call with a new shape takes longer, and where no engine takes that
    shape, one is built (see docs/tensorrt.md to build it ahead of time).
    """

    def __init__(
        self, model_path: Path, spec: ModelSpec, *, device: str, precision: str, threads: int
    ) -> None:
        """Load an engine from the cache, or build one, which takes up to some minutes.

        Args:
            model_path: fp32 `.onnx` file; those of the other precisions lie beside it.
            spec: ModelSpec that lies beside it.
            device: `auto` or `cuda[:N]`.
            precision: `auto` (fp16 where there is a file of it), `fp32`, `fp16` or `int8`.
            threads: of no use here.

        Raises:
            FileNotFoundError: no file of that precision; the message has how to make it.
            ImportError: TensorRT or cuda-bindings is not installed.
            RuntimeError: no usable GPU, or the build failed.
            ValueError: no such device or precision, or TensorRT cannot read the model, or it is
                not what the spec describes.
        """
        del threads
        self._library = load_library()
        self._gpu = find_gpu(device)
        check_gpu(self._library, self._gpu.capability, self._gpu.name)
        self._spec = spec
        self._inputs, self._outputs = tuple(expected_inputs(spec)), expected_outputs(spec)
        self._store, self.precision = open_store(
            model_path, spec, precision=precision, gpu=self._gpu, library=self._library
        )
        self._runtime: Any = self._library.module.Runtime(self._library.logger)
        self._select_gpu()
        self._stream: Stream | None = Stream()
        self._sessions: dict[tuple[int, ...], Session] = {}
        self._engines: dict[Path, Any] = {}
        _, engine = self._loaded(self._store.first)
        batch = engine.get_tensor_shape('image')[0]
        self.max_batch = None if batch < 0 else int(batch)
        self.device = f'cuda:{self._gpu.index}'
        self.name = (
            f'{self._library.name} {self._library.version} ({self._gpu.name}, {self.precision})'
        )

    def run(self, image: Image, previous_image: Image, prior_heatmap: FloatArray) -> Candidates:
        """Run the engine; see `engines.base.Engine.run`."""
        self._select_gpu()
        inputs = named_inputs(self._inputs, image, previous_image, prior_heatmap)
        results = self._session(image.shape).run(inputs)
        return candidates_from_outputs(results)

    def close(self) -> None:
        """Free all memory on the GPU."""
        if self._stream is None:
            return
        self._select_gpu()
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()
        self._engines.clear()
        self._stream.close()
        self._stream = self._runtime = None

    def _select_gpu(self) -> None:
        # CUDA keeps the current device per thread, and any thread may call.
        check(cuda_runtime().cudaSetDevice(self._gpu.index))

    def _session(self, shape: tuple[int, ...]) -> Session:
        """The session for images (B, H, W, 3); the most recently used stands last."""
        session = self._sessions.pop(shape, None)
        if session is None:
            session = self._new_session(shape)
            if len(self._sessions) >= _MOST_SESSIONS:
                self._sessions.pop(next(iter(self._sessions))).close()
        self._sessions[shape] = session
        return session

    def _new_session(self, shape: tuple[int, ...]) -> Session:
        if self._stream is None:
            raise RuntimeError('the engine is closed')
        if len(shape) != 4 or shape[3] != 3:
            raise ValueError(f'image: expected shape (B, H, W, 3), received {shape}')
        batch, height, width = shape[:3]
        check_batch(batch, self.max_batch, self._store.model)
        path, engine = self._loaded(lambda: self._store.covering(batch, height, width))
        kernels = kernels_path(path, self._gpu.text)
        compiled = kernels.read_bytes() if kernels.is_file() else None
        context, cache = create_context(self._library, engine, compiled)
        if context is None:
            raise RuntimeError(f'{path}: no execution context: {self._library.errors()}')
        types = {name: np.dtype(dtype) for name, (dtype, _) in expected_inputs(self._spec).items()}
        shapes = input_shapes(self._spec, batch, height, width)
        inputs = {name: (types[name], shape) for name, shape in shapes.items()}
        session = Session(self._library, context, self._stream, inputs, self._outputs)
        # Run once, so that the next frame finds kernels compiled and graphs captured.
        session.run({name: np.zeros(shape, dtype) for name, (dtype, shape) in inputs.items()})
        if cache is not None:
            write_atomically(kernels, bytes(cache.serialize()))
        return session

    def _loaded(self, find: Callable[[], Path]) -> tuple[Path, Any]:
        """The engine in the file that `find` finds or builds; of a bad file the next one."""
        path = find()
        if path in self._engines:
            return path, self._engines[path]
        try:
            engine = self._deserialized(path)
        except (OSError, ValueError) as error:
            _LOGGER.warning('cached engine removed: %s', error)
            remove_engine(path)
            path = find()
            engine = self._deserialized(path)
        self._check(engine)
        self._engines[path] = engine
        return path, engine

    def _deserialized(self, path: Path) -> Any:
        engine = self._runtime.deserialize_cuda_engine(read_engine(path))
        if engine is None:
            raise ValueError(f'{path} cannot be loaded: {self._library.errors()}')
        return engine

    def _check(self, engine: Any) -> None:
        library, shapes, types = self._library, {}, {}
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            shapes[name] = tuple(engine.get_tensor_shape(name))
            types[name] = numpy_type(library, engine.get_tensor_dtype(name)).name
        inputs = {
            name: (types[name], shape)
            for name, shape in shapes.items()
            if engine.get_tensor_mode(name) == library.module.TensorIOMode.INPUT
        }
        outputs = {name: shape for name, shape in shapes.items() if name not in inputs}
        check_signature(inputs, outputs, self._spec, self._store.model)
