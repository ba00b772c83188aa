"""What several tests share: the folders, a spec, and the shipped model."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# Before PyTorch is loaded: two workers with two threads each took three times as long.
if 'PYTEST_XDIST_WORKER' in os.environ:
    os.environ.setdefault('OMP_NUM_THREADS', '1')

import pytest

from centertrack_ros.engines.choices import Choice
from centertrack_ros.engines.selection import remember
from centertrack_ros.model_spec import ModelSpec, Thresholds
from training.conformance.runner import table_header

ROOT = Path(__file__).resolve().parent.parent
SHIPPED_MODEL = ROOT / 'models' / 'centertrack_mobilenetv3.onnx'


def pytest_configure():
    """One engine for all processes of a run: what is the fastest changes with the load.

    Settings whose engine is `auto` find ONNX Runtime in fp32 as if it had been measured.
    """
    if 'PYTEST_XDIST_WORKER' in os.environ:  # they share the folder of the process before them
        return
    folder = tempfile.mkdtemp(prefix='centertrack_ros-')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ['XDG_CACHE_HOME'] = folder
    for threads in (0, 1, 2):
        remember(SHIPPED_MODEL, Choice('onnxruntime', 'fp32', 'cpu', {}), threads=threads)


@pytest.fixture(scope='session')
def data_folder() -> Path:
    """Small recorded references, committed."""
    return ROOT / 'test' / 'data'


@pytest.fixture(scope='session')
def shared_folder() -> Path:
    """The reference material beside the checkout; tests that need it are skipped elsewhere."""
    folder = ROOT.parent / 'shared'
    if not folder.is_dir():
        pytest.skip('needs the reference material in ../shared, which is not part of a clone')
    return folder


@pytest.fixture(scope='session')
def model_path() -> Path:
    """The shipped default model."""
    return SHIPPED_MODEL


@pytest.fixture
def spec() -> ModelSpec:
    """A small valid spec."""
    return ModelSpec(
        name='small',
        architecture='mobilenetv3',
        input_height=96,
        input_width=160,
        resize='letterbox',
        stride=4,
        max_candidates=20,
        classes=('person', 'car'),
        heads={'hm': 2, 'ltrb': 4, 'reg': 2, 'tracking': 2},
        box='ltrb',
        radius_rule='centertrack',
        prior_heatmap_stride=4,
        thresholds=Thresholds(detection=0.2, track=0.4, birth=0.45, prior=0.3),
        licence='Apache-2.0',
    )


def pytest_terminal_summary(terminalreporter):
    """The table of the conformance tests, whichever process ran them."""
    reports = terminalreporter.getreports('passed') + terminalreporter.getreports('failed')
    lines = {  # the reduced set has cases of the full one: each is shown once
        tuple(line.split()[:2]): line
        for report in reports
        for name, value in report.user_properties
        if name == 'conformance' and report.when == 'call'
        for line in value
    }
    if lines:
        terminalreporter.section('against recordings of the original programs')
        terminalreporter.write_line(table_header())
        for line in sorted(lines.values()):
            terminalreporter.write_line(line)
    engines = [
        str(value)
        for report in reports
        for name, value in report.user_properties
        if name == 'engines' and report.when == 'call'
    ]
    if engines:
        terminalreporter.section('engines against PyTorch, on real frames')
        terminalreporter.write_line(
            'largest and mean difference of scores, boxes, offsets (pixels of the input); boxes '
            'off by more than 1 px; moved peaks; rows; images with the same ids'
        )
        for line in sorted(engines):
            terminalreporter.write_line(line)
