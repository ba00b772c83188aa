"""The numbers are those of the original programs, and the check of that can fail."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from training.conformance import __main__ as command
from training.conformance.runner import format_result, run_all
from training.conformance.vectors import Case, Vectors, compare, equal, same

TABLE = 'conformance'
ROOT = Path(__file__).resolve().parents[2]
REDUCED = ROOT / 'test' / 'data' / 'conformance'
FULL = ROOT.parent / 'shared' / 'conformance'


def _file_names(folder):
    """Globs over the cases of each file: one test for each, so that they run in parallel."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*.npz'))
    names = [file for file in files if '/inputs_' not in file]
    return [*names, *(['tracker.json'] if (folder / 'tracker.json').is_file() else [])]


def _check(folder, file, record_property):
    results = command.run(folder, f'{file}/*')
    # Shown at the end of the session, see conftest.py.
    record_property(TABLE, [format_result(result) for result in results])
    assert results
    assert [result for result in results if result.status != 'passed'] == []


@pytest.mark.parametrize('file', _file_names(REDUCED))
def test_reduced_set(file, record_property):
    _check(REDUCED, file, record_property)


@pytest.mark.skipif(not FULL.is_dir(), reason=f'the full set ({FULL}) is not on this machine')
@pytest.mark.parametrize('file', _file_names(FULL))
def test_full_set(file, record_property):
    _check(FULL, file, record_property)


# --- The runner itself, on vectors that are made up.


@pytest.fixture
def folder(tmp_path):
    np.savez(tmp_path / 'sums.npz', **{'one/in': [1.0, 2.0], 'one/out': [3.0]})
    manifest = {'sums.npz': {'one/in': [[2], 'f64'], 'one/out': [[1], 'f64']}}
    (tmp_path / 'arrays.json').write_text(json.dumps(manifest))
    return tmp_path


def _adapter(run=None, arrays=('one/in', 'one/out')):
    def cases(vectors):
        recorded = vectors.arrays('sums.npz')

        def add():
            return [equal('sum', [recorded['one/in'].sum()], recorded['one/out'])]

        return [Case('sums.npz', 'one', arrays, (lambda: run(recorded)) if run else add)]

    return SimpleNamespace(required_files=lambda vectors: ['sums.npz'], cases=cases)


def _run(folder, adapter, pattern='*'):
    return list(run_all(Vectors(folder), [adapter], pattern))


def test_all_well(folder):
    (result,) = _run(folder, _adapter())
    assert (result.file, result.case, result.status) == ('sums.npz', 'one', 'passed')


def test_a_wrong_result_fails_with_its_size(folder):
    def wrong(recorded):
        return [compare('sum', recorded['one/in'].sum() + 0.5, recorded['one/out'][0],
                        absolute=0.1)]  # fmt: skip

    (result,) = _run(folder, _adapter(wrong))
    assert (result.status, result.max_error, result.detail) == ('failed', 0.5, 'sum')
    assert result.share == pytest.approx(5.0)


def test_what_is_not_read_is_not_compared(folder):
    (result,) = _run(folder, _adapter(lambda recorded: [equal('x', recorded['one/in'], [1, 2])]))
    assert result.status == 'failed'
    assert "not compared: ['one/out']" in result.detail


def test_nothing_compared_is_a_failure(folder):
    (result,) = _run(folder, _adapter(lambda recorded: list(recorded.values()) and []))
    assert (result.status, result.detail) == ('failed', 'nothing was compared')


def test_an_exception_is_a_failure_with_its_place(folder):
    def broken(recorded):
        raise ZeroDivisionError('no')

    (result,) = _run(folder, _adapter(broken))
    assert result.status == 'failed'
    assert 'ZeroDivisionError: no (test_conformance.py:' in result.detail


def test_missing_array_and_missing_file(folder):
    np.savez(folder / 'sums.npz', **{'one/in': [1.0, 2.0]})
    found = {(result.case, result.status) for result in _run(folder, _adapter())}
    assert found == {('one', 'missing'), ('one/out', 'missing')}
    (folder / 'sums.npz').unlink()
    (result,) = _run(folder, _adapter())
    assert (result.file, result.status) == ('sums.npz', 'missing')


def test_the_list_of_arrays_and_notes_are_no_vectors(folder):
    (folder / 'arrays.json').unlink()
    (folder / 'LICENSE.txt').write_text('')
    assert [result.status for result in _run(folder, _adapter())] == ['passed']


def test_unknown_array_and_unknown_file(folder):
    (folder / 'others.json').write_text('{}')
    results = _run(folder, _adapter(arrays=('one/in',)))
    found = {(result.file, result.case, result.status) for result in results}
    assert ('others.json', '*', 'unknown') in found
    assert ('sums.npz', 'one/out', 'unknown') in found


def test_cases_can_be_chosen(folder):
    assert _run(folder, _adapter(), 'two') == []
    assert len(_run(folder, _adapter(), 'sums.npz/o*')) == 1
    assert len(_run(folder, _adapter(), 'one')) == 1


@pytest.mark.parametrize(
    ('received', 'expected', 'passes'),
    [
        ([1.0], [1.0], True),
        ([1.05], [1.0], True),
        ([1.2], [1.0], False),
        ([np.nan], [np.nan], True),
        ([np.nan], [1.0], False),
        ([np.inf], [1.0], False),
        ([np.inf], [np.inf], True),
        ([1.0, 1.0], [1.0], False),
        ([], [], True),
    ],
)
def test_comparison(received, expected, passes):
    assert (compare('x', received, expected, absolute=0.1).share <= 1) == passes


def test_comparison_without_tolerance_and_of_other_things():
    assert equal('x', [1, 2], [1, 2]).share == 0
    assert equal('x', [1, 2], [1, 3]).share == np.inf
    assert same('x', 'a', 'a').share == 0
    assert same('x', 'a', 'b').share == np.inf


def test_command_reports_and_fails(folder, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(command, 'load_adapters', lambda: [_adapter()])
    report = tmp_path.parent / 'report.json'
    monkeypatch.setattr(sys, 'argv', ['x', str(folder), '--json', str(report)])
    assert command.main() == 0
    assert '1 passed, 0 failed' in capsys.readouterr().out
    assert [row['status'] for row in json.loads(report.read_text())] == ['passed']
    (folder / 'others.npz').write_bytes(b'')
    assert command.main() == 1
    assert json.loads(report.read_text())[-1]['max_error'] is None
    monkeypatch.setattr(sys, 'argv', ['x', str(folder), '--case', 'nothing'])
    assert command.main() == 1
    assert "no case matches 'nothing'" in capsys.readouterr().err
    monkeypatch.setattr(sys, 'argv', ['x', str(folder / 'absent')])
    assert command.main() == 2
