"""The parts of CenterNet, simple-CenterNet and CondInst in the adapter `decode`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as run_lengths
from torch import Tensor

from centertrack_ros.datatypes import Candidates
from centertrack_ros.masks import masks_to_image
from centertrack_ros.model_spec import BoxKind, DecodeRules
from training.conformance._decode_common import (
    Recorded,
    Run,
    candidates,
    cell_transform,
    compare_by_class,
    compare_columns,
    detections_of,
)
from training.conformance.vectors import Comparison, compare, equal
from training.merging import merge_scales, rows_by_class
from training.models.decode import candidate_rows
from training.models.flip import activate_maps, merge_flipped

RULES = DecodeRules(peaks='class', joints='centernet', clamp_sizes=False)
MASK_TOLERANCE = 1e-5
# Share of the pixels of a mask that may differ: versions of OpenCV interpolate differently.
MASK_PIXEL_SHARE = 0.01


def run_of(repository: str, case: str) -> Run:
    """What runs `case`."""
    if repository == 'condinst':
        return _segment
    if case.startswith('merge_'):
        return _merge
    return _objects_in_space if case.startswith('ddd') else _detect


def _rows(recorded: Recorded, box: BoxKind | None = 'wh') -> dict[str, Tensor]:
    """Rows of the recorded maps; a flip pair of logits is merged first."""
    maps = recorded.maps()
    if recorded.has_logits():
        maps = activate_maps(maps)
        if 'flip' in recorded.name:
            pairs = [(left, right) for left, right in recorded.entry.get('flip_idx', ())]
            maps = merge_flipped(maps, pairs)
    return candidate_rows(maps, recorded.entry['K'], box=box, rules=RULES, activated=True)


def _detect(recorded: Recorded) -> Iterator[Comparison]:
    """`ctdet_decode`, `multi_pose_decode` and their post-processing."""
    recorded.expect_keys(
        'K', 'c', 's', 'out_hw', 'num_classes', 'flip_idx', 'ctdet_post_process',
        'multi_pose_post_process',
    )  # fmt: skip
    rows = _rows(recorded)
    yield from _compare_detections(recorded, rows)
    found = candidates(rows)
    for name in ('ctdet_post_process', 'multi_pose_post_process'):
        for image, expected in enumerate(recorded.entry.get(name, ())):
            detections = detections_of(found, image, recorded.transform(image))
            received = rows_by_class(detections, recorded.entry.get('num_classes', 1))
            yield from compare_by_class(f'{name} {image}', received, expected)


def _objects_in_space(recorded: Recorded) -> Iterator[Comparison]:
    """`ddd_decode`: centre, score, rotation, depth, dimensions, size where there is one, class."""
    recorded.expect_keys('K')
    has_sizes = 'wh' in recorded.maps()
    rows = _rows(recorded, 'wh' if has_sizes else None)
    low, high = rows['boxes'].split(2, dim=2)
    columns = [(low + high) / 2, rows['scores'][..., None], rows['rotation'],
               rows['depth'][..., None], rows['dimensions']]  # fmt: skip
    columns += [high - low] if has_sizes else []
    columns.append(rows['classes'][..., None])
    for name, expected in recorded.group('out').items():
        if name != 'detections':
            raise ValueError(f'{recorded.name}: nobody compares {name}')
        yield from compare_columns(name, torch.cat(columns, dim=2), expected, score_column=2)


def _merge(recorded: Recorded) -> Iterator[Comparison]:
    """`CtdetDetector.post_process` of every scale, then `merge_outputs`."""
    entry = recorded.entry
    recorded.expect_keys(
        'scales', 'opt.nms', 'max_per_image', 'num_classes', 'meta', 'per_scale_post_process',
        'results',
    )  # fmt: skip
    inputs = recorded.group('in')
    yield equal('number of scales', len(inputs), len(entry['scales']))
    per_scale = []
    for index, (scale, meta) in enumerate(zip(entry['scales'], entry['meta'], strict=True)):
        size = (meta['out_height'], meta['out_width'])
        transform = cell_transform(meta['c'], meta['s'], size)
        found = _recorded_candidates(inputs[f'dets_scale{index}'])
        per_scale.append(
            rows_by_class(detections_of(found, 0, transform), entry['num_classes'], scale)
        )
        expected = entry['per_scale_post_process'][index]
        yield from compare_by_class(f'scale {scale}', per_scale[-1], expected)
    merged = merge_scales(
        per_scale,
        suppress=len(per_scale) > 1 or entry['opt.nms'],
        limit=entry['max_per_image'],
    )
    yield from compare_by_class('merged', merged, entry['results'])


def _segment(recorded: Recorded) -> Iterator[Comparison]:
    """`ctseg_decode` and `ctseg_post_process`."""
    recorded.expect_keys(
        'K', 'c', 's', 'img_hw', 'out_hw', 'post', 'seg_feat_channel', 'conv_weight_split'
    )
    rows = _rows(recorded)
    yield from _compare_detections(recorded, rows)
    size = rows['masks'].shape[2:]
    found = candidates(rows)
    for image, expected in enumerate(recorded.entry['post']):
        transform = cell_transform(
            recorded.entry['c'][image],
            recorded.entry['s'][image],
            size,
            recorded.entry['img_hw'][image],
        )
        detections = detections_of(found, image, transform)
        by_class = rows_by_class(detections, len(expected))
        boxes = {name: values['boxs'] for name, values in expected.items()}
        yield from compare_by_class(f'image {image}', by_class, boxes)
        assert detections.masks is not None
        masks = masks_to_image(detections.masks, transform, stride=1)
        for name, values in expected.items():
            ours = masks[detections.classes == int(name) - 1]
            yield from _compare_masks(f'image {image} {name}', ours, values['pred_mask_rle'])


def _compare_masks(
    name: str, received: NDArray[np.bool_], expected: Sequence[Mapping[str, Any]]
) -> Iterator[Comparison]:
    yield equal(f'{name} number of masks', len(received), len(expected))
    for ours, theirs in zip(received, expected, strict=True):
        pixels = run_lengths.decode({'size': theirs['size'], 'counts': theirs['counts'].encode()})
        differing = np.mean(ours != pixels) if ours.shape == pixels.shape else np.inf
        yield compare(f'{name} mask', differing, 0.0, absolute=MASK_PIXEL_SHARE)


def _compare_detections(recorded: Recorded, rows: Mapping[str, Tensor]) -> Iterator[Comparison]:
    """Rows of box, score, joints, class; and masks."""
    columns = [rows['boxes'], rows['scores'][..., None]]
    if 'keypoints' in rows:
        columns.append(rows['keypoints'][..., :2].flatten(2))
    columns.append(rows['classes'][..., None])
    for name, expected in recorded.group('out').items():
        if name == 'detections':
            yield from compare_columns(name, torch.cat(columns, dim=2), expected, score_column=4)
        elif name == 'mask':
            yield compare(name, rows['masks'], expected, absolute=MASK_TOLERANCE)
        else:
            raise ValueError(f'{recorded.name}: nobody compares {name}')


def _recorded_candidates(detections: NDArray[np.float32]) -> Candidates:
    """Candidates from rows (1, K, 6) of box, score, class in output cells."""
    return candidates(
        {
            name: torch.from_numpy(np.ascontiguousarray(values))
            for name, values in (
                ('scores', detections[..., 4]),
                ('classes', detections[..., 5].astype(np.int64)),
                ('cells', detections[..., :2]),
                ('boxes', detections[..., :4]),
            )
        }
    )
