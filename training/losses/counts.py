"""What sums of losses are divided by: counts of objects, elements or images.

Where several processes share a batch, each of them divides its own sum by the count of the whole
batch, for which the losses take a function `total`. So a process returns its share of the loss:
the shares of all add up to the loss of the whole batch, even if one of them has no object.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

# The sum of a count over all processes.
Total = Callable[[Tensor], Tensor]


def own(count: Tensor) -> Tensor:
    """The total of a single process."""
    return count
