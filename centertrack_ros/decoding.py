"""Candidate rows of the network to detections in image pixels."""

from __future__ import annotations

import numpy as np

from centertrack_ros.datatypes import Candidates, Detections, FrameTransform, IntArray


def decode(
    candidates: Candidates,
    transform: FrameTransform,
    *,
    stride: int,
    threshold: float,
    class_indices: IntArray | None = None,
    batch_index: int = 0,
) -> Detections:
    """Keep what counts and move it from output cells to image pixels.

    Peak suppression, top-K and the gathers already happened in the network's graph.

    Args:
        candidates: rows of a batch, best score first.
        transform: the transform of this image.
        stride: network input pixels per output cell.
        threshold: rows with a lower score are dropped.
        class_indices: (C,) classes to keep, None = all.
        batch_index: which image of the batch.
    """
    scores = candidates.scores[batch_index]
    keep = scores >= threshold
    if class_indices is not None:
        keep &= np.isin(candidates.classes[batch_index], class_indices)
    rows = np.flatnonzero(keep)
    if not rows.size:
        return Detections.empty()
    size = np.float32(stride)
    boxes = transform.boxes_to_image(candidates.boxes[batch_index][rows] * size)
    limit = np.array([transform.image_width, transform.image_height] * 2, np.float32)
    return Detections(
        boxes=np.clip(boxes, 0, limit),
        scores=scores[rows],
        classes=candidates.classes[batch_index][rows],
        centers=transform.points_to_image(candidates.cells[batch_index][rows] * size),
        offsets=transform.vectors_to_image(candidates.tracking[batch_index][rows] * size),
    )
