"""`metrics.json`: all figures of a replay, and what they were measured with."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from typing import Any

import numpy as np

from centertrack_ros import __version__
from centertrack_ros.engines.hardware import core_count, processor_name
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.pipeline import STAGES
from centertrack_ros.replay.output import MADE_BY
from centertrack_ros.replay.records import FrameRecord, ReplayRun
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
    if spec.joints:
        document['joints'] = joint_figures(run.records, spec.joints)
    if spec.has_boxes_3d:
        document['boxes_3d'] = run.boxes_3d_count
        document['camera'] = run.camera
    if scores is not None:
        document |= dict(scores)
        document['ground_truth'] = dict(truth or {})
    document['settings'] = asdict(settings)
    document['model_thresholds'] = asdict(spec.thresholds)
    document['environment'] = environment()
    return document


def joint_figures(records: Sequence[FrameRecord], names: Sequence[str]) -> dict[str, Any]:
    """How often the joints were visible.

    Args:
        records: the replay.
        names: of the joints.

    Returns:
        `visible_per_box`, mean number of visible joints of a box, and `each`: name -> `visible`,
        share of the boxes in which it was, and `score`, its mean there; None where there is no
        such box.
    """
    known = [record.joints for record in records if record.joints is not None]
    none = np.zeros((0, len(names)), np.float32)
    visible = np.concatenate([none > 0, *(joints.visible for joints in known)])
    scores = np.concatenate([none, *(joints.scores for joints in known)]).astype(np.float64)
    counts = visible.sum(axis=0)
    sums = np.where(visible, scores, 0).sum(axis=0)
    each = {}
    for name, count, total in zip(names, counts.tolist(), sums.tolist(), strict=True):
        share = round(count / len(visible), 4) if len(visible) else None
        each[name] = {'visible': share, 'score': round(total / count, 4) if count else None}
    per_box = round(float(counts.sum() / len(visible)), 2) if len(visible) else None
    return {'visible_per_box': per_box, 'each': each}


def environment() -> dict[str, str]:
    """Versions and machine, for people who compare figures."""
    versions = {'centertrack_ros': __version__, 'python': platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    versions['machine'] = f'{platform.system()} {platform.machine()}'
    versions['processor'] = processor_name()
    versions['cores'] = str(core_count())
    return versions
