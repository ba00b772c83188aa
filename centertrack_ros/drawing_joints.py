"""Skeletons for people: the joints of a track, joined as those of COCO are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import BoolArray, FloatArray, Image

Color = tuple[int, int, int]

# Pairs of joints by name, as COCO joins them; `*` stands for left and right.
_SIDE_EDGES = (
    ('*_ankle', '*_knee'),
    ('*_knee', '*_hip'),
    ('*_hip', '*_shoulder'),
    ('*_shoulder', '*_elbow'),
    ('*_elbow', '*_wrist'),
    ('nose', '*_eye'),
    ('*_eye', '*_ear'),
    ('*_ear', '*_shoulder'),
)
_MIDDLE_EDGES = (
    ('left_hip', 'right_hip'),
    ('left_shoulder', 'right_shoulder'),
    ('left_eye', 'right_eye'),
)
SIDES = ('left', 'right', 'middle')
# Of the way from the colour of the track to white (left) and to black (right).
LIGHTER = 0.55
DARKER = 0.4
# Lines and points of small people are thinner: a share of the longer side of the box.
WIDTH_SHARE = 1 / 90
POINT_RADIUS = 1.3  # widths of a line
# OpenCV takes whole numbers; of these parts of a pixel.
PARTS_BITS = 3
# Pixels: what is farther away is not in the image.
FARTHEST = 30_000.0


@dataclass(frozen=True)
class Skeleton:
    """Which joints are joined, and on which side they are.

    Attributes:
        edges: side -> (E, 2) int64, indices of joints.
        points: side -> (P,) int64, indices of joints.
    """

    edges: dict[str, NDArray[np.int64]]
    points: dict[str, NDArray[np.int64]]


@lru_cache(maxsize=8)
def skeleton_of(joint_names: tuple[str, ...]) -> Skeleton:
    """Skeleton of joints with these names; those that COCO does not know are points alone."""
    index = {name: number for number, name in enumerate(joint_names)}
    pairs: dict[str, Sequence[tuple[str, str]]] = {'middle': _MIDDLE_EDGES}
    for side in ('left', 'right'):
        pairs[side] = [
            (first.replace('*', side), second.replace('*', side)) for first, second in _SIDE_EDGES
        ]
    edges = {
        side: np.array(
            [
                (index[first], index[second])
                for first, second in pairs[side]
                if first in index and second in index
            ],
            np.int64,
        ).reshape(-1, 2)
        for side in SIDES
    }
    sides = [next((side for side in SIDES if name.startswith(side)), 'middle') for name in index]
    points = {
        side: np.flatnonzero([own_side == side for own_side in sides]).astype(np.int64)
        for side in SIDES
    }
    return Skeleton(edges, points)


def draw_skeleton(
    canvas: Image,
    positions: FloatArray,
    visible: BoolArray,
    skeleton: Skeleton,
    color: Color,
    *,
    scale: float,
    size: float,
) -> None:
    """Draw the visible joints of one object into an image, its left lighter than its right.

    Args:
        canvas: (H, W, 3) uint8 BGR, C-contiguous; it is written to.
        positions: (J, 2) float32, image pixels.
        visible: (J,) bool; the others, and the lines that lead to them, are left out.
        skeleton: of these joints.
        color: BGR, of the middle.
        scale: width of lines, 1 = that of a usual image.
        size: pixels, longer side of the object.
    """
    width = max(1, round(min(2 * scale, size * WIDTH_SHARE)))
    # A pixel has its number at its middle there, at its corner here.
    clipped = np.clip(np.nan_to_num(positions) - 0.5, -FARTHEST, FARTHEST)
    places = np.rint(clipped * (1 << PARTS_BITS)).astype(np.int32)
    colors = {'left': _mixed(color, 255, LIGHTER), 'right': _mixed(color, 0, DARKER)}
    for side in reversed(SIDES):
        edges = skeleton.edges[side]
        lines = places[edges[visible[edges].all(axis=1)]]
        side_color = colors.get(side, color)
        if len(lines):
            cv2.polylines(canvas, list(lines), False, side_color, width, cv2.LINE_AA, PARTS_BITS)
    radius = round(POINT_RADIUS * width * (1 << PARTS_BITS))
    for side in reversed(SIDES):
        for joint in skeleton.points[side][visible[skeleton.points[side]]]:
            cv2.circle(
                canvas,
                places[joint].tolist(),
                radius,
                colors.get(side, color),
                cv2.FILLED,
                cv2.LINE_AA,
                PARTS_BITS,
            )


def _mixed(color: Color, other: int, share: float) -> Color:
    """A colour, `share` of the way towards a grey level."""
    blue, green, red = (round(value + (other - value) * share) for value in color)
    return blue, green, red
