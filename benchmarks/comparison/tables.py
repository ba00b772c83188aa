"""The comparison as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.comparison.bootstrap import BOOTSTRAP_METRICS, CONFIDENCE, Interval
from benchmarks.comparison.rows import FIGURES, Results, Row, Scores
from benchmarks.comparison.sequences import LabelledSequence

HEADER = """\
HOTA to IDF1 in percent by TrackEval; IDSW = identity switches, Frag = fragments. AP50 and AP (0.5
to 0.95): of the detections that the tracker was given. tracker ms: the tracker alone, per image;
fps: images per second of the whole step, the network that made the detections included, for ours
and for peers. Rows `ours...` run the whole pipeline, whose prior heatmap depends on their tracks;
peers get the detections of the row named in brackets (`ours` if none is)."""

_FORMATS = {
    'IDSW': '{:.0f}',
    'Frag': '{:.0f}',
    'tracker_ms': '{:.2f}',
}
_TITLES = {'tracker_ms': 'tracker ms'}
_WIDTH = 6


def sequence_tables(
    rows: Sequence[Row], sequences: Sequence[LabelledSequence], results: Results
) -> str:
    """A table for each sequence and one of the means."""
    blocks = []
    for place, sequence in enumerate(sequences):
        count = len(rows[0].recordings[place])
        blocks.append(
            _table(
                f'{sequence.name} ({count} images, {sequence.source.fps:g} per second)',
                {row.title: results.scores[row.title][sequence.name] for row in rows},
            )
        )
    blocks.append(
        _table(
            f'mean of {len(sequences)} sequences (IDSW and Frag: sum)',
            {row.title: results.means[row.title] for row in rows},
        )
    )
    return '\n\n'.join(blocks)


def interval_tables(rows: Sequence[Row], results: Results) -> str:
    """Intervals of the means, and of the first row's lead over each other row."""
    first, others = rows[0].title, [row.title for row in rows[1:]]
    of_means = {
        row.title: [results.bootstrap.interval(row.title, name) for name in BOOTSTRAP_METRICS]
        for row in rows
    }
    share = f'{CONFIDENCE:.0%} intervals by bootstrap over tracks'
    blocks = [_interval_table(f'mean of all sequences, {share}', of_means, signed=False)]
    if others:
        leads = {
            title: [results.bootstrap.difference(first, title, name) for name in BOOTSTRAP_METRICS]
            for title in others
        }
        title = f'{first} less the row, {share}; * = excludes zero'
        blocks.append(_interval_table(title, leads, signed=True))
    return '\n\n'.join(blocks)


def document(
    rows: Sequence[Row],
    sequences: Sequence[LabelledSequence],
    results: Results,
    **more: Any,
) -> dict[str, Any]:
    """What the JSON file holds."""
    first = rows[0].title
    return {
        'benchmark': 'accuracy',
        **more,
        'sequences': {
            sequence.name: {
                'images': len(rows[0].recordings[place]),
                'fps': sequence.source.fps,
                'objects': sum(map(len, sequence.truth)),
            }
            for place, sequence in enumerate(sequences)
        },
        'rows': [
            {
                'title': row.title,
                'peer': row.is_peer,
                'parameters': dict(row.parameters),
                'mean': results.means[row.title],
                'sequences': results.scores[row.title],
                'intervals': {
                    name: _rounded(results.bootstrap.interval(row.title, name))
                    for name in BOOTSTRAP_METRICS
                },
                'lead_of_first': {
                    name: _rounded(results.bootstrap.difference(first, row.title, name))
                    for name in BOOTSTRAP_METRICS
                },
            }
            for row in rows
        ],
    }


def _table(title: str, scores: Mapping[str, Scores]) -> str:
    widest = max(map(len, scores))
    names = [_TITLES.get(name, name) for name in FIGURES]
    widths = [max(len(name), _WIDTH) for name in names]
    lines = [title, _line('', names, widest, widths)]
    for row, figures in scores.items():
        cells = [_FORMATS.get(name, '{:.1f}').format(figures[name]) for name in FIGURES]
        lines.append(_line(row, cells, widest, widths))
    return '\n'.join(lines)


def _interval_table(
    title: str, intervals: Mapping[str, Sequence[Interval]], *, signed: bool
) -> str:
    widest = max(map(len, intervals))
    value = '{:+.1f}' if signed else '{:.1f}'
    widths = [22] * len(BOOTSTRAP_METRICS)
    lines = [title, _line('', BOOTSTRAP_METRICS, widest, widths)]
    for row, found in intervals.items():
        cells = []
        for interval in found:
            mark = '*' if signed and interval.excludes_zero else ' '
            numbers = [value.format(number) for number in asdict(interval).values()]
            cells.append('{} [{}, {}]{}'.format(*numbers, mark))
        lines.append(_line(row, cells, widest, widths))
    return '\n'.join(lines)


def _line(title: str, cells: Sequence[str], widest: int, widths: Sequence[int]) -> str:
    columns = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
    return f'{title:<{widest}}  ' + '  '.join(columns)


def _rounded(interval: Interval) -> dict[str, float]:
    return {name: round(number, 3) for name, number in asdict(interval).items()}
