"""How the camera moved between two images: sparse optical flow on small grey pictures.

Corners of a regular grid are followed by pyramidal Lucas-Kanade; what most of them agree on
(RANSAC, four degrees of freedom) is the motion of the background. As in BoT-SORT
(arXiv 2206.14651, section 3.2), with a fixed grid in place of a corner detector, which would cost
more than the flow itself.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from centertrack_ros.datatypes import FloatArray, FrameTransform, Image

# The pictures are about that wide: half a pixel there is two of a 640 pixel image, far less
# than a person is wide, and the flow takes a fraction of a millisecond.
PICTURE_WIDTH = 160
# Pixels between the points of the grid, and half the window of the flow around each.
GRID_STEP = 12
WINDOW = (11, 11)
# With the full size, levels that reach motions of about a quarter of the picture.
LEVELS = 3
# Lucas-Kanade gives up at points whose surroundings are flat.
LEAST_TEXTURE = 2e-3
# Fewer points, or a smaller share of them that agree, say nothing about the camera.
LEAST_POINTS = 10
LEAST_AGREEMENT = 0.5
# Pixels of the small picture by which points that agree may differ.
TOLERANCE = 0.7
# Between two images nothing turns, zooms or walks more than that; more is a false estimate.
MOST_ZOOM = 0.2

GreyImage = NDArray[np.uint8]
Affine = NDArray[np.float32]

_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 8, 0.03)


def still_camera() -> Affine:
    """The (2, 3) affine map of a camera that did not move."""
    return np.eye(2, 3, dtype=np.float32)


def grey_picture(network_input: Image) -> GreyImage:
    """The small grey picture (h, w) of a network input (H, W, 3) BGR."""
    height, width = network_input.shape[:2]
    size = (PICTURE_WIDTH, max(1, round(height * PICTURE_WIDTH / width)))
    # By area: aliasing of nearer sampling looks like motion.
    small = cv2.resize(network_input, size, interpolation=cv2.INTER_AREA)
    grey: GreyImage = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
    return grey


def estimate_motion(
    previous: GreyImage, current: GreyImage, transform: FrameTransform, objects: FloatArray
) -> Affine:
    """Estimate where the background of the previous image lies in the current one.

    Args:
        previous: picture of the image before, from `grey_picture`.
        current: picture of this image, of the same size.
        transform: between the images and the network input.
        objects: (N, 4) float32 xyxy, image pixels, things in the previous image that may move by
            themselves; points on them are not asked.

    Returns:
        (2, 3) float32, maps points of the previous image to the current one, image pixels;
        no motion where the pictures do not tell.
    """
    scale = previous.shape[1] / transform.input_width
    points = _background(previous.shape, transform.boxes_to_input(objects) * scale)
    if len(points) < LEAST_POINTS:
        return still_camera()
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        previous,
        current,
        points,
        np.empty_like(points),
        winSize=WINDOW,
        maxLevel=LEVELS,
        criteria=_CRITERIA,
        minEigThreshold=LEAST_TEXTURE,
    )
    found = found[:, 0] == 1
    if np.count_nonzero(found) < LEAST_POINTS:
        return still_camera()
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
        return still_camera()
    if abs(np.hypot(small[0, 0], small[0, 1]) - 1) > MOST_ZOOM:
        return still_camera()
    return _to_image(small, transform, scale)


def _background(shape: tuple[int, ...], boxes: FloatArray) -> FloatArray:
    """Points (P, 2) of the grid that lie in none of the boxes (N, 4), picture pixels."""
    points = _grid(shape[0], shape[1])
    x, y = points[:, None, 0], points[:, None, 1]
    inside = (x > boxes[:, 0]) & (x < boxes[:, 2]) & (y > boxes[:, 1]) & (y < boxes[:, 3])
    return points[~inside.any(axis=1)]


@lru_cache(maxsize=8)
def _grid(height: int, width: int) -> FloatArray:
    """Points (P, 2) float32 x, y all over a picture, a window away from its edges."""
    ys = np.arange(GRID_STEP // 2, height - GRID_STEP // 2 + 1, GRID_STEP, dtype=np.float32)
    xs = np.arange(GRID_STEP // 2, width - GRID_STEP // 2 + 1, GRID_STEP, dtype=np.float32)
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
