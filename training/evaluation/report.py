"""The report of an evaluation: JSON for programs, Markdown and a table for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from centertrack_ros.files import write_atomically
from centertrack_ros.replay.metrics import COUNTS, PERCENTAGES
from training.evaluation.pose_tracking import JOINT_PERCENTAGES
from training.evaluation.scores import Scores

JSON_FILE = 'metrics.json'
MARKDOWN_FILE = 'report.md'
_ALL = 'all'
_UNDEFINED = '-'
# Of a table that fits a narrow terminal.
_MOST_COLUMNS = 5


def unit_of(metric: str) -> str:
    """Unit of a metric by its name; shares are from 0 to 1."""
    kind = metric.rpartition('_')[2]
    if kind in PERCENTAGES or metric in JOINT_PERCENTAGES:
        return 'percent'
    if kind in COUNTS:
        return 'count'
    return {'m': 'metres', 'deg': 'degrees'}.get(kind, 'share')


@dataclass(frozen=True)
class SetReport:
    """One set.

    Attributes:
        name: of the set, and of its folder of result files.
        annotations: path of its file.
        images: how many.
        seconds: in the pipeline or, at several scales, in their detection; without reading the
            pictures and computing metrics.
        scores: all metrics.
        resets: how often the tracker started anew within a video, for example because two images
            lie further apart than its `max_gap`.
    """

    name: str
    annotations: str
    images: int
    seconds: float
    scores: Scores
    resets: int = 0

    @property
    def images_per_second(self) -> float:
        """How fast the model ran."""
        return round(self.images / max(self.seconds, 1e-9), 2)


@dataclass(frozen=True)
class Report:
    """A whole evaluation.

    Attributes:
        model: name in the ModelSpec.
        file: of the model.
        engine, device: what ran it, where.
        commit: of the code.
        options: what was asked for, by name.
        sets: what was measured.
    """

    model: str
    file: str
    engine: str
    device: str
    commit: str
    options: Mapping[str, Any]
    sets: Sequence[SetReport]

    def to_dict(self) -> dict[str, Any]:
        """The content of the JSON file."""
        head = {name: value for name, value in vars(self).items() if name != 'sets'}
        return head | {
            'sets': {
                entry.name: {
                    'annotations': entry.annotations,
                    'images': entry.images,
                    'images_per_second': entry.images_per_second,
                    'tracker_resets': entry.resets,
                    'units': {name: unit_of(name) for name in _metrics(entry.scores)},
                    'metrics': dict(entry.scores.overall),
                    'classes': {name: dict(row) for name, row in entry.scores.classes.items()},
                }
                for entry in self.sets
            }
        }

    def to_markdown(self) -> str:
        """Markdown: what was run, and a table for each set."""
        lines = [f'# {self.model}', '', f'- model: `{self.file}`']
        lines += [f'- engine: {self.engine} on {self.device}', f'- commit: {self.commit}']
        lines += [f'- {name}: {value}' for name, value in self.options.items()]
        for entry in self.sets:
            header, rows = _table(entry.scores)
            lines += ['', f'## {entry.name}', '']
            lines += [f'`{entry.annotations}`: {_size(entry)}. {_units(entry.scores)}']
            if len(header) > 1:
                lines += ['', _markdown_row(header), _markdown_row(['---'] * len(header))]
                lines += map(_markdown_row, rows)
        return '\n'.join(lines) + '\n'

    def write(self, folder: Path) -> None:
        """Write both files, each whole or not at all."""
        document = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        write_atomically(folder / JSON_FILE, document + '\n')
        write_atomically(folder / MARKDOWN_FILE, self.to_markdown())

    def show(self, console: Console) -> None:
        """Print a table for each set: metrics below each other, with few classes also theirs."""
        for entry in self.sets:
            header, rows = _table(entry.scores)
            shown = rows if 2 <= len(rows) <= _MOST_COLUMNS else rows[:1]
            table = Table()
            for index, name in enumerate(['metric', *(row[0] for row in shown)]):
                table.add_column(name, justify='right' if index else 'left')
            for column, metric in enumerate(header[1:], start=1):
                values = [row[column] for row in shown]
                if set(values) != {_UNDEFINED}:
                    table.add_row(metric, *values)
            console.print(f'{self.model} on {entry.name}: {_size(entry)}', soft_wrap=True)
            if table.row_count:
                console.print(table)
            console.print(_units(entry.scores), soft_wrap=True)


def _size(entry: SetReport) -> str:
    text = f'{entry.images} images, {entry.images_per_second:g} per second'
    if not entry.resets:
        return text
    return f'{text}, tracker reset {entry.resets} times within videos (see max_gap)'


def _table(scores: Scores) -> tuple[list[str], list[list[str]]]:
    """Header, and a row for all classes and each one: metrics side by side."""
    metrics = _metrics(scores)
    rows = [[_ALL, *(_text(name, scores.overall.get(name)) for name in metrics)]]
    for class_name, values in scores.classes.items():
        rows.append([class_name, *(_text(name, values.get(name)) for name in metrics)])
    return ['class', *metrics], rows


def _metrics(scores: Scores) -> list[str]:
    """Names of all metrics, those over all classes first."""
    of_classes = (name for values in scores.classes.values() for name in values)
    return list(dict.fromkeys([*scores.overall, *of_classes]))


def _units(scores: Scores) -> str:
    """A sentence for people: what is no share is named."""
    metrics = _metrics(scores)
    if not metrics:
        return 'No metrics: the set has no labelled object.'
    groups: dict[str, list[str]] = {}
    for name in metrics:
        groups.setdefault(unit_of(name), []).append(name)
    shares = groups.pop('share', [])
    parts = [f'{unit}: {", ".join(names)}' for unit, names in groups.items()]
    if shares:
        parts.append('shares from 0 to 1: ' + ('all others' if parts else 'all'))
    return f'Units: {"; ".join(parts)}.'


def _text(name: str, value: float | None) -> str:
    if value is None:
        return _UNDEFINED
    digits = {'count': 0, 'percent': 1}.get(unit_of(name), 3)
    return f'{value:.{digits}f}'


def _markdown_row(cells: Sequence[str]) -> str:
    return f'| {" | ".join(cells)} |'
