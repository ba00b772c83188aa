"""What a metric says: over all, and of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scores:
    """Values of one family of metrics.

    Attributes:
        overall: metric -> value, over all classes. Shares of COCO's kind (AP, ...) are in [0, 1],
            those of tracking (HOTA, ...) in percent, as their benchmarks print them.
        classes: class name -> metric -> value; a metric that is not defined for a class, for
            example because it has no object, is left out.
    """

    overall: Mapping[str, float]
    classes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def merged_scores(parts: Sequence[Scores]) -> Scores:
    """Several families as one; of a name that two of them have the later value counts."""
    overall: dict[str, float] = {}
    classes: dict[str, dict[str, float]] = {}
    for part in parts:
        overall |= part.overall
        for class_name, values in part.classes.items():
            classes.setdefault(class_name, {}).update(values)
    return Scores(overall, classes)
