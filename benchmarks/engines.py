"""Model x engine x precision: speed, stages, memory, accuracy: `python -m benchmarks.engines`.

Each row is a process of its own, so that neither memory nor threads mix. They take turns with
the same images, so that what else the machine does meets all of them. A step goes from the
image to its tracks and, where there is ROS, their message. Ratios are frames per second against
ONNX Runtime in fp32 with the same model, which is always measured too.

    python -m benchmarks.engines --ground-truth gt.txt --json FILE
    python -m benchmarks.engines --models a.onnx b.onnx --engines pytorch tensorrt --device cuda
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.speed.arguments import (
    add_recording_arguments,
    check_files,
    positive,
    write_document,
)
from benchmarks.speed.figures import (
    machine,
    memory_figures,
    network_figures,
    speed_figures,
    stage_table,
    text_table,
)
from benchmarks.speed.protocol import Answer, Worker, WorkerError
from benchmarks.speed.turns import Outcome, speed_ratio, take_turns
from centertrack_ros.engines.files import PRECISIONS
from centertrack_ros.factory import find_model
from centertrack_ros.replay.progress import progress_bar
from centertrack_ros.replay.sources import Source, open_source
from centertrack_ros.settings import Settings

# What each can compute in, on some device.
_PRECISIONS_OF = {
    'onnxruntime': ('fp32', 'fp16', 'int8'),
    'openvino': ('fp32', 'bf16', 'int8'),
    'pytorch': ('fp32', 'fp16', 'bf16'),
    'tensorrt': ('fp32', 'fp16', 'int8'),
    'auto': ('auto', *PRECISIONS),
}
_COLUMNS = (
    'device', 'fps', 'p50_ms', 'p95_ms', 'ratio', 'network_ms', 'other_ms', 'other_percent',
    'memory_mib', 'growth_mib', 'load_s', 'hota',
)  # fmt: skip


@dataclass(frozen=True)
class Combination:
    """One row: what `Settings` call engine and precision."""

    engine: str
    precision: str


REFERENCE = Combination('onnxruntime', 'fp32')


def combinations(engines: Sequence[str], precisions: Sequence[str] | None) -> list[Combination]:
    """The rows to measure, the reference first.

    Args:
        engines: keys of `Settings.engine`.
        precisions: None = all that an engine can compute in, for engine `auto` its own choice.

    Raises:
        ValueError: none of the engines computes in any of the precisions.
    """
    found = [
        Combination(engine, precision)
        for engine in engines
        for precision in _PRECISIONS_OF[engine]
        if precision in (precisions or (('auto',) if engine == 'auto' else PRECISIONS))
    ]
    if not found:
        known = {engine: _PRECISIONS_OF[engine] for engine in engines}
        raise ValueError(f'--precisions: expected some of {known}, received {precisions}')
    return list(dict.fromkeys([REFERENCE, *found]))


def measure_model(
    model: str, wanted: Sequence[Combination], source: Source, options: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of one model, and those that cannot run here with the `reason`."""
    with ExitStack() as stack:
        workers: dict[Combination, Worker] = {}
        opened: dict[Combination, Answer] = {}
        errors: dict[Combination, str] = {}
        for row in wanted:
            worker = stack.enter_context(Worker('benchmarks.speed.tracking_worker'))
            try:
                opened[row] = worker.ask(
                    'open', settings=_settings(model, row, options), cameras=options.batch
                )
            except WorkerError as error:
                errors[row] = str(error)
                worker.close()
            else:
                workers[row] = worker
        if not workers:
            return [], _not_run(model, errors)
        images = min(options.limit or sys.maxsize, source.count or sys.maxsize)
        total = None if images == sys.maxsize else images
        with progress_bar(total, Path(model).stem) as bar:
            outcome = take_turns(workers, source, limit=options.limit, progress=bar.update)
        scores = {
            row: workers[row].ask('score', ground_truth=str(options.ground_truth.resolve()))
            for row in outcome.samples
            if options.ground_truth
        }
    rows = _rows(model, outcome, opened, scores, cameras=options.batch)
    return rows, _not_run(model, errors | outcome.errors)


def _settings(model: str, row: Combination, options: argparse.Namespace) -> dict[str, Any]:
    return {
        'model': model,
        'engine': row.engine,
        'precision': row.precision,
        'device': options.device,
        'threads': options.threads,
        'class_filter': options.classes,
    }


def _rows(
    model: str,
    outcome: Outcome[Combination],
    opened: dict[Combination, Answer],
    scores: dict[Combination, Answer],
    *,
    cameras: int,
) -> list[dict[str, Any]]:
    reference = outcome.samples.get(REFERENCE)
    rows = []
    for row, samples in outcome.samples.items():
        facts = opened[row]
        rows.append(
            {
                'model': Path(model).stem,
                'engine': row.engine,
                'precision': facts['precision'],
                'device': facts['device'],
                'name': facts['name'],
                **speed_figures(samples, cameras=cameras),
                'ratio': round(speed_ratio(samples, reference), 3) if reference else None,
                **network_figures(samples),
                **memory_figures(samples, facts['before_mib']),
                'load_s': round(facts['load_s'], 2),
                **(scores.get(row) or {'hota': None, 'mota': None, 'idf1': None}),
            }
        )
    return rows


def _not_run(model: str, errors: dict[Combination, str]) -> list[dict[str, Any]]:
    return [
        {
            'model': Path(model).stem,
            'engine': row.engine,
            'precision': row.precision,
            'reason': reason,
        }
        for row, reason in errors.items()
    ]


def print_tables(rows: Sequence[dict[str, Any]], not_run: Sequence[dict[str, Any]]) -> None:
    """All figures, the stages, and what is missing."""
    names = [f'{row["model"]} {row["engine"]} {row["precision"]}' for row in rows]
    if rows:
        lines = [
            [name, *(row[column] for column in _COLUMNS)]
            for name, row in zip(names, rows, strict=True)
        ]
        print(text_table(['', *_COLUMNS], lines), end='\n\n')
        stages = [row['stage_ms'] for row in rows]
        print(stage_table(list(zip(names, stages, strict=True))))
    for row in not_run:
        print(f'not run: {row["model"]} {row["engine"]} {row["precision"]}: {row["reason"]}')


def run(options: argparse.Namespace) -> None:
    """Measure, print and write.

    Raises:
        FileNotFoundError, ValueError, WorkerError: see what it calls; nothing could run.
    """
    wanted = combinations(options.engines, options.precisions)
    models = [find_model(model).resolve() for model in options.models]
    source = open_source(options.video)
    for model in models:
        check_files(options, source, model, options.classes)
    rows: list[dict[str, Any]] = []
    not_run: list[dict[str, Any]] = []
    for model in models:
        measured, missing = measure_model(str(model), wanted, source, options)
        rows += measured
        not_run += missing
    cameras = f', {options.batch} cameras' if options.batch > 1 else ''
    print(f'{source.description}{cameras}; ratio: times as fast as onnxruntime fp32')
    if options.ground_truth and options.limit:
        print(f'accuracy: on the first {options.limit} images only')
    print_tables(rows, not_run)
    document = {
        'benchmark': 'engines',
        'video': source.description,
        'cameras': options.batch,
        'threads': options.threads,
        'rows': rows,
        'not_run': not_run,
        'environment': machine(),
    }
    write_document(options.json, document)
    if not rows:
        raise WorkerError('none of the engines could run')


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; exit code 1 for what the user can put right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_recording_arguments(parser)
    parser.add_argument(
        '--models', nargs='+', default=[Settings().model], help='names or paths of .onnx files'
    )
    engines = [name for name in _PRECISIONS_OF if name != 'auto']
    parser.add_argument('--engines', nargs='+', default=engines, choices=list(_PRECISIONS_OF))
    parser.add_argument('--precisions', nargs='+', choices=['auto', *PRECISIONS])
    parser.add_argument('--device', default='auto', help='as the parameter of the node')
    parser.add_argument('--batch', type=positive, default=1, help='cameras with the same images')
    parser.add_argument('--classes', nargs='+', default=[], help='to track, default all')
    options = parser.parse_args(arguments)
    try:
        run(options)
    except (ValueError, FileNotFoundError, WorkerError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
