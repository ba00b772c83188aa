"""Memory on both sides, the copies between them, and the stream they happen on."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.engines.tensorrt.cuda import check, cuda_runtime

# CUDA's own allocations begin at multiples of this, which TensorRT relies on.
_ALIGNMENT = 256


class Layout:
    """Arrays one behind the other in one block of memory, so that one copy moves them all.

    Attributes:
        offsets: name -> where its array begins, bytes.
        size: of the block, bytes.
    """

    def __init__(self, arrays: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]) -> None:
        """Arrange arrays, given by name as type and shape, in their order."""
        self._arrays = dict(arrays)
        self.offsets: dict[str, int] = {}
        self.size = 0
        for name, (dtype, shape) in self._arrays.items():
            self.offsets[name] = self.size
            length = dtype.itemsize * math.prod(shape)
            self.size += -(-length // _ALIGNMENT) * _ALIGNMENT

    def views(self, block: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """The arrays in `block` (size,), which they share memory with."""
        result = {}
        for name, (dtype, shape) in self._arrays.items():
            begin = self.offsets[name]
            length = dtype.itemsize * math.prod(shape)
            result[name] = block[begin : begin + length].view(dtype).reshape(shape)
        return result


class PinnedBlock:
    """Host memory that the GPU reads and writes by itself.

    Attributes:
        address: of the first byte.
        array: the bytes, (size,) uint8; not to be used after `free`.
    """

    def __init__(self, size: int) -> None:
        """Allocate; RuntimeError if there is not that much."""
        self.address = int(check(cuda_runtime().cudaMallocHost(size)))
        memory = (ctypes.c_uint8 * size).from_address(self.address)
        self.array: NDArray[np.uint8] = np.ctypeslib.as_array(memory)

    def free(self) -> None:
        """Give the memory back."""
        self.array = np.empty(0, np.uint8)
        check(cuda_runtime().cudaFreeHost(self.address))


class DeviceBlock:
    """Memory of the GPU.

    Attributes:
        address: of the first byte.
    """

    def __init__(self, size: int) -> None:
        """Allocate; RuntimeError if there is not that much."""
        self.address = int(check(cuda_runtime().cudaMalloc(size)))

    def free(self) -> None:
        """Give the memory back."""
        check(cuda_runtime().cudaFree(self.address))


class Stream:
    """A queue of work for the GPU, independent of the default stream.

    Attributes:
        handle: for TensorRT.
    """

    def __init__(self) -> None:
        self._runtime = runtime = cuda_runtime()
        self._stream = check(runtime.cudaStreamCreateWithFlags(runtime.cudaStreamNonBlocking))
        self.handle = int(self._stream)
        self._upload = runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._download = runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost

    def upload(self, target: int, source: int, size: int) -> None:
        """Queue a copy of `size` bytes from pinned memory to the GPU; addresses."""
        result = self._runtime.cudaMemcpyAsync(target, source, size, self._upload, self._stream)
        check(result)

    def download(self, target: int, source: int, size: int) -> None:
        """Queue a copy of `size` bytes from the GPU to pinned memory; addresses."""
        result = self._runtime.cudaMemcpyAsync(target, source, size, self._download, self._stream)
        check(result)

    def synchronize(self) -> None:
        """Wait until all that was queued is done."""
        check(self._runtime.cudaStreamSynchronize(self._stream))

    def capture(self, queue: Callable[[], None]) -> Any:
        """What `queue` queues, recorded as one graph for `launch` and not run yet.

        Raises:
            RuntimeError: something in it cannot be recorded.
        """
        runtime = self._runtime
        mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        check(runtime.cudaStreamBeginCapture(self._stream, mode))
        try:
            queue()
        except RuntimeError:
            # Ends the capture; that it failed is known.
            runtime.cudaStreamEndCapture(self._stream)
            runtime.cudaGetLastError()
            raise
        graph = check(runtime.cudaStreamEndCapture(self._stream))
        try:
            return check(runtime.cudaGraphInstantiate(graph, 0))
        finally:
            check(runtime.cudaGraphDestroy(graph))

    def launch(self, graph: Any) -> None:
        """Queue a graph."""
        check(self._runtime.cudaGraphLaunch(graph, self._stream))

    def destroy(self, graph: Any) -> None:
        """Free a graph."""
        check(self._runtime.cudaGraphExecDestroy(graph))

    def close(self) -> None:
        """Free the stream."""
        check(self._runtime.cudaStreamDestroy(self._stream))
