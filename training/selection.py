"""Which validation was the best, and whether it is time to stop."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from centertrack_ros.replay.metrics import COUNTS
from training.evaluation.boxes3d import ERRORS_3D
from training.evaluation.boxes3d_tracking import COUNTS_3D
from training.evaluation.pose_tracking import JOINT_COUNTS

LOSS = 'loss'
_LOWEST = (*COUNTS, *JOINT_COUNTS, *ERRORS_3D, 'AMOTP', *COUNTS_3D)


@dataclass
class Selection:
    """The best validation so far.

    Attributes:
        metric: name; the highest is the best, but of losses, errors and counts of mistakes the
            lowest.
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

        One without the metric is not: errors of boxes in space for example are unknown as long
        as none is found.
        """
        value = values.get(self.metric, math.nan)
        # Several sets have SET/METRIC too.
        name = self.metric.rpartition('/')[2]
        lower = name.startswith(LOSS) or name in _LOWEST
        better = math.isnan(self.best) or (value < self.best if lower else value > self.best)
        better = better and not math.isnan(value)
        if better:
            self.best = value
        self.stale = 0 if better else self.stale + 1
        return better

    def check(self, known: Collection[str]) -> None:
        """Make sure that the metric is one of the `known` ones; ValueError otherwise."""
        if self.metric not in known:
            raise ValueError(
                f'loop.metric: expected one of {sorted(known)}, received {self.metric!r}; what '
                'there is depends on the heads and on the sets of data.validation'
            )

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
