"""Boxes in space that follow the tracks: filtered, with velocity, and kept through misses.

Which detection belongs to which track is the tracker's decision; this follows its ids. Everything
is in the camera's optical frame (x right, y down, z forward, metres), and the camera counts as
standing still: its own motion is part of every velocity, and its turns look like accelerations.

Model of the measurement. A depth is wrong by a share of itself, along the ray that leads to the
object; the pixel of the middle is wrong by a share of the size of the box. To first order that
makes an ellipsoid along the ray, as much longer than wide as the object is far away. Networks err
alike in images that are alike: an error lasts for `motion_3d.ERROR_LIFE`, so that the filter takes
images that follow fast for less each, and is as sure at 60 images per second as at 10. What lasts
for ever (an object that is larger than most of its kind) no filter can see; for it the share
`motion_3d.LASTING` of a measurement's variance is added to the published covariances.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.attributes import allowed_attributes, likeliest_attributes
from centertrack_ros.datatypes import BoolArray, Detections, FloatArray, TrackedBoxes3D, Tracks
from centertrack_ros.lifting import lift_detections
from centertrack_ros.tracker.ids import rows_of_ids
from centertrack_ros.tracker.motion_3d import Measured, Motion3D

# Standard deviations: of a depth as a share of it; of the pixel of the middle as a share of the
# square root of the box's area, and in pixels at least.
DEPTH_SHARE = 0.05
CENTER_SHARE = 0.04
LEAST_CENTER_PX = 1.0
# Metres: a box is never smaller, and what is nearer was not seen by a camera.
LEAST_SIZE = 0.01
NEAREST = 0.1


class BoxFilter3D:
    """All tracks of one camera at once. Not thread-safe."""

    def __init__(self, class_names: Sequence[str] = ()) -> None:
        """Start with no tracks.

        Args:
            class_names: `ModelSpec.classes`, for models with attributes: which of them an object
                can have depends on its class.
        """
        self._allowed = allowed_attributes(class_names)
        self.reset()

    def reset(self) -> None:
        """Forget all boxes."""
        self._ids = np.zeros(0, np.int64)
        self._motion = Motion3D(0)

    def update(
        self, tracks: Tracks, detections: Detections, dt: float, camera_matrix: FloatArray
    ) -> TrackedBoxes3D:
        """Follow the tracks of one image.

        Args:
            tracks: after this image; `detection_indices` are rows of `detections`.
            detections: of a model with depth, dimensions and rotation; depths are metres of this
                camera (`lifting.depth_scale`).
            dt: seconds since the image before; 0 for the first one.
            camera_matrix: (3, 4), pixels of the rectified image.

        Returns:
            A row for each track. A track that was missed is where its velocity brings it, with a
            covariance that grows.

        Raises:
            ValueError: the detections lack a field, or not such a matrix; the state is unchanged.
        """
        measured = self._measured(tracks, detections, camera_matrix)
        self._motion = self._motion.rearranged(rows_of_ids(tracks.ids, self._ids))
        self._ids = tracks.ids.copy()
        self._motion.predict(dt)
        self._motion.take(measured)
        return self._motion.boxes(with_attributes=detections.attributes is not None)

    def _measured(
        self, tracks: Tracks, detections: Detections, camera_matrix: FloatArray
    ) -> Measured:
        seen = np.flatnonzero(tracks.detection_indices >= 0)
        taken = detections[tracks.detection_indices[seen]]
        # A confused network says anything.
        usable = _usable(taken)
        seen, taken = seen[usable], taken[usable]
        boxes = lift_detections(taken, camera_matrix)
        values = np.column_stack((boxes.middles, boxes.dimensions, boxes.yaws)).astype(np.float64)
        attributes, velocities = None, taken.velocity
        if taken.attributes is not None:
            attributes = likeliest_attributes(taken.attributes, self._allowed[taken.classes])
        return Measured(
            tracks=seen,
            middles=values[:, :3],
            covariances=middle_covariances(values[:, :3], taken.boxes, camera_matrix),
            yaws=values[:, 6],
            dimensions=np.maximum(values[:, 3:6], LEAST_SIZE),
            velocities=None if velocities is None else velocities.astype(np.float64),
            attributes=attributes,
        )


def middle_covariances(
    middles: NDArray[np.float64], boxes: FloatArray, camera_matrix: FloatArray
) -> NDArray[np.float64]:
    """Covariances (N, 3, 3), square metres, of the middles of lifted boxes; see the module.

    Args:
        middles: (N, 3) metres.
        boxes: (N, 4) xyxy, image pixels.
        camera_matrix: (3, 4), pixels of the same image.
    """
    sizes = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)
    pixels = np.maximum(CENTER_SHARE * np.sqrt(sizes.prod(axis=1)), LEAST_CENTER_PX)
    # Where errors of one standard deviation lead: of the column, of the row, of the depth.
    moves = np.zeros((len(middles), 3, 3))
    moves[:, 0, 0] = pixels * middles[:, 2] / camera_matrix[0, 0]
    moves[:, 1, 1] = pixels * middles[:, 2] / camera_matrix[1, 1]
    moves[:, :, 2] = DEPTH_SHARE * middles
    covariances: NDArray[np.float64] = moves @ moves.transpose(0, 2, 1)
    return covariances


def _usable(detections: Detections) -> BoolArray:
    """(N,) which of them can be where they say; all where fields are missing."""
    depth, dimensions = detections.depth, detections.dimensions
    alpha, centers = detections.alpha, detections.amodal_centers
    if depth is None or dimensions is None or alpha is None or centers is None:
        return np.ones(len(detections), np.bool_)
    values = np.column_stack((depth, dimensions, alpha, centers))
    usable: BoolArray = np.isfinite(values).all(axis=1) & (depth > NEAREST)
    return usable
