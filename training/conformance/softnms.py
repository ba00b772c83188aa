"""softnms.npz, softnms.json: suppression of double detections.

| original (`src/lib/external/nms.pyx`) | in `training.soft_nms` |
|---|---|
| `soft_nms`, `soft_nms_39` | `soft_nms`, for any number of columns; returns new rows |
| `nms` | `nms` |

The original changes the array that it is given and returns 0 .. n - 1. The rows behind the
first n are compared too, as CenterNet's detectors go on with all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from training.conformance.vectors import (
    Arrays,
    Case,
    Comparison,
    Vectors,
    compare,
    equal,
    owned,
    same,
)
from training.soft_nms import SoftRule, nms, soft_nms

FILE = 'softnms.npz'
OPTIONS = 'softnms.json'
# Number of the method in the original.
RULES: tuple[SoftRule, ...] = ('hard', 'linear', 'gaussian')


def required_files(vectors: Vectors) -> Sequence[str]:
    """Arrays, and the options of each call."""
    return [FILE, OPTIONS]


def cases(vectors: Vectors) -> Iterable[Case]:
    """One case per call."""
    arrays = vectors.arrays(FILE)
    for name, options in vectors.document(OPTIONS).items():
        run = _hard if options['function'] == 'nms' else _soft
        yield Case(FILE, name, owned(arrays, name), partial(run, arrays, name, options))


def _soft(arrays: Arrays, name: str, options: dict[str, Any]) -> Iterator[Comparison]:
    columns = {'soft_nms': 5, 'soft_nms_39': 39}[options['function']]
    rows, kept = soft_nms(
        arrays[f'{name}/in'],
        RULES[options['method']],
        sigma=options['sigma'],
        overlap_threshold=options['Nt'],
        score_threshold=options['threshold'],
    )
    yield same('columns', rows.shape[1], columns)
    yield equal('num_keep', kept, arrays[f'{name}/num_keep'])
    yield compare('out', rows, arrays[f'{name}/out'], absolute=1e-6)


def _hard(arrays: Arrays, name: str, options: dict[str, Any]) -> Iterator[Comparison]:
    kept = nms(arrays[f'{name}/in'], options['thresh'])
    yield equal('keep', kept, arrays[f'{name}/keep'])
