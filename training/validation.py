"""What the averaged weights are worth: their loss, and the metrics of whole sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from centertrack_ros.model_spec import ModelSpec
from training.loader import make_loader
from training.losses import l1_loss
from training.objective import Objective
from training.trainer import Trainer

# Of a network, the model and the device: metrics by name.
Metrics = Callable[[nn.Module, ModelSpec, torch.device], dict[str, float]]


class Validation:
    """Measures a trainer's averaged weights, in one process.

    Args:
        pairs: the same samples every time, for the loss.
        batch_size: of them.
        workers: processes that load them.
        metrics: measures whole sets, or None where there are none.
    """

    def __init__(
        self,
        pairs: Dataset[Any],
        *,
        batch_size: int,
        workers: int,
        metrics: Metrics | None = None,
    ) -> None:
        self._pairs = pairs
        self._loader = make_loader(pairs, batch_size=batch_size, workers=workers)
        self._metrics = metrics

    def samples(self, count: int) -> list[dict[str, Any]]:
        """The first `count` of the pairs."""
        length = len(self._pairs)  # type: ignore[arg-type]
        return [self._pairs[index] for index in range(min(count, length))]

    def measure(self, trainer: Trainer) -> dict[str, float]:
        """`loss`, `loss_<term>` of every term, and the metrics.

        `loss_of_standing_still` is what the term `tracking` would be for a network that always
        answers that nothing has moved.
        """
        with trainer.evaluating() as objective:
            values = self._losses(trainer, objective)
            if self._metrics is not None:
                device = trainer.processes.device
                values |= self._metrics(trainer.network, trainer.spec, device)
        return values

    @torch.no_grad()
    def _losses(self, trainer: Trainer, objective: Objective) -> dict[str, float]:
        sums: dict[str, Tensor] = {}
        count = 0
        for batch in self._loader:
            batch = trainer.to_device(batch)
            terms = objective(batch)
            named = {'loss': terms.pop('total')}
            named |= {f'loss_{name}': term for name, term in terms.items()}
            if 'tracking' in terms:
                moved = batch['tracking']
                named['loss_of_standing_still'] = l1_loss(
                    torch.zeros_like(moved), moved, batch['tracking_mask']
                )
            size = len(batch['image'])
            for name, term in named.items():
                sums[name] = sums.get(name, torch.zeros_like(term)) + term * size
            count += size
        return {name: float(total) / count for name, total in sums.items()}
