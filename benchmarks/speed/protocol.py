"""Questions to a child process and its answers, one JSON object a line.

Only the standard library: children may run in environments of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_END_TIMEOUT = 10.0
_SHOWN_CHARACTERS = 1500

Answer = dict[str, Any]


class WorkerError(Exception):
    """A child process could not do what it was asked for; the message is the reason."""


class Worker:
    """A child process that answers one question at a time.

    Leave its `with` block to end it; it ends by itself where this process dies.
    """

    def __init__(
        self,
        module: str,
        *,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it.

        Args:
            module: of this repository; it calls `serve`.
            python: interpreter of the environment to run it in.
            environment: variables beside those of this process.
        """
        # A file, since nobody reads a pipe while the child works; shown where it ends badly.
        self._log = tempfile.TemporaryFile('w+', encoding='utf-8', errors='replace')  # noqa: SIM115
        self._process = subprocess.Popen(
            [python, '-m', module],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            encoding='utf-8',
        )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, command: str, **arguments: Any) -> Answer:
        """Ask and wait for the answer.

        Args:
            command: name of a handler of the child.
            arguments: what JSON can hold; passed to the handler.

        Raises:
            WorkerError: the handler failed, or the process ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({'command': command, **arguments}) + '\n')
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(self._last_words()) from None
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(self._last_words())
        answer: Answer = json.loads(line)
        if 'error' in answer:
            raise WorkerError(answer['error'])
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            try:
                self._process.communicate(timeout=_END_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()
        self._log.close()

    def __enter__(self) -> Worker:
        """The worker itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process."""
        self.close()

    def _last_words(self) -> str:
        self._process.wait()
        self._log.seek(0)
        text = self._log.read()[-_SHOWN_CHARACTERS:].strip()
        return f'process ended with code {self._process.returncode}: {text or "it said nothing"}'


def serve(
    handlers: Mapping[str, Callable[..., Answer]], expected: Sequence[type[Exception]]
) -> None:
    """Answer the questions on standard input until it ends.

    Whatever else is printed goes to standard error, that of C libraries too.

    Args:
        handlers: by command, called with the arguments of the question.
        expected: errors that are reasons for people; others end the process.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), 'w', encoding='utf-8')
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = handlers[question.pop('command')](**question)
        except tuple(expected) as error:
            answer = {'error': str(error)}
        answers.write(json.dumps(answer) + '\n')
        answers.flush()
