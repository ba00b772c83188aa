"""Four stills in one frame: more and smaller objects for the price of one step."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from training.data.backgrounds import Photos
from training.data.labels import (
    FrameLabels,
    FramePair,
    LabelledFrame,
    clip_boxes,
    opencv_matrix,
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

    Boxes are clipped to the tile. `visibilities` shrinks with what is cut off, because the rest
    of the thing is not outside of the camera's view but replaced by another picture.
    """
    photo_height, photo_width = photo.image.shape[:2]
    scale = max(width / photo_width, height / photo_height) * generator.uniform(1.0, 1.3)
    room = np.array([scale * photo_width - width, scale * photo_height - height])
    left, top = generator.uniform(0, 1, 2) * room
    matrix = np.array([[scale, 0.0, -left], [0.0, scale, -top]])
    image = cv2.warpAffine(
        photo.image, opencv_matrix(matrix), (width, height), flags=cv2.INTER_LINEAR
    )
    labels = photo.labels.warped(matrix)
    whole = (labels.boxes[:, 2:] - labels.boxes[:, :2]).prod(axis=1)
    boxes = clip_boxes(labels.boxes, width, height)
    inside = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1)
    clipped = replace(
        labels,
        boxes=boxes,
        visibilities=labels.visibilities * (inside / np.maximum(whole, 1e-6)).astype(np.float32),
        ignore_boxes=clip_boxes(labels.ignore_boxes, width, height),
    )
    return LabelledFrame(image, clipped.select(inside > 0))


def join_labels(parts: list[FrameLabels]) -> FrameLabels:
    """Labels of several pictures in one frame, with new track ids; only what all sources know.

    A class that is unlabelled in one part would be unlabelled in the whole frame; the caller
    mixes photos with the same labelled classes.
    """
    count = sum(len(part) for part in parts)
    return FrameLabels.from_rows(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.classes for part in parts]),
        range(1, count + 1),
        np.concatenate([part.visibilities for part in parts]),
        np.concatenate([part.ignore_boxes for part in parts]),
        np.concatenate([part.ignore_classes for part in parts]),
        np.unique(np.concatenate([part.unlabelled_classes for part in parts])),
    )
