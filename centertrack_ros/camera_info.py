"""Camera matrices from sensor_msgs/CameraInfo.

Only fields are read, so that messages of ROS and of `rosbags`, which reads bags without ROS, both
do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from centertrack_ros.datatypes import FloatArray

# Sizes are rounded to whole pixels when an image is resized; a cut one differs by more.
ASPECT_TOLERANCE = 0.02


class CameraInfoError(ValueError):
    """A CameraInfo that cannot be used.

    Attributes:
        reason: short name, by which it is counted.
    """

    def __init__(self, reason: str, text: str) -> None:
        """Take the reason and the text for people."""
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class Calibration:
    """What a CameraInfo says of the images that come with it.

    Attributes:
        camera_matrix: (3, 4) float32, points of the optical frame to pixels of an image of
            `width` x `height`, rectified.
        width, height: pixels of the images, binning and region of interest counted.
    """

    camera_matrix: FloatArray
    width: int
    height: int

    def for_image(self, width: int, height: int) -> FloatArray:
        """Camera matrix (3, 4) float32 for images that were resized to `width` x `height`.

        A pixel `i` covers `[i, i + 1)` when sizes are compared, and so does the principal point
        stay at the same share of the image.

        Raises:
            CameraInfoError: they have other proportions: they were cut, or are of another camera.
        """
        scale_x, scale_y = width / self.width, height / self.height
        if scale_x == scale_y == 1.0:
            return self.camera_matrix
        if abs(scale_x / scale_y - 1.0) > ASPECT_TOLERANCE:
            raise CameraInfoError(
                'size',
                f'camera_info is of images of {self.width}x{self.height} (after binning and roi), '
                f'the images have {width}x{height}, which is another shape: expected the '
                'camera_info of these images, with its roi if they were cut',
            )
        scales = np.array([[scale_x], [scale_y], [1.0]], np.float32)
        return self.camera_matrix * scales


def calibration_from_msg(message: Any) -> Calibration:
    """Projection `p` of a sensor_msgs/CameraInfo, for the images that come with it.

    Its `p` is for the full image; a region of interest moves the principal point, binning
    divides what is left, in this order, as the message's definition says.

    Args:
        message: of ROS or of `rosbags`.

    Raises:
        CameraInfoError: it is not calibrated (zeros, as drivers without a calibration send), not
            finite, or contradicts itself; its text says what was expected and received.
    """
    matrix = np.array(message.p, np.float64).reshape(3, 4)
    if not np.isfinite(matrix).all():
        raise CameraInfoError(
            'not finite', f'p: expected finite numbers, received {_text(matrix)}'
        )
    if matrix[0, 0] <= 0.0 or matrix[1, 1] <= 0.0 or matrix[2, 2] != 1.0:
        raise CameraInfoError(
            'uncalibrated',
            'p: expected focal lengths above 0 and 1 in its third row (an uncalibrated camera has '
            f'zeros: calibrate it, or publish the camera_info of one that is), received '
            f'{_text(matrix)}',
        )
    width, height = int(message.width), int(message.height)
    if width < 1 or height < 1:
        raise CameraInfoError(
            'no size', f'width and height: expected those of the image, received {width}x{height}'
        )
    roi = message.roi
    # All zero stands for the full image.
    if roi.width or roi.height:
        if roi.x_offset + roi.width > width or roi.y_offset + roi.height > height:
            raise CameraInfoError(
                'roi',
                f'roi: expected a part of {width}x{height}, received {roi.width}x{roi.height} at '
                f'{roi.x_offset}, {roi.y_offset}',
            )
        matrix[:2] -= np.outer([roi.x_offset, roi.y_offset], matrix[2])
        width, height = int(roi.width), int(roi.height)
    binning = [max(int(message.binning_x), 1), max(int(message.binning_y), 1)]
    matrix[:2] /= np.array(binning)[:, None]
    # A size that binning does not divide is rounded down by drivers.
    return Calibration(matrix.astype(np.float32), width // binning[0], height // binning[1])


def _text(matrix: Any) -> str:
    return ', '.join(f'{value:g}' for value in matrix.reshape(-1).tolist())
