"""Command line of `training.conformance`."""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path

from training.conformance.runner import Adapter, Result, format_result, run_all, table_header
from training.conformance.vectors import Vectors

ADAPTERS = ('geometry', 'dcn', 'losses', 'targets', 'preprocess', 'decode', 'softnms', 'tracker',
            'networks')  # fmt: skip


def load_adapters() -> list[Adapter]:
    """The modules beside this one that each know a file of vectors."""
    return [importlib.import_module(f'training.conformance.{name}') for name in ADAPTERS]


def run(folder: Path, pattern: str = '*') -> list[Result]:
    """Run the cases of `folder`, printing each line as it comes."""
    results = []
    print(table_header())
    for result in run_all(Vectors(folder), load_adapters(), pattern):
        print(format_result(result), flush=True)
        results.append(result)
    return results


def main() -> int:
    """Run all cases of a folder; exit code 1 if one fails, is missing or is unknown."""
    parser = argparse.ArgumentParser(
        prog='python -m training.conformance', description=main.__doc__
    )
    parser.add_argument('folder', type=Path, metavar='DIR')
    parser.add_argument('--case', default='*', metavar='GLOB', help='of FILE/CASE or of CASE')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the results there too')
    arguments = parser.parse_args()
    try:
        results = run(arguments.folder, arguments.case)
    except FileNotFoundError as error:
        print(f'training.conformance: {error}', file=sys.stderr)
        return 2
    if arguments.json is not None:
        rows = [asdict(result) for result in results]
        for row in rows:  # JSON has no infinity
            row |= {key: None for key in ('max_error', 'share') if not math.isfinite(row[key])}
        arguments.json.write_text(json.dumps(rows, indent=1) + '\n', encoding='utf-8')
    if not results:
        print(f'no case matches {arguments.case!r}', file=sys.stderr)
        return 1
    bad = [result for result in results if result.status != 'passed']
    counts = {status: sum(result.status == status for result in results)
              for status in ('passed', 'failed', 'missing', 'unknown')}  # fmt: skip
    seconds = sum(result.seconds for result in results)
    print(
        ', '.join(f'{count} {status}' for status, count in counts.items()), f'in {seconds:.0f} s'
    )
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
