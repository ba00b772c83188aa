"""From what the children measured to rows of a table and of JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.turns import Samples
from centertrack_ros.engines.hardware import gpu_names
from centertrack_ros.replay.summary import environment

_DRIVER = Path('/proc/driver/nvidia/version')


def speed_figures(samples: Samples, *, cameras: int = 1) -> dict[str, Any]:
    """`fps` (images of all cameras), `p50_ms` and `p95_ms` of a step, and `objects`."""
    step_ms = samples.step_ms()
    median, high = np.percentile(step_ms, (50, 95))
    return {
        'fps': round(cameras * 1e3 / float(np.mean(step_ms)), 2),
        'p50_ms': round(float(median), 3),
        'p95_ms': round(float(high), 3),
        'images': len(step_ms),
        'objects': round(float(np.mean(samples.objects)), 2),
        'stage_ms': {
            stage: round(float(np.median(values)), 3) for stage, values in samples.stage_ms.items()
        },
    }


def network_figures(samples: Samples) -> dict[str, float]:
    """Medians of the network's time, of all else, and of its share of the step in percent."""
    network, step = np.array(samples.stage_ms['network']), np.array(samples.step_ms())
    return {
        'network_ms': round(float(np.median(network)), 3),
        'other_ms': round(float(np.median(step - network)), 3),
        'other_percent': round(float(np.median(100.0 * (step - network) / step)), 2),
    }


def memory_figures(samples: Samples, before_mib: float) -> dict[str, float]:
    """What the engine and the tracks added to the process, and the part after the first turn."""
    return {
        'memory_mib': round(samples.rss_mib[-1] - before_mib, 1),
        'growth_mib': round(samples.rss_mib[-1] - samples.rss_mib[0], 1),
    }


def machine() -> dict[str, str]:
    """Versions, processor and, where there is one, GPU with its driver."""
    facts = environment()
    if names := gpu_names():
        facts['gpu'] = ', '.join(names)
    if _DRIVER.is_file():
        facts['driver'] = _DRIVER.read_text(encoding='utf-8').splitlines()[0].strip()
    return facts


def text_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns of equal width; the first to the left, numbers to the right, None as `-`."""
    cells = [list(headings), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    return '\n'.join(
        '  '.join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def stage_table(rows: Sequence[tuple[str, Mapping[str, float]]]) -> str:
    """Median milliseconds of each stage, a line for each of `rows` (name, stages)."""
    stages = list(dict.fromkeys(stage for _, stage_ms in rows for stage in stage_ms))
    lines = [[name, *(stage_ms.get(stage) for stage in stages)] for name, stage_ms in rows]
    return text_table(['median ms', *stages], lines)


def _cell(value: object) -> str:
    if value is None:
        return '-'
    return f'{value:.2f}' if isinstance(value, float) else str(value)
