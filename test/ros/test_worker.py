from harness import make_header

from centertrack_ros.ros.camera import StampReader


def test_a_stamp_is_its_seconds():
    assert StampReader().seconds(make_header(12.5), received_at=99.0) == 12.5


def test_a_stream_without_stamps_has_the_time_of_arrival():
    reader = StampReader()
    times = [reader.seconds(make_header(0), received_at) for received_at in (50.0, 50.1, 50.3)]
    assert [round(value, 6) for value in times] == [0.0, 0.1, 0.3]


def test_a_recording_that_begins_at_zero_keeps_its_stamps_also_when_it_loops():
    reader = StampReader()
    stamps = (0.0, 0.1, 0.2, 0.0, 0.1)
    times = [reader.seconds(make_header(stamp), 70.0 + i) for i, stamp in enumerate(stamps)]
    assert times == [0.0, 0.1, 0.2, 0.0, 0.1]
