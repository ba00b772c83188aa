"""`/diagnostics`: how well the node works, once a second, in words and in numbers.

An own publisher and not diagnostic_updater: that one is not among the wheels from which ROS can be
installed, and its timer follows simulated time, so that a paused simulation would silence it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from centertrack_ros.ros.statistics import Report

# Without an image for this long, the node says so.
SILENCE = 2.0


@dataclass(frozen=True)
class CameraInfoState:
    """Where the calibration of a camera comes from.

    Attributes:
        topic: full name.
        publishers: how many nodes publish it.
        problem: why there are no boxes in space, '' where there are.
    """

    topic: str
    publishers: int
    problem: str


@dataclass(frozen=True)
class NodeState:
    """What the counters cannot tell.

    Attributes:
        name: full name of the node.
        camera: name of the camera, '' where there is only one.
        life_cycle: `unconfigured`, `inactive`, `disabled` or `active`.
        image_topic: full name of the topic that is subscribed.
        publishers: how many nodes publish it.
        model, engine, device: what runs; '' while nothing is loaded.
        camera_info: None for models without 3D.
    """

    name: str
    camera: str
    life_cycle: str
    image_topic: str
    publishers: int
    model: str = ''
    engine: str = ''
    device: str = ''
    camera_info: CameraInfoState | None = None


def diagnostics_to_msg(
    cameras: Sequence[tuple[Report, NodeState]], stamp: Time
) -> DiagnosticArray:
    """Message with one status per camera, which holds all its numbers."""
    status = [_status(report, state) for report, state in cameras]
    return DiagnosticArray(header=Header(stamp=stamp), status=status)


def _status(report: Report, state: NodeState) -> DiagnosticStatus:
    level, text = _summary(report, state)
    return DiagnosticStatus(
        level=level,
        name=f'{state.name.lstrip("/")}: {state.camera or "tracking"}',
        message=text,
        hardware_id=state.device,
        values=[KeyValue(key=key, value=value) for key, value in _values(report, state).items()],
    )


def _summary(report: Report, state: NodeState) -> tuple[bytes, str]:
    if state.life_cycle != 'active':
        return DiagnosticStatus.OK, state.life_cycle
    if report.new_rejected:
        level = DiagnosticStatus.WARN if report.rate_hz > 0 else DiagnosticStatus.ERROR
        return level, f'{report.new_rejected} images rejected in the last second'
    silence = report.seconds_since_image
    if silence is None or silence > SILENCE:
        since = 'yet' if silence is None else f'for {silence:.0f} s'
        who = f'{state.publishers} publishers' if state.publishers else 'nobody publishes it'
        return DiagnosticStatus.WARN, f'no image on {state.image_topic} {since} ({who})'
    tracking, info = f'tracking at {report.rate_hz:.1f} Hz', state.camera_info
    if info is not None and info.problem:
        nobody = '' if info.publishers else ' (nobody publishes it)'
        return DiagnosticStatus.WARN, f'{tracking}; {info.problem}{nobody}'
    return DiagnosticStatus.OK, tracking


def _values(report: Report, state: NodeState) -> Mapping[str, str]:
    values = {
        'state': state.life_cycle,
        'model': state.model,
        'engine': state.engine,
        'device': state.device,
        'image_topic': state.image_topic,
        'rate_hz': f'{report.rate_hz:.2f}',
        'received': str(report.received),
        'published': str(report.published),
        'dropped': str(report.overwritten),
        'rejected': str(sum(report.rejected.values())),
        'resets': str(report.resets),
        'last_reset': report.last_reset,
        'tracks': str(report.tracks),
    }
    for reason, count in sorted(report.rejected.items()):
        values[f'rejected/{reason}'] = str(count)
    values |= _camera_info_values(report, state)
    for rank, latency in report.latency_ms.items():
        values[f'latency_ms/{rank}'] = f'{latency:.2f}'
    for stage, milliseconds in report.stage_ms.items():
        values[f'stage_ms/{stage}'] = f'{milliseconds:.2f}'
    return values


def _camera_info_values(report: Report, state: NodeState) -> Mapping[str, str]:
    info = state.camera_info
    if info is None:
        return {}
    rejected = report.camera_info_rejected
    values = {
        'camera_info_topic': info.topic,
        'tracks_3d': info.problem or 'published',
        'camera_info_rejected': str(sum(rejected.values())),
    }
    for reason, count in sorted(rejected.items()):
        values[f'camera_info_rejected/{reason}'] = str(count)
    return values
