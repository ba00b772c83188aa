"""What is known of one frame, and of a pair of frames: the common form of all data sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import BoolArray, FloatArray, Image, IntArray

ALL_CLASSES = -1

# Geometry is computed in whatever precision comes out; only labels and maps are float32.
Reals = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class FrameLabels:
    """Objects of one frame, in pixels of that frame (continuous, pixel `i` covers `[i, i + 1)`).

    Attributes:
        boxes: (N, 4) float32 xyxy, may reach over the edges of the image.
        classes: (N,) int64, index into the class names of the data source.
        track_ids: (N,) int64, positive, unique within a frame.
        visibilities: (N,) float32 in [0, 1], share of the object's pixels inside the image that
            nothing covers; 1 where the source does not say.
        ignore_boxes: (M, 4) float32 xyxy, regions in which nothing may be learnt.
        ignore_classes: (M,) int64, the class they stand for, `ALL_CLASSES` for every class.
        unlabelled_classes: (U,) int64, classes that the annotator did not look for: their
            absence from `boxes` means nothing.
    """

    boxes: FloatArray
    classes: IntArray
    track_ids: IntArray
    visibilities: FloatArray
    ignore_boxes: FloatArray
    ignore_classes: IntArray
    unlabelled_classes: IntArray

    def __len__(self) -> int:
        return len(self.classes)

    @classmethod
    def from_rows(
        cls,
        boxes: Sequence[Sequence[float]] | Reals = (),
        classes: Sequence[int] | IntArray = (),
        track_ids: Sequence[int] | IntArray = (),
        visibilities: Sequence[float] | Reals | None = None,
        ignore_boxes: Sequence[Sequence[float]] | Reals = (),
        ignore_classes: Sequence[int] | IntArray = (),
        unlabelled_classes: Sequence[int] | IntArray = (),
    ) -> FrameLabels:
        """Labels from sequences or arrays of any float and integer type; empty is normal."""
        if visibilities is None:
            visibilities = np.ones(len(classes), np.float32)
        return cls(
            boxes=np.asarray(boxes, np.float32).reshape(-1, 4),
            classes=np.asarray(classes, np.int64),
            track_ids=np.asarray(track_ids, np.int64),
            visibilities=np.asarray(visibilities, np.float32),
            ignore_boxes=np.asarray(ignore_boxes, np.float32).reshape(-1, 4),
            ignore_classes=np.asarray(ignore_classes, np.int64),
            unlabelled_classes=np.asarray(unlabelled_classes, np.int64),
        )

    def select(self, rows: IntArray | BoolArray) -> FrameLabels:
        """The same labels with only some of the objects."""
        return replace(
            self,
            boxes=self.boxes[rows],
            classes=self.classes[rows],
            track_ids=self.track_ids[rows],
            visibilities=self.visibilities[rows],
        )

    def warped(self, matrix: Reals) -> FrameLabels:
        """Labels after an affine map (2, 3) of the pixels; a rotated box grows to its hull."""
        return replace(
            self,
            boxes=warp_boxes(self.boxes, matrix),
            ignore_boxes=warp_boxes(self.ignore_boxes, matrix),
        )


@dataclass(frozen=True)
class LabelledFrame:
    """An image (H, W, 3) uint8 BGR and its labels."""

    image: Image
    labels: FrameLabels


@dataclass(frozen=True)
class FramePair:
    """Two frames of one video: the one to be learnt and the one that the tracker saw before.

    Attributes:
        current: frame whose objects are the targets.
        previous: frame that gives the previous image, the prior heatmap and the old centres.
        simulate_motion: True where both frames show the same moment of a still picture, so that
            the augmentation has to make the motion.
        framed: True where the images already have the wanted size and viewpoint, so that the
            augmentation must not crop or scale them.
    """

    current: LabelledFrame
    previous: LabelledFrame
    simulate_motion: bool = False
    framed: bool = False


class PairSource(Protocol):
    """Anything that makes training pairs; all its randomness comes from the Generator."""

    def sample_pair(self, generator: np.random.Generator) -> FramePair:
        """One pair of frames."""
        ...


def warp_points(points: Reals, matrix: Reals) -> FloatArray:
    """Points (..., 2) after the affine map (2, 3)."""
    warped: FloatArray = (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    return warped


def warp_boxes(boxes: Reals, matrix: Reals) -> FloatArray:
    """Axis-aligned hulls (N, 4) of boxes (N, 4) xyxy after the affine map (2, 3)."""
    corners = warp_points(boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2), matrix)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def clip_boxes(boxes: Reals, width: float, height: float) -> FloatArray:
    """Boxes (N, 4) xyxy cut at the edges of an image; those outside become empty."""
    limits = np.array([width, height, width, height], np.float32)
    return np.clip(boxes, 0.0, limits).astype(np.float32)


def box_centers(boxes: Reals) -> FloatArray:
    """Centres (N, 2) of boxes (N, 4) xyxy."""
    return ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.float32)


def opencv_matrix(matrix: Reals) -> FloatArray:
    """The affine map (2, 3) as OpenCV wants it.

    Ours maps continuous coordinates, in which the middle of pixel `i` is `i + 0.5`; OpenCV puts
    the middle of pixel `i` at `i`. Without this shift every scaled image is off by up to half a
    pixel against its boxes.
    """
    shifted = np.array(matrix, np.float64)
    shifted[:, 2] += 0.5 * shifted[:, :2].sum(axis=1) - 0.5
    return shifted.astype(np.float32)
