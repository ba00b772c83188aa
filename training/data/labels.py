"""What is known of one frame, and of a pair of frames: the common form of all data sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.affine import transform_points
from centertrack_ros.datatypes import BoolArray, FloatArray, Image, IntArray

ALL_CLASSES = -1

# Geometry is computed in whatever precision comes out; only labels and maps are float32.
Reals = NDArray[np.floating[Any]]
# Polygons (P, 2) in pixels that bound one object; a point is inside if it is in an odd number.
Outline = tuple[FloatArray, ...]

_OBJECT_ARRAYS = (
    'boxes', 'classes', 'track_ids', 'visibilities', 'joints', 'depth', 'dimensions', 'alpha',
    'amodal_centers', 'attributes', 'velocity', 'rows',
)  # fmt: skip


@dataclass(frozen=True)
class FrameLabels:
    """Objects of one frame, in pixels of that frame.

    Coordinates are continuous, pixel `i` covers `[i, i + 1)`; in the data sets of the originals
    `i` is its middle, which `flipped` and `training.augment` can be told.

    What a source does not know is None; what it does not know of one object is not-a-number, or
    0 where the type is a whole number.

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
        joints: (N, J, 3) float32 x, y and 0 = not labelled, 1 = labelled but hidden, 2 = visible.
        joint_pairs: indices of the left and right joints that change places in a mirror.
        depth: (N,) float32, metres along the optical axis to the middle of the object.
        dimensions: (N, 3) float32 height, width, length, metres.
        alpha: (N,) float64 observation angle, radians in [-pi, pi]: yaw less the angle of the
            ray to the object. Not float32, because the bins of the targets have sharp edges.
        amodal_centers: (N, 2) float32, where the middle of the 3D box is seen; may be outside.
        attributes: (N,) int64, number of the attribute from 1.
        velocity: (N, 3) float32, camera frame, metres per second.
        outlines: N outlines, empty where the shape of an object is unknown.
        ignore_track_ids: (M,) int64, the track of the one thing in a region, 0 for a crowd.
        rows, ignore_rows: (N,), (M,) int64, places in the image's list of annotations; without
            them the objects come first, in their order, then the regions.
    """

    boxes: FloatArray
    classes: IntArray
    track_ids: IntArray
    visibilities: FloatArray
    ignore_boxes: FloatArray
    ignore_classes: IntArray
    unlabelled_classes: IntArray
    joints: FloatArray | None = None
    joint_pairs: tuple[tuple[int, int], ...] = ()
    depth: FloatArray | None = None
    dimensions: FloatArray | None = None
    alpha: NDArray[np.float64] | None = None
    amodal_centers: FloatArray | None = None
    attributes: IntArray | None = None
    velocity: FloatArray | None = None
    outlines: tuple[Outline, ...] | None = None
    ignore_track_ids: IntArray | None = None
    rows: IntArray | None = None
    ignore_rows: IntArray | None = None

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
        chosen: dict[str, Any] = {
            name: array[rows]
            for name in _OBJECT_ARRAYS
            if (array := getattr(self, name)) is not None
        }
        if self.outlines is not None:
            numbers = np.arange(len(self))[rows]
            chosen['outlines'] = tuple(self.outlines[number] for number in numbers)
        return replace(self, **chosen)

    def warped(self, matrix: Reals, *, hulls: bool = True) -> FrameLabels:
        """Labels after an affine map (2, 3) of the pixels; depths stay (see `zoomed`).

        Args:
            matrix: the map.
            hulls: a turned box grows to the hull of its four corners; otherwise it becomes what
                its first and its last corner span, as previous boxes do in CenterTrack.
        """
        warp = warp_boxes if hulls else _warp_corners
        changed: dict[str, Any] = {
            'boxes': warp(self.boxes, matrix),
            'ignore_boxes': warp(self.ignore_boxes, matrix),
        }
        if self.joints is not None:
            points = warp_points(self.joints[..., :2], matrix)
            changed['joints'] = np.concatenate([points, self.joints[..., 2:]], axis=2)
        if self.amodal_centers is not None:
            changed['amodal_centers'] = warp_points(self.amodal_centers, matrix)
        if self.outlines is not None:
            changed['outlines'] = tuple(
                tuple(warp_points(polygon, matrix) for polygon in outline)
                for outline in self.outlines
            )
        return replace(self, **changed)

    def flipped(self, width: float, *, pixel_middle: float = 0.5) -> FrameLabels:
        """Labels of the image turned left to right.

        Velocities become unknown, as in CenterTrack.

        Args:
            width: of the image in pixels.
            pixel_middle: coordinate of the middle of the first pixel; 0 in the originals.
        """
        mirror = np.array([[-1.0, 0.0, width - 1 + 2 * pixel_middle], [0.0, 1.0, 0.0]])
        turned = self.warped(mirror)
        changed: dict[str, Any] = {}
        if turned.joints is not None:
            order = np.arange(turned.joints.shape[1])
            for left, right in self.joint_pairs:
                order[[left, right]] = right, left
            changed['joints'] = turned.joints[:, order]
        if self.alpha is not None:
            half_turn = np.where(self.alpha > 0, np.pi, -np.pi)
            changed['alpha'] = half_turn - self.alpha
        if self.velocity is not None:
            changed['velocity'] = np.full_like(self.velocity, np.nan)
        return replace(turned, **changed)

    def zoomed(self, factor: float) -> FrameLabels:
        """Labels as if enlarging the picture `factor` times had brought everything nearer.

        To a camera with one focal length that is what it looks like; CenterTrack trains depth so.
        """
        if self.depth is None:
            return self
        return replace(self, depth=(self.depth / factor).astype(np.float32))


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


@runtime_checkable
class ImageSource(PairSource, Protocol):
    """A source that has numbered frames, to be shown in turn."""

    def __len__(self) -> int: ...

    def pair(self, index: int, generator: np.random.Generator) -> FramePair:
        """Frame `index` as the current one, with a random neighbour of it."""
        ...

    def name(self, index: int) -> str:
        """The file of frame `index`, for complaints."""
        ...


def mirrored_joints(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Indices of the joints that change places in a mirror: those named `left_...`, `right_...`.

    Raises:
        ValueError: one of a pair is missing.
    """
    pairs = []
    for index, name in enumerate(names):
        side, _, rest = name.partition('_')
        other = {'left': f'right_{rest}', 'right': f'left_{rest}'}.get(side)
        if other is not None and other not in names:
            raise ValueError(f'joints: expected {other!r} beside {name!r}, received {names}')
        if side == 'left' and other is not None:
            pairs.append((index, list(names).index(other)))
    return tuple(pairs)


def warp_points(points: Reals, matrix: Reals) -> FloatArray:
    """Points (..., 2) after the affine map (2, 3)."""
    warped: FloatArray = transform_points(points, matrix).astype(np.float32)
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


def opencv_matrix(matrix: Reals, pixel_middle: float = 0.5) -> FloatArray:
    """The affine map (2, 3) as OpenCV wants it.

    OpenCV puts the middle of pixel `i` at `i`; we put it at `i + pixel_middle`. Without this
    shift every scaled image is off by up to half a pixel against its boxes.
    """
    shifted = np.array(matrix, np.float64)
    shifted[:, 2] += pixel_middle * (shifted[:, :2].sum(axis=1) - 1)
    return shifted.astype(np.float32)


def _warp_corners(boxes: Reals, matrix: Reals) -> FloatArray:
    """Boxes (N, 4) from the warped first and last corners; a turn may leave them empty."""
    return warp_points(boxes.reshape(-1, 2, 2), matrix).reshape(-1, 4)
