"""Which validation was the best, and whether it is time to stop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LOSS = 'loss'
# Counts of mistakes.
_LOWEST = ('FP', 'FN', 'IDSW')


@dataclass
class Selection:
    """The best validation so far.

    Attributes:
        metric: name; the highest is the best, but of losses and counts of mistakes the lowest.
        patience: validations without a better one after which training stops; 0 = never.
        best: best value; NaN before the first one.
        stale: validations since then.
        finished_epochs: epochs whose validation is counted.
    """

    metric: str = LOSS
    patience: int = 0
    best: float = math.nan
    stale: int = 0
    finished_epochs: int = 0

    def take(self, values: Mapping[str, float]) -> bool:
        """Count one validation; whether it is the best so far.

        Raises:
            ValueError: the metric is not among `values`; the text lists those that are.
        """
        if self.metric not in values:
            raise ValueError(
                f'loop.metric: expected one of {sorted(values)}, received {self.metric!r}'
            )
        value = values[self.metric]
        lower = self.metric.startswith(LOSS) or self.metric in _LOWEST
        better = math.isnan(self.best) or (value < self.best if lower else value > self.best)
        better = better and not math.isnan(value)
        if better:
            self.best = value
        self.stale = 0 if better else self.stale + 1
        return better

    @property
    def exhausted(self) -> bool:
        """Whether patience is at its end."""
        return 0 < self.patience <= self.stale

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs."""
        return asdict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`; the patience may have changed since."""
        self.best, self.stale = state['best'], state['stale']
        self.finished_epochs = state['finished_epochs']
