"""The one frame loop: last input and last tracks feed the next call.

The node, the offline replay, `training.evaluate` and the benchmarks all call
`TrackingPipeline.step`, or `step_batch` for several cameras; nothing else keeps a previous image
or renders a prior heatmap.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from centertrack_ros.camera_motion import CameraFollower
from centertrack_ros.datatypes import (
    Candidates,
    FloatArray,
    FrameTransform,
    Image,
    IntArray,
    Tracks,
)
from centertrack_ros.decoding import decode
from centertrack_ros.engines.base import Engine
from centertrack_ros.frame_state import STAGES, Begun, Prepared, StepResult, reset_reason
from centertrack_ros.lifting import depth_scale
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import check_image, fit_transform, to_input
from centertrack_ros.rendering import render_prior_heatmap
from centertrack_ros.tracker import Tracker
from centertrack_ros.tracker.follow import Followers

__all__ = ['STAGES', 'StepResult', 'TrackingPipeline', 'batches', 'step_batch']


class TrackingPipeline:
    """Image and stamp in, tracks out. Not thread-safe: one thread calls `step` at a time.

    Several cameras have one pipeline each, which share the engine; see `step_batch`.

    `detection_threshold`, `class_indices` and `max_gap` may be assigned between steps; so may
    the tracker's parameters (`factory.update_pipeline` does both).

    Attributes:
        camera_matrix: (3, 4), pixels of the rectified images; None = unknown, no boxes in space.
            To be assigned between steps.
        followers: what is kept of the tracks beside their boxes.
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
        self.camera_matrix: FloatArray | None = None
        self.followers = Followers(spec)
        self._previous: Prepared | None = None
        self._camera = CameraFollower()
        self._tracks = Tracks.empty()

    @property
    def previous(self) -> Prepared | None:
        """The image of the last step; None after a reset."""
        return self._previous

    def reset(self) -> None:
        """Forget the previous image and all tracks; ids start at 1 again."""
        self._previous = None
        self._camera.reset()
        self._tracks = Tracks.empty()
        self.tracker.reset()
        self.followers.reset()

    def begin_with(self, tracks: Tracks) -> None:
        """Draw tracks of before the first image into its prior heatmap.

        Args:
            tracks: those that the tracker was made to begin with.

        Raises:
            ValueError: there was an image since the last reset.
        """
        if self._previous is not None:
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
        return step_batch([self], [image], [stamp])[0]

    def transform(self, image: Image) -> FrameTransform:
        """How an image is placed in the network input."""
        previous = self._previous
        if previous is not None and image.shape[:2] == previous.image_size:
            return previous.transform
        return fit_transform(image.shape[:2], self.spec)

    def prepare(self, image: Image, stamp: float, batch: Image, row: int = 0) -> Prepared:
        """Resize an image into a row of a batch; changes nothing else.

        Args:
            image: (H, W, 3) uint8 BGR of any size.
            stamp: time of exposure, seconds.
            batch: (B, input height, input width, 3) uint8, C-contiguous, to be written.
            row: which of it.
        """
        start = time.perf_counter()
        transform = self.transform(image)
        to_input(image, transform, batch[row])
        return Prepared(batch, row, transform, stamp, _milliseconds_since(start))

    def begin(self, prepared: Prepared) -> Begun:
        """Start anew where the image does not continue the one before, and draw the tracks.

        To be called right before the network runs: the tracks are those of the previous image.
        """
        start = time.perf_counter()
        reason = reset_reason(self._previous, prepared, self.max_gap)
        if reason:
            self.reset()
        prior_heatmap = render_prior_heatmap(self._tracks, prepared.transform, self.spec)
        return Begun(prior_heatmap, reason, _milliseconds_since(start))

    def finish(
        self, prepared: Prepared, begun: Begun, candidates: Candidates, network_ms: float
    ) -> StepResult:
        """From what the network gave to tracks, which the next image begins with.

        Args:
            prepared: the image.
            begun: what `begin` gave for it.
            candidates: what the engine gave for it, a batch of one.
            network_ms: how long the engine ran.
        """
        ticks = [time.perf_counter()]
        detections = decode(
            candidates,
            prepared.transform,
            stride=self.spec.stride,
            threshold=self.detection_threshold,
            class_indices=self.class_indices,
            amodal_reference=self.spec.decode.amodal_reference,
            duplicate_overlap=self.spec.decode.duplicate_overlap,
            depth_scale=depth_scale(
                self.spec.trained_focal_length, self.camera_matrix, prepared.transform
            ),
        )
        ticks.append(time.perf_counter())
        # Seconds since 1970 resolve a quarter of a microsecond: rounded, so that a bag and a video
        # of the same images give the same tracks.
        before = self._previous
        dt = 0.0 if before is None else round(prepared.stamp - before.stamp, 6)
        camera = self._camera_motion(prepared.network_input, prepared.transform)
        tracks = self.tracker.update(detections, dt, camera=camera)
        cell = self.spec.stride / prepared.transform.scale_x
        joints = self.followers.follow_joints(tracks, detections, dt, cell=cell)
        boxes_3d = self.followers.follow_boxes(tracks, detections, dt, self.camera_matrix)
        self._tracks = _clipped(tracks, prepared.transform)
        self._previous = prepared
        ticks.append(time.perf_counter())
        spent = (prepared.milliseconds, begun.milliseconds, network_ms, *np.diff(ticks) * 1e3)
        stage_ms = dict(zip(STAGES, spent, strict=True))
        return StepResult(
            self._tracks,
            detections,
            candidates,
            prepared.transform,
            stage_ms,
            begun.reset_reason,
            joints=joints,
            boxes_3d=boxes_3d,
        )

    def _camera_motion(self, network_input: Image, transform: FrameTransform) -> FloatArray | None:
        """Affine map (2, 3) from the previous image to this one; None where there is none."""
        if not self.tracker.follows_camera:
            self._camera.reset()
            return None
        return self._camera.update(network_input, transform, self._tracks.boxes)


def step_batch(
    cameras: Sequence[TrackingPipeline], images: Sequence[Image], stamps: Sequence[float]
) -> list[StepResult]:
    """One step of several cameras, those with the same input size in one run of the network.

    Args:
        cameras: pipelines that share one engine, each once.
        images: the image of each camera, (H, W, 3) uint8 BGR of any size.
        stamps: times of exposure, seconds.

    Returns:
        The results in the order of the cameras.

    Raises:
        TypeError, ValueError: not such an image; no state is changed.
    """
    for image in images:
        check_image(image)
    results: dict[int, StepResult] = {}
    for rows in batches(cameras, images):
        chosen = [cameras[row] for row in rows]
        given = [(images[row], stamps[row]) for row in rows]
        results |= zip(rows, _run_batch(chosen, given), strict=True)
    return [results[row] for row in range(len(cameras))]


def batches(cameras: Sequence[TrackingPipeline], images: Sequence[Image]) -> list[list[int]]:
    """Which images go into the network together: indices of cameras, in their order.

    Those whose network inputs have the same size, as many as the engine takes.

    Args:
        cameras: pipelines that share one engine.
        images: the image of each, (H, W, 3).
    """
    if len(cameras) == 1:
        return [[0]]
    groups: dict[tuple[int, int], list[int]] = {}
    for row, (camera, image) in enumerate(zip(cameras, images, strict=True)):
        transform = camera.transform(image)
        groups.setdefault((transform.input_height, transform.input_width), []).append(row)
    limit = (cameras[0].engine.max_batch if cameras else None) or len(cameras)
    return [
        rows[start : start + limit]
        for rows in groups.values()
        for start in range(0, len(rows), limit)
    ]


def _run_batch(
    cameras: Sequence[TrackingPipeline], given: Sequence[tuple[Image, float]]
) -> list[StepResult]:
    """One run of the network over images and stamps of cameras whose inputs have one size."""
    transform = cameras[0].transform(given[0][0])
    # A new array each time: engines that keep the previous images on their device know them by
    # the identity of the array.
    shape = (len(cameras), transform.input_height, transform.input_width, 3)
    batch = np.empty(shape, np.uint8)
    prepared = [
        camera.prepare(image, stamp, batch, row)
        for row, (camera, (image, stamp)) in enumerate(zip(cameras, given, strict=True))
    ]
    begun = [camera.begin(entry) for camera, entry in zip(cameras, prepared, strict=True)]
    previous = _previous_batch(cameras, batch)
    prior_heatmaps = np.stack([entry.prior_heatmap for entry in begun])[:, None]
    start = time.perf_counter()
    candidates = cameras[0].engine.run(batch, previous, prior_heatmaps)
    network_ms = _milliseconds_since(start)
    return [
        camera.finish(entry, state, candidates.of_image(row), network_ms)
        for row, (camera, entry, state) in enumerate(zip(cameras, prepared, begun, strict=True))
    ]


def _previous_batch(cameras: Sequence[TrackingPipeline], batch: Image) -> Image:
    """The previous images (B, H, W, 3); a camera without one has its new image.

    The very array of the last call where its cameras were the same, else a copy.
    """
    before = [camera.previous for camera in cameras]
    if all(entry is None for entry in before):
        return batch
    first = before[0]
    if first is not None and len(first.batch) == len(cameras):
        same = (
            entry is not None and entry.batch is first.batch and entry.row == row
            for row, entry in enumerate(before)
        )
        if all(same):
            return first.batch
    return np.stack(
        [batch[row] if entry is None else entry.network_input for row, entry in enumerate(before)]
    )


def _milliseconds_since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3


def _clipped(tracks: Tracks, transform: FrameTransform) -> Tracks:
    """The tracks with boxes inside the image: predicted and smoothed ones can leave it."""
    return replace(tracks, boxes=transform.clipped_to_image(tracks.boxes))
