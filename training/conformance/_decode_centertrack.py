"""CenterTrack's part of the adapter `decode`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from centertrack_ros.datatypes import Candidates, Detections
from centertrack_ros.lifting import lift_detections
from centertrack_ros.model_spec import BoxKind, DecodeRules
from training.classes import COCO_JOINTS
from training.conformance._decode_common import (
    ARRAYS,
    CELL_TOLERANCE,
    PIXEL_TOLERANCE,
    SCORE_TOLERANCE,
    Recorded,
    Run,
    candidates,
    detections_of,
)
from training.conformance.vectors import Comparison, compare, equal
from training.data.labels import mirrored_joints
from training.models.decode import candidate_rows
from training.models.flip import merge_flipped
from training.models.joints import pose_scores
from training.models.peaks import cell_positions, suppress_neighbours

RULES = DecodeRules(peaks='class', joints='centertrack', amodal_reference='box', edges='offsets')
# Recorded name -> field of the rows that it equals.
_SAME = {
    'scores': 'scores', 'clses': 'classes', 'cts': 'cells', 'bboxes': 'boxes',
    'bboxes_amodal': 'boxes', 'tracking': 'tracking', 'rot': 'rotation', 'dim': 'dimensions',
    'amodel_offset': 'amodal_offset', 'nuscenes_att': 'attributes', 'velocity': 'velocity',
}  # fmt: skip


def run_of(case: str) -> Run:
    """What runs `case`."""
    if case == 'nms':
        return _nms
    if case == 'few_peaks':
        return _few_peaks
    if case == 'zero_tracking':
        return _zero_tracking
    return _flip if case.startswith('flip_') else _decode


def _decode(recorded: Recorded) -> Iterator[Comparison]:
    """`generic_decode`, then `generic_post_process` with every threshold."""
    recorded.expect_keys(
        'K', 'heads', 'out_hw', 'c', 's', 'calib', 'mode', 'decoded_one_image_at_a_time', 'post'
    )
    maps = recorded.maps()
    rows = candidate_rows(maps, recorded.entry['K'], box=_box(maps), rules=RULES, activated=True)
    yield from _compare_rows(recorded, rows)
    found = candidates(rows)
    for run in recorded.entry['post']['runs']:
        for image, items in enumerate(run['items_per_image']):
            yield from _compare_items(recorded, found, image, run['out_thresh'], items)


def _flip(recorded: Recorded) -> Iterator[Comparison]:
    """`Detector._flip_output`, then `generic_decode`."""
    recorded.expect_keys('K', 'heads')
    merged = merge_flipped(recorded.maps(), _pairs(recorded))
    expected = recorded.group('merged')
    for name in sorted(expected.keys() | merged.keys()):
        yield compare(f'merged {name}', merged[name], expected[name], absolute=SCORE_TOLERANCE)
    rows = candidate_rows(
        merged, recorded.entry['K'], box=_box(merged), rules=RULES, activated=True
    )
    yield from _compare_rows(recorded, rows)


def _zero_tracking(recorded: Recorded) -> Iterator[Comparison]:
    """The option is a model without that head: its candidates do not move."""
    recorded.expect_keys('K')
    maps = {name: values for name, values in recorded.maps().items() if name != 'tracking'}
    rows = candidate_rows(maps, recorded.entry['K'], box=_box(maps), rules=RULES, activated=True)
    yield from _compare_rows(
        recorded, rows | {'tracking': torch.from_numpy(candidates(rows).tracking)}
    )


def _nms(recorded: Recorded) -> Iterator[Comparison]:
    arrays = recorded.vectors.arrays(ARRAYS)
    received = suppress_neighbours(torch.from_numpy(arrays[f'{recorded.name}/in']), 0.0)
    yield equal('nms', received, arrays[f'{recorded.name}/out'])


def _few_peaks(recorded: Recorded) -> Iterator[Comparison]:
    """Places of rows that are no peaks are undefined."""
    recorded.expect_keys('K')
    rows = candidate_rows(
        recorded.maps(), recorded.entry['K'], box=None, rules=RULES, activated=True
    )
    expected = recorded.group('out')
    yield compare('scores', rows['scores'], expected.pop('scores'), absolute=SCORE_TOLERANCE)
    for name, values in expected.items():
        field, _, count = name.partition('_first')
        yield equal(name, rows[_SAME[field]][:, : int(count)], values)


def _compare_rows(recorded: Recorded, rows: Mapping[str, Any]) -> Iterator[Comparison]:
    for name, expected in recorded.group('out').items():
        if name == 'pre_cts':
            index = torch.from_numpy(recorded.group('in')['pre_inds'])
            yield equal(name, cell_positions(index, recorded.entry['out_hw'][1]), expected)
            continue
        exact = name in ('clses', 'cts', 'xs', 'ys')
        tolerance = SCORE_TOLERANCE if name in ('scores', 'kps_score') else CELL_TOLERANCE
        received = _row(name, rows, expected)
        yield compare(name, received, expected, absolute=0.0 if exact else tolerance)


def _row(name: str, rows: Mapping[str, Any], expected: NDArray[Any]) -> Any:
    """What is recorded as `name`.

    Raises:
        KeyError: nobody knows it.
    """
    if name in ('xs', 'ys'):
        return rows['cells'][..., 'xy'.index(name[0])]
    if name == 'dep':
        return rows['depth'][..., None]
    # Without joint heatmaps the original gives the joints in the place of their score.
    if name == 'hps' or (name == 'kps_score' and expected.ndim == 3):
        return rows['keypoints'][..., :2].flatten(2)
    if name == 'kps_score':
        return pose_scores(rows['keypoints'], rows['scores'])
    return rows[_SAME[name]]


def _compare_items(
    recorded: Recorded,
    found: Candidates,
    image: int,
    threshold: float,
    items: list[dict[str, Any]],
) -> Iterator[Comparison]:
    transform = recorded.transform(image)
    detections = detections_of(found, image, transform, threshold=threshold)
    label = f'image {image} from {threshold}'
    yield equal(f'{label} number', len(detections), len(items))
    calibration = np.asarray(recorded.entry['calib'][image], np.float32)
    received = _item_arrays(detections, calibration)
    for name in sorted({name for item in items for name in item}):
        ours = received[name]
        theirs = np.array([item[name] for item in items]).reshape(ours.shape)
        if name in ('alpha', 'rot_y'):
            turns = (ours - theirs + np.pi) % (2 * np.pi) - np.pi
            yield compare(f'{label} {name}', turns, np.zeros_like(turns), absolute=1e-5)
        elif name == 'loc':
            yield compare(f'{label} {name}', ours, theirs, absolute=1e-5, relative=1e-4)
        else:
            tolerance = {'score': SCORE_TOLERANCE, 'class': 0.0}.get(name, PIXEL_TOLERANCE)
            yield compare(f'{label} {name}', ours, theirs, absolute=tolerance)


def _item_arrays(detections: Detections, calibration: NDArray[np.float32]) -> dict[str, Any]:
    """Our detections by the names of the original's items."""
    arrays: dict[str, Any] = {
        'score': detections.scores,
        'class': detections.classes + 1,
        'ct': detections.centers,
        'tracking': detections.offsets,
        'bbox': detections.boxes,
        'dim': detections.dimensions,
        'alpha': detections.alpha,
        'nuscenes_att': detections.attributes,
        'velocity': detections.velocity,
    }
    if detections.keypoints is not None:
        places = detections.keypoints[..., :2]
        # Without a detection there is nothing to infer the number of columns from.
        arrays['hps'] = places.reshape(len(places), 2 * places.shape[1])
    if detections.depth is not None:
        boxes = lift_detections(detections, calibration)
        arrays |= {
            'dep': detections.depth[:, None],
            'loc': boxes.locations,
            'rot_y': boxes.yaws,
        }
    return arrays


def _box(maps: Mapping[str, Any]) -> BoxKind | None:
    """The head that the original takes the boxes from."""
    box: BoxKind
    for box in ('ltrb_amodal', 'ltrb', 'wh'):
        if box in maps:
            return box
    return None


def _pairs(recorded: Recorded) -> tuple[tuple[int, int], ...]:
    return mirrored_joints(COCO_JOINTS) if 'hps' in recorded.entry['heads'] else ()
