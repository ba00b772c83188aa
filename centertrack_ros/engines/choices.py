"""Which engine was the fastest, remembered between starts in the user's cache folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from centertrack_ros.files import cache_folder, write_atomically

_LOGGER = logging.getLogger(__name__)
_FORMAT = 1
_MOST_CHOICES = 100


@dataclass(frozen=True)
class Choice:
    """The fastest of some engines.

    Attributes:
        engine, precision, device: what `engines.building.build_engine` takes.
        milliseconds: of all that were measured, by their names; empty where one was told.
    """

    engine: str
    precision: str
    device: str
    milliseconds: Mapping[str, float]


def cache_file() -> Path:
    """Where choices are kept."""
    return cache_folder() / 'engines.json'


def load_choice(question: str, conditions: Mapping[str, str]) -> Choice | None:
    """The answer to `question`, if it was given under the same conditions; says why not.

    Args:
        question: what was asked for: model, device, precision, threads.
        conditions: what the answer depends on beside: libraries, processors, files.
    """
    entry = _read().get(question)
    if entry is None:
        return None
    try:
        known = dict(entry['conditions'])
        choice = Choice(
            str(entry['engine']),
            str(entry['precision']),
            str(entry['device']),
            {str(name): float(value) for name, value in entry['milliseconds'].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        _LOGGER.warning('%s holds no valid choice (%r): measured again', cache_file(), error)
        return None
    if changes := _changes(known, conditions):
        _LOGGER.info('engine auto: measured again, since %s', '; '.join(changes))
        return None
    return choice


def save_choice(question: str, conditions: Mapping[str, str], choice: Choice) -> None:
    """Remember `choice`; where that is not possible, say so."""
    choices = _read()
    choices.pop(question, None)
    # The oldest make room.
    for old in list(choices)[: max(0, len(choices) + 1 - _MOST_CHOICES)]:
        del choices[old]
    choices[question] = {'conditions': dict(conditions), **asdict(choice)}
    text = json.dumps({'format': _FORMAT, 'choices': choices}, indent=1)
    try:
        write_atomically(cache_file(), text)
    except OSError as error:
        _LOGGER.warning('engine auto is measured at every start: %s', error)


def _changes(known: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [
        f'{name} is {now.get(name, "missing")} and was {known.get(name, "missing")}'
        for name in sorted({*known, *now})
        if known.get(name) != now.get(name)
    ]


def _read() -> dict[str, Any]:
    path = cache_file()
    try:
        document = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _LOGGER.warning('%s cannot be read (%s): measured again', path, error)
        return {}
    if not isinstance(document, dict) or document.get('format') != _FORMAT:
        _LOGGER.warning('%s is not of format %d: measured again', path, _FORMAT)
        return {}
    choices = document.get('choices')
    return dict(choices) if isinstance(choices, dict) else {}
