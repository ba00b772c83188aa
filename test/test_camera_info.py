"""Camera matrices of CameraInfo, for the images that come with them."""

from __future__ import annotations

import numpy as np
import pytest

from centertrack_ros.camera_geometry import project_points
from centertrack_ros.camera_info import Calibration, CameraInfoError, calibration_from_msg
from centertrack_ros.replay.bag_types import CAMERA_INFO_TYPE, typestore

P = (500.0, 0.0, 320.0, -60.0, 0.0, 510.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0)
POINTS = np.array([[1.0, 0.5, 10.0], [-2.0, -1.0, 7.0]])


def camera_info(p=P, size=(640, 480), roi=(0, 0, 0, 0), binning=(0, 0)):
    types = typestore().types
    stamp = types['builtin_interfaces/msg/Time'](sec=0, nanosec=0)
    x_offset, y_offset, width, height = roi
    return types[CAMERA_INFO_TYPE](
        header=types['std_msgs/msg/Header'](stamp=stamp, frame_id='camera'),
        width=size[0],
        height=size[1],
        distortion_model='plumb_bob',
        d=np.zeros(5),
        k=np.zeros(9),
        r=np.zeros(9),
        p=np.array(p),
        binning_x=binning[0],
        binning_y=binning[1],
        roi=types['sensor_msgs/msg/RegionOfInterest'](
            x_offset=x_offset, y_offset=y_offset, width=width, height=height, do_rectify=False
        ),
    )


def test_the_projection_is_taken_as_it_is():
    calibration = calibration_from_msg(camera_info())
    assert (calibration.width, calibration.height) == (640, 480)
    matrix = calibration.for_image(640, 480)
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, np.array(P, np.float32).reshape(3, 4))


@pytest.mark.parametrize('scale', [0.5, 2.0])
def test_pixels_of_resized_images_are_resized(scale):
    calibration = calibration_from_msg(camera_info())
    resized = calibration.for_image(round(640 * scale), round(480 * scale))
    expected = project_points(POINTS, calibration.camera_matrix) * scale
    np.testing.assert_allclose(project_points(POINTS, resized), expected, rtol=1e-6)


def test_roi_and_binning_move_pixels_as_the_camera_does():
    full = project_points(POINTS, np.reshape(P, (3, 4)))
    message = camera_info(roi=(100, 50, 400, 300), binning=(2, 3))
    calibration = calibration_from_msg(message)
    assert (calibration.width, calibration.height) == (200, 100)
    found = project_points(POINTS, calibration.for_image(200, 100))
    np.testing.assert_allclose(found, (full - [100, 50]) / [2, 3], rtol=1e-5)


def test_sizes_that_were_rounded_are_the_same_image():
    matrix = Calibration(np.eye(3, 4, dtype=np.float32), 1920, 1080).for_image(853, 480)
    np.testing.assert_allclose(matrix[:2].sum(axis=1), [853 / 1920, 480 / 1080], rtol=1e-6)


def test_another_shape_is_refused():
    calibration = calibration_from_msg(camera_info())
    with pytest.raises(CameraInfoError, match=r'of 640x480 .*have 640x360') as caught:
        calibration.for_image(640, 360)
    assert caught.value.reason == 'size'


@pytest.mark.parametrize(
    ('changes', 'reason', 'words'),
    [
        ({'p': (0.0,) * 12}, 'uncalibrated', 'expected focal lengths above 0'),
        ({'p': (-500.0, *P[1:])}, 'uncalibrated', 'received -500'),
        ({'p': (*P[:10], 0.0, 0.0)}, 'uncalibrated', '1 in its third row'),
        ({'p': (float('nan'), *P[1:])}, 'not finite', 'received nan'),
        ({'p': (*P[:2], float('inf'), *P[3:])}, 'not finite', 'inf'),
        ({'size': (0, 0)}, 'no size', 'received 0x0'),
        ({'roi': (600, 0, 100, 100)}, 'roi', 'received 100x100 at 600, 0'),
    ],
)
def test_what_cannot_be_used_is_explained(changes, reason, words):
    with pytest.raises(CameraInfoError, match=words) as caught:
        calibration_from_msg(camera_info(**changes))
    assert caught.value.reason == reason
