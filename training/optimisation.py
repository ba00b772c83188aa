"""How weights change: groups of parameters, optimisers, learning rates, averaged weights."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

OptimiserKind = Literal['adamw', 'adam', 'sgd']
ScheduleKind = Literal['cosine', 'step', 'constant']

SGD_MOMENTUM = 0.9
# A parameter of fewer dimensions is a bias or belongs to a normalisation.
_DECAYED_DIMENSIONS = 2


@dataclass(frozen=True)
class Schedule:
    """The learning rate of every step, as a factor of the one that was asked for.

    Attributes:
        kind: `cosine` falls to 0 at the end, `step` multiplies by `step_factor` at each of
            `milestones`, `constant`.
        total_steps: length of the training.
        warmup_steps: a linear rise in front; the cosine begins after it.
        milestones: steps.
        step_factor: see `kind`.
    """

    kind: ScheduleKind
    total_steps: int
    warmup_steps: int = 0
    milestones: tuple[int, ...] = ()
    step_factor: float = 0.1

    def factor(self, step: int) -> float:
        """Factor of the step that follows `step` finished ones."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.kind == 'constant':
            return 1.0
        if self.kind == 'step':
            return float(self.step_factor ** sum(step >= at for at in self.milestones))
        done = (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def linear_rule(learning_rate: float, batch_size: int, reference_batch: int) -> float:
    """The learning rate of `batch_size`, in proportion; `reference_batch` 0 = as it stands."""
    return learning_rate * batch_size / reference_batch if reference_batch else learning_rate


def parameter_groups(
    network: nn.Module,
    new: Collection[str],
    *,
    learning_rate: float,
    pretrained_factor: float,
    weight_decay: float,
) -> list[dict[str, Any]]:
    """Groups for an optimiser; parameters that are not to be trained stop needing a gradient.

    Args:
        network: what is trained.
        new: names of the parameters that the start did not bring.
        learning_rate: of the new ones.
        pretrained_factor: that of the others, against `learning_rate`; 0 freezes them.
        weight_decay: of weights; not of biases and normalisation.

    Returns:
        Groups that are not empty; each keeps its largest learning rate as `peak_rate`.

    Raises:
        ValueError: nothing is left to train.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        rate = learning_rate * (1.0 if name in new else pretrained_factor)
        if rate <= 0:
            parameter.requires_grad_(False)
            continue
        decay = weight_decay if parameter.ndim >= _DECAYED_DIMENSIONS else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    if not groups:
        raise ValueError(
            'pretrained_factor: with 0 nothing is trained, because the start brought all weights'
        )
    return [
        {'params': parameters, 'lr': rate, 'peak_rate': rate, 'weight_decay': decay}
        for (rate, decay), parameters in groups.items()
    ]


def make_optimiser(kind: OptimiserKind, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimiser over `groups`; its kernels are fused on a GPU."""
    on_gpu = groups[0]['params'][0].device.type == 'cuda'
    fused = True if on_gpu else None
    if kind == 'sgd':
        return torch.optim.SGD(groups, momentum=SGD_MOMENTUM, fused=fused)
    if kind == 'adam':
        return torch.optim.Adam(groups, fused=fused)
    return torch.optim.AdamW(groups, fused=fused)


def set_learning_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Every group gets `factor` of its largest learning rate."""
    for group in optimiser.param_groups:
        group['lr'] = group['peak_rate'] * factor


class AveragedWeights:
    """Moving average of the weights and statistics of a network (EMA).

    Args:
        network: whose values it starts from.
        decay: share of the old average in the new one; 0 = the average is the network itself.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network = network
        self._decay = decay
        self._values = _copy(network.state_dict()) if decay > 0 else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the network after `step` finished steps."""
        if not self._values:
            return
        # A young average follows quickly, or it would still hold the start after a short run.
        decay = min(self._decay, (1 + step) / (10 + step))
        averages, values = [], []
        for name, value in self._network.state_dict().items():
            if value.is_floating_point():
                averages.append(self._values[name])
                values.append(value)
            else:
                self._values[name].copy_(value)
        torch._foreach_lerp_(averages, values, 1 - decay)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by the names of the network, as they are kept: not a copy."""
        return self._values or self._network.state_dict()

    def load_state_dict(self, values: Mapping[str, Tensor]) -> None:
        """Go on from `values`."""
        for name, value in self._values.items():
            value.copy_(values[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The network has the averages and is in evaluation mode; afterwards all is as it was."""
        training = {module: module.training for module in self._network.modules()}
        raw = _copy(self._network.state_dict()) if self._values else {}
        try:
            if self._values:
                self._network.load_state_dict(self._values)
            self._network.eval()
            yield
        finally:
            if raw:
                self._network.load_state_dict(raw)
            for module, mode in training.items():
                module.training = mode


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in state.items()}
