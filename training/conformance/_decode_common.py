"""What the parts of the adapter `decode` share: arrays in, rows and detections out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from centertrack_ros.datatypes import Candidates, Detections, FrameTransform
from centertrack_ros.decoding import decode
from centertrack_ros.engines.base import candidates_from_outputs
from centertrack_ros.model_spec import AmodalReference
from centertrack_ros.preprocessing import centertrack_transform
from training.conformance.vectors import Comparison, NotRecorded, Vectors, compare
from training.models.original_checkpoint import HEAD_ALIASES

ARRAYS = 'decode.npz'
DOCUMENT = 'decode.json'
# Names of the original -> heads of `training.heads`.
HEAD_NAMES = {**HEAD_ALIASES, 'heat': 'hm', 'kps': 'hps', 'depth': 'dep'}
LOGITS = '_logits'
SCORE_TOLERANCE = 1e-6
CELL_TOLERANCE = 1e-4
PIXEL_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Recorded:
    """One recorded case.

    Attributes:
        name: `<repository>/<case>`.
        vectors: the folder.
        entry: its part of the JSON.
    """

    name: str
    vectors: Vectors
    entry: Mapping[str, Any]

    def group(self, name: str) -> dict[str, NDArray[Any]]:
        """Arrays of `in`, `out` or `merged`."""
        arrays = self.vectors.arrays(ARRAYS).under(f'{self.name}/{name}')
        if not arrays:
            raise NotRecorded(f'{self.name}/{name}')
        return arrays

    def maps(self) -> dict[str, Tensor]:
        """The inputs that are maps, by the names of our heads."""
        return {
            head_name(name): torch.from_numpy(array)
            for name, array in self.group('in').items()
            if array.ndim == 4
        }

    def has_logits(self) -> bool:
        """Whether the maps are as the network gives them."""
        return any(name.endswith(LOGITS) for name in self.group('in'))

    def transform(self, image: int) -> FrameTransform:
        """Between image pixels and output cells of one image of the batch."""
        center, scale, size = self.entry['c'][image], self.entry['s'][image], self.entry['out_hw']
        image_size = self.entry['img_hw'][image] if 'img_hw' in self.entry else (0, 0)
        return cell_transform(center, scale, size, image_size)

    def expect_keys(self, *names: str) -> None:
        """Make sure that the JSON says nothing beyond these, so that nothing is overlooked."""
        unknown = sorted(set(self.entry) - set(names))
        if unknown:
            raise ValueError(f'{self.name}: nobody compares {unknown}')


# Runs one case.
Run = Callable[[Recorded], Iterable[Comparison]]


def head_name(recorded: str) -> str:
    """Our name of a recorded head."""
    name = recorded.removesuffix(LOGITS)
    return HEAD_NAMES.get(name, name)


def cell_transform(
    center: Sequence[float],
    scale: ArrayLike,
    output_size: Sequence[int],
    image_size: Sequence[int] = (0, 0),
) -> FrameTransform:
    """The original's (c, s, output height and width) as a transform; a cell is a pixel of it."""
    x, y = (float(value) for value in center)
    width, height = (float(value) for value in np.broadcast_to(np.asarray(scale, np.float64), 2))
    rows, columns = (int(value) for value in output_size)
    image_rows, image_columns = (int(value) for value in image_size)
    return centertrack_transform(
        (x, y), (width, height), (image_rows, image_columns), (rows, columns)
    )


def candidates(rows: Mapping[str, Tensor]) -> Candidates:
    """Rows as the runtime gets them from an engine."""
    return candidates_from_outputs({name: values.numpy() for name, values in rows.items()})


def detections_of(
    rows: Candidates,
    image: int,
    transform: FrameTransform,
    *,
    threshold: float = -np.inf,
    amodal_reference: AmodalReference = 'box',
) -> Detections:
    """Detections of one image, not clipped, as the original's post-processing gives them."""
    return decode(
        rows,
        transform,
        stride=1,
        threshold=threshold,
        batch_index=image,
        amodal_reference=amodal_reference,
        clip=False,
    )


def compare_columns(
    name: str, received: ArrayLike, expected: ArrayLike, score_column: int
) -> Iterator[Comparison]:
    """Rows whose column `score_column` is a score, whose last is a class."""
    ours, theirs = np.asarray(received), np.asarray(expected)
    if ours.shape != theirs.shape:
        yield compare(name, ours, theirs)
        return
    scores = np.zeros(ours.shape[-1], np.bool_)
    scores[score_column] = True
    yield compare(f'{name} scores', ours[..., scores], theirs[..., scores],
                  absolute=SCORE_TOLERANCE)  # fmt: skip
    yield compare(name, ours[..., ~scores], theirs[..., ~scores], absolute=CELL_TOLERANCE)


def compare_by_class(
    name: str, received: Sequence[ArrayLike], expected: Mapping[str, Any]
) -> Iterator[Comparison]:
    """Rows of each class, in image pixels, against those of a dictionary of classes from 1."""
    if sorted(expected, key=int) != [str(index + 1) for index in range(len(received))]:
        raise ValueError(f'{name}: {len(received)} classes, recorded {sorted(expected)}')
    for index, rows in enumerate(received):
        ours = np.asarray(rows)
        theirs = np.asarray(expected[str(index + 1)], np.float32).reshape(-1, ours.shape[1])
        label = f'{name} class {index + 1}'
        yield compare(label, ours, theirs, absolute=PIXEL_TOLERANCE)
        if ours.shape == theirs.shape:
            scores = ours[:, 4], theirs[:, 4]
            yield compare(f'{label} scores', *scores, absolute=SCORE_TOLERANCE)
