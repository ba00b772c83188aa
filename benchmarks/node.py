"""The real node over DDS: images per second, latency, drops, CPU: `python -m benchmarks.node`.

The node runs in a process of its own with its default parameters, as `ros2 run` starts it. For
each row cameras publish first at `--rate` (30 Hz: latency from publication to the tracks, drops,
CPU, memory), then each image as soon as the node has answered (the most it can do, all cameras
together). The cameras share the machine with the node, which the table says as well.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from itertools import islice, product
from pathlib import Path
from typing import Any

import cv2
import psutil

from centertrack_ros.datatypes import Image
from centertrack_ros.replay.live import (
    START_TIMEOUT,
    NodeProcess,
    node_process,
    replay_environment,
)
from centertrack_ros.replay.sources import open_source
from centertrack_ros.replay.summary import environment
from centertrack_ros.settings import Settings

DEFAULT_VIDEO = Path(__file__).resolve().parent.parent / 'samples' / 'pets09_s2l1.mp4'
SIZES = ('640x480', '1280x720', '1920x1080')
TRANSPORTS = ('raw', 'compressed')
# Of the video; they are played there and back.
IMAGES = 16
WARM_UP_SECONDS = 2.0
MIB = 1 << 20


def main() -> int:
    """Command line."""
    options = _parser().parse_args()
    source = open_source(options.video)
    frames = [frame.image for frame in islice(source, IMAGES)]
    rows = []
    print(_HEADINGS)
    for size, transport, cameras in product(options.sizes, options.transports, options.cameras):
        width, height = (int(side) for side in size.split('x'))
        images = [cv2.resize(image, (width, height)) for image in frames]
        row = {'size': size, 'transport': transport, 'cameras': cameras}
        row |= measure(images, options, compressed=transport == 'compressed', cameras=cameras)
        rows.append(row)
        print(_line(row), flush=True)
    print(f'{source.description}; {rows[0]["model"]} on {rows[0]["engine"]}')
    if options.json:
        document = {
            'benchmark': 'node',
            'video': source.description,
            'rate': options.rate,
            'seconds': options.seconds,
            'rows': rows,
            'environment': environment(),
        }
        options.json.write_text(json.dumps(document, indent=2) + '\n', encoding='utf-8')
    return 0


def measure(
    images: Sequence[Image], options: argparse.Namespace, *, compressed: bool, cameras: int
) -> dict[str, Any]:
    """One row: a new node, images of one size, one transport, some cameras."""
    from benchmarks.node_cameras import open_cameras, percentile, serialised

    namespace = f'/benchmark_{os.getpid()}'
    names = [''] if cameras == 1 else [f'camera_{index}' for index in range(cameras)]
    settings = _settings(options, compressed=compressed, names=names)
    messages = serialised(images, compressed=compressed)
    with (
        replay_environment(),
        node_process(settings, namespace) as node,
        open_cameras(namespace, names, compressed=compressed) as session,
    ):
        _wait(session.ready, node)
        session.send_at(messages, options.rate, WARM_UP_SECONDS)
        process = psutil.Process(node.pid)
        usage, own_usage = _Usage(process), _Usage(psutil.Process())
        traffic = session.send_at(messages, options.rate, options.seconds)
        cpu_percent, cameras_percent = usage.percent(), own_usage.percent()
        memory = process.memory_info().rss / MIB
        statuses = list(session.diagnostics.values())
        flood = session.send_on_answer(messages, options.seconds / 2)
        node.check_alive()
    latencies = [value for entry in traffic.values() for value in entry.latencies_ms]
    sent = sum(len(entry.sent) for entry in traffic.values())
    return {
        'sent': sent,
        'answered': len(latencies),
        'dropped': sent - len(latencies),
        'fps': round(len(latencies) / options.seconds / cameras, 2),
        'p50_ms': percentile(latencies, 50),
        'p95_ms': percentile(latencies, 95),
        'most_fps': round(
            sum(len(entry.answered) for entry in flood.values()) * 2 / options.seconds, 2
        ),
        'cpu_percent': round(cpu_percent, 1),
        'cpu_ms': round(cpu_percent * 10 * options.seconds / max(len(latencies), 1), 2),
        'cameras_cpu_percent': round(cameras_percent, 1),
        'rss_mib': round(memory, 1),
        'stage_ms': _stages(statuses),
        'model': statuses[-1].get('model', '') if statuses else '',
        'engine': statuses[-1].get('engine', '') if statuses else '',
    }


class _Usage:
    """CPU time of a process since it was made, 100 % = one core."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._start = (time.perf_counter(), self._seconds())

    def percent(self) -> float:
        wall, cpu = self._start
        return 100 * (self._seconds() - cpu) / (time.perf_counter() - wall)

    def _seconds(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)


def _settings(options: argparse.Namespace, *, compressed: bool, names: list[str]) -> Settings:
    values: dict[str, Any] = {
        'image_transport': 'compressed' if compressed else 'raw',
        'threads': options.threads,
    }
    for name in ('model', 'engine', 'precision'):
        if (value := getattr(options, name)) is not None:
            values[name] = value
    if len(names) > 1:
        values['cameras'] = names
    return Settings.from_mapping(values)


def _wait(ready: Any, node: NodeProcess) -> None:
    end = time.monotonic() + START_TIMEOUT
    while not ready():
        node.check_alive()
        if time.monotonic() > end:
            raise RuntimeError(f'the node did not subscribe within {START_TIMEOUT:.0f} s')
        time.sleep(0.05)


def _stages(statuses: Sequence[Any]) -> dict[str, float]:
    """Median milliseconds of each stage in the node, of its first camera."""
    for values in statuses:
        stages = {
            key.partition('/')[2]: float(value)
            for key, value in values.items()
            if key.startswith('stage_ms/')
        }
        if stages:
            return stages
    return {}


_COLUMNS = (
    ('size', 'size', 10),
    ('transport', 'transport', 10),
    ('cameras', 'cameras', 7),
    ('fps', 'Hz/camera', 9),
    ('p50_ms', 'p50 ms', 7),
    ('p95_ms', 'p95 ms', 7),
    ('dropped', 'dropped', 7),
    ('most_fps', 'most Hz', 7),
    ('cpu_percent', 'CPU %', 6),
    ('cpu_ms', 'CPU ms/image', 12),
    ('cameras_cpu_percent', 'cameras CPU %', 13),
    ('rss_mib', 'RSS MiB', 7),
)
_HEADINGS = '  '.join(title.rjust(width) for _, title, width in _COLUMNS)


def _line(row: dict[str, Any]) -> str:
    return '  '.join(str(row[name]).rjust(width) for name, _, width in _COLUMNS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.node', description=__doc__.partition('\n')[0]
    )
    parser.add_argument('--video', type=Path, default=DEFAULT_VIDEO, help='any replay input')
    parser.add_argument('--sizes', nargs='+', default=list(SIZES), metavar='WxH')
    parser.add_argument('--transports', nargs='+', default=list(TRANSPORTS), choices=TRANSPORTS)
    parser.add_argument('--cameras', nargs='+', type=int, default=[1, 4], help='one row for each')
    parser.add_argument('--rate', type=float, default=30.0, help='images per second of a camera')
    parser.add_argument('--seconds', type=float, default=10.0, help='of each row at that rate')
    parser.add_argument('--model', help='default: the one of the node')
    parser.add_argument('--engine', help='default: auto')
    parser.add_argument('--precision', help='default: auto')
    parser.add_argument('--threads', type=int, default=0, help='of the engine, 0 = all cores')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures there')
    return parser


if __name__ == '__main__':
    sys.exit(main())
