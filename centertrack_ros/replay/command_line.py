"""Command line of the replay: `python -m centertrack_ros.replay INPUT --output DIR`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from centertrack_ros.camera_info import Calibration
from centertrack_ros.factory import build_pipeline, find_model
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.replay.boxes_3d_file import write_boxes_3d
from centertrack_ros.replay.evaluation import GroundTruth, load_ground_truth
from centertrack_ros.replay.intrinsics import OPTION, find_calibration
from centertrack_ros.replay.keypoints_file import write_keypoints
from centertrack_ros.replay.live import class_ids, run_live
from centertrack_ros.replay.metrics import PERCENTAGES
from centertrack_ros.replay.mot_files import write_mot
from centertrack_ros.replay.offline import run_offline
from centertrack_ros.replay.options import replay_parser
from centertrack_ros.replay.output import (
    BAG_FOLDER,
    BOXES_3D_FILE,
    KEYPOINTS_FILE,
    METRICS_FILE,
    OUTPUT_NAMES,
    REPORT_FILE,
    TRACKS_FILE,
    VIDEO_FILE,
    check_output,
    staged_output,
)
from centertrack_ros.replay.progress import progress_bar
from centertrack_ros.replay.records import ReplayRun
from centertrack_ros.replay.report import write_report
from centertrack_ros.replay.result_bag import write_result_bag
from centertrack_ros.replay.sources import Source, open_source
from centertrack_ros.replay.summary import summarize
from centertrack_ros.replay.video import busiest_image, draw_recording
from centertrack_ros.settings import Settings

EXIT_EXPLAINED = 2
EXIT_INTERRUPTED = 130
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 = done, 2 = failed with a line on stderr that says why, 130 = interrupted.
    """
    options = replay_parser().parse_args(arguments)
    # FFmpeg's own complaints about a broken video would hide the one line that explains it.
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    interrupted = threading.Event()
    try:
        with _interruptible(interrupted):
            _replay(options, interrupted)
    except KeyboardInterrupt:
        interrupted.set()
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        if not interrupted.is_set():
            print(f'error: {" ".join(str(error).split())}', file=sys.stderr)
            return EXIT_EXPLAINED
    if interrupted.is_set():
        print('interrupted: no output was written', file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


@contextmanager
def _interruptible(interrupted: threading.Event) -> Iterator[None]:
    """Raise KeyboardInterrupt at SIGTERM too, which would leave the node running behind us."""

    def interrupt(*_: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check(interrupted: threading.Event) -> None:
    """Interrupt again: a library that was interrupted while it loads only calls itself missing."""
    if interrupted.is_set():
        raise KeyboardInterrupt


def _replay(options: argparse.Namespace, interrupted: threading.Event) -> None:
    output: Path = options.output
    check_output(output)
    settings = _settings(options)
    spec = ModelSpec.load(find_model(settings.model))
    unknown = sorted(set(settings.class_filter) - set(spec.classes))
    if unknown:
        raise ValueError(f'classes: {unknown} are unknown to {spec.name}; it has {spec.classes}')
    source = open_source(options.input, topic=options.topic, fps=options.fps)
    truth = None
    if options.gt is not None:
        truth = load_ground_truth(
            options.gt, spec.classes, settings.class_filter, options.gt_class
        )
        if source.count is not None:
            truth.check_length(source.count)
    calibration, camera = _camera(options, spec, source)
    with staged_output(output) as folder:
        run = _run(source, settings, options, interrupted, calibration)
        run = replace(run, calibration=calibration, camera=camera)
        summary = _write_files(folder, source, run, settings, spec, truth, video=options.video)
        _check(interrupted)
    _print_summary(summary, output)


def _run(
    source: Source,
    settings: Settings,
    options: argparse.Namespace,
    interrupted: threading.Event,
    calibration: Calibration | None,
) -> ReplayRun:
    if options.mode == 'live':
        if options.backdate:
            raise ValueError('--backdate: expected --mode offline; a node cannot report the past')
        with progress_bar(source.count, 'playing to the node') as bar:
            return run_live(
                source,
                settings,
                rate=options.rate or 1.0,
                progress=bar.update,
                calibration=calibration,
            )
    pipeline = build_pipeline(settings)
    spec = pipeline.spec
    # The first run of a network is slow: the node warms it up too.
    pipeline.step(np.zeros((spec.input_height, spec.input_width, 3), np.uint8), 0.0)
    pipeline.reset()
    try:
        _check(interrupted)
        with progress_bar(source.count, 'tracking') as bar:
            return run_offline(
                source,
                pipeline,
                bar.update,
                backdate=options.backdate,
                calibration=calibration,
            )
    finally:
        pipeline.engine.close()


def _write_files(
    folder: Path,
    source: Source,
    run: ReplayRun,
    settings: Settings,
    spec: ModelSpec,
    truth: GroundTruth | None,
    *,
    video: bool,
) -> dict[str, Any]:
    """Write everything into `folder`; returns the document of metrics.json."""
    write_mot(folder / TRACKS_FILE, [record.boxes() for record in run.records])
    if any(record.boxes_3d is not None for record in run.records):
        write_boxes_3d(folder / BOXES_3D_FILE, run.records, spec.classes)
    if spec.joints:
        write_keypoints(folder / KEYPOINTS_FILE, run.records)
    write_result_bag(folder / BAG_FOLDER, run.records, class_ids(settings, spec), spec.joints)
    summary = summarize(
        run,
        source,
        settings,
        spec=spec,
        scores=None if truth is None else truth.score(run),
        truth=None if truth is None else {'file': truth.path.name, 'class': truth.class_name},
    )
    sample_index = busiest_image(run.records)
    count = len(run.records) if video else sample_index + 1
    with progress_bar(count, 'drawing') as bar:
        sample = draw_recording(
            source,
            run.records,
            spec.classes,
            sample_index=sample_index,
            video_path=folder / VIDEO_FILE if video else None,
            calibration=run.calibration,
            joint_names=spec.joints,
            progress=bar.update,
        )
    write_report(
        folder / REPORT_FILE,
        run,
        summary,
        sample=sample,
        sample_index=sample_index,
        truth=truth,
    )
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    (folder / METRICS_FILE).write_text(text + '\n', encoding='utf-8')
    return summary


def _camera(
    options: argparse.Namespace, spec: ModelSpec, source: Source
) -> tuple[Calibration | None, str]:
    """The camera and where it is from, for models that need to know it."""
    if not spec.has_boxes_3d:
        if options.camera_matrix is not None:
            raise ValueError(
                f'{OPTION}: expected a model with boxes in space, {spec.name} has none'
            )
        return None, ''
    calibration, camera = find_calibration(options.camera_matrix, source)
    if calibration is None:
        print(f'no boxes in space: {camera}', file=sys.stderr)
    return calibration, camera


def _settings(options: argparse.Namespace) -> Settings:
    file: Path | None = options.params_file
    settings = Settings() if file is None else Settings.from_yaml(file)
    changes: dict[str, Any] = {}
    if options.model is not None:
        changes['model'] = options.model
    if options.engine is not None:
        changes['engine'] = options.engine
    if options.precision is not None:
        changes['precision'] = options.precision
    if options.classes is not None:
        changes['class_filter'] = tuple(options.classes)
    return replace(settings, **changes)


def _print_summary(summary: Mapping[str, Any], output: Path) -> None:
    latency = summary['latency_ms']
    stages = {name: value for name, value in summary['stage_ms'].items() if value is not None}
    lines = {
        'input': f'{summary["input"]}, {summary["frames"]} images',
        'tracks': f'{summary["tracks"]} ids, {summary["boxes"]} boxes',
        'speed': f'{summary["fps"]:.1f} images per second with {summary["engine"]}',
        'latency': ', '.join(
            f'{name} {"-" if value is None else f"{value:.1f} ms"}'
            for name, value in latency.items()
        ),
        'stages': ', '.join(f'{name} {value:.2f} ms' for name, value in stages.items()) or '-',
        'dropped': f'{summary["dropped"]} images',
    }
    if 'joints' in summary:
        joints = summary['joints']
        count = '-' if joints['visible_per_box'] is None else joints['visible_per_box']
        lines['joints'] = f'{count} of {len(joints["each"])} visible in a box'
    if 'boxes_3d' in summary:
        lines['3D'] = f'{summary["boxes_3d"]} boxes in space; {summary["camera"]}'
    if 'MOTA' in summary:
        scores = [f'{name} {summary[name]:.1f}' for name in PERCENTAGES]
        scores += [f'{name} {summary[name]}' for name in ('IDSW', 'FP', 'FN')]
        lines['metrics'] = ', '.join(scores)
    for name in OUTPUT_NAMES:
        if (output / name).exists():
            lines[f'-> {name}'] = str(output / name)
    width = max(map(len, lines))
    for name, text in lines.items():
        print(f'{name:<{width}}  {text}')
