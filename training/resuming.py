"""Whether and where a training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.checkpoint import Checkpoint
from training.run_folder import last_checkpoint

# What may change in the middle of a training: it does not change what is learnt.
_FREE = (
    'run',
    'data.cache_mb',
    'loop.device',
    'loop.log_every',
    'loop.patience',
    'loop.pictures_every',
    'loop.save_minutes',
    'loop.validate_every',
    'loop.workers',
)
_ABSENT = 'nothing'


def checkpoint_to_resume(folder: Path, *, resume: bool) -> Checkpoint | None:
    """The checkpoint that a run in `folder` goes on from; None: it starts.

    Raises:
        FileExistsError: there is one, and it is not to be resumed.
        FileNotFoundError: there is none.
        ValueError: it is damaged, or is none to go on from.
    """
    path = last_checkpoint(folder)
    if not resume:
        if path.exists():
            raise FileExistsError(
                f'{path} exists: add --resume to go on, or choose another folder with run=...'
            )
        return None
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} does not exist: there is nothing to go on from; start without --resume'
        )
    checkpoint = Checkpoint.load(path)
    if not checkpoint.training_state:
        raise ValueError(f'{path} holds weights only, no state of a training to go on from')
    return checkpoint


def check_same_training(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Make sure that a checkpoint with configuration `old` can go on with `new`.

    Raises:
        ValueError: they differ in what is learnt; the text has the names and both values.
    """
    before, now = _flat(old), _flat(new)
    changed = [
        f'  {name}: {before.get(name, _ABSENT)!r} there, {now.get(name, _ABSENT)!r} now'
        for name in sorted(before.keys() | now.keys())
        if name not in _FREE and before.get(name, _ABSENT) != now.get(name, _ABSENT)
    ]
    if changed:
        raise ValueError(
            'the checkpoint was made with another configuration; resume with the same one or '
            'start a new run:\n' + '\n'.join(changed)
        )


def _flat(values: Any, prefix: str = '') -> dict[str, Any]:
    """Nested mappings and lists as one, by dotted paths."""
    if isinstance(values, Mapping):
        items = [(str(key), value) for key, value in values.items()]
    elif isinstance(values, (list, tuple)):
        items = [(str(number), value) for number, value in enumerate(values)]
    else:
        return {prefix: values}
    flat: dict[str, Any] = {}
    for key, value in items:
        flat |= _flat(value, f'{prefix}.{key}' if prefix else key)
    return flat
