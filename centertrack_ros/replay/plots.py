"""The plots of the report, as SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from centertrack_ros.drawing import track_color
from centertrack_ros.replay.evaluation import GroundTruth
from centertrack_ros.replay.records import FrameRecord, ReplayRun
from centertrack_ros.replay.sources import NANOSECONDS

WIDTH_INCHES = 9.0
INK = '#24292f'
GRID = '#e3e6ea'
MAIN_COLOR = '#1f6feb'
TRUTH_COLOR = '#d0d7de'
DROP_COLOR = '#cf222e'
# More ids than this get bars without a label each.
MAX_LABELS = 45


def image_times(records: Sequence[FrameRecord]) -> tuple[NDArray[np.float64], str]:
    """Position of each image on the time axis, and the name of that axis.

    Seconds from the first image; the image number where the stamps do not rise.
    """
    stamps = np.array([record.stamp_ns for record in records], dtype=np.int64)
    if len(stamps) > 1 and (np.diff(stamps) > 0).all():
        return (stamps - stamps[0]) / NANOSECONDS, 'time in the recording (s)'
    return np.arange(1, len(stamps) + 1, dtype=np.float64), 'image'


def timeline_svg(run: ReplayRun) -> str:
    """One bar per id over the images in which it was reported."""
    times, label = image_times(run.records)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    rows_by_id: dict[int, list[int]] = {}
    for row, record in enumerate(run.records):
        for track_id in record.tracks.ids.tolist():
            rows_by_id.setdefault(track_id, []).append(row)
    ids = sorted(rows_by_id)
    height = float(np.clip(0.9 + 0.17 * len(ids), 1.6, 9.0))
    figure, axes = _axes(height)
    for line, track_id in enumerate(ids):
        blue, green, red = track_color(track_id)
        spans = _runs(rows_by_id[track_id])
        axes.broken_barh(
            [(times[start], times[end] - times[start] + step) for start, end in spans],
            (line - 0.4, 0.8),
            facecolor=(red / 255, green / 255, blue / 255),
            linewidth=0,
        )
    if len(ids) <= MAX_LABELS:
        axes.set_yticks(range(len(ids)), [str(track_id) for track_id in ids], fontsize=7)
    axes.set_ylim(len(ids) - 0.4 if ids else 1, -0.6)
    axes.set_xlim(times[0], times[-1] + step)
    axes.set_xlabel(label)
    axes.set_ylabel('track id')
    return _svg(figure)


def object_counts(run: ReplayRun, truth: GroundTruth | None) -> tuple[list[int], list[int] | None]:
    """Tracks per image and objects in the ground truth, both of its class; all without one."""
    if truth is None:
        return [len(record.tracks) for record in run.records], None
    tracks = [len(record.boxes(truth.class_index)) for record in run.records]
    objects = [len(frame) for frame in truth.frames]
    return tracks, [*objects, *[0] * (len(tracks) - len(objects))]


def counts_svg(run: ReplayRun, truth: GroundTruth | None = None) -> str:
    """Tracks in each image, in front of what the ground truth says."""
    times, label = image_times(run.records)
    tracks, objects = object_counts(run, truth)
    figure, axes = _axes(2.3)
    if truth is not None and objects is not None:
        axes.fill_between(
            times, objects, step='post', color=TRUTH_COLOR, lw=0, label='ground truth'
        )
        name = f'tracks of class {truth.class_name}'
        axes.step(times, tracks, where='post', color=MAIN_COLOR, lw=1.2, label=name)
        axes.legend(frameon=False, fontsize=8, loc='upper right', ncols=2)
    else:
        axes.step(times, tracks, where='post', color=MAIN_COLOR, lw=1.2)
    axes.set_xlabel(label)
    axes.set_ylabel('objects')
    # Room for the legend above the highest count.
    axes.set_ylim(0, 1.25 * max([1, *tracks, *(objects or [])]))
    axes.margins(x=0)
    return _svg(figure)


def latency_svg(run: ReplayRun) -> str:
    """Latency of each image in its order, and how often which latency occurs."""
    times, label = image_times(run.records)
    latencies = run.latencies_ms()
    known = latencies[~np.isnan(latencies)]
    figure = Figure(figsize=(WIDTH_INCHES, 2.5), layout='constrained')
    over_time, histogram = figure.subplots(1, 2, width_ratios=(2, 1))
    for axes in (over_time, histogram):
        _style(axes)
    over_time.plot(times, latencies, color=MAIN_COLOR, lw=0.8)
    drops = times[np.isnan(latencies)]
    if len(drops):
        over_time.plot(
            drops,
            np.zeros(len(drops)),
            '|',
            color=DROP_COLOR,
            ms=9,
            label='dropped',
            clip_on=False,
        )
        over_time.legend(frameon=False, fontsize=8, loc='upper right')
    over_time.set_xlabel(label)
    over_time.set_ylabel('latency (ms)')
    over_time.set_ylim(bottom=0)
    over_time.margins(x=0)
    if len(known):
        # One late image must not press all others into a single bar.
        limit = max(float(np.percentile(known, 99)) * 1.25, 1e-3)
        histogram.hist(np.minimum(known, limit), bins=40, range=(0.0, limit), color=MAIN_COLOR)
        for percentile in (50, 95):
            histogram.axvline(np.percentile(known, percentile), color=INK, lw=0.9, ls='--')
    histogram.set_xlabel('latency (ms), p50 and p95 dashed')
    histogram.set_ylabel('images')
    return _svg(figure)


def _runs(rows: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    breaks = np.flatnonzero(np.diff(rows) != 1).tolist()
    starts = [rows[0], *[rows[i + 1] for i in breaks]]
    ends = [*[rows[i] for i in breaks], rows[-1]]
    return list(zip(starts, ends, strict=True))


def _axes(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH_INCHES, height), layout='constrained')
    axes = figure.subplots()
    _style(axes)
    return figure, axes


def _style(axes: Axes) -> None:
    axes.spines[['top', 'right']].set_visible(False)
    axes.spines[['left', 'bottom']].set_color(GRID)
    axes.tick_params(colors=INK, labelsize=8, length=0)
    axes.xaxis.label.set(color=INK, fontsize=8)
    axes.yaxis.label.set(color=INK, fontsize=8)
    axes.grid(color=GRID, lw=0.6)
    axes.set_axisbelow(True)


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format='svg', metadata={'Date': None})
    return stream.getvalue()
