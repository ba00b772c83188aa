"""Copies of messages: a constructor builds all its parts, even those that it is given."""

from __future__ import annotations

from typing import TypeVar

Message = TypeVar('Message')


def copied(message: Message) -> Message:
    """A message with the same parts, as `copy.copy` in a tenth of the time."""
    kind = type(message)
    twin: Message = object.__new__(kind)
    for name in kind.__slots__:  # type: ignore[attr-defined]
        setattr(twin, name, getattr(message, name))
    return twin
