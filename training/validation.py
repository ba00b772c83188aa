"""What the averaged weights are worth: their loss, and the metrics of whole sets."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from training.loader import make_loader
from training.losses import l1_loss
from training.objective import Objective
from training.selection import LOSS
from training.trainer import Trainer

# Of a network, its model and, as `device`, where to run it: metrics by name.
Metrics = Callable[..., dict[str, float]]


class Validation:
    """Measures a trainer's averaged weights, in one process.

    Attributes:
        names: those given.

    Args:
        pairs: the same samples every time, for the loss.
        batch_size: of them.
        workers: processes that load them.
        metrics: measures whole sets, or None where there are none.
        names: of everything that it may measure.
    """

    def __init__(
        self,
        pairs: Dataset[Any],
        *,
        batch_size: int,
        workers: int,
        metrics: Metrics | None = None,
        names: Collection[str] = (LOSS,),
    ) -> None:
        self.names = frozenset(names)
        self._pairs = pairs
        self._loader = make_loader(pairs, batch_size=batch_size, workers=workers)
        self._metrics = metrics

    def samples(self, count: int) -> list[dict[str, Any]]:
        """`count` of the pairs, spread over all of them."""
        length = len(self._pairs)  # type: ignore[arg-type]
        count = min(count, length)
        return [self._pairs[length * place // count] for place in range(count)]

    def measure(
        self, trainer: Trainer, interruptible: AbstractContextManager[None] | None = None
    ) -> dict[str, float]:
        """`loss`, `loss_<term>` of every term, and the metrics.

        `loss_of_standing_still` is what the term `tracking` would be for a network that always
        answers that nothing has moved.

        Args:
            trainer: its weights are exchanged for the averaged ones meanwhile.
            interruptible: around the work, and not around the exchange of the weights, which an
                exception from a signal would leave half done.
        """
        with trainer.evaluating() as objective, interruptible or nullcontext():
            values = self._losses(trainer, objective)
            if self._metrics is not None:
                device = trainer.processes.device
                values |= self._metrics(trainer.network, trainer.spec, device=device)
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
