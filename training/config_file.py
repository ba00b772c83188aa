"""Reads training configurations: a YAML file, the file it is based on, `key=value` overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from training.config import TrainConfig
from training.losses import check_loss_weights
from training.selection import LOSS

_CONFIG = TypeAdapter(TrainConfig)


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a YAML file and apply overrides such as `loop.epochs=10` or `losses.tracking=2`.

    The key `base` names another file, relative to this one, whose values hold where this one
    says nothing; mappings are merged, lists are replaced.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no YAML, or a key is unknown, missing or of the wrong type.
    """
    values = _merged_file(Path(path), ())
    for override in overrides:
        key, separator, text = override.partition('=')
        if not separator:
            raise ValueError(f'override: expected key=value, received {override!r}')
        values = _merged(values, _nested(key.split('.'), _parsed(text, override)))
    try:
        config = _CONFIG.validate_python(values)
        _check(config)
        return config
    except ValidationError as error:
        raise ValueError('\n'.join([f'{path}:', *map(_line, error.errors())])) from error
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error


def _check(config: TrainConfig) -> None:
    """Make sure that values fit each other.

    Raises:
        ValueError: otherwise.
    """
    check_loss_weights(config.losses)
    if config.compat and config.losses.get('giou', 0) > 0:
        raise ValueError('losses.giou: the original has no such loss; set compat to false')
    optimisation, loop = config.optimisation, config.loop
    if optimisation.schedule == 'step':
        late = [epoch for epoch in optimisation.milestones if epoch >= loop.epochs]
        if late or not optimisation.milestones:
            raise ValueError(
                'optimisation.milestones: the schedule `step` expects epochs from 1 to '
                f'{loop.epochs - 1}, before the last of loop.epochs, '
                f'received {list(optimisation.milestones)}'
            )
    if not loop.metric.startswith(LOSS) and not config.data.validation:
        raise ValueError(
            f'loop.metric: {loop.metric!r} is measured on the sets of data.validation, and there '
            'are none; name some, or choose loss'
        )


def _merged_file(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f'configuration {path} does not exist')
    if path.resolve() in above:
        raise ValueError(f'{path}: base: the file is based on itself')
    values = _parsed(path.read_text(encoding='utf-8'), str(path))
    if not isinstance(values, dict):
        raise ValueError(f'{path}: expected a mapping, received {type(values).__name__}')
    base = values.pop('base', None)
    if base is None:
        return values
    return _merged(_merged_file(path.parent / base, (*above, path.resolve())), values)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(old, value) if both else value
    return merged


def _nested(keys: Sequence[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return value


def _parsed(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f'{where}: not YAML: {error}') from error


def _line(error: Mapping[str, Any]) -> str:
    key = '.'.join(map(str, error['loc']))
    received = '' if error['type'] == 'missing' else f', received {error["input"]!r}'
    return f'  {key}: {error["msg"]}{received}'
