"""`metrics.json`: all figures of a replay, and what they were measured with."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any

from centertrack_ros import __version__
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.pipeline import STAGES
from centertrack_ros.replay.output import MADE_BY
from centertrack_ros.replay.records import ReplayRun
from centertrack_ros.replay.sources import Source
from centertrack_ros.settings import Settings

LIBRARIES = ('numpy', 'opencv-python-headless', 'opencv-python', 'onnxruntime', 'openvino')


def summarize(
    run: ReplayRun,
    source: Source,
    settings: Settings,
    *,
    spec: ModelSpec,
    scores: Mapping[str, float] | None = None,
    truth: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The document of `metrics.json`.

    Args:
        run: the replay.
        source: its recording.
        settings: what it ran with.
        spec: of the model that ran.
        scores: metrics by `metrics.evaluate`, where there is ground truth.
        truth: `file` and `class` of that ground truth.
    """
    document: dict[str, Any] = {
        'made_by': MADE_BY,
        'input': source.description,
        'mode': run.mode,
        'rate': run.rate,
        'backdated': run.backdated,
        'frames': len(run.records),
        'fps': round(run.fps, 2),
        'input_fps': round(source.fps, 3),
        'seconds': round(run.seconds, 3),
        'dropped': run.dropped,
        'tracks': len(run.track_ids),
        'boxes': sum(len(record.tracks) for record in run.records),
        'latency_ms': run.latency_percentiles(),
        'stage_ms': {stage: run.stage_ms.get(stage) for stage in STAGES},
        'resets': [
            {'image': number, 'reason': record.reset_reason}
            for number, record in enumerate(run.records, start=1)
            if record.reset_reason
        ],
        'model': spec.name,
        'engine': run.engine,
        'device': run.device,
    }
    if scores is not None:
        document |= dict(scores)
        document['ground_truth'] = dict(truth or {})
    document['settings'] = asdict(settings)
    document['model_thresholds'] = asdict(spec.thresholds)
    document['environment'] = environment()
    return document


def environment() -> dict[str, str]:
    """Versions and machine, for people who compare figures."""
    versions = {'centertrack_ros': __version__, 'python': platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    versions['machine'] = f'{platform.system()} {platform.machine()}'
    versions['processor'] = _processor()
    versions['cores'] = str(len(os.sched_getaffinity(0)))
    return versions


def _processor() -> str:
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as stream:
            for line in stream:
                if line.startswith('model name'):
                    return line.partition(':')[2].strip()
    except OSError:
        pass
    return platform.processor() or 'unknown'
