"""Runs of one engine with inputs of one shape: its buffers, the two image slots, the graphs."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.engines.tensorrt.buffers import (
    DeviceBlock,
    Layout,
    PinnedBlock,
    Stream,
)
from centertrack_ros.engines.tensorrt.library import Library, can_capture, numpy_type

_LOGGER = logging.getLogger(__name__)
# Input that is the image of the call before.
_PREVIOUS = 'previous_image'


class Session:
    """An execution context with its memory; all calls with inputs of one shape go through it.

    The image and the prior heatmap go up in one copy, to one of two slots in turn, so that the
    image of the call before still lies in the other slot. All results come down in one copy. The
    two runs, one per slot, are recorded as CUDA graphs after the first call.
    """

    def __init__(
        self,
        library: Library,
        context: Any,
        stream: Stream,
        inputs: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]],
        outputs: list[str],
    ) -> None:
        """Allocate what runs need.

        Args:
            library: what `context` belongs to.
            context: execution context for nobody else: a graph is valid only as long as the
                context keeps its shapes.
            stream: where it runs.
            inputs: type and shape of every input.
            outputs: names of the results.

        Raises:
            RuntimeError: not enough memory.
            ValueError: the engine does not take these shapes.
        """
        self._context, self._stream = context, stream
        for name, (_, shape) in inputs.items():
            if not context.set_input_shape(name, shape):
                raise ValueError(f'{name}: {shape} does not fit: {library.errors()}')
        if unknown := context.infer_shapes():
            raise ValueError(f'shapes {inputs} do not fit: {unknown}; {library.errors()}')
        self._library = library
        self._swaps = _PREVIOUS in inputs
        self._inputs = Layout({k: value for k, value in inputs.items() if k != _PREVIOUS})
        engine = context.engine
        self._outputs = Layout(
            {
                name: (
                    numpy_type(library, engine.get_tensor_dtype(name)),
                    tuple(context.get_tensor_shape(name)),
                )
                for name in outputs
            }
        )
        self._blocks: list[PinnedBlock | DeviceBlock] = []
        self._host_inputs = self._keep(PinnedBlock(self._inputs.size))
        self._host_outputs = self._keep(PinnedBlock(self._outputs.size))
        self._device_outputs = self._keep(DeviceBlock(self._outputs.size))
        self._slots = [self._keep(DeviceBlock(self._inputs.size)) for _ in range(2)]
        self._staged = self._inputs.views(self._host_inputs.array)
        # Slot of the next image; the other one holds that of the call before.
        self._slot = 0
        self._last: NDArray[Any] | None = None
        # None: not captured yet. Empty: it cannot be, every run is queued by itself.
        self._graphs: list[Any] | None = None

    def run(self, given: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Results of one call, copies of their own.

        If the previous image is the very array that was the image of the call before, which must
        not have been written to since, it is not uploaded again.

        Raises:
            RuntimeError: TensorRT or CUDA failed.
            ValueError: an input has another shape than the session.
            TypeError: an input has another type.
        """
        if self._swaps and given[_PREVIOUS] is not self._last:
            self._upload_previous(given[_PREVIOUS])
        # Not the previous image if this fails midway.
        self._last = None
        for name in self._staged:
            self._stage(name, name, given[name])
        if self._graphs:
            self._stream.launch(self._graphs[self._slot])
        else:
            self._queue(self._slot)
        self._stream.synchronize()
        if self._graphs is None:
            self._graphs = self._captured()
        if self._swaps:
            self._slot = 1 - self._slot
            self._last = given['image']
        return self._outputs.views(self._host_outputs.array.copy())

    def close(self) -> None:
        """Free everything but the stream."""
        for graph in self._graphs or ():
            self._stream.destroy(graph)
        self._graphs, self._staged, self._last, self._context = [], {}, None, None
        while self._blocks:
            self._blocks.pop().free()

    def _keep(self, block: Any) -> Any:
        self._blocks.append(block)
        return block

    def _stage(self, target: str, name: str, array: NDArray[Any]) -> None:
        """Copy an input to pinned memory, where no copy is under way."""
        staged = self._staged[target]
        if array.shape != staged.shape:
            raise ValueError(f'{name}: expected shape {staged.shape}, received {array.shape}')
        if array.dtype != staged.dtype:
            raise TypeError(f'{name}: expected {staged.dtype}, received {array.dtype}')
        np.copyto(staged, array)

    def _upload_previous(self, image: NDArray[Any]) -> None:
        """Put an image where the one of the call before would lie."""
        self._stage('image', _PREVIOUS, image)
        offset = self._inputs.offsets['image']
        self._stream.upload(
            self._slots[1 - self._slot].address + offset,
            self._host_inputs.address + offset,
            self._staged['image'].nbytes,
        )
        self._stream.synchronize()

    def _queue(self, slot: int) -> None:
        """Queue one run whose image goes to `slot`: up, execute, down."""
        block = self._slots[slot]
        self._stream.upload(block.address, self._host_inputs.address, self._inputs.size)
        addresses = {name: block.address + offset for name, offset in self._inputs.offsets.items()}
        if self._swaps:
            offset = self._inputs.offsets['image']
            addresses[_PREVIOUS] = self._slots[1 - slot].address + offset
        for name, offset in self._outputs.offsets.items():
            addresses[name] = self._device_outputs.address + offset
        for name, address in addresses.items():
            if not self._context.set_tensor_address(name, address):
                raise RuntimeError(f'address of {name} refused: {self._library.errors()}')
        if not self._context.execute_async_v3(self._stream.handle):
            raise RuntimeError(f'{self._library.name} failed: {self._library.errors()}')
        self._stream.download(
            self._host_outputs.address, self._device_outputs.address, self._outputs.size
        )

    def _captured(self) -> list[Any]:
        """A graph per slot, or none where the engine cannot be captured.

        After a run: the first one with a shape does work that must not be part of a graph.
        """
        if not can_capture(self._context, self._stream.handle):
            _LOGGER.info('this engine cannot be captured in a CUDA graph')
            return []
        graphs: list[Any] = []
        try:
            for slot in range(2 if self._swaps else 1):
                graphs.append(self._stream.capture(functools.partial(self._queue, slot)))
        except RuntimeError as error:
            _LOGGER.warning('running without CUDA graphs, which is slower: %s', error)
            for graph in graphs:
                self._stream.destroy(graph)
            return []
        return graphs
