"""Confidence intervals of metrics, and of differences between trackers, by bootstrap over tracks.

The estimator. A sequence is a sample of objects: its true identities and its false objects, each
with all that belongs to it (see `contributions`). A resample draws as many identities as there
are, with replacement; each false object comes 0, 1, 2, ... times by a Poisson law of mean 1, since
the number of false objects is itself chance. Sums are taken over what was drawn, the metrics made
of them as always, and averaged over the sequences, which stay as they are: the intervals are about
other people in these places, not about other places. What is kept as it was in the sequence:
matches, the one track that Identity assigns to a person, and the length of the tracks in HOTA's
association score. A difference between two trackers takes the same draws for both, so what is
hard for both does not blur it. Intervals are percentiles (Efron 1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.comparison.contributions import HOTA_OVERLAPS, Contributions

BOOTSTRAP_METRICS = ('HOTA', 'DetA', 'AssA', 'MOTA', 'IDF1')
RESAMPLES = 1000
CONFIDENCE = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value and its interval, percent.

    Attributes:
        value: of the sequences as they are.
        low, high: bounds at `CONFIDENCE`.
    """

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference is a difference."""
        return self.low > 0.0 or self.high < 0.0


def draw_weights(
    identity_count: int, unit_count: int, resamples: int, generator: np.random.Generator
) -> Floats:
    """How often each unit (R, U) is in each resample.

    Args:
        identity_count: number of true identities; they come first.
        unit_count: U, with the false objects.
        resamples: R.
        generator: where chance comes from.
    """
    shares = np.full(identity_count, 1.0 / max(identity_count, 1))
    identities = generator.multinomial(identity_count, shares, size=resamples)
    false_objects = generator.poisson(1.0, size=(resamples, unit_count - identity_count))
    return np.concatenate((identities, false_objects), axis=1).astype(np.float64)


def resampled_metrics(units: Contributions, weights: Floats) -> dict[str, Floats]:
    """Metrics (R,) of one sequence, in percent, for each row of weights (R, U)."""
    overlap_count = len(HOTA_OVERLAPS)
    sums = weights @ units.columns()
    widths = [1, overlap_count, overlap_count, overlap_count, *[1] * 6]
    parts = np.split(sums, np.cumsum(widths)[:-1], axis=1)
    boxes, matched, false, association = parts[:4]
    clear_matched, clear_false, switches, _, id_matched, tracked = (
        part[:, 0] for part in parts[4:]
    )
    detection = matched / np.maximum(boxes + false, 1)
    quality = association / np.maximum(matched, 1)
    true_boxes = np.maximum(boxes[:, 0], 1)
    return {
        'HOTA': 100 * np.sqrt(detection * quality).mean(axis=1),
        'DetA': 100 * detection.mean(axis=1),
        'AssA': 100 * quality.mean(axis=1),
        'MOTA': 100 * (clear_matched - clear_false - switches) / true_boxes,
        'IDF1': 200 * id_matched / np.maximum(boxes[:, 0] + tracked, 1),
    }


class Bootstrap:
    """Resamples of the mean over sequences, for trackers that are compared."""

    def __init__(
        self,
        trackers: Mapping[str, Sequence[Contributions]],
        identity_counts: Sequence[int],
        *,
        seed: int,
        resamples: int = RESAMPLES,
    ) -> None:
        """Draw once and compute the metrics of all trackers for the same draws.

        Args:
            trackers: by name, units of each sequence in the same order.
            identity_counts: number of true identities of each sequence.
            seed: of the draws.
            resamples: how many.
        """
        self._values: dict[str, dict[str, float]] = {}
        self._samples: dict[str, dict[str, Floats]] = {}
        sequence_count = len(identity_counts)
        for name in trackers:
            self._values[name] = dict.fromkeys(BOOTSTRAP_METRICS, 0.0)
            self._samples[name] = {key: np.zeros(resamples) for key in BOOTSTRAP_METRICS}
        for place, identity_count in enumerate(identity_counts):
            most = max(len(units[place].boxes) for units in trackers.values())
            generator = np.random.default_rng([seed, place])
            weights = draw_weights(identity_count, most, resamples, generator)
            for name, units in trackers.items():
                of_sequence = units[place]
                count = len(of_sequence.boxes)
                whole = resampled_metrics(of_sequence, np.ones((1, count)))
                samples = resampled_metrics(of_sequence, weights[:, :count])
                for key in BOOTSTRAP_METRICS:
                    self._values[name][key] += float(whole[key][0]) / sequence_count
                    self._samples[name][key] += samples[key] / sequence_count

    def interval(self, name: str, metric: str) -> Interval:
        """Of the mean over sequences of one tracker."""
        return _interval(self._values[name][metric], self._samples[name][metric])

    def difference(self, name: str, other: str, metric: str) -> Interval:
        """Of the first tracker's mean less the other's."""
        return _interval(
            self._values[name][metric] - self._values[other][metric],
            self._samples[name][metric] - self._samples[other][metric],
        )


def _interval(value: float, samples: Floats) -> Interval:
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(samples, (tail, 100.0 - tail)).tolist()
    return Interval(value, low, high)
