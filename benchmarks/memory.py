"""Memory of the node after 1,000 and 5,000 images: `python -m benchmarks.memory`.

The images go through DDS to the real node, each as soon as the one before is answered. Without
ROS the pipeline is measured in this process instead.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from centertrack_ros.factory import build_pipeline
from centertrack_ros.replay.live import START_TIMEOUT, node_process, replay_environment
from centertrack_ros.replay.progress import progress_bar
from centertrack_ros.replay.sources import NANOSECONDS, Frame, Source, open_source
from centertrack_ros.replay.summary import environment
from centertrack_ros.settings import Settings

DEFAULT_VIDEO = Path(__file__).resolve().parent.parent / 'samples' / 'pets09_s2l1.mp4'
DEFAULT_MARKS = (100, 1000, 2000, 3000, 4000, 5000)
ANSWER_TIMEOUT = 30.0
# Growth from the mark at 1,000 images to the last that still counts as flat.
FLAT_MIB = 8.0
FIRST_MARK = 1000


def endless(source: Source) -> Iterator[Frame]:
    """The recording over and over, with stamps that go on rising."""
    step_ns = round(NANOSECONDS / source.fps)
    stamp_ns = NANOSECONDS
    while True:
        for frame in source:
            yield replace(frame, stamp_ns=stamp_ns)
            stamp_ns += step_ns


def resident_mib(pid: int) -> float:
    """Resident memory of a process in MiB."""
    for line in Path(f'/proc/{pid}/status').read_text(encoding='utf-8').splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1]) / 1024
    raise ValueError(f'process {pid} has no VmRSS')


def feed(
    source: Source, marks: list[int], process_image: Callable[[Frame], object], pid: int
) -> dict[int, float]:
    """Memory in MiB after each of the marks, in images."""
    memory: dict[int, float] = {}
    with progress_bar(marks[-1], 'feeding') as bar:
        for count, frame in enumerate(endless(source), start=1):
            process_image(frame)
            bar.update()
            if count in marks:
                memory[count] = round(resident_mib(pid), 1)
                bar.write(f'{count:>7} images  {memory[count]:8.1f} MiB')
            if count == marks[-1]:
                return memory
    return memory


def measure_node(source: Source, settings: Settings, marks: list[int]) -> dict[int, float]:
    """Feed the real node, a process of its own."""
    from centertrack_ros.ros.replay_session import open_session

    namespace = f'/memory_{os.getpid()}'
    with (
        replay_environment(),
        node_process(settings, namespace) as node,
        open_session(namespace, compressed=False) as session,
    ):
        session.wait_until_ready(node.check_alive, START_TIMEOUT)

        def exchange(frame: Frame) -> None:
            session.exchange(frame, node.check_alive, ANSWER_TIMEOUT)

        memory = feed(source, marks, exchange, node.pid)
        answered, sent = len(session.log.answers), len(session.log.published)
    if answered != sent:
        raise RuntimeError(f'expected an answer to each of {sent} images, received {answered}')
    return memory


def measure_pipeline(source: Source, settings: Settings, marks: list[int]) -> dict[int, float]:
    """Feed the pipeline in this process."""
    pipeline = build_pipeline(settings)
    return feed(source, marks, lambda frame: pipeline.step(frame.image, frame.stamp), os.getpid())


def main() -> int:
    """Command line; exit code 1 when memory grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--video', type=Path, default=DEFAULT_VIDEO, help='any replay input')
    parser.add_argument('--engine', default='auto')
    parser.add_argument(
        '--marks', type=int, nargs='+', default=list(DEFAULT_MARKS), help='numbers of images'
    )
    parser.add_argument('--no-ros', action='store_true', help='measure the pipeline, not the node')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures there')
    options = parser.parse_args()
    marks = sorted(set(options.marks))
    source = open_source(options.video)
    settings = Settings.from_mapping({'engine': options.engine})
    what = 'pipeline in this process'
    if options.no_ros:
        memory = measure_pipeline(source, settings, marks)
    else:
        try:
            memory = measure_node(source, settings, marks)
            what = 'node, images over DDS'
        except ImportError as error:
            print(f'no ROS ({error}): measuring the pipeline instead', file=sys.stderr)
            memory = measure_pipeline(source, settings, marks)
    base = memory.get(FIRST_MARK, memory[marks[0]])
    growth = round(memory[marks[-1]] - base, 1)
    first = FIRST_MARK if FIRST_MARK in memory else marks[0]
    print(f'resident memory of the {what}: {growth:+.1f} MiB from image {first} to {marks[-1]}')
    if options.json:
        document = {
            'benchmark': 'memory',
            'what': what,
            'rss_mib': memory,
            'growth_mib': growth,
            'environment': environment(),
        }
        options.json.write_text(json.dumps(document, indent=2) + '\n', encoding='utf-8')
    return 0 if growth <= FLAT_MIB else 1


if __name__ == '__main__':
    sys.exit(main())
