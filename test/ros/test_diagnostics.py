import time
from dataclasses import replace

import pytest
from builtin_interfaces.msg import Time

from centertrack_ros.ros.diagnostics import CameraInfoState, NodeState, diagnostics_to_msg
from centertrack_ros.ros.statistics import WINDOW, Statistics

STATE = NodeState(
    name='/left/tracker',
    camera='',
    life_cycle='active',
    image_topic='/cam/image',
    publishers=0,
    model='some_model',
    engine='some engine',
    device='cpu',
)
STAMP = Time(sec=7)
OK, WARN, ERROR = b'\x00', b'\x01', b'\x02'


def status_of(statistics, state=STATE):
    message = diagnostics_to_msg([(statistics.report(), state)], STAMP)
    assert message.header.stamp == STAMP
    (status,) = message.status
    return status, {row.key: row.value for row in status.values}


def test_without_images():
    status, values = status_of(Statistics())
    assert (status.level, status.name) == (WARN, 'left/tracker: tracking')
    assert status.message == 'no image on /cam/image yet (nobody publishes it)'
    assert values['received'] == '0'
    assert 'latency_ms/p50' not in values


def test_cameras_have_a_status_each():
    busy, silent = Statistics(), Statistics()
    busy.image_received()
    busy.tracks_published(time.monotonic(), {}, tracks=3)
    rows = [
        (busy.report(), replace(STATE, camera='front')),
        (silent.report(), replace(STATE, camera='rear', image_topic='/rear/image')),
    ]
    front, rear = diagnostics_to_msg(rows, STAMP).status
    assert (front.name, rear.name) == ('left/tracker: front', 'left/tracker: rear')
    assert (front.level, rear.level) == (OK, WARN)
    assert rear.message == 'no image on /rear/image yet (nobody publishes it)'


def test_images_that_stopped():
    report = replace(Statistics().report(), seconds_since_image=3.4)
    message = diagnostics_to_msg([(report, replace(STATE, publishers=2))], STAMP)
    assert message.status[0].message == 'no image on /cam/image for 3 s (2 publishers)'


def test_a_calibration_that_is_missing_is_a_warning_with_its_topic():
    statistics = Statistics()
    statistics.image_received()
    statistics.tracks_published(time.monotonic(), {}, tracks=1)
    problem = 'tracks_3d waits for camera_info on /cam/camera_info'
    info = CameraInfoState('/cam/camera_info', publishers=0, problem=problem)
    status, values = status_of(statistics, replace(STATE, camera_info=info))
    assert status.level == WARN
    assert status.message.startswith('tracking at ')
    assert status.message.endswith(f'; {problem} (nobody publishes it)')
    assert values['camera_info_topic'] == '/cam/camera_info'
    assert (values['tracks_3d'], values['camera_info_rejected']) == (problem, '0')
    statistics.tracks_published(time.monotonic(), {}, tracks=1)
    statistics.camera_info_rejected('size')
    solved = replace(info, publishers=1, problem='')
    status, values = status_of(statistics, replace(STATE, camera_info=solved))
    assert status.level == OK
    assert values['tracks_3d'] == 'published'
    assert values['camera_info_rejected/size'] == values['camera_info_rejected'] == '1'


def test_models_without_depth_say_nothing_of_a_calibration():
    assert not {'camera_info_topic', 'tracks_3d'} & status_of(Statistics())[1].keys()


@pytest.mark.parametrize('life_cycle', ['unconfigured', 'inactive', 'disabled'])
def test_a_node_that_is_not_active_is_fine_without_images(life_cycle):
    status, values = status_of(Statistics(), replace(STATE, life_cycle=life_cycle))
    assert (status.level, status.message, values['state']) == (OK, life_cycle, life_cycle)


def test_latencies_stages_and_rate():
    statistics = Statistics()
    for number in range(1, 101):
        statistics.image_received()
        received_at = time.monotonic() - number * 1e-3
        statistics.tracks_published(received_at, {'network': number, 'track': 1.0}, tracks=4)
    status, values = status_of(statistics)
    assert status.level == OK
    assert status.message.startswith('tracking at')
    assert float(values['latency_ms/p50']) == pytest.approx(50.5, abs=2)
    assert float(values['latency_ms/p95']) == pytest.approx(95, abs=2)
    assert float(values['latency_ms/p99']) == pytest.approx(99, abs=2)
    assert values['stage_ms/network'] == '50.50'
    assert values['stage_ms/track'] == '1.00'
    assert (values['published'], values['tracks']) == ('100', '4')
    assert float(values['rate_hz']) > 100


def test_rates_count_from_the_report_before():
    statistics = Statistics()
    statistics.image_received()
    statistics.tracks_published(time.monotonic(), {}, tracks=0)
    assert statistics.report().rate_hz > 0
    report = statistics.report()
    assert (report.rate_hz, report.new_received, report.published) == (0.0, 0, 1)


def test_rejected_images_warn_once_and_stay_counted():
    statistics = Statistics()
    statistics.image_received()
    statistics.tracks_published(time.monotonic(), {}, tracks=0)
    assert statistics.image_rejected('truncated') == 1
    assert statistics.image_rejected('truncated') == 2
    assert statistics.image_rejected('encoding') == 1
    status, values = status_of(statistics)
    assert (status.level, status.message) == (WARN, '3 images rejected in the last second')
    assert (values['rejected'], values['rejected/truncated']) == ('3', '2')
    assert status_of(statistics)[0].level == OK
    assert status_of(statistics)[1]['rejected/encoding'] == '1'


def test_only_rejected_images_are_an_error():
    statistics = Statistics()
    statistics.image_received()
    statistics.image_rejected('engine')
    assert status_of(statistics)[0].level == ERROR


def test_resets_and_drops():
    statistics = Statistics()
    statistics.image_overwritten()
    statistics.tracker_reset('time went back')
    values = status_of(statistics)[1]
    assert (values['dropped'], values['resets']) == ('1', '1')
    assert values['last_reset'] == 'time went back'


def test_memory_is_bounded():
    statistics = Statistics()
    for _ in range(WINDOW + 50):
        statistics.tracks_published(time.monotonic() - 1.0, {'network': 1.0}, tracks=0)
    assert len(statistics._latencies_ms) == len(statistics._stages_ms) == WINDOW
