"""Images of a sequence at which a tracker is put to the test, and how it fared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.comparison.contributions import OVERLAP, Pairs, clear_pairs
from benchmarks.comparison.scoring import Comparison
from centertrack_ros.replay.metrics import overlaps
from centertrack_ros.replay.mot_files import FrameBoxes

# Overlap from which two people hide each other.
CROSSING_OVERLAP = 0.3
# Images by which two moments of one sequence differ at least, so that no scene comes twice.
APART = 12


@dataclass(frozen=True)
class Moment:
    """One image.

    Attributes:
        kind: `switch`, `found again`, `crossing` or `crowd`.
        sequence: index of the sequence.
        image: index of the image.
        hardness: larger is harder, within its kind.
        caption: for people.
        ids: of the tracks that it is about, empty = all.
        box: (4,) xyxy of what it is about, image pixels.
    """

    kind: str
    sequence: int
    image: int
    hardness: float
    caption: str
    ids: tuple[int, ...]
    box: NDArray[np.float64]


def hard_moments(
    place: int, truth: Sequence[FrameBoxes], comparison: Comparison, fps: float
) -> list[Moment]:
    """All of one sequence.

    Args:
        place: index of the sequence.
        truth: people of each image.
        comparison: tracks beside them.
        fps: images per second.
    """
    pairs = clear_pairs(comparison.data)
    return [
        *_changes(place, truth, comparison, pairs, fps),
        *_crossings(place, truth, comparison, pairs),
        *_crowds(place, truth, comparison),
    ]


def choose_moments(moments: Sequence[Moment], count: int) -> list[Moment]:
    """The hardest of each kind in turn, from as many sequences as there are."""
    kinds = list(dict.fromkeys(moment.kind for moment in moments))
    chosen: list[Moment] = []
    left = sorted(moments, key=lambda moment: -moment.hardness)
    while left and len(chosen) < count:
        for kind in kinds:
            left = [moment for moment in left if not _too_near(moment, chosen)]
            of_kind = [moment for moment in left if moment.kind == kind]
            if of_kind and len(chosen) < count:
                uses = [sum(other.sequence == m.sequence for other in chosen) for m in of_kind]
                # The first of the least used: `of_kind` begins with the hardest.
                chosen.append(of_kind[int(np.argmin(uses))])
    order = {kind: number for number, kind in enumerate(kinds)}
    return sorted(chosen, key=lambda moment: (order[moment.kind], moment.sequence, moment.image))


def _too_near(moment: Moment, chosen: Sequence[Moment]) -> bool:
    return any(
        moment.sequence == other.sequence and abs(moment.image - other.image) < APART
        for other in chosen
    )


def _changes(
    place: int, truth: Sequence[FrameBoxes], comparison: Comparison, pairs: Pairs, fps: float
) -> Iterator[Moment]:
    """Identities that come back under another id, or under their own after a gap."""
    order = np.lexsort((pairs.images, pairs.truth_ids))
    rows = zip(order[:-1].tolist(), order[1:].tolist(), strict=True)
    for before, after in rows:
        if pairs.truth_ids[before] != pairs.truth_ids[after]:
            continue
        image = int(pairs.images[after])
        gap = image - int(pairs.images[before])
        box = truth[image].boxes[_row(comparison.data['gt_ids'][image], pairs.truth_ids[after])]
        old, new = (_real_id(comparison, pairs, row) for row in (before, after))
        if old != new:
            yield Moment(
                'switch', place, image, 1.0 / gap, f'switch: {old} is now {new}', (old, new), box
            )
        elif gap > 1 and not _follows_another(pairs, before, after):
            caption = f'found again: {new} after {gap / fps:.1f} s'
            yield Moment('found again', place, image, gap / fps, caption, (new,), box)


def _follows_another(pairs: Pairs, before: int, after: int) -> bool:
    """Whether the track was at somebody else between two matches with one identity."""
    between = (pairs.images > pairs.images[before]) & (pairs.images < pairs.images[after])
    return bool((pairs.track_ids[between] == pairs.track_ids[after]).any())


def _crossings(
    place: int, truth: Sequence[FrameBoxes], comparison: Comparison, pairs: Pairs
) -> Iterator[Moment]:
    """Two people who hide each other and both keep their ids."""
    for image, frame in enumerate(truth):
        overlap = np.triu(overlaps(frame.boxes, frame.boxes), k=1)
        if not (overlap > CROSSING_OVERLAP).any():
            continue
        matched = np.flatnonzero(pairs.images == image)
        id_of = {int(pairs.truth_ids[row]): _real_id(comparison, pairs, row) for row in matched}
        numbers = comparison.data['gt_ids'][image]
        for first, second in zip(*np.nonzero(overlap > CROSSING_OVERLAP), strict=True):
            one, two = id_of.get(int(numbers[first])), id_of.get(int(numbers[second]))
            if one is not None and two is not None:
                both = frame.boxes[[first, second]]
                box = np.concatenate((both[:, :2].min(axis=0), both[:, 2:].max(axis=0)))
                share = float(overlap[first, second])
                caption = f'crossing: {one} and {two}, overlap {share:.2f}'
                yield Moment('crossing', place, image, share, caption, (one, two), box)


def _crowds(place: int, truth: Sequence[FrameBoxes], comparison: Comparison) -> Iterator[Moment]:
    """Images with many people who overlap."""
    for image, frame in enumerate(truth):
        overlap = overlaps(frame.boxes, frame.boxes) - np.eye(len(frame))
        crowded = (overlap > CROSSING_OVERLAP / 3).any(axis=1)
        if crowded.sum() < 3:
            continue
        boxes = frame.boxes[crowded]
        box = np.concatenate((boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)))
        found = (comparison.data['similarity_scores'][image] >= OVERLAP).any(axis=1).sum()
        caption = f'crowd: {crowded.sum()} overlap, {found} of {len(frame)} tracked'
        yield Moment('crowd', place, image, float(crowded.sum()), caption, (), box)


def _row(ids: NDArray[np.int64], wanted: int) -> int:
    return int(np.flatnonzero(ids == wanted)[0])


def _real_id(comparison: Comparison, pairs: Pairs, row: int) -> int:
    """The id that the tracker gave, of a matched pair."""
    image = int(pairs.images[row])
    number = _row(comparison.data['tracker_ids'][image], pairs.track_ids[row])
    return int(comparison.found[image].ids[number])
