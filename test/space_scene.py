"""Boxes that move in space, and an engine that says of them what a perfect network would."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from centertrack_ros.camera_geometry import alpha_from_yaw, box_corners, project_points
from centertrack_ros.datatypes import Candidates
from centertrack_ros.model_spec import ModelSpec, Thresholds
from centertrack_ros.preprocessing import fit_transform

HEADS = {'hm': 2, 'ltrb': 4, 'reg': 2, 'tracking': 2, 'dep': 1, 'dim': 3, 'rot': 8}
SIZE = (360, 640)
DT = 0.1
# Middles, velocities (metres, metres per second), sizes, yaws and classes of three objects.
MIDDLES = np.array([[-3.0, 0.6, 12.0], [1.0, 0.8, 18.0], [5.0, 0.7, 25.0]])
VELOCITIES = np.array([[1.0, 0.0, 0.5], [0.0, 0.0, -2.0], [-1.5, 0.0, 0.0]])
SIZES = np.array([[1.5, 1.7, 4.1], [1.75, 0.6, 0.7], [1.6, 1.8, 4.4]])
YAWS = np.array([0.4, -2.0, 3.0])
CLASSES = np.array([1, 0, 1])


def camera(focal_length: float) -> Any:
    """Camera matrix (3, 4) float32 for images of `SIZE`."""
    height, width = SIZE
    return np.array(
        [[focal_length, 0, width / 2, 0], [0, focal_length, height * 0.45, 0], [0, 0, 1, 0]],
        np.float32,
    )


def spec_3d(**changes: Any) -> ModelSpec:
    """Of a network whose input is half as large as the images."""
    return ModelSpec(
        **{
            'name': 'space',
            'architecture': 'mobilenetv3',
            'input_height': 192,
            'input_width': 320,
            'resize': 'letterbox',
            'stride': 4,
            'max_candidates': 20,
            'classes': ('pedestrian', 'car'),
            'heads': {**HEADS, 'amodel_offset': 2},
            'box': 'ltrb',
            'radius_rule': 'exact',
            'prior_heatmap_stride': 4,
            'thresholds': Thresholds(detection=0.2, track=0.4, birth=0.45, prior=0.3),
            'licence': 'Apache-2.0',
            **changes,
        }
    )


def places(image: int) -> Any:
    """Middles (3, 3) in the image with this number, from 0."""
    return MIDDLES + image * DT * VELOCITIES


@dataclass
class SpaceEngine:
    """Sees the objects through a camera, one image further with each run.

    Attributes:
        focal_length: of that camera, image pixels.
        spec: `trained_focal_length` is that of the camera it thinks it looks through.
        missed: images (from 0) in which it sees nothing.
    """

    focal_length: float
    spec: ModelSpec
    missed: tuple[int, ...] = ()
    runs: int = 0
    name: str = 'truth'
    device: str = 'none'
    precision: str = 'fp32'
    max_batch: int | None = None
    closed: bool = field(default=False)

    def run(self, image: Any, previous_image: Any, prior_heatmap: Any) -> Candidates:
        number, self.runs = self.runs, self.runs + 1
        seen = 0 if number in self.missed else len(MIDDLES)
        matrix = camera(self.focal_length).astype(np.float64)
        transform = fit_transform(SIZE, self.spec)
        middles, sizes, yaws = places(number)[:seen], SIZES[:seen], YAWS[:seen]
        bottoms = middles + [0, 0.5, 0] * sizes[:, :1]
        corners = project_points(box_corners(sizes, bottoms, yaws), matrix)
        boxes = np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1)
        centers = project_points(middles, matrix)
        stride = self.spec.stride
        out = transform.points_to_input(centers.astype(np.float32)) / stride
        cells = np.floor(out)
        before = project_points(places(number - 1)[:seen], matrix).astype(np.float32)
        depths, trained = middles[:, 2], self.spec.trained_focal_length
        if trained is not None:
            depths = depths * trained / (self.focal_length * transform.scale_x)
        turns = alpha_from_yaw(yaws, centers[:, 0], matrix) - np.pi / 2
        rotation = np.zeros((seen, 8))
        rotation[:, 5], rotation[:, 6], rotation[:, 7] = 1, np.sin(turns), np.cos(turns)
        return Candidates(
            scores=np.full((1, seen), 0.9, np.float32),
            classes=CLASSES[None, :seen].astype(np.int64),
            cells=cells[None].astype(np.float32),
            boxes=transform.boxes_to_input(boxes.astype(np.float32))[None] / stride,
            tracking=(transform.points_to_input(before) / stride - cells)[None],
            depth=depths[None].astype(np.float32),
            dimensions=sizes[None].astype(np.float32),
            rotation=rotation[None].astype(np.float32),
            amodal_offset=(out - cells)[None].astype(np.float32),
        )

    def close(self) -> None:
        self.closed = True
