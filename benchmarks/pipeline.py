"""Time of each stage of the whole step on a video: `python -m benchmarks.pipeline`.

The project's aim: everything but the network takes at most 10 % of the whole step.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.arguments import DEFAULT_VIDEO
from benchmarks.speed.steps import MESSAGE, TimedStep
from centertrack_ros.factory import build_pipeline
from centertrack_ros.pipeline import STAGES, TrackingPipeline
from centertrack_ros.replay.evaluation import load_ground_truth
from centertrack_ros.replay.records import ReplayRun
from centertrack_ros.replay.sources import Source, open_source
from centertrack_ros.replay.summary import environment
from centertrack_ros.settings import Settings

WARM_UP_IMAGES = 5
AIM_PERCENT = 10.0


def measure(pipeline: TrackingPipeline, source: Source, limit: int) -> ReplayRun:
    """Run the loop over a recording; latencies and stages have the messages in them.

    Raises:
        ValueError: it has no images but those to warm up.
    """
    step = TimedStep([pipeline])
    images = islice(source, limit + WARM_UP_IMAGES) if limit else source
    records = [step(frame.image, frame.stamp_ns) for frame in images]
    if len(records) <= WARM_UP_IMAGES:
        raise ValueError(
            f'{source.description}: expected more than {WARM_UP_IMAGES} images, '
            f'received {len(records)}'
        )
    return ReplayRun('offline', records, 1.0, pipeline.engine.name, pipeline.engine.device, {})


def figures(run: ReplayRun) -> dict[str, Any]:
    """Medians per stage, the sum of all but the network's, and its share of the step."""
    rows = run.records[WARM_UP_IMAGES:]
    stage_ms = {
        stage: float(np.median([record.stage_ms[stage] for record in rows]))
        for stage in rows[0].stage_ms
    }
    others = sum(value for stage, value in stage_ms.items() if stage != 'network')
    whole_ms = [record.latency_ms or 0.0 for record in rows]
    return {
        'engine': run.engine,
        'device': run.device,
        'images': len(rows),
        'tracks_per_image': round(float(np.mean([len(record.tracks) for record in rows])), 2),
        'stage_ms': {stage: round(value, 3) for stage, value in stage_ms.items()},
        'others_ms': round(others, 3),
        'others_percent_of_step': round(100.0 * others / (others + stage_ms['network']), 2),
        'step_ms': round(float(np.median(whole_ms)), 3),
        'images_per_second': round(1e3 / float(np.mean(whole_ms)), 2),
    }


def print_table(results: list[dict[str, Any]], source: Source) -> None:
    """One column per engine."""
    names = [row['engine'] for row in results]
    widths = [max(len(name), 10) for name in names]

    def line(title: str, cells: list[str]) -> None:
        columns = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        print(f'{title:<26}' + '  '.join(columns))

    print(f'{source.description}, median milliseconds per image')
    line('', names)
    for stage in (*STAGES, MESSAGE):
        line(
            stage,
            [
                f'{row["stage_ms"][stage]:.3f}' if stage in row['stage_ms'] else 'no ROS'
                for row in results
            ],
        )
    line('all but the network', [f'{row["others_ms"]:.3f}' for row in results])
    line('  in % of the step', [f'{row["others_percent_of_step"]:.1f} %' for row in results])
    line('whole step and message', [f'{row["step_ms"]:.3f}' for row in results])
    line('images per second', [f'{row["images_per_second"]:.1f}' for row in results])
    line('tracks per image', [f'{row["tracks_per_image"]:.1f}' for row in results])
    if 'MOTA' in results[0]:
        for name in ('MOTA', 'IDF1', 'HOTA'):
            line(name, [f'{row[name]:.1f}' for row in results])


def main() -> int:
    """Command line; exit code 1 when an engine misses the aim."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--video', type=Path, default=DEFAULT_VIDEO, help='any replay input')
    parser.add_argument('--ground-truth', type=Path, help='MOT file of the whole video')
    parser.add_argument('--model', default=Settings().model)
    parser.add_argument(
        '--engine', '--engines', nargs='+', default=['auto'], help='one column for each'
    )
    parser.add_argument(
        '--precision', nargs='+', default=['auto'], help='of each engine, or one for all'
    )
    parser.add_argument('--threads', type=int, default=0, help='of the engine, 0 = all cores')
    parser.add_argument('--images', type=int, default=0, help='stop after so many, 0 = all')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures there')
    options = parser.parse_args()
    if len(options.precision) not in (1, len(options.engine)):
        parser.error(
            f'--precision: expected one or {len(options.engine)} values, as --engine has, '
            f'received {len(options.precision)}'
        )
    precisions = options.precision * (len(options.engine) // len(options.precision))
    if options.ground_truth and options.images:
        parser.error('--ground-truth needs the whole video: leave out --images')
    source = open_source(options.video)
    results = []
    for engine, precision in zip(options.engine, precisions, strict=True):
        settings = Settings.from_mapping(
            {'model': options.model, 'threads': options.threads}
            | {'engine': engine, 'precision': precision}
        )
        pipeline = build_pipeline(settings)
        run = measure(pipeline, source, options.images)
        result = figures(run)
        if options.ground_truth:
            truth = load_ground_truth(options.ground_truth, pipeline.spec.classes, ())
            result |= truth.score(run)
        pipeline.engine.close()
        results.append(result)
    print_table(results, source)
    if options.json:
        document = {
            'benchmark': 'pipeline',
            'video': source.description,
            'results': results,
            'environment': environment(),
        }
        options.json.write_text(json.dumps(document, indent=2) + '\n', encoding='utf-8')
    missed = [row for row in results if row['others_percent_of_step'] > AIM_PERCENT]
    return 1 if missed else 0


if __name__ == '__main__':
    sys.exit(main())
