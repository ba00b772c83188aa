"""What passes between the parts of one step of the frame loop; see `pipeline`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from centertrack_ros.datatypes import (
    Candidates,
    Detections,
    FloatArray,
    FrameTransform,
    Image,
    TrackedBoxes3D,
    TrackedJoints,
    Tracks,
)

STAGES = ('preprocess', 'render', 'network', 'decode', 'track')


@dataclass(frozen=True)
class StepResult:
    """What one image gave.

    Attributes:
        tracks: all tracks after this image; publish those with `tracks.reported`.
        detections: the detections they were made from.
        candidates: what the engine gave for this image, a batch of one: `detections` and the
            rows below the threshold.
        transform: between the image and the network input that `candidates` refer to.
        stage_ms: milliseconds spent in each of `STAGES`; `network` is that of the whole batch.
        reset_reason: why the tracker was started anew before this image, '' if it was not.
        joints: of `tracks`, row for row; None for models without joints.
        boxes_3d: of `tracks`, row for row; None for models without 3D, and without a camera.
    """

    tracks: Tracks
    detections: Detections
    candidates: Candidates
    transform: FrameTransform
    stage_ms: Mapping[str, float]
    reset_reason: str
    joints: TrackedJoints | None = None
    boxes_3d: TrackedBoxes3D | None = None


@dataclass(frozen=True)
class Prepared:
    """An image at the size of the network, as a row of a batch.

    Attributes:
        batch: (B, H, W, 3) uint8 BGR; it is written once and belongs to these images for ever.
        row: which of the batch it is.
        transform: between image and network input.
        stamp: time of exposure, seconds.
        milliseconds: what it took.
    """

    batch: Image
    row: int
    transform: FrameTransform
    stamp: float
    milliseconds: float

    @property
    def network_input(self) -> Image:
        """(H, W, 3) uint8 BGR."""
        row: Image = self.batch[self.row]
        return row

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.transform.image_height, self.transform.image_width


@dataclass(frozen=True)
class Begun:
    """What the network is told of the past besides the previous image.

    Attributes:
        prior_heatmap: (H/p, W/p) float32 in [0, 1].
        reset_reason: see `StepResult`.
        milliseconds: what it took.
    """

    prior_heatmap: FloatArray
    reset_reason: str
    milliseconds: float


def reset_reason(previous: Prepared | None, prepared: Prepared, max_gap: float) -> str:
    """Why an image does not continue the one before; '' if it does.

    Args:
        previous: the image before, None after a reset.
        prepared: the image.
        max_gap: seconds between the two from which on it does not.
    """
    if previous is None:
        return ''
    gap = prepared.stamp - previous.stamp
    if gap < 0:
        return f'time went back by {-gap:.3f} s'
    if gap > max_gap:
        return f'no image for {gap:.3f} s (max_gap {max_gap:g} s)'
    old, new = previous.image_size, prepared.image_size
    if new != old:
        return f'image size changed from {old[1]}x{old[0]} to {new[1]}x{new[0]}'
    return ''
