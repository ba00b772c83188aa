"""How far the training is, for the people who wait: a live line, or plain lines in a log file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

# Terms that the line has room for.
_SHOWN_TERMS = ('total', 'tracking')


@dataclass(frozen=True)
class Speed:
    """How fast the steps since the last look were.

    Attributes:
        images_per_second: of all processes together.
        data_wait: share of the time in which the step waited for data.
        seconds_per_step: of time that passed.
        steps: how many.
    """

    images_per_second: float
    data_wait: float
    seconds_per_step: float
    steps: int


class StepClock:
    """Measures steps, and how long they wait for data.

    Args:
        batch_size: images per step, of all processes together.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self.restart()

    def restart(self) -> None:
        """Forget the time so far, such as that of a validation."""
        self._start = time.perf_counter()
        self._waited = 0.0
        self._steps = 0

    def waited(self, seconds: float) -> None:
        """A batch has come after `seconds`."""
        self._waited += seconds

    def stepped(self) -> None:
        """A step is done."""
        self._steps += 1

    def speed(self) -> Speed:
        """Of the steps since the last call or restart."""
        elapsed = max(time.perf_counter() - self._start, 1e-9)
        steps = max(self._steps, 1)
        rate = steps * self._batch_size / elapsed
        speed = Speed(rate, self._waited / elapsed, elapsed / steps, steps)
        self.restart()
        return speed


class ProgressLine:
    """One live line in a terminal; elsewhere a line per report. A context that ends the line.

    Args:
        total_steps: length of the training.
        steps_per_epoch: of them.
        console: where to write.
        quiet: write nothing, as in all processes but the first.
    """

    def __init__(
        self,
        total_steps: int,
        steps_per_epoch: int,
        *,
        console: Console | None = None,
        quiet: bool = False,
    ) -> None:
        self._console = console or Console(quiet=quiet)
        self._total = total_steps
        self._steps_per_epoch = steps_per_epoch
        self._line: Progress | None = None
        if self._console.is_terminal and not quiet:
            self._line = Progress(
                TextColumn('{task.description}'), BarColumn(bar_width=24), console=self._console
            )
            self._task = self._line.add_task('', total=total_steps)

    def __enter__(self) -> ProgressLine:
        if self._line:
            self._line.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._line:
            self._line.stop()

    def report(self, step: int, terms: Mapping[str, float], speed: Speed) -> None:
        """After `step` finished steps: losses, speed, time that is left."""
        epoch = -(-step // self._steps_per_epoch)
        left = timedelta(seconds=round((self._total - step) * speed.seconds_per_step))
        losses = '  '.join(f'{name} {terms[name]:.4g}' for name in _SHOWN_TERMS if name in terms)
        text = (
            f'epoch {epoch}/{self._total // self._steps_per_epoch}  step {step}/{self._total}  '
            f'{losses}  {speed.images_per_second:.1f} images/s  '
            f'data wait {100 * speed.data_wait:.0f} %  ETA {left}'
        )
        if self._line:
            self._line.update(self._task, completed=step, description=text)
        else:
            self.say(text)

    def advance(self, step: int) -> None:
        """Move the bar; nothing in a log file."""
        if self._line:
            self._line.update(self._task, completed=step)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
