"""Four stills in one frame: more and smaller objects for the price of one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np

from centertrack_ros.datatypes import FloatArray
from training.augment.frames import warp_frame
from training.data.backgrounds import Photos
from training.data.labels import (
    FrameLabels,
    FramePair,
    LabelledFrame,
    Outline,
    clip_boxes,
)


class MosaicSource:
    """Stills made of four random photos around a random point.

    Args:
        photos: labelled photos.
        height, width: pixels of a mosaic.
    """

    def __init__(self, photos: Photos, height: int, width: int) -> None:
        self._photos = photos
        self._height = height
        self._width = width

    def sample_pair(self, generator: np.random.Generator) -> FramePair:
        """A new mosaic, as both frames."""
        x = round(self._width * generator.uniform(0.35, 0.65))
        y = round(self._height * generator.uniform(0.35, 0.65))
        image = np.zeros((self._height, self._width, 3), np.uint8)
        parts = []
        for left, top, right, bottom in (
            (0, 0, x, y),
            (x, 0, self._width, y),
            (0, y, x, self._height),
            (x, y, self._width, self._height),
        ):
            photo = self._photos.frame(int(generator.integers(len(self._photos))))
            tile = fill_tile(photo, right - left, bottom - top, generator)
            image[top:bottom, left:right] = tile.image
            parts.append(tile.labels.warped(np.array([[1.0, 0.0, left], [0.0, 1.0, top]])))
        frame = LabelledFrame(image, join_labels(parts))
        return FramePair(frame, frame, simulate_motion=True)


def fill_tile(
    photo: LabelledFrame, width: int, height: int, generator: np.random.Generator
) -> LabelledFrame:
    """A random part of a photo that fills a tile.

    Boxes and outlines are clipped to the tile, and joints outside of it become unknown.
    `visibilities` shrinks with what is cut off, because the rest of the thing is not outside of
    the camera's view but replaced by another picture.
    """
    photo_height, photo_width = photo.image.shape[:2]
    scale = max(width / photo_width, height / photo_height) * generator.uniform(1.0, 1.3)
    room = np.array([scale * photo_width - width, scale * photo_height - height])
    left, top = generator.uniform(0, 1, 2) * room
    matrix = np.array([[scale, 0.0, -left], [0.0, scale, -top]])
    tile = warp_frame(photo, matrix, (height, width))
    labels = tile.labels
    whole = (labels.boxes[:, 2:] - labels.boxes[:, :2]).prod(axis=1)
    boxes = clip_boxes(labels.boxes, width, height)
    inside = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1)
    changed: dict[str, Any] = {}
    if labels.joints is not None:
        changed['joints'] = _inner_joints(labels.joints, width, height)
    if labels.outlines is not None:
        changed['outlines'] = tuple(
            clip_outline(outline, width, height) for outline in labels.outlines
        )
    clipped = replace(
        labels,
        boxes=boxes,
        visibilities=labels.visibilities * (inside / np.maximum(whole, 1e-6)).astype(np.float32),
        ignore_boxes=clip_boxes(labels.ignore_boxes, width, height),
        **changed,
    )
    return replace(tile, labels=clipped.select(inside > 0))


def join_labels(parts: Sequence[FrameLabels]) -> FrameLabels:
    """Labels of several pictures in one frame, with new track ids.

    Joints and outlines are known where all parts know them. What needs a camera becomes unknown:
    depth, angle, projected middle and velocity are those of the whole view of one camera, and
    each part shows a piece of another one at a scale of its own. A class that is unlabelled in
    one part would be unlabelled in the whole frame; the caller mixes photos with the same
    labelled classes.
    """
    count = sum(len(part) for part in parts)
    joined = FrameLabels.from_rows(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.classes for part in parts]),
        range(1, count + 1),
        np.concatenate([part.visibilities for part in parts]),
        np.concatenate([part.ignore_boxes for part in parts]),
        np.concatenate([part.ignore_classes for part in parts]),
        np.unique(np.concatenate([part.unlabelled_classes for part in parts])),
    )
    joints = [part.joints for part in parts if part.joints is not None]
    if len(joints) == len(parts):
        pairs = parts[0].joint_pairs
        joined = replace(joined, joints=np.concatenate(joints), joint_pairs=pairs)
    outlines = [part.outlines for part in parts if part.outlines is not None]
    if len(outlines) == len(parts):
        joined = replace(joined, outlines=tuple(chain.from_iterable(outlines)))
    return joined


def clip_outline(outline: Outline, width: float, height: float) -> Outline:
    """The part of an outline inside of an image, some of it perhaps along the edges."""
    clipped = (_clip_polygon(polygon, width, height) for polygon in outline)
    return tuple(polygon for polygon in clipped if len(polygon) > 2)


def _clip_polygon(polygon: FloatArray, width: float, height: float) -> FloatArray:
    """Cut at one edge after the other (Sutherland and Hodgman)."""
    for axis, limit, sign in ((0, 0.0, 1.0), (0, width, -1.0), (1, 0.0, 1.0), (1, height, -1.0)):
        following = np.roll(polygon, -1, axis=0)
        inside = sign * (polygon[:, axis] - limit) >= 0
        inside_next = np.roll(inside, -1)
        points: list[FloatArray] = []
        for row in range(len(polygon)):
            start, end = polygon[row], following[row]
            if inside[row]:
                points.append(start)
            if inside[row] != inside_next[row]:
                share = (limit - start[axis]) / (end[axis] - start[axis])
                points.append(start + share * (end - start))
        polygon = np.array(points, np.float32).reshape(-1, 2)
    return polygon


def _inner_joints(joints: FloatArray, width: float, height: float) -> FloatArray:
    """Joints (N, J, 3), not labelled where they are outside of an image."""
    places = joints[..., :2]
    inside = ((places >= 0) & (places < (width, height))).all(axis=2, keepdims=True)
    known: FloatArray = np.where(inside, joints, 0).astype(np.float32)
    return known
