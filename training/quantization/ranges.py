"""Ranges of activations over calibration samples, by several rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from training.quantization.samples import Inputs

RangeRule = Literal['minmax', 'percentile', 'mse']
RULES: tuple[RangeRule, ...] = get_args(RangeRule)
# Values kept of each tensor and sample.
_KEPT = 4096
_PERCENTILE = 99.99
# Shares of the extremes among which `mse` chooses.
_SHARES = tuple(np.linspace(0.1, 1.0, 31).tolist())
_LEVELS = 255

Range = tuple[float, float]


@dataclass(frozen=True)
class TensorValues:
    """What was seen of one tensor.

    Attributes:
        lowest, highest: of all values.
        values: (N,) float32, drawn from them at random.
        size: number of values for one sample, the mean.
    """

    lowest: float
    highest: float
    values: NDArray[np.float32]
    size: float


def collect_values(
    model: ModelProto,
    nodes: Iterable[str],
    samples: Sequence[Inputs],
    generator: np.random.Generator,
    progress: Callable[[], object] = lambda: None,
) -> dict[str, TensorValues]:
    """Run the model and look at all float tensors that the nodes read and write.

    Args:
        model: full precision.
        nodes: names of nodes.
        samples: inputs.
        generator: draws the values that are kept.
        progress: called after each sample.
    """
    constants = {entry.name for entry in model.graph.initializer}
    wanted = set(nodes)
    names = list(
        dict.fromkeys(
            name
            for node in model.graph.node
            if node.name in wanted
            for name in (*node.input, *node.output)
            if name and name not in constants
        )
    )
    augmented = onnx.ModelProto()
    augmented.CopyFrom(model)
    present = {entry.name for entry in (*model.graph.output, *model.graph.input)}
    for name in names:
        if name not in present:
            entry = onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            augmented.graph.output.append(entry)
    session = onnxruntime.InferenceSession(
        augmented.SerializeToString(), providers=['CPUExecutionProvider']
    )
    outputs = [name for name in names if name not in {entry.name for entry in model.graph.input}]
    lowest = dict.fromkeys(names, np.inf)
    highest = dict.fromkeys(names, -np.inf)
    sizes = dict.fromkeys(names, 0.0)
    kept: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    for sample in samples:
        found = dict(zip(outputs, session.run(outputs, dict(sample)), strict=True))
        found |= {name: value for name, value in sample.items() if name in kept}
        for name, array in found.items():
            values = np.ravel(array)
            lowest[name] = min(lowest[name], float(values.min()))
            highest[name] = max(highest[name], float(values.max()))
            sizes[name] += values.size / len(samples)
            if values.size > _KEPT:
                values = values[generator.integers(0, values.size, _KEPT)]
            kept[name].append(values.astype(np.float32))
        progress()
    return {
        name: TensorValues(lowest[name], highest[name], np.concatenate(kept[name]), sizes[name])
        for name in names
    }


def choose_range(seen: TensorValues, rule: RangeRule, *, symmetric: bool) -> Range:
    """The range that the 8 bits span; it contains 0.

    Args:
        seen: values of the tensor.
        rule: `minmax`: the extremes; `percentile`: all but one value in ten thousand at each end;
            `mse`: the part of the extremes with the least mean square of what rounding and
            clipping change.
        symmetric: whether it is to reach as far below 0 as above.
    """
    low, high = min(seen.lowest, 0.0), max(seen.highest, 0.0)
    if rule == 'percentile':
        tails = np.percentile(seen.values, (100.0 - _PERCENTILE, _PERCENTILE))
        low, high = min(float(tails[0]), 0.0), max(float(tails[1]), 0.0)
    if symmetric:
        low, high = -max(-low, high), max(-low, high)
    if rule == 'mse' and high > low:
        if symmetric:
            high = _best([(-high * share, high * share) for share in _SHARES], seen.values)[1]
            low = -high
        else:
            high = _best([(low, high * share) for share in _SHARES], seen.values)[1]
            low = _best([(low * share, high) for share in _SHARES], seen.values)[0]
    return low, high


def _best(candidates: Sequence[Range], values: NDArray[np.float32]) -> Range:
    """The range with the least error."""
    errors = [_error(values, low, high) for low, high in candidates]
    return candidates[int(np.argmin(errors))]


def _error(values: NDArray[np.float32], low: float, high: float) -> float:
    """Mean square of what quantisation to [low, high] changes."""
    scale = (high - low) / _LEVELS
    rounded = np.clip(np.round(values / scale) * scale, low, high)
    return float(np.mean(np.square(rounded - values)))
