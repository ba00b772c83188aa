"""Live replay: the recording is played into DDS, and the real node answers.

Nothing of ROS is imported before `run_live` is called: offline replay works without it.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import yaml

from centertrack_ros.camera_info import Calibration
from centertrack_ros.datatypes import Tracks
from centertrack_ros.factory import find_model, models_folder
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.pipeline import STAGES
from centertrack_ros.replay.records import FrameRecord, ReplayRun
from centertrack_ros.replay.result_messages import (
    boxes_3d_from_msg,
    joints_from_msg,
    tracks_from_msg,
)
from centertrack_ros.replay.session_log import Answer, SessionLog
from centertrack_ros.replay.sources import Source
from centertrack_ros.settings import Settings

# Loading and warming up a model takes seconds; building a TensorRT engine takes minutes.
START_TIMEOUT = 120.0
STOP_TIMEOUT = 10.0
MAX_DOMAIN = 101
# Humble reads the second name, later releases the first and complain of the second.
PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
LOG_LINE = re.compile(r'\[(ERROR|FATAL)\] \[[^]]*\] \[[^]]*\]: (?P<text>.*)')


def run_live(
    source: Source,
    settings: Settings,
    *,
    rate: float = 1.0,
    progress: Callable[[], object] = lambda: None,
    calibration: Calibration | None = None,
) -> ReplayRun:
    """Play a recording to the real node in a process of its own.

    Args:
        source: the recording.
        settings: of the node; it is started with `autostart` whatever they say.
        rate: speed of playing relative to the stamps of the recording.
        progress: called after each image.
        calibration: of the camera, published as camera_info; for models with boxes in space.

    Raises:
        ImportError: ROS 2 or vision_msgs cannot be imported; the message says what to do.
        RuntimeError: the node ended or did not become active; the message has its last words.
        ValueError: the recording is broken or has no images, or `rate` is not above 0.
    """
    if not rate > 0.0:
        raise ValueError(f'rate: expected more than 0, received {rate}')
    try:
        from centertrack_ros.ros.replay_session import open_session
    except ImportError as error:
        raise ImportError(
            f'live replay needs ROS 2 with vision_msgs ({error}): source your ROS setup, or use '
            'the environment of `make demo`; --mode offline works without'
        ) from error
    namespace = f'/replay_{os.getpid()}'
    # A recording is played to one camera.
    settings = replace(settings, cameras=())
    spec = ModelSpec.load(find_model(settings.model))
    options = {
        'compressed': settings.image_transport == 'compressed',
        'keypoints': bool(spec.joints),
        'calibration': calibration if spec.has_boxes_3d else None,
    }
    with (
        replay_environment(),
        node_process(settings, namespace) as node,
        open_session(namespace, **options) as session,
    ):
        session.wait_until_ready(node.check_alive, START_TIMEOUT)
        session.play(source, rate=rate, check_alive=node.check_alive, progress=progress)
        log = session.log
    if not log.published:
        raise ValueError(f'{source.description}: expected images, found none')
    return _to_run(log, class_ids(settings, spec), spec.joints, rate)


def class_ids(settings: Settings, spec: ModelSpec) -> list[str]:
    """What `class_id` holds in messages for each class of the model."""
    if settings.class_id_format == 'index':
        return [str(index) for index in range(len(spec.classes))]
    return list(spec.classes)


@contextmanager
def replay_environment() -> Iterator[None]:
    """Set environment variables for both ends of a replay, where the user has not set them.

    A domain of its own keeps the replay to itself on this machine. The Fast DDS profile gives raw
    images room on their way to the node: with the 512 kB that they have without it, parts of them
    are lost on a busy machine and repeated after up to seconds, which is not the node's doing.
    """
    added: dict[str, str] = {}
    if 'ROS_DOMAIN_ID' not in os.environ:
        added['ROS_DOMAIN_ID'] = str(1 + os.getpid() % MAX_DOMAIN)
        if 'ROS_AUTOMATIC_DISCOVERY_RANGE' not in os.environ:
            added['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    profile = models_folder().parent / 'config' / 'fastdds.xml'
    if profile.is_file() and not any(name in os.environ for name in PROFILE_VARIABLES):
        name = PROFILE_VARIABLES[os.environ.get('ROS_DISTRO') == 'humble']
        added[name] = str(profile)
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


class NodeProcess:
    """The node as a child process.

    Attributes:
        pid: its process id.
    """

    def __init__(self, process: subprocess.Popen[bytes], log_path: Path) -> None:
        """Watch a process.

        Args:
            process: the child.
            log_path: file that holds what it prints.
        """
        self.pid = process.pid
        self._process = process
        self._log_path = log_path

    def check_alive(self) -> None:
        """See that it still runs.

        Raises:
            RuntimeError: it has ended; the message holds its last words.
        """
        code = self._process.poll()
        if code is not None:
            words = _last_words(self._log_path)
            raise RuntimeError(f'the node ended with exit code {code}: {words}')


@contextmanager
def node_process(settings: Settings, namespace: str) -> Iterator[NodeProcess]:
    """Run the node as a child process until the block ends."""
    with tempfile.TemporaryDirectory(prefix='centertrack_replay_') as folder:
        parameter_file = Path(folder) / 'tracker.yaml'
        parameter_file.write_text(_parameter_yaml(settings), encoding='utf-8')
        log_path = Path(folder) / 'node.log'
        command = [sys.executable, '-m', 'centertrack_ros.ros.node', '--ros-args']
        command += ['--params-file', str(parameter_file), '-r', f'__ns:={namespace}']
        with log_path.open('wb') as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_child_environment(),
                # A Ctrl-C in the terminal reaches this process, which then ends the node.
                start_new_session=True,
            )
        try:
            yield NodeProcess(process, log_path)
        finally:
            _stop(process)


def _parameter_yaml(settings: Settings) -> str:
    # The name of a shipped model is looked up here once: the node gets the file itself.
    model = str(find_model(settings.model).resolve())
    chosen = replace(settings, autostart=True, model=model)
    # ROS cannot tell the type of an empty list; [''] stands for none.
    values = {
        name: (list(value) or ['']) if isinstance(value, tuple) else value
        for name, value in asdict(chosen).items()
    }
    return yaml.safe_dump({'/**': {'ros__parameters': values}})


def _child_environment() -> dict[str, str]:
    package_parent = str(Path(__file__).resolve().parents[2])
    search_path = [package_parent, *filter(None, [os.environ.get('PYTHONPATH')])]
    return {
        **os.environ,
        'PYTHONPATH': os.pathsep.join(search_path),
        # Without it rcutils keeps its lines back when it writes to a file.
        'RCUTILS_LOGGING_BUFFERED_STREAM': '0',
    }


def _last_words(log_path: Path) -> str:
    """The cause of its end: the first error, which those after it only follow from."""
    lines = [line.rstrip() for line in log_path.read_text(errors='replace').splitlines()]
    lines = [line for line in lines if line]
    for index, line in enumerate(lines):
        match = LOG_LINE.match(line)
        if match:
            # A traceback goes on in lines of its own, the last of which names the exception.
            rest = itertools.takewhile(lambda text: not text.startswith('['), lines[index + 1 :])
            return [match['text'], *rest][-1]
    return lines[-1] if lines else 'it said nothing'


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(timeout=STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            continue


def _to_run(
    log: SessionLog, class_names: Sequence[str], joint_names: Sequence[str], rate: float
) -> ReplayRun:
    """Match what came back with the images by stamps."""
    records = [
        FrameRecord(sent.stamp_ns, sent.frame_id, Tracks.empty(), None) for sent in log.published
    ]
    last = log.published[0].time
    for index, answer in _matched(log, log.answers):
        records[index] = replace(
            records[index],
            tracks=tracks_from_msg(answer.message, class_names),
            latency_ms=(answer.time - log.published[index].time) * 1e3,
        )
        last = max(last, answer.time)
    for index, answer in _matched(log, log.keypoints or []):
        joints = joints_from_msg(answer.message, records[index].tracks.ids, joint_names)
        records[index] = replace(records[index], joints=joints)
    for index, answer in _matched(log, log.tracks_3d or []):
        boxes_3d = boxes_3d_from_msg(answer.message, records[index].tracks.ids)
        records[index] = replace(records[index], boxes_3d=boxes_3d)
    newest = log.diagnostics[-1] if log.diagnostics else {}
    return ReplayRun(
        mode='live',
        records=records,
        seconds=last - log.published[0].time,
        engine=newest.get('engine', 'unknown'),
        device=newest.get('device', 'unknown'),
        stage_ms=_stage_ms(log.diagnostics),
        rate=rate,
    )


def _matched(log: SessionLog, answers: Sequence[Answer]) -> Iterator[tuple[int, Answer]]:
    """Each answer with the index of its image; of equal stamps the earliest comes first."""
    waiting: dict[int, deque[int]] = defaultdict(deque)
    for index, sent in enumerate(log.published):
        waiting[sent.stamp_ns].append(index)
    for answer in answers:
        if waiting[answer.stamp_ns]:
            yield waiting[answer.stamp_ns].popleft(), answer


def _stage_ms(diagnostics: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """Median of the medians that the node reported once a second."""
    medians = {}
    for stage in STAGES:
        key = f'stage_ms/{stage}'
        values = [float(row[key]) for row in diagnostics if key in row]
        if values:
            medians[stage] = round(float(np.median(values)), 3)
    return medians
