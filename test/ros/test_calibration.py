"""What is logged of a calibration, and what it gives when."""

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo

from centertrack_ros.ros import calibration as module
from centertrack_ros.ros.calibration import LOG_INTERVAL, PATIENCE, CalibrationSlot
from centertrack_ros.ros.statistics import Statistics

P = [100.0, 0.0, 64.0, 0.0, 0.0, 100.0, 48.0, 0.0, 0.0, 0.0, 1.0, 0.0]
GOOD = CameraInfo(width=128, height=96, p=P)
BAD = CameraInfo(width=128, height=96)


class Clock:
    """Time that passes when it is told to."""

    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, 'time', clock)
    return clock


@pytest.fixture
def lines():
    return []


@pytest.fixture
def slot(lines):
    return CalibrationSlot('/camera_info', Statistics(), lines.append)


def test_a_short_wait_is_not_worth_a_line_a_long_one_is_now_and_then(slot, lines, clock):
    for _ in range(10):
        assert slot.matrix(128, 96) is None
        clock.now += PATIENCE / 20
    assert lines == []
    for _ in range(100):
        clock.now += LOG_INTERVAL / 50
        slot.matrix(128, 96)
    assert lines == ['tracks_3d waits for camera_info on /camera_info'] * 2
    slot.take(GOOD)
    assert slot.matrix(128, 96) is not None
    assert slot.problem == ''


def test_a_flood_of_bad_ones_is_one_line_and_leaves_the_good_one(slot, lines, clock):
    slot.take(GOOD)
    for _ in range(100):
        slot.take(BAD)
        np.testing.assert_array_equal(slot.matrix(128, 96), np.reshape(P, (3, 4)))
        clock.now += LOG_INTERVAL / 200
    (line,) = lines
    assert line.startswith('camera_info on /camera_info rejected (uncalibrated, 1 so far): p: ')
    assert slot.problem == ''


def test_the_last_good_one_counts(slot):
    slot.take(GOOD)
    slot.take(CameraInfo(width=128, height=96, p=[50.0, *P[1:]]))
    assert slot.matrix(128, 96)[0, 0] == 50.0


def test_images_of_another_shape_are_counted_and_explained(slot, clock):
    statistics = Statistics()
    slot = CalibrationSlot('/camera_info', statistics, lambda line: None)
    slot.take(GOOD)
    assert slot.matrix(128, 128) is None
    assert 'the images have 128x128' in slot.problem
    assert statistics.report().camera_info_rejected == {'size': 1}
