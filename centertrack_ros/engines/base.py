"""The contract that every inference engine fulfils."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import Candidates, FloatArray, Image
from centertrack_ros.model_spec import ModelSpec

# Output of the graph -> head that it comes from; the first four every model has.
_ROWS = ('scores', 'classes', 'cells', 'boxes')
_OUTPUT_OF_HEAD = {
    'tracking': 'tracking',
    'hps': 'keypoints',
    'dep': 'depth',
    'dim': 'dimensions',
    'rot': 'rotation',
    'amodel_offset': 'amodal_offset',
    'nuscenes_att': 'attributes',
    'velocity': 'velocity',
    'conv_weight': 'masks',
}


class Engine(Protocol):
    """Runs one exported graph. Built by `engines.create_engine`, used by one thread at a time.

    Attributes:
        name: library, version and provider, for people.
        device: `cpu` or `cuda:N`.
        precision: what it computes in: `fp32`, `fp16`, `bf16` or `int8`.
        max_batch: the largest batch that `run` takes, None = any; 1 where the file has a fixed
            batch of one.
    """

    name: str
    device: str
    precision: str
    max_batch: int | None

    def run(self, image: Image, previous_image: Image, prior_heatmap: FloatArray) -> Candidates:
        """Run the network and the decoding that is part of its graph.

        What the model has no input for is not used.

        Args:
            image: (B, H, W, 3) uint8 BGR, C-contiguous, the size that
                `preprocessing.input_size` says; it may change between calls.
            previous_image: same shape and type; on the first frame the image itself. Engines on
                a GPU do not upload it again if it is the very array that was the last call's
                `image`: it must not be written to in between.
            prior_heatmap: (B, 1, H/p, W/p) float32 in [0, 1], p = `prior_heatmap_stride`.

        Raises:
            ValueError: the file takes another batch size.
        """

    def close(self) -> None:
        """Free what the engine holds; it cannot be used afterwards."""


def expected_inputs(spec: ModelSpec) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    """Type and shape (batch of 1) of every input of a model with this spec, in their order.

    `adaptive` models take other heights and widths as well.
    """
    image = (1, spec.input_height, spec.input_width, 3)
    inputs: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {'image': (np.uint8, image)}
    if spec.previous_image:
        inputs['previous_image'] = (np.uint8, image)
    if spec.prior_heatmap:
        inputs['prior_heatmap'] = (np.float32, (1, 1, *spec.prior_heatmap_shape))
    return inputs


def expected_outputs(spec: ModelSpec) -> list[str]:
    """Names of the outputs of a model with this spec, in their order: fields of `Candidates`."""
    return [*_ROWS, *(name for head, name in _OUTPUT_OF_HEAD.items() if head in spec.heads)]


def named_inputs(
    names: Iterable[str], image: Image, previous_image: Image, prior_heatmap: FloatArray
) -> dict[str, NDArray[Any]]:
    """What a graph with these inputs is given, of the arguments of `Engine.run`."""
    given: dict[str, NDArray[Any]] = {
        'image': image,
        'previous_image': previous_image,
        'prior_heatmap': prior_heatmap,
    }
    return {name: given[name] for name in names}


def check_inputs(
    found: Mapping[str, tuple[str, tuple[int | None, ...]]], spec: ModelSpec, model_path: Path
) -> None:
    """Make sure that a model takes what its spec says.

    Args:
        found: input name -> NumPy name of its type, and its shape without the batch; None where
            the model takes any size.
        spec: ModelSpec that lies beside the model.
        model_path: for the message.

    Raises:
        ValueError: they differ; the message has both.
    """
    expected = {
        name: (np.dtype(dtype).name, _fixed_sizes(name, shape[1:], spec))
        for name, (dtype, shape) in expected_inputs(spec).items()
    }
    if found != expected:
        raise ValueError(
            f'{model_path} does not fit its ModelSpec: the spec says inputs {expected}, '
            f'the model has {found}'
        )


def _fixed_sizes(name: str, shape: tuple[int, ...], spec: ModelSpec) -> tuple[int | None, ...]:
    """`shape` of an input without the batch, None in place of heights and widths that vary."""
    if spec.resize != 'adaptive':
        return shape
    return (shape[0], None, None) if name == 'prior_heatmap' else (None, None, shape[2])


def check_outputs(
    found: Mapping[str, tuple[int | str | None, ...]], spec: ModelSpec, model_path: Path
) -> None:
    """Make sure that a model gives what its spec says.

    Args:
        found: output name -> its shape.
        spec: ModelSpec that lies beside the model.
        model_path: for the message.

    Raises:
        ValueError: an output is missing or has another number of rows.
    """
    if missing := sorted(set(expected_outputs(spec)) - found.keys()):
        raise ValueError(f'{model_path}: outputs {missing} are missing; it has {sorted(found)}')
    rows = found['scores'][1]
    if rows != spec.max_candidates:
        raise ValueError(
            f'{model_path}: the spec says {spec.max_candidates} candidates, the model gives {rows}'
        )


def check_batch(received: int, fixed: int | None, model_path: Path) -> None:
    """Make sure that a model takes batches of this size.

    Args:
        received: images of one call.
        fixed: batch size that stands in the file, None if it takes any.
        model_path: for the message.

    Raises:
        ValueError: it does not.
    """
    if fixed is not None and received != fixed:
        raise ValueError(
            f'{model_path} takes batches of {fixed}, received one of {received}: '
            'export it with a dynamic batch'
        )


def parse_device(device: str, kinds: tuple[str, ...]) -> tuple[str, int]:
    """Kind and number of a device: `cuda:1` gives (`cuda`, 1), `cpu` (`cpu`, 0).

    Args:
        device: name of a device.
        kinds: kinds allowed; all but `auto` and `cpu` may have a number.

    Raises:
        ValueError: another kind, or no number behind the colon.
    """
    kind, colon, index = device.partition(':')
    numbered = kind not in ('auto', 'cpu')
    if kind not in kinds or (colon and not (numbered and index.isdecimal())):
        names = [name if name in ('auto', 'cpu') else f'{name}[:N]' for name in kinds]
        raise ValueError(f'device: expected one of {names}, received {device!r}')
    return kind, int(index or 0)


def candidates_from_outputs(outputs: Mapping[str, NDArray[Any]]) -> Candidates:
    """Give the arrays of a graph, by the names of `expected_outputs`, their types."""
    arrays: dict[str, Any] = {
        name: array.astype(np.int64 if name == 'classes' else np.float32, copy=False)
        for name, array in outputs.items()
    }
    if 'tracking' not in arrays:
        arrays['tracking'] = np.zeros_like(arrays['cells'])
    return Candidates(**arrays)
