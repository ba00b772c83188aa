"""Which rule gives each layer its ranges, and which layers stay in float."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from onnx import ModelProto

from centertrack_ros.datatypes import Candidates
from training.quantization.convert import Target, quantize, with_int8_nodes
from training.quantization.errors import row_error, run_samples
from training.quantization.layers import Layer, pixel_tensors
from training.quantization.ranges import RULES, Range, RangeRule, TensorValues, choose_range
from training.quantization.samples import Inputs

# uint8 images are quantised already.
_PIXELS = (0.0, 255.0)


@dataclass(frozen=True)
class LayerReport:
    """What was found out about one layer.

    Attributes:
        name: see `Layer`.
        rule: that gives its tensors their ranges; None where it was not tried.
        work: its share of the network's multiplications.
        reason: why it stays in float, '' if it is quantised.
    """

    name: str
    rule: RangeRule | None
    work: float
    reason: str


@dataclass(frozen=True)
class Quantized:
    """A quantised model and how it came about.

    Attributes:
        model: with Q/DQ pairs.
        error: its `row_error`.
        first_error: that with all layers quantised that may be.
        layers: all layers, in the order of the graph.
    """

    model: ModelProto
    error: float
    first_error: float
    layers: tuple[LayerReport, ...]

    @property
    def int8_work(self) -> float:
        """Share of the network's multiplications that are done in INT8."""
        return sum(layer.work for layer in self.layers if not layer.reason)


@dataclass(frozen=True)
class Search:
    """Quantises a model so that it stays close to what it was.

    Attributes:
        model: full precision, of `layers.load_graph`.
        layers: those that may be quantised.
        values: what was seen of their tensors.
        held_back: inputs that errors are measured on.
        threshold: score of a detection.
        target: what it is for.
        outputs: see `convert.with_int8_nodes`.
        threads: of the measurements.
        progress: called after each.
    """

    model: ModelProto
    layers: Sequence[Layer]
    values: Mapping[str, TensorValues]
    held_back: Sequence[Inputs]
    threshold: float
    target: Target
    outputs: bool
    threads: int
    progress: Callable[[], object] = lambda: None

    def run(self, aim: float, keep_float: Sequence[str] = ()) -> Quantized:
        """Quantise all layers, then give the worst back to float until the error is at the aim.

        Every layer is first quantised alone, by each rule, and keeps the best. The worst layer is
        the one with the most error for its share of the multiplications.

        Args:
            aim: largest `row_error`.
            keep_float: patterns of layers that stay in float, `*` for anything.

        Raises:
            ValueError: a pattern fits no layer.
        """
        check_patterns(keep_float, self.layers)
        reference = run_samples(self.model, self.held_back, self.threads)
        reasons = {
            layer.name: 'asked for'
            for layer in self.layers
            if any(fnmatchcase(layer.name, pattern) for pattern in keep_float)
        }
        rules, errors = self._alone([x for x in self.layers if x.name not in reasons], reference)
        whole = self._quantized(rules)
        work = self._work()
        model, error = self._measured(whole, reasons, reference)
        first_error = error
        ranking = sorted(
            rules,
            key=lambda name: errors[name] / max(work[name], 1e-4),
            reverse=True,
        )
        for name in ranking:
            if error <= aim:
                break
            reasons[name] = f'error {errors[name]:.3f} alone, {work[name]:.1%} of the work'
            model, error = self._measured(whole, reasons, reference)
        reports = [
            LayerReport(name, rules.get(name), work[name], reasons.get(name, '')) for name in work
        ]
        return Quantized(model, error, first_error, tuple(reports))

    def _alone(
        self, layers: Sequence[Layer], reference: Sequence[Candidates]
    ) -> tuple[dict[str, RangeRule], dict[str, float]]:
        """Of each layer the best rule, and the error with it."""
        rules: dict[str, RangeRule] = {}
        errors: dict[str, float] = {}
        for rule in RULES:
            whole = self._quantized({layer.name: rule for layer in layers})
            for layer in layers:
                model = with_int8_nodes(self.model, whole, layer.nodes, outputs=self.outputs)
                error = self._error(model, reference)
                if error < errors.get(layer.name, float('inf')):
                    rules[layer.name], errors[layer.name] = rule, error
        return rules, errors

    def _quantized(self, rules: Mapping[str, RangeRule]) -> ModelProto:
        nodes = [name for layer in self.layers if layer.name in rules for name in layer.nodes]
        return quantize(self.model, nodes, self._ranges(rules), self.target)

    def _ranges(self, rules: Mapping[str, RangeRule]) -> dict[str, Range]:
        """Of each tensor that a layer with a rule reads or writes."""
        layer_of = {
            name: layer.name
            for layer in self.layers
            if layer.name in rules
            for name in layer.nodes
        }
        of_tensor: dict[str, RangeRule] = {}
        for node in self.model.graph.node:
            if node.name in layer_of:
                # Who reads it suffers from its range; who writes it, where nobody here reads it.
                rule = rules[layer_of[node.name]]
                of_tensor.update({name: rule for name in node.input if name in self.values})
                of_tensor |= {name: rule for name in node.output if name not in of_tensor}
        pixels = pixel_tensors(self.model)
        symmetric = self.target == 'tensorrt'
        return {
            name: _PIXELS
            if name in pixels and not symmetric
            else choose_range(self.values[name], rule, symmetric=symmetric)
            for name, rule in of_tensor.items()
        }

    def _measured(
        self, whole: ModelProto, floating: Collection[str], reference: Sequence[Candidates]
    ) -> tuple[ModelProto, float]:
        nodes = [x for layer in self.layers if layer.name not in floating for x in layer.nodes]
        model = with_int8_nodes(self.model, whole, nodes, outputs=self.outputs)
        return model, self._error(model, reference)

    def _error(self, model: ModelProto, reference: Sequence[Candidates]) -> float:
        found = run_samples(model, self.held_back, self.threads)
        self.progress()
        return row_error(reference, found, self.threshold)

    def _work(self) -> dict[str, float]:
        """Share of the multiplications of each layer."""
        counts = {
            layer.name: float(
                sum(
                    weights * self.values[tensor].size
                    for tensor, weights in layer.multiplications.items()
                )
            )
            for layer in self.layers
        }
        total = sum(counts.values())
        return {name: count / total for name, count in counts.items()}


def check_patterns(patterns: Sequence[str], layers: Sequence[Layer]) -> None:
    """Make sure that every pattern fits a layer.

    Raises:
        ValueError: one does not.
    """
    names = [layer.name for layer in layers]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                f'keep_float: expected patterns of layers, {pattern!r} fits none of {names}'
            )
