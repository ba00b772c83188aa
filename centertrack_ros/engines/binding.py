"""ONNX Runtime on a GPU: images stay on the device, only rows come back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_IMAGES = ('image', 'previous_image')


class DeviceBinding:
    """Keeps the inputs of a session on its device and runs it on them.

    The image of one call is the previous image of the next: if the caller hands in the same array
    again, the buffers change places and nothing is uploaded twice.

    Args:
        session: `onnxruntime.InferenceSession`.
        inputs, outputs: names in the order of the graph.
        device: `cuda`, or `cpu`, which does the same in main memory.
        index: number of the device.
    """

    def __init__(
        self,
        session: Any,
        inputs: tuple[str, ...],
        outputs: list[str],
        *,
        device: str,
        index: int,
    ) -> None:
        self._session, self._inputs, self._outputs = session, inputs, outputs
        self._place = (device, index)
        self._buffers: dict[str, Any] = {}
        self._binding: Any = session.io_binding()
        self._last_image: NDArray[Any] | None = None

    def run(self, given: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Upload what is new, run, and fetch the outputs, by name.

        Args:
            given: input name -> C-contiguous array.
        """
        image, previous = given['image'], given.get('previous_image')
        resident = previous is self._last_image and previous is not image
        if resident and 'previous_image' in self._inputs:
            older, newer = (self._buffers.get(name) for name in reversed(_IMAGES))
            self._buffers = {**self._buffers, 'previous_image': newer, 'image': older}
        for name in self._inputs:
            if not (name == 'previous_image' and resident):
                self._upload(name, given[name])
        for name in self._inputs:
            self._binding.bind_ortvalue_input(name, self._buffers[name])
        for name in self._outputs:
            # Bound anew by each call: the arrays of the last one belong to the caller.
            self._binding.bind_output(name, 'cpu')
        self._session.run_with_iobinding(self._binding)
        self._last_image = image
        arrays = self._binding.copy_outputs_to_cpu()
        return dict(zip(self._outputs, arrays, strict=True))

    def _upload(self, name: str, array: NDArray[Any]) -> None:
        buffer = self._buffers.get(name)
        if buffer is None or tuple(buffer.shape()) != array.shape:
            import onnxruntime

            buffer = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
                array.shape, array.dtype, *self._place
            )
            self._buffers[name] = buffer
        buffer.update_inplace(np.ascontiguousarray(array))
