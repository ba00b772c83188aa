"""preprocess.npz, preprocess.json: what of an image a network sees.

| original | in `centertrack_ros.preprocessing` |
|---|---|
| `Detector._transform_scale`, `BaseDetector.pre_process` with `fix_res` | `fixed_placement` |
| the same with `keep_res` (`pad`) | `padded_placement` |
| the same with `fix_short` | `short_side_placement` |
| resizing for a test at several scales, warp | `scaled_image`, `to_input` |
| mean and standard deviation, `flip_test` | `normalised`, `with_mirrored` |
| `_get_default_calib` | `camera_geometry.default_camera_matrix` |

Of `ModelSpec.resize`, `centertrack` is `fixed_placement`. CenterTrack does not hand its scale to
the placement, CenterNet does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from centertrack_ros.camera_geometry import default_camera_matrix
from centertrack_ros.preprocessing import (
    Placement,
    fixed_placement,
    normalised,
    padded_placement,
    scaled_image,
    short_side_placement,
    to_input,
    with_mirrored,
)
from training.conformance.vectors import (
    Case,
    Comparison,
    Vectors,
    compare,
    equal,
    owned,
    same,
)

FILE = 'preprocess.npz'
ENTRIES = 'preprocess.json'
# Blue, green, red, of values from 0 to 1.
MEAN = np.array([0.40789654, 0.44719302, 0.47026115])
STD = np.array([0.28863828, 0.27408164, 0.27809835])
# Two grey levels: warps of OpenCV 4 and 5 differ by that much.
PIXEL_TOLERANCE = 2 / 255 / STD.min()


def required_files(vectors: Vectors) -> Sequence[str]:
    """Arrays of the small images, and the numbers of all."""
    return [FILE, ENTRIES]


def cases(vectors: Vectors) -> Iterable[Case]:
    """One case per image and option."""
    arrays = vectors.arrays(FILE)
    counts: Counter[str] = Counter()
    for entry in vectors.document(ENTRIES):
        repository = entry['repo'].lower()
        height, width = entry['image_hw']
        name = f'{repository}/{counts[repository]}-{entry["mode"]}-{width}x{height}'
        counts[repository] += 1
        prefix = entry.get('arrays')
        names = owned(arrays, prefix) if prefix else ()
        yield Case(FILE if prefix else ENTRIES, name, names, partial(_run, vectors, entry))


def _run(vectors: Vectors, entry: dict[str, Any]) -> Iterator[Comparison]:
    placement = _placement(entry)
    yield from _numbers(placement, entry['meta'], entry['opt']['down_ratio'])
    mirrored = entry['opt']['flip_test']
    yield same(
        'network_input_shape',
        [1 + mirrored, 3, *placement.input_size],
        entry['network_input_shape'],
    )
    if 'arrays' not in entry:
        return
    arrays = vectors.arrays(FILE)
    image = scaled_image(arrays[f'{entry["arrays"]}/image_bgr'], placement.image_size)
    batch = to_input(image, placement.transform)[None]
    if mirrored:
        batch = with_mirrored(batch, width_axis=2)
    images = normalised(batch, tuple(255 * MEAN), tuple(255 * STD))
    expected = arrays[f'{entry["arrays"]}/images']
    yield compare('images', images, expected, absolute=PIXEL_TOLERANCE)


def _placement(entry: dict[str, Any]) -> Placement:
    size, options = tuple(entry['image_hw']), entry['opt']
    scale = entry['scale'] if entry['repo'] == 'CenterNet' else 1.0
    if entry['mode'] == 'fix_res':
        input_size = (options['input_h'], options['input_w'])
        return fixed_placement(size, input_size, test_scale=scale)
    if entry['mode'] == 'keep_res':
        return padded_placement(size, multiple=options['pad'] + 1, test_scale=scale)
    if entry['mode'] == 'fix_short':
        return short_side_placement(size, options['fix_short'])
    raise ValueError(f'unknown mode {entry["mode"]}')


def _numbers(placement: Placement, meta: dict[str, Any], stride: int) -> Iterator[Comparison]:
    height, width = placement.input_size
    yield equal('c', placement.center, meta['c'])
    # One number stands for a square.
    yield equal('s', placement.window, np.broadcast_to(meta['s'], 2))
    ours = {
        'height': placement.image_size[0],
        'width': placement.image_size[1],
        'inp_height': height,
        'inp_width': width,
        'out_height': height // stride,
        'out_width': width // stride,
    }
    for name in sorted(ours.keys() & meta.keys()):
        yield equal(name, ours[name], meta[name])
    transform = placement.transform
    axes = [
        [transform.scale_x, 0.0, transform.offset_x],
        [0.0, transform.scale_y, transform.offset_y],
    ]
    matrices = {
        'trans_input': [axes, placement.matrix()],
        'trans_output': [placement.matrix(stride)],
    }
    for name in sorted(matrices.keys() & meta.keys()):
        for matrix in matrices[name]:
            yield compare(name, matrix, meta[name], absolute=1e-12, relative=1e-6)
    if 'calib' in meta:
        yield equal('calib', default_camera_matrix(placement.image_size), meta['calib'])
    left = sorted(meta.keys() - ours.keys() - matrices.keys() - {'c', 's', 'calib'})
    yield same('other numbers', left, [])
