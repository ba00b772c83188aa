"""The arrays that pass between modules: candidates, detections, tracks and frame geometry.

Coordinates carry their frame in their name: `_px` image pixels, `_in` network input pixels,
`_out` cells of the network's output map. Inside the runtime there is one box format: xyxy,
image pixels, float32. Coordinates are continuous: pixel (or cell) `i` covers `[i, i + 1)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class FrameTransform:
    """Axis-aligned map between image pixels and network input pixels; both ways are exact.

    `x_in = x_px * scale_x + offset_x`, and the same for y.

    Attributes:
        half_pixel_centers: where `preprocessing.to_input` takes pixels from: False makes it map
            the whole numbers of pixels as if they were coordinates, as the originals do. Boxes
            and points are mapped alike either way.
    """

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float
    image_width: int
    image_height: int
    input_width: int
    input_height: int
    half_pixel_centers: bool = True

    def points_to_input(self, points_px: FloatArray) -> FloatArray:
        """Map points (..., 2) from image pixels to network input pixels."""
        return (points_px * self._scale + self._offset).astype(np.float32)

    def points_to_image(self, points_in: FloatArray) -> FloatArray:
        """Map points (..., 2) from network input pixels to image pixels."""
        return ((points_in - self._offset) / self._scale).astype(np.float32)

    def vectors_to_image(self, vectors_in: FloatArray) -> FloatArray:
        """Map displacements (..., 2), which do not feel the offset, to image pixels."""
        return (vectors_in / self._scale).astype(np.float32)

    def boxes_to_input(self, boxes_px: FloatArray) -> FloatArray:
        """Map boxes (N, 4) xyxy from image pixels to network input pixels."""
        return self.points_to_input(boxes_px.reshape(-1, 2, 2)).reshape(-1, 4)

    def boxes_to_image(self, boxes_in: FloatArray) -> FloatArray:
        """Map boxes (N, 4) xyxy from network input pixels to image pixels."""
        return self.points_to_image(boxes_in.reshape(-1, 2, 2)).reshape(-1, 4)

    def clipped_to_image(self, boxes_px: FloatArray) -> FloatArray:
        """Boxes (N, 4) xyxy, image pixels, that end at the border of the image."""
        # Half the time of `np.clip`, which for a few boxes checks longer than it works.
        inside: FloatArray = np.maximum(boxes_px, np.float32(0))
        return np.minimum(inside, self._image_corner, out=inside)

    # Float64, so that results are rounded once: peaks are drawn at truncated coordinates. Kept,
    # as one transform serves all images of a video.
    @cached_property
    def _scale(self) -> NDArray[np.float64]:
        return np.array([self.scale_x, self.scale_y])

    @cached_property
    def _offset(self) -> NDArray[np.float64]:
        return np.array([self.offset_x, self.offset_y])

    @cached_property
    def _image_corner(self) -> FloatArray:
        return np.array([self.image_width, self.image_height] * 2, np.float32)


@dataclass(frozen=True)
class Candidates:
    """What the exported graph returns for a batch of B images: K rows each, best score first.

    Attributes:
        scores: (B, K) float32 in [0, 1].
        classes: (B, K) int64, index into `ModelSpec.classes`.
        cells: (B, K, 2) float32, integer peak position x, y in output cells.
        boxes: (B, K, 4) float32 xyxy in output cells.
        tracking: (B, K, 2) float32, displacement in output cells from the peak to where the
            object's centre was in the previous image; zero for models without that head.

    The others are None for models that do not say them:
        keypoints: (B, K, J, 3) float32 x, y in output cells and score of each joint.
        depth: (B, K) float32, metres along the optical axis.
        dimensions: (B, K, 3) float32 height, width, length, metres.
        rotation: (B, K, 8) float32, the two bins of `camera_geometry.alpha_from_bins`.
        amodal_offset: (B, K, 2) float32, to the projected 3D centre, output cells.
        attributes: (B, K, A) float32 logits of the nuScenes attributes.
        velocity: (B, K, 3) float32, metres per second, camera frame.
        masks: (B, K, H/s, W/s) float32 in [0, 1], share of each output cell.
    """

    scores: FloatArray
    classes: IntArray
    cells: FloatArray
    boxes: FloatArray
    tracking: FloatArray
    keypoints: FloatArray | None = None
    depth: FloatArray | None = None
    dimensions: FloatArray | None = None
    rotation: FloatArray | None = None
    amodal_offset: FloatArray | None = None
    attributes: FloatArray | None = None
    velocity: FloatArray | None = None
    masks: FloatArray | None = None

    def of_image(self, row: int) -> Candidates:
        """What the batch gave for one of its images, as a batch of one."""
        if len(self.scores) == 1:
            return self
        arrays: dict[str, Any] = {
            name: None if values is None else values[row : row + 1]
            for name, values in vars(self).items()
        }
        return Candidates(**arrays)


@dataclass(frozen=True)
class Detections:
    """Objects seen in one image, best score first.

    Attributes:
        boxes: (N, 4) float32 xyxy, image pixels, clipped to the image.
        scores: (N,) float32 in [0, 1].
        classes: (N,) int64, index into `ModelSpec.classes`.
        centers: (N, 2) float32, image pixels, the heatmap peak, or what the original tracks
            instead, see `decoding.decode` (its `ct`).
        offsets: (N, 2) float32, image pixels; `centers + offsets` is where the object was in
            the previous image (the original's `tracking`).

    The others are None for models that do not say them:
        keypoints: (N, J, 3) float32 x, y in image pixels, not clipped, and score of each joint.
        depth: (N,) float32, metres along the optical axis.
        dimensions: (N, 3) float32 height, width, length, metres.
        alpha: (N,) float32 radians, yaw as the camera sees it (`camera_geometry`).
        amodal_centers: (N, 2) float32, image pixels, not clipped, the projected 3D centre; the
            centre of the box for models with a depth and no head for it.
        attributes: (N, A) float32 logits of the nuScenes attributes.
        velocity: (N, 3) float32, metres per second, camera frame.
        masks: (N, h, w) float32 in [0, 1], share of each output cell (`masks.masks_to_image`).
    """

    boxes: FloatArray
    scores: FloatArray
    classes: IntArray
    centers: FloatArray
    offsets: FloatArray
    keypoints: FloatArray | None = None
    depth: FloatArray | None = None
    dimensions: FloatArray | None = None
    alpha: FloatArray | None = None
    amodal_centers: FloatArray | None = None
    attributes: FloatArray | None = None
    velocity: FloatArray | None = None
    masks: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: IntArray | BoolArray | slice) -> Detections:
        """Rows chosen by an index array, a mask or a slice."""
        return Detections(**_rows(self, index))

    @classmethod
    def empty(cls) -> Detections:
        """No objects, of a model that says nothing beyond boxes."""
        return cls(
            boxes=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            classes=np.zeros(0, np.int64),
            centers=np.zeros((0, 2), np.float32),
            offsets=np.zeros((0, 2), np.float32),
        )


@dataclass(frozen=True)
class Tracks:
    """State of all tracks after one image: the visible ones and those kept through a miss.

    Attributes:
        ids: (N,) int64, positive, unique, never used again until the tracker is reset.
        boxes: (N, 4) float32 xyxy, image pixels.
        scores: (N,) float32, score of the last detection taken by the track.
        classes: (N,) int64, index into `ModelSpec.classes`.
        centers: (N, 2) float32, image pixels, last (or predicted) heatmap peak.
        velocities: (N, 2) float32, image pixels per second, of the box centre; zero where the
            method keeps none.
        hits: (N,) int64, number of detections taken so far.
        misses: (N,) int64, images since the last detection; 0 = seen in this image.
        reported: (N,) bool, True where the track is to be published for this image.
        detection_indices: (N,) int64, row of this image's Detections, -1 where there is none.
        prior_weights: (N,) float32 in [0, 1], height of the track's peak in the prior heatmap
            of the next image; 0 = not drawn.
    """

    ids: IntArray
    boxes: FloatArray
    scores: FloatArray
    classes: IntArray
    centers: FloatArray
    velocities: FloatArray
    hits: IntArray
    misses: IntArray
    reported: BoolArray
    detection_indices: IntArray
    prior_weights: FloatArray

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: IntArray | BoolArray | slice) -> Tracks:
        """Rows chosen by an index array, a mask or a slice."""
        return Tracks(**_rows(self, index))

    @classmethod
    def empty(cls) -> Tracks:
        """No tracks."""
        return cls(
            ids=np.zeros(0, np.int64),
            boxes=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            classes=np.zeros(0, np.int64),
            centers=np.zeros((0, 2), np.float32),
            velocities=np.zeros((0, 2), np.float32),
            hits=np.zeros(0, np.int64),
            misses=np.zeros(0, np.int64),
            reported=np.zeros(0, np.bool_),
            detection_indices=np.zeros(0, np.int64),
            prior_weights=np.zeros(0, np.float32),
        )


@dataclass(frozen=True)
class TrackedJoints:
    """Joints of tracks, row for row as the `Tracks` of the same image.

    Attributes:
        positions: (N, J, 2) float32, image pixels, smoothed over time, not clipped.
        scores: (N, J) float32 in [0, 1]; of this image, or while a joint is kept through a short
            miss that of the last time it was seen, fading; 0 = not known.
        visible: (N, J) bool, True where the joint is to be shown: seen well enough in this
            image, or kept through a short miss.
    """

    positions: FloatArray
    scores: FloatArray
    visible: BoolArray

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: IntArray | BoolArray | slice) -> TrackedJoints:
        """Rows chosen by an index array, a mask or a slice."""
        return TrackedJoints(**_rows(self, index))


@dataclass(frozen=True)
class TrackedBoxes3D:
    """Boxes in space of tracks, row for row as the `Tracks` of the same image.

    The frame is the camera's optical one: x right, y down, z forward, metres.

    Attributes:
        middles: (N, 3) float32, centre of the box.
        dimensions: (N, 3) float32 height, width, length, metres.
        yaws: (N,) float32 radians about y, from -pi to pi, as `lifting.Boxes3D`.
        velocities: (N, 3) float32 metres per second, relative to the camera.
        covariances: (N, 4, 4) float32 of x, y, z (square metres) and yaw (square radians).
        known: (N,) bool, False where nothing was lifted yet; the other values are then 0.
        attributes: (N,) int64, index into `attributes.ATTRIBUTES`, -1 = none; None for models
            without the head `nuscenes_att`.
    """

    middles: FloatArray
    dimensions: FloatArray
    yaws: FloatArray
    velocities: FloatArray
    covariances: FloatArray
    known: BoolArray
    attributes: IntArray | None = None

    def __len__(self) -> int:
        return len(self.yaws)

    def __getitem__(self, index: IntArray | BoolArray | slice) -> TrackedBoxes3D:
        """Rows chosen by an index array, a mask or a slice."""
        return TrackedBoxes3D(**_rows(self, index))


_Table = Detections | Tracks | TrackedJoints | TrackedBoxes3D


def _rows(table: _Table, index: IntArray | BoolArray | slice) -> dict[str, Any]:
    """Field name -> its rows; `vars` and not `dataclasses.asdict`, which would copy."""
    return {name: None if array is None else array[index] for name, array in vars(table).items()}
