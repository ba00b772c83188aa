"""A PyTorch module on a GPU without waits in between: one CUDA graph per input shape."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOGGER = logging.getLogger(__name__)
# Calls before a graph is recorded: cuDNN chooses its algorithms in the first ones.
_WARM_UP_CALLS = 3
# A graph keeps the activations of its shape on the device.
_MOST_SHAPES = 8


@dataclass
class _Recorded:
    """Buffers and graph of one input shape.

    Attributes:
        staging: input name -> tensor in pinned memory.
        inputs: input name -> tensor on the device.
        packed: all outputs side by side, float32, on the device.
        fetched: the same in pinned memory.
        shapes: of the outputs.
        graph: replays inputs -> `fetched`; None where nothing could be recorded.
        last_image: the array that lies on the device as the next previous image.
    """

    staging: dict[str, Any]
    inputs: dict[str, Any]
    packed: Any
    fetched: Any
    shapes: list[tuple[int, ...]]
    graph: Any
    last_image: NDArray[Any] | None = None


class CudaRunner:
    """Uploads what is new, runs, and fetches all outputs in one copy.

    The image of one call is the previous image of the next. The graph copies it on the device at
    its end; if the caller hands in the same array again, nothing is uploaded twice.

    Args:
        torch: the module.
        run: tensors on the device, in the order of the inputs -> outputs on the device.
        device: `torch.device` of a GPU.
    """

    def __init__(self, torch: Any, run: Callable[..., Any], device: Any) -> None:
        self._torch, self._device = torch, device
        self._run: Callable[..., Any] | None = run
        self._stream = torch.cuda.Stream(device)
        self._shapes: dict[tuple[tuple[int, ...], ...], _Recorded] = {}

    def run(self, arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The outputs, in their order, as float32 arrays of their own."""
        torch = self._torch
        key = tuple(array.shape for array in arrays.values())
        with torch.inference_mode(), torch.cuda.device(self._device):
            recorded = self._shapes.pop(key, None) or self._record(arrays)
            # The shapes used last stand at the end.
            self._shapes[key] = recorded
            while len(self._shapes) > _MOST_SHAPES:
                del self._shapes[next(iter(self._shapes))]
            with torch.cuda.stream(self._stream):
                self._upload(recorded, arrays)
                if recorded.graph is not None:
                    recorded.graph.replay()
                else:
                    self._compute(recorded)
            self._stream.synchronize()
        recorded.last_image = arrays['image']
        # The next call overwrites the pinned memory.
        flat = recorded.fetched.numpy().copy()
        sizes = [int(np.prod(shape)) for shape in recorded.shapes]
        parts = np.split(flat, np.cumsum(sizes)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, recorded.shapes, strict=True)]

    def close(self) -> None:
        """Free graphs and buffers."""
        self._stream.synchronize()
        self._shapes.clear()
        self._run = None
        self._torch.cuda.empty_cache()

    def _upload(self, recorded: _Recorded, arrays: Mapping[str, NDArray[Any]]) -> None:
        image = arrays['image']
        for name, array in arrays.items():
            buffer = recorded.inputs[name]
            if name == 'previous_image' and array is recorded.last_image and array is not image:
                continue
            if name == 'previous_image' and array is image:
                # The first frame; the image was uploaded just before.
                buffer.copy_(recorded.inputs['image'], non_blocking=True)
                continue
            staging = recorded.staging[name]
            np.copyto(staging.numpy(), array)
            buffer.copy_(staging, non_blocking=True)

    def _record(self, arrays: Mapping[str, NDArray[Any]]) -> _Recorded:
        """Buffers for these shapes, algorithms chosen, and the graph."""
        torch = self._torch
        staging = {name: torch.from_numpy(array).pin_memory() for name, array in arrays.items()}
        inputs = {name: tensor.to(self._device) for name, tensor in staging.items()}
        assert self._run is not None
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with (
            torch.cuda.stream(self._stream),
            torch.backends.cudnn.flags(
                # Algorithms are measured, which is worth it as the shape returns with every frame,
                # and float32 is float32.
                enabled=True,
                benchmark=True,
                deterministic=False,
                allow_tf32=False,
            ),
        ):
            for _ in range(_WARM_UP_CALLS):
                outputs = self._run(*inputs.values())
            shapes = [tuple(output.shape) for output in outputs]
            packed = self._packed(outputs)
            fetched = torch.empty_like(packed, device='cpu').pin_memory()
            recorded = _Recorded(staging, inputs, packed, fetched, shapes, None)
            self._stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, stream=self._stream):
                    self._compute(recorded)
            except RuntimeError as error:
                # Operators that wait for the device or choose by values cannot be recorded.
                _LOGGER.warning('runs without CUDA graph, more slowly: %s', error)
            else:
                recorded.graph = graph
        return recorded

    def _compute(self, recorded: _Recorded) -> None:
        assert self._run is not None
        inputs = recorded.inputs
        recorded.packed = self._packed(self._run(*inputs.values()))
        recorded.fetched.copy_(recorded.packed, non_blocking=True)
        if 'previous_image' in inputs:
            inputs['previous_image'].copy_(inputs['image'], non_blocking=True)

    def _packed(self, outputs: Any) -> Any:
        # Classes and cells are far below 2^24, up to which float32 has every integer.
        return self._torch.cat([output.reshape(-1).float() for output in outputs])
