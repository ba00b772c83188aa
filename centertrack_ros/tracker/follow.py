"""What follows the tracks of one camera image by image: their joints, their boxes in space."""

from __future__ import annotations

from centertrack_ros.datatypes import Detections, FloatArray, TrackedBoxes3D, TrackedJoints, Tracks
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.tracker.boxes_3d import BoxFilter3D
from centertrack_ros.tracker.joints import JointFilter


class Followers:
    """Filters that take what the detections of the tracks say beside a box.

    Attributes:
        joints: None for models without joints.
        boxes_3d: None for models without 3D.
    """

    def __init__(self, spec: ModelSpec) -> None:
        """Make those that the heads of a model can feed."""
        self.joints = JointFilter(len(spec.joints)) if spec.joints else None
        self.boxes_3d = BoxFilter3D(spec.classes) if spec.has_boxes_3d else None

    def reset(self) -> None:
        """Forget all tracks, as the tracker did."""
        if self.joints is not None:
            self.joints.reset()
        if self.boxes_3d is not None:
            self.boxes_3d.reset()

    def follow_joints(
        self, tracks: Tracks, detections: Detections, dt: float, *, cell: float
    ) -> TrackedJoints | None:
        """Joints of `tracks`, see `JointFilter.update`; None for models without."""
        if self.joints is None:
            return None
        return self.joints.update(tracks, detections.keypoints, dt, cell=cell)

    def follow_boxes(
        self, tracks: Tracks, detections: Detections, dt: float, camera_matrix: FloatArray | None
    ) -> TrackedBoxes3D | None:
        """Boxes in space of `tracks`, see `BoxFilter3D.update`; None without 3D or camera."""
        if self.boxes_3d is None or camera_matrix is None:
            return None
        return self.boxes_3d.update(tracks, detections, dt, camera_matrix)
