"""CenterNet's test at several scales: detections of each, merged by soft-NMS. No tracking.

Follows `pre_process`, `post_process` and `merge_outputs` of CenterNet's detectors; CenterTrack
has no such test, because what it tracks must have one scale. Each image is seen by itself, as the
first one of a video. Boxes and joints are merged; masks and boxes in space are not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from centertrack_ros.datatypes import Detections, FloatArray, Image, Tracks
from centertrack_ros.decoding import decode
from centertrack_ros.engines.base import Engine
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import (
    Placement,
    Size,
    fixed_placement,
    input_size,
    padded_placement,
    scaled_image,
    to_input,
)
from training.data.coco_video import read_record_image
from training.evaluation.runner import FrameResult
from training.evaluation.sets import EvaluationSet
from training.merging import MAX_DETECTIONS, merge_scales, rows_by_class

# `fixed`: every image in an input of the model's size (`fix_res`); `keep`: unscaled in the next
# larger input (`keep_res`).
Resolution = Literal['fixed', 'keep']
MAX_SCALE = 10.0


def detect_at_scales(
    engine: Engine,
    spec: ModelSpec,
    evaluation_set: EvaluationSet,
    scales: Sequence[float],
    *,
    resolution: Resolution = 'fixed',
    size_multiple: int = 32,
    progress: Callable[[], object] = lambda: None,
) -> list[FrameResult]:
    """Detections of every image of a set, without tracks.

    Args:
        engine: for `keep`, one that takes inputs of any size, such as `engines.TorchEngine`.
        spec: of the model.
        evaluation_set: the images.
        scales: by which each image is scaled before.
        resolution: size of the network input.
        size_multiple: of which the sides of a kept resolution are (`pad` + 1).
        progress: called after each image.

    Returns:
        One result per record. Boxes are not clipped; joints have a score of 1.

    Raises:
        FileNotFoundError, ValueError: as in `runner.run_tracking`, or no such scales.
    """
    check_scales(scales)
    results = []
    for record in evaluation_set.records:
        image = read_record_image(record)
        start = time.perf_counter()
        size = (image.shape[0], image.shape[1])
        per_scale = []
        for scale in scales:
            placement = scale_placement(size, spec, scale, resolution, size_multiple)
            found = _detect(engine, spec, image, placement)
            per_scale.append(rows_by_class(found, len(spec.classes), scale))
        limit = None if spec.joints else MAX_DETECTIONS
        merged = merge_scales(per_scale, suppress=len(scales) > 1, limit=limit)
        detections = _from_rows(merged, len(spec.joints))
        seconds = time.perf_counter() - start
        nothing = Tracks.empty(), detections[:0]
        results.append(FrameResult(*nothing, detections, seconds=seconds))
        progress()
    return results


def check_scales(scales: Sequence[float]) -> list[float]:
    """The scales; ValueError if there is none, or one out of range."""
    if not scales or not all(0 < scale <= MAX_SCALE for scale in scales):
        raise ValueError(
            f'scales: expected numbers above 0 and up to {MAX_SCALE:g}, received {list(scales)}'
        )
    return list(scales)


def scale_placement(
    size: Size, spec: ModelSpec, scale: float, resolution: Resolution, size_multiple: int = 32
) -> Placement:
    """Where an image of (height, width) lies in the network input at one scale.

    `fixed` is that of the originals for models of their resize rule. For `letterbox` and
    `adaptive` the window is as wide as it must be to hold the unscaled image, which is cut off
    at scales above 1 only.

    Raises:
        ValueError: the model stretches images, which no test at several scales does.
    """
    if resolution == 'keep':
        return padded_placement(size, multiple=size_multiple, test_scale=scale)
    if spec.resize == 'stretch':
        raise ValueError('scales: expected a model that keeps the shape of images, it stretches')
    height, width = input_size(size, spec)
    placement = fixed_placement(size, (height, width), test_scale=scale)
    if spec.resize == 'centertrack':
        return placement
    side = float(max(size[1], size[0] * width / height))
    return Placement(placement.center, (side, side), placement.image_size, (height, width))


def _detect(engine: Engine, spec: ModelSpec, image: Image, placement: Placement) -> Detections:
    """All candidates of an image at one scale, in pixels of the scaled image, not clipped."""
    transform = placement.transform
    network_input = to_input(scaled_image(image, placement.image_size), transform)[None]
    stride = spec.prior_heatmap_stride
    height, width = placement.input_size
    prior = np.zeros((1, 1, height // stride, width // stride), np.float32)
    return decode(
        engine.run(network_input, network_input, prior),
        transform,
        stride=spec.stride,
        threshold=0.0,
        amodal_reference=spec.decode.amodal_reference,
        clip=False,
    )


def _from_rows(classes: Sequence[FloatArray], joint_count: int) -> Detections:
    """Detections, best first, from rows of box, score and joints of each class."""
    rows = np.concatenate(classes)
    indices = np.repeat(np.arange(len(classes)), [len(part) for part in classes])
    order = np.argsort(-rows[:, 4], kind='stable')
    rows, indices = rows[order], indices[order]
    keypoints = None
    if joint_count:
        places = rows[:, 5:].reshape(len(rows), joint_count, 2)
        ones = np.ones((len(rows), joint_count, 1), np.float32)
        keypoints = np.concatenate((places, ones), axis=2)
    return Detections(
        boxes=rows[:, :4],
        scores=rows[:, 4],
        classes=indices,
        centers=(rows[:, :2] + rows[:, 2:4]) / 2,
        offsets=np.zeros((len(rows), 2), np.float32),
        keypoints=keypoints,
    )
