"""How the camera moved between two images: sparse optical flow on small grey pictures.

Corners of a regular grid are followed by pyramidal Lucas-Kanade; what most of them agree on
(RANSAC, four degrees of freedom) is the motion of the background. As in BoT-SORT
(arXiv 2206.14651, section 3.2), with a fixed grid in place of a corner detector, which would cost
more than the flow itself. Most cameras stand still most of the time, so a few points are asked
first whether anything moved at all.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import BoolArray, FloatArray, FrameTransform, Image

# The pictures are at least that wide and less than twice that: half a pixel there is two of a
# 640 pixel image, far less than a person is wide, and the flow takes a fraction of a millisecond.
LEAST_WIDTH = 112
# Pixels between the points of the grid: 12, more in wide pictures, which get as many columns.
GRID_STEP = 12
GRID_COLUMNS = 12
# The window of the flow around each point; OpenCV follows others, smaller ones too, more slowly.
WINDOW = (9, 9)
# With the full size, levels that reach motions of about a quarter of the picture.
LEVELS = 3
# Lucas-Kanade gives up at points whose surroundings are flat.
LEAST_TEXTURE = 2e-3
# Fewer points, or a smaller share of them that agree, say nothing about the camera.
LEAST_POINTS = 10
LEAST_AGREEMENT = 0.5
# Pixels of the small picture by which points that agree may differ.
TOLERANCE = 0.7
# Points asked whether the camera stands still, which it does if that share of them (and so many)
# moved by less than so many pixels of the small picture. Noise of a still camera stays below a
# third of that; a motion that does not is smaller than the jitter of detected boxes.
PROBES = 16
STILL_SHARE = 0.8
LEAST_PROBES = 8
STILL = 0.1
# Between two images nothing turns, zooms or walks more than that; more is a false estimate.
MOST_ZOOM = 0.2

GreyImage = NDArray[np.uint8]
Affine = NDArray[np.float32]

_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 8, 0.03)


class CameraFollower:
    """Keeps the picture that the next image is compared with."""

    def __init__(self) -> None:
        """Start without one."""
        self._picture: GreyImage | None = None

    def reset(self) -> None:
        """Forget it: the next image does not continue the last one."""
        self._picture = None

    def update(
        self, network_input: Image, transform: FrameTransform, objects: FloatArray
    ) -> Affine | None:
        """Motion since the image before, see `estimate_motion`; None for the first image.

        Args:
            network_input: (H, W, 3) uint8 BGR.
            transform: between the image and it.
            objects: (N, 4) float32 xyxy, things in the image before that may move by themselves.
        """
        previous, self._picture = self._picture, grey_picture(network_input)
        if previous is None:
            return None
        return estimate_motion(previous, self._picture, transform, objects)


def grey_picture(network_input: Image) -> GreyImage:
    """The small grey picture (h, w) of a network input (H, W, 3) BGR."""
    grey: GreyImage = cv2.cvtColor(network_input, cv2.COLOR_BGR2GRAY)  # type: ignore[assignment]
    # By area: aliasing of nearer sampling looks like motion. By halves: OpenCV averages 2 x 2
    # pixels ten times as fast as it resizes by any other factor.
    while grey.shape[1] >= 2 * LEAST_WIDTH:
        size = (grey.shape[1] // 2, max(1, grey.shape[0] // 2))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return grey


def estimate_motion(
    previous: GreyImage, current: GreyImage, transform: FrameTransform, objects: FloatArray
) -> Affine | None:
    """Estimate where the background of the previous image lies in the current one.

    Args:
        previous: picture of the image before, from `grey_picture`.
        current: picture of this image, of the same size.
        transform: between the images and the network input.
        objects: (N, 4) float32 xyxy, image pixels, things in the previous image that may move by
            themselves; points on them are not asked.

    Returns:
        (2, 3) float32, maps points of the previous image to the current one, image pixels; None
        where the camera stands still or the pictures do not tell.
    """
    scale = previous.shape[1] / transform.input_width
    points = _background(previous.shape, transform.boxes_to_input(objects) * scale)
    if len(points) < LEAST_POINTS or _stands_still(previous, current, points):
        return None
    moved, found = _flow(previous, current, points, LEVELS)
    if np.count_nonzero(found) < LEAST_POINTS:
        return None
    small, agree = cv2.estimateAffinePartial2D(
        points[found],
        moved[found],
        method=cv2.RANSAC,
        ransacReprojThreshold=TOLERANCE,
        maxIters=100,
        refineIters=3,
    )
    count = int(np.count_nonzero(agree))
    if small is None or count < max(LEAST_POINTS, LEAST_AGREEMENT * np.count_nonzero(found)):
        return None
    if abs(np.hypot(small[0, 0], small[0, 1]) - 1) > MOST_ZOOM:
        return None
    return _to_image(np.asarray(small, np.float64), transform, scale)


def _stands_still(previous: GreyImage, current: GreyImage, points: FloatArray) -> bool:
    """Whether a few of the points (P, 2), followed without levels, are where they were."""
    probes = np.ascontiguousarray(points[:: max(1, len(points) // PROBES)])
    moved, found = _flow(previous, current, probes, 0)
    still = (np.abs(moved - probes) < STILL).all(axis=1) & found
    least = max(LEAST_PROBES, STILL_SHARE * np.count_nonzero(found))
    return bool(np.count_nonzero(still) >= least)


def _flow(
    previous: GreyImage, current: GreyImage, points: FloatArray, levels: int
) -> tuple[FloatArray, BoolArray]:
    """Where points (P, 2) went, and which of them (P,) were found again."""
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        previous,
        current,
        points,
        np.empty_like(points),
        winSize=WINDOW,
        maxLevel=levels,
        criteria=_CRITERIA,
        minEigThreshold=LEAST_TEXTURE,
    )
    return np.asarray(moved), found[:, 0] == 1


def _background(shape: tuple[int, ...], boxes: FloatArray) -> FloatArray:
    """Points (P, 2) of the grid that lie in none of the boxes (N, 4), picture pixels."""
    points = _grid(shape[0], shape[1])
    x, y = points[:, None, 0], points[:, None, 1]
    inside = (x > boxes[:, 0]) & (x < boxes[:, 2]) & (y > boxes[:, 1]) & (y < boxes[:, 3])
    return points[~inside.any(axis=1)]


@lru_cache(maxsize=8)
def _grid(height: int, width: int) -> FloatArray:
    """Points (P, 2) float32 x, y all over a picture, a window away from its edges."""
    step = max(GRID_STEP, width // GRID_COLUMNS)
    ys = np.arange(step // 2, height - step // 2 + 1, step, dtype=np.float32)
    xs = np.arange(step // 2, width - step // 2 + 1, step, dtype=np.float32)
    points = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    points.setflags(write=False)
    return points


def _to_image(small: NDArray[np.float64], transform: FrameTransform, scale: float) -> Affine:
    """The same motion in image pixels.

    A picture pixel is `k * image pixel + o`, so with `p' = M p + t` in the picture the image has
    `M` (both axes have the same scale but for rounding) and `(M o + t - o) / k`.
    """
    factors = scale * np.array([transform.scale_x, transform.scale_y])
    shift = scale * np.array([transform.offset_x, transform.offset_y])
    matrix = small[:, :2] * factors[None, :] / factors[:, None]
    translation = (small[:, :2] @ shift + small[:, 2] - shift) / factors
    return np.concatenate((matrix, translation[:, None]), axis=1).astype(np.float32)
