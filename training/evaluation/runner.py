"""Runs the runtime's pipeline over a labelled set and keeps what metrics need."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from centertrack_ros.datatypes import (
    BoolArray,
    Detections,
    FloatArray,
    IntArray,
    TrackedBoxes3D,
    TrackedJoints,
    Tracks,
)
from centertrack_ros.decoding import decode
from centertrack_ros.lifting import depth_scale
from centertrack_ros.masks import masks_to_image
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.pipeline import StepResult, TrackingPipeline
from training.data.coco_video import read_record_image
from training.evaluation.sets import EvaluationSet

# A mask in COCO's run-length code: `size` (height, width) and `counts`.
MaskCode = Mapping[str, Any]


@dataclass(frozen=True)
class FrameResult:
    """What the model said of one image of a set.

    Attributes:
        tracks: those reported, as the runtime publishes them (boxes clipped to the image). Ids
            are unique within a video: after a reset they go on instead of from 1.
        seen: the detections that the tracker was given; `tracks.detection_indices` are rows of
            it, -1 for tracks reported without one.
        detections: all candidates of the same pass, whatever their score, best first; for
            detection metrics. Their masks are in `mask_codes` instead.
        mask_codes: one mask per detection, of the image; None for models without masks.
        seconds: spent in the pipeline.
        reset_reason: why the tracker started anew before this image, '' if it did not.
        joints: of `tracks`, row for row; None for models without joints.
        boxes_3d: of `tracks`, row for row; None for models without 3D, and without a camera.
    """

    tracks: Tracks
    seen: Detections
    detections: Detections
    mask_codes: tuple[MaskCode, ...] | None = None
    seconds: float = 0.0
    reset_reason: str = ''
    joints: TrackedJoints | None = None
    boxes_3d: TrackedBoxes3D | None = None


def run_tracking(
    pipeline: TrackingPipeline,
    evaluation_set: EvaluationSet,
    *,
    before_image: Callable[[int, bool], object] = lambda row, first: None,
    progress: Callable[[], object] = lambda: None,
) -> list[FrameResult]:
    """Track every video of a set; the pipeline is reset before each.

    Args:
        pipeline: with the settings that it has at run time.
        evaluation_set: the images.
        before_image: called before each image with its row in the set and whether a video
            begins, when the pipeline has just been reset; see `public.feed_public`.
        progress: called after each image.

    Returns:
        One result per record of the set, in the order of the records.

    Raises:
        FileNotFoundError, ValueError: a picture is missing, cannot be read, or has another size
            than the file says; the text names it.
    """
    results: dict[int, FrameResult] = {}
    for video in evaluation_set.videos:
        pipeline.reset()
        id_offset = last_id = 0
        for row, stamp in zip(video.rows, video.stamps, strict=True):
            record = evaluation_set.records[row]
            image = read_record_image(record)
            pipeline.camera_matrix = record.camera_matrix
            before_image(row, row == video.rows[0])
            start = time.perf_counter()
            step = pipeline.step(image, stamp)
            seconds = time.perf_counter() - start
            if step.reset_reason:
                id_offset = last_id
            result = _frame_result(step, pipeline, seconds, id_offset)
            last_id = max([last_id, *result.tracks.ids.tolist()])
            results[row] = result
            progress()
    pipeline.reset()
    return [results[row] for row in range(len(evaluation_set))]


def all_detections(
    step: StepResult,
    spec: ModelSpec,
    class_indices: IntArray | None = None,
    camera_matrix: FloatArray | None = None,
) -> tuple[Detections, tuple[MaskCode, ...] | None]:
    """All candidates of a step in image pixels, and their masks.

    Depths are those of the camera with `camera_matrix` (3, 4), where it is known.
    """
    detections = decode(
        step.candidates,
        step.transform,
        stride=spec.stride,
        threshold=0.0,
        class_indices=class_indices,
        amodal_reference=spec.decode.amodal_reference,
        duplicate_overlap=spec.decode.duplicate_overlap,
        depth_scale=depth_scale(spec.trained_focal_length, camera_matrix, step.transform),
    )
    codes = None
    if detections.masks is not None:
        # One by one, and as codes: a hundred masks of a large image fill hundreds of megabytes.
        codes = tuple(
            mask_code(masks_to_image(mask[None], step.transform, stride=spec.stride)[0])
            for mask in detections.masks
        )
        detections = replace(detections, masks=None)
    return detections, codes


def mask_code(mask: BoolArray) -> MaskCode:
    """COCO's run-length code of a mask (H, W)."""
    code: MaskCode = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return code


def _frame_result(
    step: StepResult, pipeline: TrackingPipeline, seconds: float, id_offset: int
) -> FrameResult:
    detections, codes = all_detections(
        step, pipeline.spec, pipeline.class_indices, pipeline.camera_matrix
    )
    reported = step.tracks.reported
    tracks = step.tracks[reported]
    return FrameResult(
        tracks=replace(tracks, ids=tracks.ids + id_offset),
        seen=replace(step.detections, masks=None),
        detections=detections,
        mask_codes=codes,
        seconds=seconds,
        reset_reason=step.reset_reason,
        joints=None if step.joints is None else step.joints[reported],
        boxes_3d=None if step.boxes_3d is None else step.boxes_3d[reported],
    )
