"""Everything that changes at a training step: network, optimiser, averages, step number."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from centertrack_ros.model_spec import ModelSpec
from training.distributed import Processes, synchronised_batch_norm
from training.losses import EXTRA_LOSSES, TotalLoss
from training.models.network import CenterTrackNetwork
from training.objective import Batch, Objective
from training.optimisation import (
    AveragedWeights,
    OptimiserKind,
    Schedule,
    make_optimiser,
    parameter_groups,
    set_learning_rates,
)

Precision = Literal['fp32', 'bf16', 'fp16']
BatchNormRule = Literal['train', 'frozen', 'synchronised']
_DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}
# A scale of the loss below which a gradient that overflows is not the scale's fault.
_LEAST_SCALE = 1.0


class NonFiniteLossError(FloatingPointError):
    """The loss or its gradient is not finite; the weights were not changed."""


@dataclass(frozen=True)
class StepRules:
    """How a step is computed.

    Attributes:
        precision: `fp32`, or autocast to `bf16` or `fp16` (with a scaled loss); weights are fp32.
        gradient_clip: largest norm of the gradient; 0 = no limit.
        batch_norm: `train`; `frozen`: statistics stay as the start brought them;
            `synchronised`: those of the batches of all processes together.
        channels_last: memory format.
        compile: torch.compile.
    """

    precision: Precision = 'fp32'
    gradient_clip: float = 0.0
    batch_norm: BatchNormRule = 'train'
    channels_last: bool = True
    compile: bool = False


@dataclass(frozen=True)
class OptimiserRules:
    """What a step does to the weights; for the fields see `training.optimisation`."""

    kind: OptimiserKind
    schedule: Schedule
    learning_rate: float
    pretrained_factor: float = 1.0
    weight_decay: float = 0.0
    ema_decay: float = 0.0


@dataclass(frozen=True)
class StepResult:
    """What a step found out; tensors stay on the device, so that nothing waits for them.

    Attributes:
        terms: of the loss, of this process.
        gradient_norm: before clipping.
    """

    terms: dict[str, Tensor]
    gradient_norm: Tensor


class Trainer:
    """A network in training.

    All that is random in a step follows from `seed`, the step and the process, so nothing of it
    has to be kept for a resume.

    Attributes:
        spec: the model.
        processes: those given.
        network: the raw weights.
        average: the averaged ones, which are evaluated and exported.
        step: finished steps.

    Args:
        network: as it begins.
        new: names of its parameters that the start did not bring.
        spec: the model.
        loss: of its heads, for `processes`.
        processes: those that train together.
        optimisation, rules: see there.
        seed: of all that is random in the network.

    Raises:
        ValueError: nothing is left to train, or fp16 without a GPU.
    """

    def __init__(
        self,
        network: CenterTrackNetwork,
        new: Collection[str],
        spec: ModelSpec,
        loss: TotalLoss,
        processes: Processes,
        optimisation: OptimiserRules,
        rules: StepRules,
        *,
        seed: int = 0,
    ) -> None:
        device = processes.device
        if rules.precision == 'fp16' and device.type != 'cuda':
            raise ValueError(
                'loop.precision: fp16 is for CUDA devices, received fp16 on '
                f'{device.type}; choose bf16 or fp32'
            )
        self.spec = spec
        self.processes = processes
        self.step = 0
        self._rules = rules
        self._schedule = optimisation.schedule
        self._seed = seed
        layout = torch.channels_last if rules.channels_last else torch.contiguous_format
        self.network = network.to(device=device, memory_format=layout)
        if rules.batch_norm == 'synchronised':
            # Which layer it becomes depends on the device.
            self.network = synchronised_batch_norm(self.network)
        groups = parameter_groups(
            self.network,
            new,
            learning_rate=optimisation.learning_rate,
            pretrained_factor=optimisation.pretrained_factor,
            weight_decay=optimisation.weight_decay,
        )
        self._trained = [parameter for group in groups for parameter in group['params']]
        self.optimiser = make_optimiser(optimisation.kind, groups)
        self.scaler = torch.amp.GradScaler(device.type, enabled=rules.precision == 'fp16')
        self.average = AveragedWeights(self.network, optimisation.ema_decay)
        self._objective = Objective(
            self.network,
            loss,
            spec,
            channels_last=rules.channels_last,
            compile=rules.compile,
        ).to(device)
        self._shared_objective = processes.wrap(
            self._objective, find_unused=_has_idle_heads(spec, loss)
        )
        self._set_modes()

    @property
    def learning_rate(self) -> float:
        """Highest learning rate of the last step."""
        return max(group['lr'] for group in self.optimiser.param_groups)

    def to_device(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The batch where the network is."""
        device = self.processes.device
        return {name: value.to(device, non_blocking=True) for name, value in batch.items()}

    def train_step(self, batch: Batch) -> StepResult:
        """One optimiser step with a batch that is on the device.

        Raises:
            NonFiniteLossError: the loss or its gradient is not finite, in any process; all
                processes raise it, and no weights were changed.
        """
        device = self.processes.device.type
        torch.manual_seed(_step_seed(self._seed, self.step, self.processes.rank))
        set_learning_rates(self.optimiser, self._schedule.factor(self.step))
        self.optimiser.zero_grad(set_to_none=True)
        dtype = _DTYPES[self._rules.precision]
        with torch.autocast(device, dtype, enabled=self._rules.precision != 'fp32'):
            terms = self._shared_objective(batch)
        self.scaler.scale(terms['total']).backward()
        self.scaler.unscale_(self.optimiser)
        norm = self._clip()
        terms = {name: term.detach() for name, term in terms.items()}
        self._check(terms, norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.step += 1
        self.processes.unify_buffers(self.network)
        self.average.update(self.step)
        return StepResult(terms, norm)

    @contextmanager
    def evaluating(self) -> Iterator[Objective]:
        """The objective with the averaged weights in evaluation mode, for one process alone.

        Afterwards all is as it was.
        """
        with self.average.applied():
            self._objective.loss.eval()
            try:
                yield self._objective
            finally:
                self._objective.loss.train()

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to go on exactly here, but for the averages."""
        return {
            'step': self.step,
            'network': self.network.state_dict(),
            'optimiser': self.optimiser.state_dict(),
            'scaler': self.scaler.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any], averages: Mapping[str, Tensor]) -> None:
        """Go on where `state` was taken, with the averages of that moment."""
        self.network.load_state_dict(state['network'])
        self.optimiser.load_state_dict(state['optimiser'])
        self.scaler.load_state_dict(state['scaler'])
        self.average.load_state_dict(averages)
        self.step = state['step']

    def _clip(self) -> Tensor:
        limit = self._rules.gradient_clip or float('inf')
        return nn.utils.clip_grad_norm_(self._trained, limit)

    def _check(self, terms: Mapping[str, Tensor], norm: Tensor) -> None:
        """The one place of a step that waits for the device."""
        total = self.processes.mean(terms['total'])
        scaling = self.scaler.is_enabled() and self.scaler.get_scale() > _LEAST_SCALE
        healthy = torch.isfinite(total) if scaling else torch.isfinite(total) & norm.isfinite()
        if not healthy:
            values = {name: round(float(term), 4) for name, term in terms.items()}
            raise NonFiniteLossError(
                f'step {self.step}: the loss is {float(total)}, the norm of its gradient '
                f'{float(norm)}; terms of process {self.processes.rank}: {values}'
            )

    def _set_modes(self) -> None:
        """Training mode, but statistics that are not to be learnt stay as they are."""
        self.network.train()
        frozen = self._rules.batch_norm == 'frozen'
        for module in self.network.modules():
            if isinstance(module, _BatchNorm):
                own = list(module.parameters(recurse=False))
                if frozen or (own and not any(parameter.requires_grad for parameter in own)):
                    module.eval()


def _has_idle_heads(spec: ModelSpec, loss: TotalLoss) -> bool:
    """Whether a head is learnt by none of the losses."""
    learnt = {EXTRA_LOSSES.get(name, name) for name in loss.weights}
    if 'conv_weight' in learnt:
        learnt.add('seg_feat')
    return not learnt >= set(spec.heads)


def _step_seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> 1)
