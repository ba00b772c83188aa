"""The TensorRT library that is installed, and all that differs between its kinds and versions.

TensorRT 10.x, 11.x and TensorRT for RTX share one Python interface. Networks are strongly typed
in all of them here: the types in the ONNX file decide the precision. No other file asks for a
version or whether a name exists.
"""

from __future__ import annotations

import collections
import functools
import importlib
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

_LOGGER = logging.getLogger(__name__)
_FULL, _RTX = 'tensorrt', 'tensorrt_rtx'
LIBRARIES = (_FULL, _RTX)
_OLDEST = 10
# A plan of TensorRT for RTX that was built for no particular GPU.
PORTABLE = 'portable'


@dataclass(frozen=True)
class Library:
    """An imported TensorRT.

    Attributes:
        module: the Python module.
        name: `tensorrt` or `tensorrt_rtx`.
        version: its version.
        logger: what its classes are given; see `errors`.
    """

    module: Any
    name: str
    version: str
    logger: Any

    @property
    def needs_gpu_to_build(self) -> bool:
        """Whether it times kernels on the GPU while it builds; TensorRT for RTX does not."""
        return self.name == _FULL

    def errors(self) -> str:
        """What the library complained about since the last call, and forget it."""
        messages = '; '.join(self.logger.messages)
        self.logger.messages.clear()
        return messages or f'{self.name} gave no reason'


def load_library(name: str = 'auto') -> Library:
    """Import TensorRT; `auto` prefers `tensorrt`, which runs on every GPU, to `tensorrt_rtx`.

    Raises:
        ImportError: it is not installed, not usable, or too old; the message has the package.
        ValueError: unknown name.
    """
    if name not in ('auto', *LIBRARIES):
        raise ValueError(f'library: expected one of {["auto", *LIBRARIES]}, received {name!r}')
    reasons = []
    for candidate in LIBRARIES if name == 'auto' else (name,):
        try:
            return _load(candidate)
        except ImportError as error:
            reasons.append(f'{candidate}: {error}')
    raise ImportError(
        'engine tensorrt needs TensorRT 10 or later (pip install tensorrt; on a Jetson it comes '
        'with JetPack) or, for GeForce and RTX GPUs, TensorRT for RTX (pip install '
        f'tensorrt-rtx). {"; ".join(reasons)}'
    )


@functools.cache
def _load(name: str) -> Library:
    module = importlib.import_module(name)
    version = str(module.__version__)
    if name == _FULL and int(version.split('.')[0]) < _OLDEST:
        raise ImportError(f'version {version} is too old')
    return Library(module, name, version, _make_logger(module))


def _make_logger(module: Any) -> Any:
    levels = {
        module.Logger.INTERNAL_ERROR: logging.ERROR,
        module.Logger.ERROR: logging.ERROR,
        # Hints to those who made the network, not to those who run it.
        module.Logger.WARNING: logging.INFO,
        module.Logger.INFO: logging.DEBUG,
    }

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.messages: collections.deque[str] = collections.deque(maxlen=10)

        def log(self, severity: Any, message: str) -> None:
            level = levels.get(severity)
            if level is None:
                return
            if level == logging.ERROR:
                self.messages.append(message)
                # Raised with its message by who asked; here for those who follow the log.
                level = logging.WARNING
            _LOGGER.log(level, '%s', message)

    # TensorRT keeps the first logger of a process for good: one per library, never freed.
    return Logger()


def numpy_type(library: Library, data_type: Any) -> np.dtype[Any]:
    """NumPy's name for a type of TensorRT."""
    result: np.dtype[Any] = np.dtype(library.module.nptype(data_type))
    return result


def new_network(library: Library, builder: Any) -> Any:
    """An empty strongly typed network: the only kind in 11.x, a choice in 10.x."""
    flags = library.module.NetworkDefinitionCreationFlag
    typed = 1 << int(flags.STRONGLY_TYPED) if hasattr(flags, 'STRONGLY_TYPED') else 0
    return builder.create_network(typed)


def set_precision(library: Library, config: Any, precision: str) -> None:
    """Make fp32 mean fp32: TensorFloat-32 rounds the products of convolutions to 10 bits."""
    flags = library.module.BuilderFlag
    if precision == 'fp32' and hasattr(flags, 'TF32'):
        config.clear_flag(flags.TF32)


def allow_graphs(library: Library, config: Any) -> None:
    """Let executions be captured in CUDA graphs, which TensorRT for RTX must know beforehand."""
    flags = library.module.BuilderFlag
    if library.name == _RTX and hasattr(flags, 'REQUIRE_USER_ALLOCATION'):
        config.set_flag(flags.REQUIRE_USER_ALLOCATION)


def set_capabilities(library: Library, config: Any, capabilities: tuple[int, ...]) -> None:
    """Build for GPUs of these compute capabilities (86 is 8.6) only; none = any supported one.

    Raises:
        ValueError: the library builds for the GPU at hand only, or does not know one of them.
    """
    if not capabilities:
        return
    known = getattr(library.module, 'ComputeCapability', None)
    if known is None or not hasattr(config, 'set_compute_capability'):
        raise ValueError(
            f'compute capability: {library.name} builds for the GPU of this machine; only '
            'tensorrt_rtx builds for others'
        )
    config.num_compute_capabilities = len(capabilities)
    for index, capability in enumerate(capabilities):
        if not hasattr(known, f'SM{capability}'):
            supported = supported_capabilities(library)
            raise ValueError(f'compute capability: expected {supported}, received {capability}')
        config.set_compute_capability(getattr(known, f'SM{capability}'), index)


def supported_capabilities(library: Library) -> list[int]:
    """Compute capabilities that TensorRT for RTX builds for; empty = no such list."""
    names = dir(getattr(library.module, 'ComputeCapability', object))
    return sorted(int(name[2:]) for name in names if name.startswith('SM'))


def check_gpu(library: Library, capability: int, name: str) -> None:
    """Make sure that the library runs on a GPU with this compute capability.

    Raises:
        RuntimeError: TensorRT for RTX does not know it, as those of data centres and Jetsons.
    """
    supported = supported_capabilities(library)
    if not library.needs_gpu_to_build and supported and capability not in supported:
        raise RuntimeError(
            f'{library.name} {library.version} runs on compute capabilities {supported}, {name} '
            f'has {capability}: pip install tensorrt instead'
        )


def create_context(library: Library, engine: Any, kernels: bytes | None) -> tuple[Any, Any]:
    """An execution context and, of TensorRT for RTX, the cache of the kernels it compiles.

    TensorRT for RTX compiles at run time. `EAGER`: before the first run with a shape instead of
    beside the next ones, so that the CUDA graph holds the fast kernels.

    Args:
        library: what `engine` belongs to.
        engine: deserialized engine.
        kernels: what an earlier cache was serialized to; of another GPU it is ignored.

    Returns:
        The context and the cache, or None instead of the latter.
    """
    if library.name != _RTX:
        return engine.create_execution_context(), None
    strategies = library.module.DynamicShapesKernelSpecializationStrategy
    config = engine.create_runtime_config()
    config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
    cache = config.create_runtime_cache()
    if kernels:
        cache.deserialize(kernels)
    config.set_runtime_cache(cache)
    return engine.create_execution_context(config), cache


def can_capture(context: Any, stream: int) -> bool:
    """Whether an execution on this stream can become a CUDA graph; only RTX has doubts."""
    return not hasattr(context, 'is_stream_capturable') or bool(
        context.is_stream_capturable(stream)
    )
