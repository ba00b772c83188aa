"""`report.html`: one page with figures, plots and settings that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
from jinja2 import Environment

from centertrack_ros.datatypes import Image
from centertrack_ros.replay import plots
from centertrack_ros.replay.evaluation import GroundTruth
from centertrack_ros.replay.metrics import PERCENTAGES
from centertrack_ros.replay.records import ReplayRun
from centertrack_ros.replay.report_template import PAGE
from centertrack_ros.settings import FROM_MODEL, parameters

MEANINGS = {
    'HOTA': 'detection and association in balance, mean over overlaps of 0.05 to 0.95',
    'DetA': 'how well the boxes are found and placed',
    'AssA': 'how well each object keeps one id',
    'MOTA': '100 less the share of missed, false and switched boxes',
    'IDF1': 'share of boxes that carry the right id, one id per object',
    'IDSW': 'times an object changed its id',
    'Frag': 'times an object was lost and found again',
    'FP': 'boxes where there is no object',
    'FN': 'objects without a box',
}
JPEG_QUALITY = 88


def write_report(
    path: Path,
    run: ReplayRun,
    summary: Mapping[str, Any],
    *,
    sample: Image | None = None,
    sample_index: int = 0,
    truth: GroundTruth | None = None,
) -> None:
    """Write the page.

    Args:
        path: .html file.
        run: the replay.
        summary: the document of `metrics.json`.
        sample: (H, W, 3) uint8 BGR, an annotated image.
        sample_index: which one of the recording it is, from 0.
        truth: what the tracks were compared with.
    """
    # `cards` and the like come from file names and class names: nothing of it is HTML.
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(PAGE)
    html = page.render(
        summary=summary,
        cards=_cards(summary),
        metrics=_metric_rows(summary),
        joints=_joint_rows(summary.get('joints', {}).get('each', {})),
        stages=_stage_rows(summary['stage_ms']),
        settings=_setting_rows(summary['settings'], summary['model_thresholds']),
        sample=None if sample is None else _jpeg_address(sample),
        sample_number=sample_index + 1,
        plots={
            'timeline': _svg_address(plots.timeline_svg(run)),
            'counts': _svg_address(plots.counts_svg(run, truth)),
            'latency': _svg_address(plots.latency_svg(run)),
        },
    )
    path.write_text(html, encoding='utf-8')


def _cards(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    latency = summary['latency_ms']
    cards: list[dict[str, Any]] = [
        {'label': 'images', 'value': summary['frames']},
        {'label': 'tracks', 'value': summary['tracks']},
        {'label': 'images / s', 'value': f'{summary["fps"]:.1f}'},
    ]
    for name in ('p50', 'p95', 'p99'):
        value = '-' if latency[name] is None else f'{latency[name]:.1f} ms'
        cards.append({'label': f'latency {name}', 'value': value})
    dropped = summary['dropped']
    cards.append({'label': 'images dropped', 'value': dropped, 'bad': dropped > 0})
    if 'joints' in summary:
        joints = summary['joints']
        count = joints['visible_per_box']
        value = '-' if count is None else f'{count:.1f} of {len(joints["each"])}'
        cards.append({'label': 'joints visible', 'value': value})
    if 'boxes_3d' in summary:
        boxes = summary['boxes_3d']
        cards.append({'label': 'boxes in space', 'value': boxes, 'bad': boxes == 0})
    for name in ('HOTA', 'MOTA', 'IDF1'):
        if name in summary:
            cards.append({'label': name, 'value': f'{summary[name]:.1f}'})
    return cards


def _metric_rows(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {
            'name': name,
            'value': f'{summary[name]:.1f} %' if name in PERCENTAGES else f'{summary[name]}',
            'meaning': meaning,
        }
        for name, meaning in MEANINGS.items()
        if name in summary
    ]


def _joint_rows(each: Mapping[str, Mapping[str, float | None]]) -> list[dict[str, str]]:
    rows = []
    for name, figures in each.items():
        share, score = figures['visible'], figures['score']
        rows.append(
            {
                'name': name.replace('_', ' '),
                'share': '-' if share is None else f'{100 * share:.1f} %',
                'score': '-' if score is None else f'{score:.2f}',
                'width': f'{100 * (share or 0.0):.2f}',
            }
        )
    return rows


def _stage_rows(stage_ms: Mapping[str, float | None]) -> list[dict[str, Any]]:
    known = {stage: value for stage, value in stage_ms.items() if value is not None}
    total = sum(known.values())
    rows = []
    for stage, value in known.items():
        share = 100.0 * value / total if total else 0.0
        rows.append(
            {
                'name': stage,
                'value': f'{value:.2f} ms',
                'share': f'{share:.1f} %',
                'width': f'{share:.2f}',
            }
        )
    if known:
        rows.append({'name': 'sum', 'value': f'{total:.2f} ms', 'share': '', 'width': ''})
    return rows


def _setting_rows(
    settings: Mapping[str, Any], model_thresholds: Mapping[str, float]
) -> list[dict[str, Any]]:
    rows = []
    for row in parameters():
        value = settings[row.name]
        text = str(value)
        threshold = model_thresholds.get(row.name.removesuffix('_threshold'))
        if isinstance(value, tuple | list):
            text = ', '.join(map(str, value)) or 'all'
        elif threshold is not None and value == FROM_MODEL:
            text = f'{threshold:g} (from the model)'
        rows.append({'name': row.name, 'value': text, 'changed': value != row.default})
    return rows


def _jpeg_address(image: Image) -> str:
    encoded, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise ValueError('sample: OpenCV cannot write it as JPEG')
    return f'data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}'


def _svg_address(svg: str) -> str:
    return f'data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}'
