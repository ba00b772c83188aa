"""Crowds of known size for `benchmarks.scaling`: what a network would say of them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import Candidates, FloatArray, FrameTransform

# Height and width of the image, width and height of a person, radius of a stroll; pixels.
CROWD_IMAGE = (1080, 1920)
PERSON = np.array([24.0, 60.0])
STROLL = 25.0


class Crowd:
    """People of one size who stroll about their places; the same ones for the same count."""

    def __init__(self, count: int) -> None:
        """Place `count` people all over the image, one in each cell of a grid."""
        self._generator = np.random.default_rng(count)
        height, width = CROWD_IMAGE
        columns = math.ceil(math.sqrt(count * width / height))
        cell = np.array([width / columns, height / math.ceil(count / columns)])
        places = np.stack(np.divmod(np.arange(count), columns)[::-1], axis=1) + 0.5
        self._places = (places + self._generator.uniform(-0.3, 0.3, (count, 2))) * cell
        self._angles = self._generator.uniform(0, 2 * math.pi, count)
        self._turns = self._generator.uniform(0.05, 0.15, count)

    def candidates(self, transform: FrameTransform, stride: int) -> Candidates:
        """What a network would say of the next image, best score first as its rows are.

        Every person has a row, and each fourth a weak one at the wrong place.
        """
        random, before = self._generator, self._centers()
        self._angles = self._angles + self._turns
        walked = self._centers() - before
        seen = self._centers() + random.normal(0, 1.0, before.shape)
        weak = seen[::4] + random.normal(0, 30.0, seen[::4].shape)
        centers = np.concatenate((seen, weak))
        scores = np.concatenate(
            (random.uniform(0.5, 0.9, len(seen)), random.uniform(0.1, 0.3, len(weak)))
        )
        order = np.argsort(-scores)
        centers, scores = centers[order], scores[order]
        steps = np.concatenate((walked, walked[::4]))[order]
        boxes = np.concatenate((centers - PERSON / 2, centers + PERSON / 2), axis=1)
        scale = np.array([transform.scale_x, transform.scale_y])
        return Candidates(
            scores=scores.astype(np.float32)[None],
            classes=np.zeros((1, len(scores)), np.int64),
            cells=_cells(transform.points_to_input(centers.astype(np.float32)), stride),
            boxes=_cells(transform.boxes_to_input(boxes.astype(np.float32)), stride),
            tracking=_cells((-steps * scale).astype(np.float32), stride),
        )

    def _centers(self) -> NDArray[np.float64]:
        """Where they are, (N, 2) image pixels: on circles."""
        circle = np.stack((np.cos(self._angles), np.sin(self._angles)), axis=1)
        return self._places + STROLL * circle


def _cells(values_in: FloatArray, stride: int) -> FloatArray:
    """Network input pixels (N, ...) to output cells of a batch of one (1, N, ...)."""
    return values_in[None] / np.float32(stride)
