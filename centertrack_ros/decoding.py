"""Candidate rows of the network to detections in image pixels."""

from __future__ import annotations

import numpy as np

from centertrack_ros.association import intersection_over_union, points_in_intervals
from centertrack_ros.camera_geometry import alpha_from_bins
from centertrack_ros.datatypes import (
    BoolArray,
    Candidates,
    Detections,
    FloatArray,
    FrameTransform,
    IntArray,
)
from centertrack_ros.model_spec import AmodalReference


def decode(
    candidates: Candidates,
    transform: FrameTransform,
    *,
    stride: int,
    threshold: float,
    class_indices: IntArray | None = None,
    batch_index: int = 0,
    amodal_reference: AmodalReference = 'cell',
    duplicate_overlap: float = 1.0,
    clip: bool = True,
    depth_scale: float = 1.0,
) -> Detections:
    """Keep what counts and move it from output cells to image pixels.

    Peak suppression, top-K and the gathers already happened in the network's graph. Follows
    `generic_post_process` of CenterTrack, which does not clip.

    Args:
        candidates: rows of a batch, best score first.
        transform: the transform of this image.
        stride: network input pixels per output cell.
        threshold: rows with a lower score are dropped.
        class_indices: (C,) classes to keep, None = all.
        batch_index: which image of the batch.
        amodal_reference, duplicate_overlap: see `DecodeRules`.
        clip: whether boxes end at the border of the image.
        depth_scale: factor for depths, see `lifting.depth_scale`.

    Returns:
        Objects with the optional fields that the candidates have.
    """
    scores = candidates.scores[batch_index]
    keep = scores >= threshold
    if class_indices is not None:
        # A tenth of the time of `np.isin`, which sorts.
        keep &= (candidates.classes[batch_index][:, None] == class_indices).any(axis=1)
    rows = keep.nonzero()[0]
    if duplicate_overlap < 1:
        classes = candidates.classes[batch_index][rows]
        rows = rows[_unrepeated(candidates.boxes[batch_index][rows], classes, duplicate_overlap)]

    def kept(values: FloatArray | None) -> FloatArray | None:
        return None if values is None else values[batch_index][rows]

    size = np.float32(stride)
    boxes = transform.boxes_to_image(candidates.boxes[batch_index][rows] * size)
    if clip:
        boxes = transform.clipped_to_image(boxes)
    centers = transform.points_to_image(candidates.cells[batch_index][rows] * size)
    amodal_out = _amodal_centers(candidates, batch_index, rows, amodal_reference)
    amodal = None if amodal_out is None else transform.points_to_image(amodal_out * size)
    if amodal is not None and amodal_reference == 'box':
        # The original tracks the projected 3D centres of 3D models, though their offsets lead
        # away from the peaks.
        centers = amodal
    keypoints, rotation = kept(candidates.keypoints), kept(candidates.rotation)
    depth = kept(candidates.depth)
    return Detections(
        boxes=boxes,
        scores=scores[rows],
        classes=candidates.classes[batch_index][rows],
        centers=centers,
        offsets=transform.vectors_to_image(candidates.tracking[batch_index][rows] * size),
        keypoints=None if keypoints is None else _joints_px(keypoints, transform, size),
        depth=None if depth is None else depth * np.float32(depth_scale),
        dimensions=kept(candidates.dimensions),
        alpha=None if rotation is None else alpha_from_bins(rotation).astype(np.float32),
        amodal_centers=amodal,
        attributes=kept(candidates.attributes),
        velocity=kept(candidates.velocity),
        masks=kept(candidates.masks),
    )


def _unrepeated(boxes: FloatArray, classes: IntArray, limit: float) -> BoolArray:
    """Which of N rows, best first, overlap no better one of their class by more than `limit`."""
    unrepeated = np.ones(len(boxes), np.bool_)
    # Of two boxes that overlap, one begins within the other's width.
    first, second = points_in_intervals(boxes[:, 0], boxes[:, 0], boxes[:, 2])
    rival = (classes[first] == classes[second]) & (first != second)
    first, second = first[rival], second[rival]
    repeated = intersection_over_union(boxes[first], boxes[second]) > limit
    pairs = np.sort(np.array((first[repeated], second[repeated])), axis=0)
    # In sequence by nature: what is dropped drops nothing itself. Few rows have duplicates.
    for better, worse in sorted(pairs.T.tolist()):
        if unrepeated[better]:
            unrepeated[worse] = False
    return unrepeated


def _joints_px(keypoints: FloatArray, transform: FrameTransform, stride: np.float32) -> FloatArray:
    places = transform.points_to_image(keypoints[..., :2] * stride)
    return np.concatenate([places, keypoints[..., 2:]], axis=-1)


def _amodal_centers(
    candidates: Candidates, batch_index: int, rows: IntArray, reference: AmodalReference
) -> FloatArray | None:
    """Projected 3D centres (N, 2) in output cells, None for models without 3D."""
    offsets = candidates.amodal_offset
    if offsets is None and candidates.depth is None:
        return None
    if offsets is not None and reference == 'cell':
        centers: FloatArray = candidates.cells[batch_index][rows] + offsets[batch_index][rows]
        return centers
    corners = candidates.boxes[batch_index][rows].reshape(-1, 2, 2)
    middles: FloatArray = corners.mean(axis=1)
    return middles if offsets is None else middles + offsets[batch_index][rows]
