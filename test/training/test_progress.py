"""The progress line in a terminal and in a log file."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from training.progress import ProgressLine, Speed, StepClock

SPEED = Speed(images_per_second=12.34, data_wait=0.056, seconds_per_step=2.0, steps=5)
TEXT = 'epoch 2/3  step 15/30  total 1.5  tracking 0.25  12.3 images/s  data wait 6 %  ETA 0:00:30'


def make_line(*, terminal):
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=160, color_system=None)
    return output, ProgressLine(30, 10, console=console)


def test_a_log_file_gets_a_line_per_report():
    output, line = make_line(terminal=False)
    with line:
        line.advance(14)
        line.report(15, {'hm': 9.0, 'tracking': 0.25, 'total': 1.5}, SPEED)
        line.say('[bold] stays as it is')
    assert output.getvalue() == f'{TEXT}\n[bold] stays as it is\n'


def test_a_terminal_gets_one_live_line():
    output, line = make_line(terminal=True)
    with line:
        line.report(15, {'tracking': 0.25, 'total': 1.5}, SPEED)
        line.say('validation')
    written = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', output.getvalue())
    assert TEXT in written
    assert 'validation\n' in written
    assert '\x1b[' in output.getvalue()  # it goes back to the line that it wrote


def test_the_clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr('time.perf_counter', lambda: now[0])
    clock = StepClock(batch_size=8)
    for _ in range(4):
        now[0] += 0.5
        clock.waited(0.1)
        clock.stepped()
    speed = clock.speed()
    assert speed.images_per_second == pytest.approx(16)
    assert speed.data_wait == pytest.approx(0.2)
    assert (speed.seconds_per_step, speed.steps) == (pytest.approx(0.5), 4)
    now[0] += 60  # a validation
    clock.restart()
    now[0] += 1.0
    clock.stepped()
    assert clock.speed().images_per_second == pytest.approx(8)
