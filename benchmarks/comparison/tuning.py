"""Thresholds of a peer, chosen on a grid by its mean HOTA over all sequences."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.comparison.bootstrap import resampled_metrics
from benchmarks.comparison.contributions import contributions
from benchmarks.comparison.peers import Peer, camera_motions, run_peer
from benchmarks.comparison.recordings import Recording
from benchmarks.comparison.scoring import compared
from benchmarks.comparison.sequences import LabelledSequence

# Rounds over all groups; a round that changes nothing ends the search before.
MOST_ROUNDS = 3

Motions = Sequence[Sequence[NDArray[np.float64]]]


def motions_of(sequences: Sequence[LabelledSequence]) -> Motions:
    """Camera motion of each sequence, for peers that use images."""
    return [camera_motions(sequence.source) for sequence in sequences]


def tune(
    peer: Peer,
    sequences: Sequence[LabelledSequence],
    recordings: Sequence[Recording],
    class_index: int,
    motions: Motions | None = None,
    progress: Callable[[str], object] = lambda _: None,
) -> tuple[dict[str, Any], float]:
    """The best parameters that the grid has.

    Each group of `peer.grid` is searched exhaustively with the others held, group after group,
    until a whole round changes nothing. It begins with the library's defaults.

    Args:
        peer: which one.
        sequences: with their truth.
        recordings: of them in the same order; what the peer is fed with.
        class_index: class of the detections.
        motions: from `motions_of`, for peers that use images.
        progress: called with a line after each group.

    Returns:
        Parameters that differ from the defaults, and their mean HOTA.
    """
    known: dict[tuple[tuple[str, Any], ...], float] = {}

    def quality(parameters: Mapping[str, Any]) -> float:
        key = tuple(sorted(parameters.items()))
        if key not in known:
            known[key] = _mean_hota(peer, sequences, recordings, class_index, motions, parameters)
        return known[key]

    best: dict[str, Any] = {}
    for _ in range(MOST_ROUNDS):
        before = quality(best)
        for group in peer.grid:
            tried = [best | dict(zip(group, row, strict=True)) for row in _rows(group)]
            best = max([best, *tried], key=quality)
            progress(f'{peer.title}: {len(known)} tried, mean HOTA {quality(best):.2f}, {best}')
        if quality(best) == before:
            break
    return best, quality(best)


def _rows(group: Mapping[str, Sequence[Any]]) -> list[tuple[Any, ...]]:
    return list(itertools.product(*group.values()))


def _mean_hota(
    peer: Peer,
    sequences: Sequence[LabelledSequence],
    recordings: Sequence[Recording],
    class_index: int,
    motions: Motions | None,
    parameters: Mapping[str, Any],
) -> float:
    values = []
    for place, (sequence, recording) in enumerate(zip(sequences, recordings, strict=True)):
        run = run_peer(
            peer,
            recording,
            class_index,
            sequence.source.fps,
            motions=None if motions is None else motions[place],
            parameters=parameters,
        )
        # The same numbers as TrackEval's, six times as fast.
        units = contributions(compared(sequence, run.frames).data)
        whole = np.ones((1, len(units.boxes)))
        values.append(resampled_metrics(units, whole)['HOTA'][0])
    return float(np.mean(values))
