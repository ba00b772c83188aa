"""Optimisation profiles: which batches and sizes a plan takes, and for which it is fastest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from centertrack_ros.engines.base import expected_inputs
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import SIZE_MULTIPLE, Size, input_size

# Most oblong image, sides as a ratio, that the range of an `adaptive` model includes.
_LONGEST_RATIO = 4


class Range(NamedTuple):
    """Smallest and largest value allowed, and the one that kernels are chosen for."""

    smallest: int
    best: int
    largest: int

    @classmethod
    def only(cls, value: int) -> Range:
        """A range of one value."""
        return cls(value, value, value)


@dataclass(frozen=True)
class Profile:
    """Images per call, and height and width of the network input in pixels."""

    batch: Range
    height: Range
    width: Range

    def __post_init__(self) -> None:
        for name in ('batch', 'height', 'width'):
            smallest, best, largest = getattr(self, name)
            if not 1 <= smallest <= best <= largest:
                raise ValueError(
                    f'{name}: expected 1 <= smallest <= best <= largest, received '
                    f'{smallest}:{best}:{largest}'
                )

    @property
    def text(self) -> str:
        """Short description such as `batch1_416x544`, fit for file names."""
        height, width = _text(self.height), _text(self.width)
        return f'batch{_text(self.batch)}_{height}x{width}'

    def covers(self, batch: int, height: int, width: int) -> bool:
        """Whether a plan with this profile runs such an input."""
        sizes = ((self.batch, batch), (self.height, height), (self.width, width))
        return all(allowed.smallest <= value <= allowed.largest for allowed, value in sizes)

    def input_shapes(self, spec: ModelSpec) -> dict[str, tuple[tuple[int, ...], ...]]:
        """Smallest, best and largest shape of every input of a model with this spec."""
        corners = zip(self.batch, self.height, self.width, strict=True)
        shapes = [input_shapes(spec, *corner) for corner in corners]
        return {name: tuple(shape[name] for shape in shapes) for name in shapes[0]}


def input_shapes(
    spec: ModelSpec, batch: int, height: int, width: int
) -> dict[str, tuple[int, ...]]:
    """Shape of every input of a model for images (batch, height, width, 3)."""
    prior = (batch, 1, height // spec.prior_heatmap_stride, width // spec.prior_heatmap_stride)
    return {
        name: prior if name == 'prior_heatmap' else (batch, height, width, 3)
        for name in expected_inputs(spec)
    }


def default_profile(spec: ModelSpec, batch: int | Range = 1) -> Profile:
    """All sizes that the model takes: of an `adaptive` one, those of images up to 4:1 and 1:4."""
    batches = Range.only(batch) if isinstance(batch, int) else Range(*batch)
    if spec.resize != 'adaptive':
        return Profile(batches, Range.only(spec.input_height), Range.only(spec.input_width))
    oblong = input_size((1000, 1000 * _LONGEST_RATIO), spec)
    smallest, largest = oblong
    # The graph picks the best K of the cells that there are.
    while (smallest // spec.stride) ** 2 < spec.max_candidates:
        smallest += SIZE_MULTIPLE
    largest = max(largest, spec.input_height, spec.input_width)
    smallest = min(smallest, spec.input_height, spec.input_width)
    return Profile(
        batches,
        Range(smallest, spec.input_height, largest),
        Range(smallest, spec.input_width, largest),
    )


def exact_profile(size: Size, batch: Sequence[int]) -> Profile:
    """One size of the network input (height, width), and a range of batches."""
    return Profile(Range(*batch), Range.only(size[0]), Range.only(size[1]))


def _text(values: Range) -> str:
    return str(values.best) if len(set(values)) == 1 else '-'.join(map(str, values))
