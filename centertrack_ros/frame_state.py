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
    """

    tracks: Tracks
    detections: Detections
    candidates: Candidates
    transform: FrameTransform
    stage_ms: Mapping[str, float]
    reset_reason: str


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
