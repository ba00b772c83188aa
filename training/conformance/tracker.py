"""tracker.json, tracker_pre_hm.npz: association, birth and death, and the map of old places.

| original | here |
|---|---|
| `Tracker` (`src/lib/utils/tracker.py`), greedy | `tracker.CenterTrackTracker` |
| the same with `--hungarian` | the same with `hungarian=True` |
| `init_track` with public detections | `CenterTrackTracker.initialise` |
| `Detector._get_additional_inputs`: `pre_hm` | `rendering.render_prior_heatmap` |
| `pre_inds` | `rendering.prior_cells` |
| the second `pre_hm` of a flip test | `preprocessing.with_mirrored` |

`active`, the number of images in a row in which a track was seen, is counted here from
`Tracks.misses`; ours says how often it was seen at all. The original sets `active` of a result
to 0 that it has handed out one image before, when its track is lost and kept; our results never
change, and which ones it would hit is compared.

`hungarian_robust` are compared up to the names of the tracks: which of two births comes first
depends on the solver. A track is known by the detection that it began with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import Detections, Tracks
from centertrack_ros.model_spec import ModelSpec, Thresholds
from centertrack_ros.preprocessing import Placement, with_mirrored
from centertrack_ros.rendering import prior_cells, render_prior_heatmap
from centertrack_ros.tracker import CenterTrackTracker, TrackerParameters
from training.conformance.track_history import BEFORE, History, Row, rows_of
from training.conformance.vectors import Case, Comparison, Vectors, compare, equal, owned, same

FILE = 'tracker.json'
HEATMAPS = 'tracker_pre_hm.npz'
GROUPS = ('sequences', 'hungarian_robust')
PRIOR_THRESHOLD = 0.5

Json = dict[str, Any]


def required_files(vectors: Vectors) -> Sequence[str]:
    """Sequences, and maps drawn from some of their tracks."""
    return [FILE, HEATMAPS]


def cases(vectors: Vectors) -> Iterable[Case]:
    """One case per run of a sequence, and one per heatmap."""
    document = vectors.document(FILE)
    for group in document:
        for sequence in document[group]:
            for run in sequence['runs']:
                options = run['options']
                method = 'hungarian' if options['hungarian'] else 'greedy'
                public = '-public' if options['public_det'] else ''
                name = f'{sequence["name"]}/{method}-age{options["max_age"]}{public}'
                yield Case(FILE, name, (), partial(_run, group, sequence, run))
    arrays = vectors.arrays(HEATMAPS)
    for name in sorted({name.split('/')[0] for name in arrays}):
        yield Case(HEATMAPS, name, owned(arrays, name), partial(_heatmap, vectors, name))


def _run(group: str, sequence: Json, run: Json) -> Iterator[Comparison]:
    if group not in GROUPS:
        raise ValueError(f'unknown group {group}')
    named = group == 'sequences'
    theirs, ours = _recorded(run), History()
    differences = []
    for image, tracks in enumerate(_replay(sequence, run['options'])):
        if image == 0:  # what `initialise` made
            ours.births = {
                identity: (BEFORE, row) for row, identity in enumerate(tracks.ids.tolist())
            }
            expected = run['init_track_ids']
            yield same('init_track_ids', tracks.ids.tolist(), expected)
            continue
        rows = rows_of(tracks, image - 1, ours)
        ours.append(rows)
        differences += list(_content(tracks, rows, sequence))
    yield from _worst(differences)
    yield from (
        _same_images('tracks', ours.images, theirs.images)
        if named
        else _same_images('tracks', ours.unnamed(), theirs.unnamed())
    )
    yield same('num_ids', len(ours.births), run['num_ids'])
    zeroed = run['active_zeroed_afterwards']
    if isinstance(zeroed, list) and named:
        yield same('active_zeroed_afterwards', ours.zeroed(), sorted(zeroed))
    else:
        count = len(zeroed) if isinstance(zeroed, list) else zeroed
        yield same('active_zeroed_afterwards', len(ours.zeroed()), count)


def _replay(sequence: Json, options: Json) -> Iterator[Tracks]:
    """Tracks before the first image, then after each."""
    tracker = CenterTrackTracker(
        TrackerParameters(
            track_threshold=0.0,
            birth_threshold=options['new_thresh'],
            prior_threshold=PRIOR_THRESHOLD,
            max_age=0.0,
            max_age_frames=options['max_age'],
        ),
        hungarian=options['hungarian'],
    )
    frames = sequence['frames']
    public = _public_detections if options['public_det'] else lambda frame: None
    yield tracker.initialise(public(frames[0]) or Detections.empty())
    for frame in frames:
        yield tracker.update(_detections(frame), 0.0, public(frame))


def _detections(frame: Json) -> Detections:
    return Detections(
        boxes=np.array(frame['bbox'], np.float32).reshape(-1, 4),
        scores=np.array(frame['score'], np.float32),
        classes=np.array(frame['class'], np.int64),
        centers=np.array(frame['ct'], np.float32).reshape(-1, 2),
        offsets=np.array(frame['tracking'], np.float32).reshape(-1, 2),
    )


def _public_detections(frame: Json) -> Detections:
    boxes = np.array(frame['public_bbox'], np.float32).reshape(-1, 4)
    return Detections(
        boxes=boxes,
        scores=np.ones(len(boxes), np.float32),
        classes=np.ones(len(boxes), np.int64),
        centers=(boxes[:, :2] + boxes[:, 2:]) / 2,
        offsets=np.zeros((len(boxes), 2), np.float32),
    )


def _recorded(run: Json) -> History:
    history = History()
    history.births = {
        identity: (BEFORE, row) for row, identity in enumerate(run['init_track_ids'])
    }
    for image, out in enumerate(run['out']):
        lost = iter(out['coasted_from'])
        sources = [(image, row) if row >= 0 else tuple(next(lost)) for row in out['det']]
        columns = (out['tracking_id'], sources, out['det'], out['active'], out['age'])
        history.append([Row(*values) for values in zip(*columns, strict=True)])
    return history


def _content(tracks: Tracks, rows: list[Row], sequence: Json) -> Iterator[Comparison]:
    """A track is what its last detection was, and drawn if sure and in sight."""
    frames = sequence['frames']
    expected: dict[str, list[Any]] = {'bbox': [], 'ct': [], 'score': [], 'class': []}
    for row in rows:
        image, index = row.source
        if image == BEFORE:
            item = _public_detections(frames[0])[index : index + 1]
            values = (item.boxes[0], item.centers[0], item.scores[0], item.classes[0])
        else:
            values = tuple(frames[image][name][index] for name in expected)
        for name, value in zip(expected, values, strict=True):
            expected[name].append(value)
    ours = (tracks.boxes, tracks.centers, tracks.scores, tracks.classes)
    for (name, values), received in zip(expected.items(), ours, strict=True):
        # The original keeps the single numbers that it was given.
        recorded = np.array(values, received.dtype).reshape(received.shape)
        yield equal(name, received, recorded)
    yield equal('active > 0', tracks.reported, [row.active > 0 for row in rows])


def _worst(comparisons: list[Comparison]) -> Iterator[Comparison]:
    """The worst comparison of each name."""
    for name in dict.fromkeys(comparison.name for comparison in comparisons):
        yield max(
            (comparison for comparison in comparisons if comparison.name == name),
            key=lambda comparison: comparison.share,
        )


def _same_images(name: str, ours: list[Any], theirs: list[Any]) -> Iterator[Comparison]:
    """Equal lists of every image; names the first that differs."""
    yield same('images', len(ours), len(theirs))
    for image, (our_rows, their_rows) in enumerate(zip(ours, theirs, strict=True)):
        differing = [pair for pair in zip(our_rows, their_rows, strict=False)
                     if pair[0] != pair[1]] or [(len(our_rows), len(their_rows))]  # fmt: skip
        if our_rows != their_rows:
            yield same(f'{name} of image {image}', *differing[0])
            return
    yield same(name, len(ours), len(theirs))


def _heatmap(vectors: Vectors, name: str) -> Iterator[Comparison]:
    arrays = vectors.arrays(HEATMAPS)
    recorded = {key: arrays[f'{name}/{key}'] for key in ('bbox', 'score', 'active', 'pre_hm',
                'pre_inds', 'c', 's', 'trans_input', 'trans_output', 'inp_hw')}  # fmt: skip
    input_height, input_width = recorded['inp_hw'].tolist()
    center = recorded['c'].tolist()
    side = float(recorded['s'])
    placement = Placement(
        (center[0], center[1]),
        (side, side),
        image_size=(round(2 * center[1]), round(2 * center[0])),
        input_size=(input_height, input_width),
    )
    spec = _spec(input_height, input_width)
    for key, stride in (('trans_input', 1), ('trans_output', spec.stride)):
        matrix = placement.matrix(stride)
        yield compare(key, matrix, recorded[key], absolute=1e-12, relative=1e-6)
    tracks = _drawn_tracks(recorded)
    heatmap = render_prior_heatmap(tracks, placement.transform, spec)[None, None]
    if len(recorded['pre_hm']) == 2:  # flip test
        heatmap = with_mirrored(heatmap, width_axis=3)
    yield compare('pre_hm', heatmap, recorded['pre_hm'], absolute=1e-5)
    cells = prior_cells(tracks, placement.transform, spec)
    yield equal('pre_inds', cells[None], recorded['pre_inds'])


def _drawn_tracks(recorded: Mapping[str, NDArray[Any]]) -> Tracks:
    """Tracks with the recorded boxes and scores; drawn if sure and in sight."""
    boxes, scores = recorded['bbox'], recorded['score']
    seen = recorded['active'] != 0
    count = len(scores)
    return Tracks(
        ids=np.arange(1, count + 1),
        boxes=boxes,
        scores=scores,
        classes=np.zeros(count, np.int64),
        centers=(boxes[:, :2] + boxes[:, 2:]) / 2,
        velocities=np.zeros((count, 2), np.float32),
        hits=np.ones(count, np.int64),
        misses=(~seen).astype(np.int64),
        reported=seen,
        detection_indices=np.where(seen, 0, -1),
        prior_weights=((scores >= PRIOR_THRESHOLD) & seen).astype(np.float32),
    )


def _spec(input_height: int, input_width: int) -> ModelSpec:
    return ModelSpec(
        name='recorded',
        architecture='dla34',
        input_height=input_height,
        input_width=input_width,
        resize='centertrack',
        stride=4,
        max_candidates=100,
        classes=('person',),
        heads={'hm': 1, 'reg': 2, 'wh': 2, 'tracking': 2},
        box='wh',
        radius_rule='centertrack',
        prior_heatmap_stride=1,
        thresholds=Thresholds(detection=0.0, track=0.0, birth=0.0, prior=PRIOR_THRESHOLD),
        licence='none',
    )
