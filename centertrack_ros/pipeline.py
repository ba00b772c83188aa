"""The one frame loop: last input and last tracks feed the next call.

The node, the offline replay, `training.evaluate` and the benchmarks all call
`TrackingPipeline.step`; nothing else keeps a previous image or renders a prior heatmap.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from centertrack_ros.camera_motion import GreyImage, estimate_motion, grey_picture
from centertrack_ros.datatypes import (
    Candidates,
    Detections,
    FloatArray,
    FrameTransform,
    Image,
    IntArray,
    Tracks,
)
from centertrack_ros.decoding import decode
from centertrack_ros.engines.base import Engine
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import check_image, fit_transform, to_input
from centertrack_ros.rendering import render_prior_heatmap
from centertrack_ros.tracker import Tracker

STAGES = ('preprocess', 'render', 'network', 'decode', 'track')


@dataclass(frozen=True)
class StepResult:
    """What one image gave.

    Attributes:
        tracks: all tracks after this image; publish those with `tracks.reported`.
        detections: the detections they were made from.
        candidates: what the engine gave: `detections` and the rows below the threshold.
        transform: between the image and the network input that `candidates` refer to.
        stage_ms: milliseconds spent in each of `STAGES`.
        reset_reason: why the tracker was started anew before this image, '' if it was not.
    """

    tracks: Tracks
    detections: Detections
    candidates: Candidates
    transform: FrameTransform
    stage_ms: Mapping[str, float]
    reset_reason: str


class TrackingPipeline:
    """Image and stamp in, tracks out. Not thread-safe: one thread calls `step` at a time.

    `detection_threshold`, `class_indices` and `max_gap` may be assigned between steps; so may
    the tracker's parameters (`factory.update_pipeline` does both).
    """

    def __init__(
        self,
        engine: Engine,
        spec: ModelSpec,
        tracker: Tracker,
        *,
        detection_threshold: float,
        class_indices: IntArray | None = None,
        max_gap: float = 2.0,
    ) -> None:
        """Build the loop.

        Args:
            engine: runs the model that `spec` describes.
            spec: sizes, stride and radius rule of the model.
            tracker: association method.
            detection_threshold: candidates with a lower score are dropped.
            class_indices: (C,) classes to keep, None = all.
            max_gap: seconds between two images above which the tracker is reset.
        """
        self.engine = engine
        self.spec = spec
        self.tracker = tracker
        self.detection_threshold = detection_threshold
        self.class_indices = class_indices
        self.max_gap = max_gap
        self._previous_input: Image | None = None
        self._transform: FrameTransform | None = None
        self._picture: GreyImage | None = None
        self._tracks = Tracks.empty()
        self._stamp: float | None = None

    def reset(self) -> None:
        """Forget the previous image and all tracks; ids start at 1 again."""
        self._previous_input = None
        self._transform = None
        self._picture = None
        self._tracks = Tracks.empty()
        self._stamp = None
        self.tracker.reset()

    def begin_with(self, tracks: Tracks) -> None:
        """Draw tracks of before the first image into its prior heatmap.

        Args:
            tracks: those that the tracker was made to begin with.

        Raises:
            ValueError: there was an image since the last reset.
        """
        if self._stamp is not None:
            raise ValueError('expected a pipeline that was just reset, received one with an image')
        self._tracks = tracks

    def step(self, image: Image, stamp: float) -> StepResult:
        """Track the objects of one image.

        Args:
            image: (H, W, 3) uint8 BGR of any size.
            stamp: time of exposure, seconds; differences give `dt`.

        Raises:
            TypeError, ValueError: not such an image; the state is unchanged.
        """
        check_image(image)
        reset_reason = self._reset_reason(image, stamp)
        if reset_reason:
            self.reset()
        ticks = [time.perf_counter()]
        transform = self._transform or fit_transform(image.shape[:2], self.spec)
        network_input = to_input(image, transform)[None]
        ticks.append(time.perf_counter())
        prior_heatmap = render_prior_heatmap(self._tracks, transform, self.spec)[None, None]
        ticks.append(time.perf_counter())
        previous = network_input if self._previous_input is None else self._previous_input
        candidates = self.engine.run(network_input, previous, prior_heatmap)
        ticks.append(time.perf_counter())
        detections = decode(
            candidates,
            transform,
            stride=self.spec.stride,
            threshold=self.detection_threshold,
            class_indices=self.class_indices,
            amodal_reference=self.spec.decode.amodal_reference,
            duplicate_overlap=self.spec.decode.duplicate_overlap,
        )
        ticks.append(time.perf_counter())
        # Seconds since 1970 resolve a quarter of a microsecond: rounded, so that a bag and a video
        # of the same images give the same tracks.
        dt = 0.0 if self._stamp is None else round(stamp - self._stamp, 6)
        camera = self._camera_motion(network_input[0], transform)
        tracks = self.tracker.update(detections, dt, camera=camera)
        self._tracks = _clipped(tracks, transform)
        ticks.append(time.perf_counter())
        self._previous_input, self._transform, self._stamp = network_input, transform, stamp
        stage_ms = dict(zip(STAGES, np.diff(ticks) * 1e3, strict=True))
        return StepResult(self._tracks, detections, candidates, transform, stage_ms, reset_reason)

    def _camera_motion(self, network_input: Image, transform: FrameTransform) -> FloatArray | None:
        """Affine map (2, 3) from the previous image to this one; None where it is not known."""
        if not self.tracker.follows_camera:
            self._picture = None
            return None
        previous, self._picture = self._picture, grey_picture(network_input)
        if previous is None:
            return None
        return estimate_motion(previous, self._picture, transform, self._tracks.boxes)

    def _reset_reason(self, image: Image, stamp: float) -> str:
        if self._stamp is None or self._transform is None:
            return ''
        if stamp < self._stamp:
            return f'time went back by {self._stamp - stamp:.3f} s'
        if stamp - self._stamp > self.max_gap:
            return f'no image for {stamp - self._stamp:.3f} s (max_gap {self.max_gap:g} s)'
        size = (self._transform.image_height, self._transform.image_width)
        if image.shape[:2] != size:
            return (
                f'image size changed from {size[1]}x{size[0]} to {image.shape[1]}x{image.shape[0]}'
            )
        return ''


def _clipped(tracks: Tracks, transform: FrameTransform) -> Tracks:
    """The tracks with boxes inside the image: predicted and smoothed ones can leave it."""
    limit = np.array([transform.image_width, transform.image_height] * 2, np.float32)
    return replace(tracks, boxes=np.clip(tracks.boxes, 0, limit))
