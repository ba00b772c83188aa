"""Runs cases, finds what is missing and what nobody knows, prints the table."""

from __future__ import annotations

import fnmatch
import math
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from training.conformance.vectors import MANIFEST, Case, NotRecorded, Vectors


class Adapter(Protocol):
    """A module that knows one file of vectors, and the files that belong to it."""

    def required_files(self, vectors: Vectors) -> Sequence[str]:
        """Files that it reads, there or not."""

    def cases(self, vectors: Vectors) -> Iterable[Case]:
        """All cases of its files."""


@dataclass(frozen=True)
class Result:
    """What became of one case.

    Attributes:
        file, case: where it comes from.
        status: `missing`: something that should have been recorded is not there; `unknown`:
            something is there that no adapter knows.
        max_error: largest difference of all comparisons.
        share: largest difference as a share of what is allowed.
        detail: worst comparison, or the reason.
        seconds: time it took.
    """

    file: str
    case: str
    status: Literal['passed', 'failed', 'missing', 'unknown']
    max_error: float
    share: float
    detail: str
    seconds: float = 0.0


def run_all(vectors: Vectors, adapters: Sequence[Adapter], pattern: str) -> Iterator[Result]:
    """Results of every case that `pattern` names, as they come.

    Args:
        vectors: the folder.
        adapters: those who know its files.
        pattern: glob over `file/case` or over `case` alone.
    """
    files = set(vectors.files())
    required = {name for adapter in adapters for name in adapter.required_files(vectors)}
    found: list[Result] = [
        Result(file, '*', 'missing', math.inf, math.inf, 'no such file')
        for file in sorted(required - files)
    ]
    found += [
        Result(file, '*', 'unknown', math.inf, math.inf, 'no adapter knows this file')
        for file in sorted(files - required)
    ]
    found += _not_recorded(vectors, files)
    for adapter in adapters:
        known: dict[str, set[str]] = {}
        for case in _cases(adapter, vectors):
            known.setdefault(case.file, set()).update(case.arrays)
            for file, name in case.other_arrays:
                known.setdefault(file, set()).add(name)
            if _wanted(case.file, case.name, pattern):
                yield run_case(vectors, case)
        for file in adapter.required_files(vectors):
            if not file.endswith('.npz') or file not in files:
                continue
            for name in sorted(set(vectors.arrays(file)) - known.get(file, set())):
                detail = 'no case knows this array'
                found.append(Result(file, name, 'unknown', math.inf, math.inf, detail))
    yield from (result for result in found if _wanted(result.file, result.case, pattern))


def run_case(vectors: Vectors, case: Case) -> Result:
    """Run one case; whatever it raises is its result."""
    start = time.perf_counter()
    arrays = vectors.arrays(case.file) if case.file.endswith('.npz') else None
    try:
        comparisons = list(case.run())
    except NotRecorded as error:
        detail = f'not recorded: {error}'
        return Result(case.file, case.name, 'missing', math.inf, math.inf, detail)
    except Exception as error:  # a broken case must not hide the others
        detail = f'{type(error).__name__}: {error} ({_place(error)})'
        return Result(case.file, case.name, 'failed', math.inf, math.inf, detail)
    unread = [name for name in case.arrays if arrays is not None and name not in arrays.read]
    seconds = time.perf_counter() - start
    if unread or not comparisons:
        detail = f'not compared: {unread[:5]}' if unread else 'nothing was compared'
        return Result(case.file, case.name, 'failed', math.inf, math.inf, detail, seconds)
    worst = max(comparisons, key=lambda comparison: comparison.share)
    error = max(comparison.error for comparison in comparisons)
    status: Literal['passed', 'failed'] = 'passed' if worst.share <= 1 else 'failed'
    return Result(case.file, case.name, status, error, worst.share, worst.name, seconds)


def format_result(result: Result) -> str:
    """One line of the table."""
    if result.status == 'passed':
        outcome = f'{result.seconds:7.1f}  passed'
    else:
        outcome = f'{result.seconds:7.1f}  {result.status.upper()}: {result.detail}'
    return (
        f'{result.file:44s} {result.case:44s} '
        f'{result.max_error:10.2e} {result.share:9.2e} {outcome}'
    )


def table_header() -> str:
    """First line of the table."""
    return f'{"file":44s} {"case":44s} {"max error":>10s} {"/allowed":>9s} {"seconds":>7s}'


def _cases(adapter: Adapter, vectors: Vectors) -> list[Case]:
    """Cases of an adapter; none where a file that it cannot do without is missing."""
    try:
        return list(adapter.cases(vectors))
    except FileNotFoundError:
        return []


def _not_recorded(vectors: Vectors, files: set[str]) -> list[Result]:
    """Arrays that the folder's own list, if it has one, names and its files do not hold."""
    if not (vectors.folder / MANIFEST).is_file():
        return []
    results = []
    for file, arrays in vectors.document(MANIFEST).items():
        # A missing file is reported as such, not array by array.
        absent = sorted(set(arrays) - set(vectors.arrays(file))) if file in files else []
        results += [
            Result(file, name, 'missing', math.inf, math.inf, 'array not recorded')
            for name in absent
        ]
    return results


def _wanted(file: str, case: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(case, pattern) or fnmatch.fnmatchcase(f'{file}/{case}', pattern)


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f'{frame.filename.rsplit("/", 1)[-1]}:{frame.lineno}'
