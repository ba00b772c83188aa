"""geometry.npz: gaussian peaks, affine maps, boxes in space.

| original | here |
|---|---|
| `gaussian_radius` (CenterTrack, CenterNet) | `rendering.gaussian_radius`, rule `centertrack` |
| `gaussian_radius` (simple-CenterNet) | the same, rule `exact`: its wrong root never decides |
| `gaussian2D` | `rendering.gaussian_kernel` |
| `draw_umich_gaussian` | `rendering.render_peaks`, which draws a whole map at once |
| `draw_msra_gaussian` | `rendering.render_round_peaks` |
| `get_affine_transform` | `affine.affine_matrix` |
| `affine_transform`, `transform_preds`, `transform_preds_with_trans` | `affine.transform_points` |
| `unproject_2d_to_3d`, `ddd2locrot` | `camera_geometry.lift_points`, `object_locations` |
| `alpha2rot_y`, `rot_y2alpha` | `camera_geometry.yaw_from_alpha`, `alpha_from_yaw` |
| `compute_box_3d`, `compute_orientation_3d` | `camera_geometry.box_corners`, `heading_lines` |
| `project_to_image` | `camera_geometry.project_points` |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from centertrack_ros.affine import affine_matrix, transform_points
from centertrack_ros.camera_geometry import (
    alpha_from_yaw,
    box_corners,
    heading_lines,
    lift_points,
    object_locations,
    project_points,
    yaw_from_alpha,
)
from centertrack_ros.rendering import (
    gaussian_kernel,
    gaussian_radius,
    render_peaks,
    render_round_peaks,
)
from training.conformance.vectors import Arrays, Case, Comparison, Vectors, compare, owned

FILE = 'geometry.npz'
PIXELS = 1e-5


def required_files(vectors: Vectors) -> Sequence[str]:
    """One file."""
    return [FILE]


def cases(vectors: Vectors) -> Iterable[Case]:
    """One case per group of arrays; a group that nobody knows stays without a case."""
    arrays = vectors.arrays(FILE)
    for group in sorted({name.split('/')[0] for name in arrays}):
        for pattern, run in GROUPS.items():
            if re.fullmatch(pattern, group):
                yield Case(FILE, group, owned(arrays, group), partial(run, arrays, group))


def _radius(arrays: Arrays, group: str) -> Iterator[Comparison]:
    height, width = arrays[f'{group}/hw'].T
    radii = gaussian_radius(height, width, 'centertrack')
    yield compare('centertrack', radii, arrays[f'{group}/centertrack'], absolute=PIXELS)
    radii = gaussian_radius(height, width, 'exact')
    yield compare('simple', radii, arrays[f'{group}/simple'], absolute=PIXELS)
    overlaps = arrays[f'{group}/min_overlap']
    radii = np.array([
        gaussian_radius(height[row], width[row], 'centertrack', overlap)
        for row, overlap in enumerate(overlaps)
    ])  # fmt: skip
    yield compare('centertrack_mo', radii, arrays[f'{group}/centertrack_mo'], absolute=PIXELS)


def _kernel(arrays: Arrays, group: str) -> Iterator[Comparison]:
    for name in owned(arrays, group):
        radius = int(name.rsplit('/r', 1)[1])
        yield compare(name, gaussian_kernel(radius), arrays[name], absolute=PIXELS)


def _draw(arrays: Arrays, group: str) -> Iterator[Comparison]:
    expected = arrays[f'{group}/maps']
    rows = zip(
        *(arrays[f'{group}/{name}'][:, None] for name in ('center_xy', 'radius', 'k')), strict=True
    )
    maps = np.stack([render_peaks(*row, expected.shape[1:]) for row in rows])
    yield compare('maps', maps, expected, absolute=PIXELS)


def _overlapping(arrays: Arrays, group: str) -> Iterator[Comparison]:
    base = arrays[f'{group}/base']
    peaks = (arrays[f'{group}/{name}'] for name in ('center_xy', 'radius', 'k'))
    drawn = np.maximum(base, render_peaks(*peaks, base.shape))
    yield compare('map', drawn, arrays[f'{group}/map'], absolute=PIXELS)


def _msra(arrays: Arrays, group: str) -> Iterator[Comparison]:
    expected = arrays[f'{group}/maps']
    rows = zip(arrays[f'{group}/center_xy'], arrays[f'{group}/sigma'], strict=True)
    maps = np.stack(
        [
            render_round_peaks(center[None], sigma[None], expected.shape[1:])
            for center, sigma in rows
        ]
    )
    yield compare('maps', maps, expected, absolute=PIXELS)


def _affine(arrays: Arrays, group: str) -> Iterator[Comparison]:
    recorded = {name: arrays[f'{group}/{name}'] for name in (
        'center', 'scale', 'scale_is_pair', 'rot_deg', 'output_size_wh', 'inv', 'shift', 'trans',
        'points', 'points_out', 'points_out_f32')}  # fmt: skip
    matrices, moved, moved_single = [], [], []
    for row in range(len(recorded['trans'])):
        given = {name: array[row] for name, array in recorded.items()}
        matrix = affine_matrix(
            given['center'],
            given['scale'] if given['scale_is_pair'] else given['scale'][0],
            given['rot_deg'],
            given['output_size_wh'],
            shift=given['shift'],
            inverse=bool(given['inv']),
        )
        matrices.append(matrix)
        moved.append(transform_points(given['points'], matrix))
        moved_single.append(transform_points(given['points'], matrix.astype(np.float32)))
    yield compare('trans', matrices, recorded['trans'], absolute=1e-12, relative=1e-6)
    yield compare('points_out', moved, recorded['points_out'], absolute=PIXELS)
    # The precision of single numbers beside the tolerance: some points lie 30 000 px away.
    yield compare(
        'points_out_f32', moved_single, recorded['points_out_f32'], absolute=PIXELS, relative=1e-6
    )


def _predictions(arrays: Arrays, group: str) -> Iterator[Comparison]:
    points, centers, scales, sizes, expected = (
        arrays[f'{group}/{name}']
        for name in ('coords', 'center', 'scale', 'output_size_wh', 'out')
    )
    moved = [
        transform_points(
            points[row],
            affine_matrix(centers[row], scales[row], 0.0, sizes[row], inverse=True),
        )
        for row in range(len(points))
    ]
    yield compare('out', moved, expected, absolute=PIXELS)


def _space(arrays: Arrays, group: str) -> Iterator[Comparison]:
    def array(name: str) -> np.ndarray:
        return arrays[f'{group}/{name}']

    cameras, dimensions, locations, yaw = (
        array(name) for name in ('calib', 'dim_hwl', 'loc', 'rot_y')
    )
    # One row at a time where our functions take one camera for all objects.
    seen = [
        (camera, center[None], depth[None], alpha[None], angle[None], size[None, 0])
        for camera, center, depth, alpha, angle, size in zip(
            cameras, array('center'), array('depth'), array('alpha'), yaw, dimensions, strict=True
        )
    ]
    lifted = [lift_points(center, depth, camera)[0] for camera, center, depth, *_ in seen]
    placed = [
        object_locations(center, depth, height, camera)[0]
        for camera, center, depth, _, _, height in seen
    ]
    # Columns in double precision, as Python's numbers are in the original.
    turned = [
        yaw_from_alpha(alpha, center[:, 0].astype(np.float64), camera)[0]
        for camera, center, _, alpha, _, _ in seen
    ]
    back = [
        alpha_from_yaw(angle, center[:, 0].astype(np.float64), camera)[0]
        for camera, center, _, _, angle, _ in seen
    ]
    corners = box_corners(dimensions, locations, yaw)
    # From the recorded corners: near the plane of the camera their last digit is many pixels.
    pixels = [
        project_points(box, camera)
        for box, camera in zip(array('compute_box_3d'), cameras, strict=True)
    ]
    for name, received in (
        ('unproject_2d_to_3d', lifted),
        ('ddd2locrot_loc', placed),
        ('compute_box_3d', corners),
        ('orientation_3d', heading_lines(dimensions, locations, yaw)),
    ):
        # Recorded as float32: up to 4e-6 m of rounding at 100 m.
        yield compare(name, received, array(name), absolute=PIXELS, relative=1e-7)
    for name, received in (
        ('ddd2locrot_rot_y', turned),
        ('alpha2rot_y', turned),
        ('rot_y2alpha', back),
    ):
        yield compare(name, received, array(name), absolute=PIXELS)
    yield compare(
        'project_to_image', pixels, array('project_to_image'), absolute=PIXELS, relative=1e-6
    )


GROUPS = {
    'radius': _radius,
    'gaussian2D': _kernel,
    'draw': _draw,
    r'overlap\d+': _overlapping,
    'msra': _msra,
    'affine': _affine,
    'preds': _predictions,
    'ddd': _space,
}
