"""Pasting cut-outs into a picture, with exact account of who covers whom."""

from __future__ import annotations

import cv2
import numpy as np

from centertrack_ros.datatypes import Image, IntArray
from training.data.labels import Reals, opencv_matrix, warp_boxes


class Canvas:
    """A picture being painted from far to near, and the number of the thing at each pixel.

    Args:
        image: (H, W, 3) uint8 BGR background; the canvas takes it over and paints on it.
    """

    def __init__(self, image: Image) -> None:
        self.image = image
        self._owners = np.zeros(image.shape[:2], np.uint8)
        self._painted = [0]

    def paste(
        self, sprite: Image, matrix: Reals, gains: Reals, blur: tuple[int, int] = (1, 1)
    ) -> int:
        """Paint a premultiplied BGRA `sprite` (h, w, 4) moved by the affine `matrix` (2, 3).

        Args:
            sprite: what to paint.
            matrix: from the sprite's pixels to those of the canvas.
            gains: (3,) factors on blue, green and red.
            blur: width and height of a box blur in pixels, for motion.

        Returns:
            Number of the thing in `visibilities`, 1, 2, ... in the order of painting.

        Raises:
            ValueError: 255 things have been painted before.
        """
        number = len(self._painted)
        if number > 255:
            raise ValueError('a canvas holds at most 255 things, received one more')
        self._painted.append(0)
        warped = self._warp(sprite, matrix, blur)
        if warped is not None:
            layer, area = warped
            colour = cv2.multiply(cv2.cvtColor(layer, cv2.COLOR_BGRA2BGR), (*gains.tolist(), 0.0))
            alpha = cv2.extractChannel(layer, 3)
            target = self.image[area]
            rest = cv2.cvtColor(cv2.bitwise_not(alpha), cv2.COLOR_GRAY2BGR)
            target[:] = cv2.add(cv2.multiply(target, rest, scale=1 / 255), colour)
            covers = alpha > 127
            self._owners[area][covers] = number
            self._painted[number] = int(np.count_nonzero(covers))
        return number

    def shade(self, sprite: Image, matrix: Reals, opacity: float) -> None:
        """Darken what lies under the outline of a `sprite` (h, w, 4), as its shadow does.

        A shadow hides nothing and has no number.
        """
        warped = self._warp(sprite, matrix, (3, 3))
        if warped is not None:
            layer, area = warped
            light = 1 - (opacity / 255) * cv2.extractChannel(layer, 3).astype(np.float32)
            target = self.image[area]
            target[:] = (target * light[:, :, None]).astype(np.uint8)

    def _warp(
        self, sprite: Image, matrix: Reals, blur: tuple[int, int]
    ) -> tuple[Image, tuple[slice, slice]] | None:
        """The moved sprite and where it lies on the canvas; None outside of it."""
        height, width = sprite.shape[:2]
        hull = warp_boxes(np.array([[0.0, 0.0, width, height]]), matrix)[0]
        margin = np.array([blur[0], blur[1], blur[0], blur[1]]) / 2 * [-1, -1, 1, 1]
        left, top, right, bottom = self._clip(hull + margin)
        if right <= left or bottom <= top:
            return None
        local = np.array(matrix, np.float64)
        local[:, 2] -= (left, top)
        layer = cv2.warpAffine(
            sprite, opencv_matrix(local), (right - left, bottom - top), flags=cv2.INTER_LINEAR
        )
        if max(blur) > 1:
            layer = cv2.blur(layer, blur, borderType=cv2.BORDER_CONSTANT)
        return layer, np.s_[top:bottom, left:right]

    def visibilities(self) -> Reals:
        """Share of visible pixels of everything painted (N + 1,), the unused number 0 first."""
        counts = cv2.calcHist([self._owners], [0], None, [256], [0, 256]).ravel()
        painted = np.array(self._painted, np.float32)
        shares: Reals = counts[: len(painted)] / np.maximum(painted, 1)
        return np.where(painted > 0, shares, 0.0).astype(np.float32)

    def owners_at(self, points: Reals) -> IntArray:
        """Number (N,) of what is seen at points (N, 2) of the picture, 0 for the background.

        Outside of the picture it is what is seen at its nearest pixel.
        """
        height, width = self._owners.shape
        columns = np.clip(np.floor(points[:, 0]), 0, width - 1).astype(np.int64)
        rows = np.clip(np.floor(points[:, 1]), 0, height - 1).astype(np.int64)
        return self._owners[rows, columns].astype(np.int64)

    def uncovered(self, boxes: Reals) -> Reals:
        """Share (N,) of the pixels inside boxes (N, 4) xyxy that still show the background."""
        shares = np.zeros(len(boxes), np.float32)
        for row, box in enumerate(boxes):
            left, top, right, bottom = self._clip(box)
            if right > left and bottom > top:
                covered = cv2.countNonZero(self._owners[top:bottom, left:right])
                shares[row] = 1 - covered / ((right - left) * (bottom - top))
        return shares

    def _clip(self, box: Reals) -> tuple[int, int, int, int]:
        height, width = self.image.shape[:2]
        left, top = (max(0, int(np.floor(value))) for value in box[:2])
        right, bottom = int(np.ceil(box[2])), int(np.ceil(box[3]))
        return left, top, min(width, right), min(height, bottom)


def motion_blur(image: Image, motion: Reals) -> Image:
    """`image` smeared along `motion` (2,) pixels; returned as it is below 1.5 pixels."""
    length = float(np.hypot(*motion))
    if length < 1.5:
        return image
    side = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((side, side), np.float32)
    half = np.asarray(motion) / 2
    start, end = side // 2 - half, side // 2 + half
    cv2.line(kernel, tuple(np.round(start).astype(int)), tuple(np.round(end).astype(int)), 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())
