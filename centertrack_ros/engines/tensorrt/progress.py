"""What TensorRT is busy with while it builds, said once every few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from centertrack_ros.engines.tensorrt.library import Library

Report = Callable[[str], None]
# Seconds between two lines about one phase.
_INTERVAL = 2.0


def progress_monitor(library: Library, report: Report) -> Any:
    """An `IProgressMonitor` that says through `report` which phase a build is in.

    Its attribute `failure` is what `report` raised, such as KeyboardInterrupt, as Python notices
    Ctrl-C nowhere else during a build. It ends the build; to raise it again is up to the caller.
    """

    class Monitor(library.module.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            library.module.IProgressMonitor.__init__(self)
            self.failure: BaseException | None = None
            self._lines = _Lines(report)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._guarded(self._lines.start, phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._guarded(self._lines.step, phase_name, step)
            return self.failure is None

        def phase_finish(self, phase_name: str) -> None:
            self._guarded(self._lines.finish, phase_name)

        def _guarded(self, line: Callable[..., None], *arguments: Any) -> None:
            # An exception must not reach the C++ caller, whatever it is.
            try:
                line(*arguments)
            except BaseException as error:
                self.failure = error

    return Monitor()


class _Lines:
    """Lines about the outermost phases; TensorRT calls from several threads."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._said = self._began
        self._steps: dict[str, int] = {}

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        if not parent:
            with self._lock:
                self._steps[phase] = steps
            self._say(f'{phase} ({steps} steps)')

    def step(self, phase: str, step: int) -> None:
        steps = self._steps.get(phase)
        if steps is not None and time.monotonic() - self._said >= _INTERVAL:
            self._say(f'{phase}: {step + 1} of {steps}')

    def finish(self, phase: str) -> None:
        with self._lock:
            known = self._steps.pop(phase, None)
        if known is not None:
            self._say(f'{phase}: done')

    def _say(self, text: str) -> None:
        with self._lock:
            self._said = time.monotonic()
            elapsed = self._said - self._began
        self._report(f'{elapsed:6.1f} s  {text}')
