"""targets.json, targets.npz, targets_images.npz: what CenterTrack's networks are trained with.

| original (`generic_dataset.py`) | here |
| --- | --- |
| annotations, `cat_ids`, `iscrowd` | `training.data.coco_reader.frame_records` |
| `_load_pre_data` for validation | `training.data.coco_video.VideoIndex.previous` |
| `get_affine_transform` | `affine.affine_matrix`, `preprocessing.fixed_placement` |
| `_flip_anns` | `FrameLabels.flipped(pixel_middle=0)` |
| `_get_input` | `training.augment.warp_frame(pixel_middle=0)`, `preprocessing.normalised` |
| `_get_bbox_output` | `training.targets.objects.place_objects` |
| `_mask_ignore_or_crowd` | `training.targets.objects.ignored_areas` |
| `_add_instance` | `training.targets.build_targets` and the files beside it |
| `_add_hps`, `_add_rot` | `training.targets.joints`, `.heatmaps`; `.boxes3d.rotation_bins` |
| `_get_pre_dets` | `training.targets.build_prior_heatmap`, `.prior_objects` |
| `_format_gt_det`, `_alpha_to_8` | `targets_to_detections`, `.boxes3d.rotation_channels` |
| `_get_calib` | `FrameRecord.camera_matrix`, `camera_geometry.default_camera_matrix` |

All of it under `TargetRules.original()`. Where the released code raises (`error_in_original`),
the previous frame is placed as the current one, as it was for the recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.camera_geometry import default_camera_matrix
from centertrack_ros.preprocessing import fixed_placement, normalised
from training.augment import flip_frame, warp_frame
from training.conformance._target_frames import (
    RULES,
    Placing,
    image_size,
    place_frames,
    read_records,
    target_settings,
    turned_labels,
)
from training.conformance.vectors import (
    BATCH_NAMES,
    Case,
    Comparison,
    Vectors,
    compare,
    equal,
    owned,
    same,
)
from training.data.coco_reader import FrameRecord
from training.data.coco_video import VideoIndex
from training.data.dataset import NO_NOISE
from training.data.labels import FrameLabels, LabelledFrame
from training.presets import PRESETS
from training.targets import (
    TargetSettings,
    build_prior_heatmap,
    build_targets,
    prior_objects,
    targets_to_detections,
)

ENTRIES = 'targets.json'
FILE = 'targets.npz'
IMAGES = 'targets_images.npz'
PRIOR_CASE = 'predets'
# Cells, pixels or metres; and the precision of float32 for what is large.
TOLERANCE = {'absolute': 1e-5, 'relative': 1e-6}
# Two grey levels: warps of OpenCV 4 and 5 differ by that much.
PIXEL_TOLERANCE = 2 / 255 / min(PRESETS['mot'].std)

DETECTION_NAMES = {'bboxes': 'boxes', 'clses': 'classes', 'cts': 'centers'}
# Lists that the debug mode makes and does not fill.
UNFILLED = ('reg', 'wh', 'ltrb')
# One box of one cell stands for an image without objects; all else of it is 0.
NO_DETECTIONS = {'bboxes': [[0, 0, 1, 1]], 'scores': [1]}


def required_files(vectors: Vectors) -> Sequence[str]:
    """Entries, arrays and images."""
    return (ENTRIES, FILE, IMAGES)


def cases(vectors: Vectors) -> Iterable[Case]:
    """One case per sample, per prior heatmap and per pair of images."""
    arrays, images = vectors.arrays(FILE), vectors.arrays(IMAGES)
    entries = vectors.document(ENTRIES)
    for flavour, entry in entries.items():
        for name, sample in entry['cases'].items():
            run = partial(_sample, vectors, flavour, entry, name, sample)
            yield Case(FILE, f'{flavour}/{name}', owned(arrays, f'{flavour}/{name}'), run)
    for prefix in dict.fromkeys('/'.join(name.split('/')[:2]) for name in arrays):
        flavour, _, name = prefix.partition('/')
        index = name.removeprefix(PRIOR_CASE)
        if name.startswith(PRIOR_CASE) and index.isdecimal() and flavour in entries:
            run = partial(_prior, vectors, flavour, entries[flavour], int(index))
            yield Case(FILE, prefix, owned(arrays, prefix), run)
    for flavour, entry in entries.items():
        for name, sample in entry['cases'].items():
            recorded = owned(images, f'{flavour}/{name}')
            if recorded:
                run = partial(_images, vectors, flavour, entry, name)
                names = (*recorded, *_sources(flavour, sample))
                yield Case(IMAGES, f'{flavour}/{name}', names, run)


def _sources(flavour: str, sample: Mapping[str, Any]) -> list[str]:
    ids = dict.fromkeys((sample['image_id'], sample['pre_image_id']))
    return [f'{flavour}/src_image_{number}' for number in ids]


def _sample(
    vectors: Vectors, flavour: str, entry: Mapping[str, Any], name: str, sample: Mapping[str, Any]
) -> Iterator[Comparison]:
    """Targets of one sample, and for validation how it was chosen and what debugging shows."""
    expected = vectors.arrays(FILE).under(f'{flavour}/{name}')
    records, settings = read_records(flavour, entry), target_settings(entry)
    placing = place_frames(records, entry, sample)
    current = turned_labels(placing.record, placing).zoomed(placing.enlargement)
    previous = FrameLabels.from_rows()
    if placing.previous is not None:
        labels = turned_labels(placing.previous, placing)
        previous = labels.warped(placing.previous_to_input, hulls=RULES.previous_hulls)
    targets = build_targets(current, previous, settings, to_cells=placing.to_cells)
    detections = {
        key.removeprefix('gt_det/'): expected.pop(key)
        for key in list(expected)
        if key.startswith('gt_det/')
    }
    if name.startswith('val'):
        yield from _choice(records, placing, sample)
        yield equal('calib', _camera_matrix(placing.record), expected.pop('calib'))
        yield from _detections(targets_to_detections(targets, RULES.edges), detections)
    elif not name.startswith('aug'):
        raise ValueError(f'unknown kind of case {name}')
    if placing.previous is not None:
        targets['pre_hm'] = _prior_heatmap(previous, settings)
    yield same('names', sorted(targets), sorted(BATCH_NAMES.get(key, key) for key in expected))
    for key, value in expected.items():
        yield _matches(key, targets[BATCH_NAMES.get(key, key)], value)


def _choice(
    records: Sequence[FrameRecord], placing: Placing, sample: Mapping[str, Any]
) -> Iterator[Comparison]:
    """Which previous frame validation takes, and where the frames are placed."""
    index = [record.image_id for record in records].index(sample['image_id'])
    if placing.previous is not None:
        ours = records[VideoIndex(records).previous(index)].image_id
        yield same('pre_image_id', ours, sample['pre_image_id'])
    placement = fixed_placement(image_size(placing.record), (32, 32))
    yield equal('c', placement.center, sample['c'])
    yield equal('s', placement.window[0], sample['s'])


def _camera_matrix(record: FrameRecord) -> NDArray[Any]:
    if record.camera_matrix is not None:
        return record.camera_matrix
    return default_camera_matrix(image_size(record))


def _detections(
    found: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]
) -> Iterator[Comparison]:
    """Targets read back; the original shows them as float32."""
    empty = not len(found['scores'])
    for key, value in expected.items():
        if empty:
            ours = np.zeros_like(value) + NO_DETECTIONS.get(key, 0)
        elif key in UNFILLED:
            ours = np.zeros(0)
        else:
            ours = found[DETECTION_NAMES.get(key, key)]
        yield compare(f'gt_det/{key}', ours, value, **TOLERANCE)


def _prior(
    vectors: Vectors, flavour: str, entry: Mapping[str, Any], index: int
) -> Iterator[Comparison]:
    """The prior heatmap of one frame in itself, and what it is drawn from."""
    expected = vectors.arrays(FILE).under(f'{flavour}/{PRIOR_CASE}{index}')
    settings, record = target_settings(entry), read_records(flavour, entry)[index]
    placement = fixed_placement(image_size(record), tuple(entry['input_hw']))
    labels = record.labels.warped(placement.matrix(), hulls=RULES.previous_hulls)
    objects = prior_objects(labels, settings)
    found = {
        'pre_hm': _prior_heatmap(labels, settings),
        'pre_cts': objects.centers / settings.stride,
        'track_ids': objects.track_ids,
    }
    yield same('names', sorted(found), sorted(expected))
    for key, value in expected.items():
        yield _matches(key, found[key], value)


def _prior_heatmap(labels: FrameLabels, settings: TargetSettings) -> NDArray[Any]:
    return build_prior_heatmap(labels, settings, NO_NOISE, np.random.default_rng(0))


def _images(
    vectors: Vectors, flavour: str, entry: Mapping[str, Any], name: str
) -> Iterator[Comparison]:
    """Both images of a sample, as the network sees them."""
    arrays, sample = vectors.arrays(IMAGES), entry['cases'][name]
    placing = place_frames(read_records(flavour, entry), entry, sample)
    size, preset = tuple(entry['input_hw']), PRESETS['mot']
    mean, std = (tuple(255 * np.array(values)) for values in (preset.mean, preset.std))
    for key, number, matrix in (
        ('image', sample['image_id'], placing.to_input),
        ('pre_img', sample['pre_image_id'], placing.previous_to_input),
    ):
        source = arrays[f'{flavour}/src_image_{number}']
        frame = LabelledFrame(source, FrameLabels.from_rows())
        if placing.flipped:
            frame = flip_frame(frame, pixel_middle=RULES.pixel_middle)
        warped = warp_frame(frame, matrix, size, pixel_middle=RULES.pixel_middle)
        ours = normalised(warped.image[None], mean, std)[0]
        yield compare(key, ours, arrays[f'{flavour}/{name}/{key}'], absolute=PIXEL_TOLERANCE)


def _matches(name: str, received: NDArray[Any], expected: NDArray[Any]) -> Comparison:
    """Whole numbers and masks have to be equal."""
    if name.endswith('mask') or np.issubdtype(expected.dtype, np.integer):
        return equal(name, received, expected)
    return compare(name, received, expected, **TOLERANCE)
