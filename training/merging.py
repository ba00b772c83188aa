"""Detections of one image at several scales, merged: CenterNet's multi-scale test.

`post_process` and `merge_outputs` of CenterNet's detectors and of simple-CenterNet. CenterTrack
has no such test.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from centertrack_ros.datatypes import Detections, FloatArray
from training.soft_nms import soft_nms

# Boxes per image that CenterNet keeps; as many as COCO's measure counts.
MAX_DETECTIONS = 100


def rows_by_class(
    detections: Detections, class_count: int, scale: float = 1.0
) -> list[FloatArray]:
    """Rows (n, 5 or 5 + 2 J) of each class: box, score, then x, y of the joints there are.

    Args:
        detections: of an image, in its pixels, not clipped.
        class_count: C.
        scale: by which that image was enlarged before; the rows are in pixels of the original.

    Returns:
        C arrays, float32.
    """
    places = detections.boxes / np.float32(scale)
    columns = [places, detections.scores[:, None]]
    if detections.keypoints is not None:
        joints = detections.keypoints[..., :2]
        # Not -1, which has no meaning where nothing was detected.
        columns.append(joints.reshape(len(joints), 2 * joints.shape[1]) / np.float32(scale))
    rows = np.concatenate(columns, axis=1)
    return [rows[detections.classes == index] for index in range(class_count)]


def merge_scales(
    scales: Sequence[Sequence[FloatArray]],
    *,
    suppress: bool = True,
    limit: int | None = MAX_DETECTIONS,
) -> list[FloatArray]:
    """Rows of each class from those of each scale.

    A class has the rows of all scales in their order, its doubles suppressed by gaussian
    soft-NMS. As in the originals, that leaves copies of other rows in the place of those it
    drops (`training.soft_nms`), and equal scores may exceed the limit.

    Args:
        scales: for each scale what `rows_by_class` gives.
        suppress: the originals do with more than one scale, with one only if asked to.
        limit: largest number of rows of all classes; None, as for poses: all.

    Returns:
        C arrays (n, columns), float32.

    Raises:
        ValueError: no scale, or scales with different numbers of classes.
    """
    counts = {len(classes) for classes in scales}
    if len(counts) != 1:
        raise ValueError(
            f'scales: expected the same classes in one scale or more, received {sorted(counts)}'
        )
    merged = [np.concatenate(rows).astype(np.float32) for rows in zip(*scales, strict=True)]
    if suppress:
        merged = [soft_nms(rows, 'gaussian').rows for rows in merged]
    scores = np.concatenate([rows[:, 4] for rows in merged])
    if limit is None or len(scores) <= limit:
        return merged
    threshold = np.sort(scores)[-limit]
    return [rows[rows[:, 4] >= threshold] for rows in merged]
