"""What every true and every false object adds to the metrics of one tracker on one sequence.

HOTA, MOTA and IDF1 are quotients of sums over true identities and over tracks, so the sums can be
taken per unit. The units of a sequence are its true identities and its false objects (tracks that
match no truth, those of all compared trackers at one place together). A unit carries

- an identity: its boxes, those matched and missed, its id switches, its share of the association
  score, and the false boxes of all tracks that match it more often than any other identity;
- a false object: the false boxes of its tracks.

With every unit counted once, the scores are those of TrackEval. Matching follows TrackEval: HOTA
by the global alignment score, CLEAR by the previous match and then overlap, Identity by one global
assignment. These are written anew here because TrackEval gives sums over all identities only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from centertrack_ros.replay.metrics import SequenceData, overlaps
from centertrack_ros.replay.mot_files import FrameBoxes

# Overlaps (IoU) of HOTA, and that of MOTA and IDF1.
HOTA_OVERLAPS = np.arange(0.05, 0.99, 0.05)
OVERLAP = 0.5
_EPSILON = np.finfo(np.float64).eps

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Matched boxes of a sequence, in the order of time.

    Attributes:
        images: (P,) int64.
        truth_ids: (P,) int64, indices of identities.
        track_ids: (P,) int64, indices of tracks.
        similarities: (P,) float64 IoU.
    """

    images: Integers
    truth_ids: Integers
    track_ids: Integers
    similarities: Floats


@dataclass(frozen=True)
class Contributions:
    """Sums per unit, U of them, the G true identities first; A = number of `HOTA_OVERLAPS`.

    Attributes:
        boxes: (U,) true boxes.
        matched: (U, A) matched boxes of HOTA.
        false: (U, A) false boxes of HOTA.
        association: (U, A) sum over matched boxes of their association score.
        clear_matched, clear_false, switches, fragments: (U,) of MOTA.
        id_matched: (U,) boxes that carry the right id.
        tracked: (U,) boxes of the tracks that go with the unit.
    """

    boxes: Floats
    matched: Floats
    false: Floats
    association: Floats
    clear_matched: Floats
    clear_false: Floats
    switches: Floats
    fragments: Floats
    id_matched: Floats
    tracked: Floats

    def columns(self) -> Floats:
        """All of it (U, K), in the order of the fields."""
        return np.column_stack(list(vars(self).values()))


def contributions(data: SequenceData, false_objects: Integers | None = None) -> Contributions:
    """Split the sums of a sequence.

    Args:
        data: truth and tracks, from `metrics.sequence_data`.
        false_objects: (T,) int64, number of the false object that a track is part of, -1 for
            tracks that match truth; None gives every false track an object of its own. The
            number of units is the number of identities and that of false objects.
    """
    truth_count, track_count = data['num_gt_ids'], data['num_tracker_ids']
    truth_boxes = _counts(data['gt_ids'], truth_count)
    track_boxes = _counts(data['tracker_ids'], track_count)
    clear = clear_pairs(data)
    owners = owning_identities(clear, truth_count, track_count)
    if false_objects is None:
        false_objects = np.where(owners < 0, np.cumsum(owners < 0) - 1, -1)
    units = np.where(owners < 0, truth_count + false_objects, owners)
    unit_count = truth_count + int(false_objects.max(initial=-1)) + 1

    matches = _hota_matches(data, truth_boxes, track_boxes)
    union = truth_boxes[:, None, None] + track_boxes[None, :, None] - matches
    quality = (matches**2 / np.maximum(union, 1)).sum(axis=1)
    switches, fragments = _switches_and_fragments(data, clear)

    def of_identities(values: Floats) -> Floats:
        padding = np.zeros((unit_count - truth_count, *values.shape[1:]))
        return np.concatenate((values, padding))

    def of_tracks(values: Floats) -> Floats:
        sums = np.zeros((unit_count, *values.shape[1:]))
        np.add.at(sums, units, values)
        return sums

    clear_of_tracks = np.bincount(clear.track_ids, minlength=track_count)
    return Contributions(
        boxes=of_identities(truth_boxes),
        matched=of_identities(matches.sum(axis=1)),
        false=of_tracks(track_boxes[:, None] - matches.sum(axis=0)),
        association=of_identities(quality),
        clear_matched=of_identities(np.bincount(clear.truth_ids, minlength=truth_count)),
        clear_false=of_tracks(track_boxes - clear_of_tracks),
        switches=of_identities(switches),
        fragments=of_identities(fragments),
        id_matched=of_identities(_id_matches(data, truth_boxes, track_boxes)),
        tracked=of_tracks(track_boxes),
    )


def owning_identities(pairs: Pairs, truth_count: int, track_count: int) -> Integers:
    """The identity (T,) that each track matches most often, -1 where it matches none."""
    counts = np.zeros((truth_count, track_count))
    np.add.at(counts, (pairs.truth_ids, pairs.track_ids), 1)
    if truth_count == 0:
        return np.full(track_count, -1, np.int64)
    owners: Integers = counts.argmax(axis=0).astype(np.int64)
    owners[counts.sum(axis=0) == 0] = -1
    return owners


def shared_false_objects(
    trackers: Sequence[tuple[SequenceData, Sequence[FrameBoxes]]],
) -> list[Integers]:
    """Number the false objects of several trackers on one sequence together.

    False tracks that overlap by `OVERLAP` in some image are one object: trackers fed with the
    same detections follow the same false ones, and their errors rise and fall together.

    Args:
        trackers: of each its comparison with the truth, and the boxes compared.

    Returns:
        For each tracker (T,) int64 as `contributions` takes it.
    """
    false_tracks = []
    for data, _ in trackers:
        owners = owning_identities(clear_pairs(data), data['num_gt_ids'], data['num_tracker_ids'])
        false_tracks.append(owners < 0)
    starts = np.cumsum([0, *map(len, false_tracks)])
    links: list[tuple[int, int]] = []
    for image in range(max((len(frames) for _, frames in trackers), default=0)):
        boxes, nodes = [np.zeros((0, 4))], [np.zeros(0, np.int64)]
        for (data, frames), false, start in zip(trackers, false_tracks, starts, strict=False):
            if image < len(frames) and len(frames[image]):
                chosen = false[data['tracker_ids'][image]]
                boxes.append(frames[image].boxes[chosen])
                nodes.append(data['tracker_ids'][image][chosen] + start)
        places, numbers = np.concatenate(boxes), np.concatenate(nodes)
        first, second = np.nonzero(np.triu(overlaps(places, places) >= OVERLAP, k=1))
        links += zip(numbers[first].tolist(), numbers[second].tolist(), strict=True)
    total = int(starts[-1])
    ends = np.array(sorted(set(links)), np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(total, total))
    labels = connected_components(graph, directed=False)[1] if total else np.zeros(0, np.int64)
    everywhere = np.concatenate([*false_tracks, np.zeros(0, np.bool_)])
    _, numbers = np.unique(labels[everywhere], return_inverse=True)
    objects = np.full(total, -1, np.int64)
    objects[everywhere] = numbers
    return [objects[starts[i] : starts[i + 1]] for i in range(len(trackers))]


def clear_pairs(data: SequenceData) -> Pairs:
    """Boxes matched by CLEAR: those of the image before go on, then the best overlap."""
    previous = np.full(data['num_gt_ids'], -1, np.int64)
    rows = []
    for image, (truth_ids, track_ids, similarity) in enumerate(_images(data)):
        # TrackEval forgets nothing where an image lacks truth or tracks.
        if len(truth_ids) == 0 or len(track_ids) == 0:
            continue
        scores = 1000.0 * (track_ids[None, :] == previous[truth_ids][:, None]) + similarity
        scores[similarity < OVERLAP - _EPSILON] = 0.0
        first, second = linear_sum_assignment(scores, maximize=True)
        good = scores[first, second] > _EPSILON
        first, second = first[good], second[good]
        previous[:] = -1
        previous[truth_ids[first]] = track_ids[second]
        rows.append((image, truth_ids[first], track_ids[second], similarity[first, second]))
    return _pairs(rows)


def _hota_matches(data: SequenceData, truth_boxes: Floats, track_boxes: Floats) -> Floats:
    """Matched boxes (G, T, A) of identities and tracks at each overlap."""
    potential = np.zeros((len(truth_boxes), len(track_boxes)))
    for truth_ids, track_ids, similarity in _images(data):
        sums = similarity.sum(axis=0)[None, :] + similarity.sum(axis=1)[:, None] - similarity
        share = np.divide(similarity, sums, out=np.zeros_like(sums), where=sums > _EPSILON)
        potential[truth_ids[:, None], track_ids[None, :]] += share
    alignment = potential / (truth_boxes[:, None] + track_boxes[None, :] - potential)
    rows = []
    for image, (truth_ids, track_ids, similarity) in enumerate(_images(data)):
        scores = alignment[truth_ids[:, None], track_ids[None, :]] * similarity
        first, second = linear_sum_assignment(scores, maximize=True)
        rows.append((image, truth_ids[first], track_ids[second], similarity[first, second]))
    pairs = _pairs(rows)
    good = pairs.similarities[:, None] >= HOTA_OVERLAPS[None, :] - _EPSILON
    matches = np.zeros((*potential.shape, len(HOTA_OVERLAPS)))
    np.add.at(matches, (pairs.truth_ids, pairs.track_ids), good)
    return matches


def _id_matches(data: SequenceData, truth_boxes: Floats, track_boxes: Floats) -> Floats:
    """Boxes (G,) of each identity that overlap those of the one track assigned to it."""
    counts = np.zeros((len(truth_boxes), len(track_boxes)))
    for truth_ids, track_ids, similarity in _images(data):
        first, second = np.nonzero(similarity >= OVERLAP)
        np.add.at(counts, (truth_ids[first], track_ids[second]), 1)
    # Assigning a pair saves its matches among the missed and again among the false boxes, and
    # leaving both alone costs nothing more: the best assignment has the most matches.
    first, second = linear_sum_assignment(counts, maximize=True)
    matched = np.zeros(len(truth_boxes))
    matched[first] = counts[first, second]
    return matched


def _switches_and_fragments(data: SequenceData, pairs: Pairs) -> tuple[Floats, Floats]:
    """Changes of the track, and new beginnings after a gap, of each identity."""
    order = np.lexsort((pairs.images, pairs.truth_ids))
    truth_ids, track_ids = pairs.truth_ids[order], pairs.track_ids[order]
    # Images without truth or without tracks are no gap, as in `clear_pairs`.
    counted = [len(truth) > 0 and len(tracks) > 0 for truth, tracks, _ in _images(data)]
    steps = np.cumsum(counted)[pairs.images[order]] if counted else pairs.images
    same = truth_ids[1:] == truth_ids[:-1]
    switched = same & (track_ids[1:] != track_ids[:-1])
    resumed = same & (steps[1:] != steps[:-1] + 1)
    count = data['num_gt_ids']
    return (
        np.bincount(truth_ids[1:][switched], minlength=count).astype(np.float64),
        np.bincount(truth_ids[1:][resumed], minlength=count).astype(np.float64),
    )


def _images(data: SequenceData) -> zip[tuple[Integers, Integers, Floats]]:
    return zip(data['gt_ids'], data['tracker_ids'], data['similarity_scores'], strict=True)


def _counts(ids: Sequence[Integers], count: int) -> Floats:
    together = np.concatenate([np.zeros(0, np.int64), *ids])
    return np.bincount(together, minlength=count).astype(np.float64)


def _pairs(rows: Sequence[tuple[int, Integers, Integers, Floats]]) -> Pairs:
    if not rows:
        none = np.zeros(0, np.int64)
        return Pairs(none, none, none, np.zeros(0))
    images = np.concatenate([np.full(len(row[1]), row[0], np.int64) for row in rows])
    return Pairs(images, *(np.concatenate([row[i] for row in rows]) for i in (1, 2, 3)))
