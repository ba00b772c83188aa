"""What is wrong with a data set: entries of its annotation file, and pictures."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NoReturn, TypeAlias

import torch
from torch import Tensor

FaultPolicy: TypeAlias = Literal['fatal', 'skip']

# A set that is worse than this is not what its user believes it to be.
MOST_FAULTS = 0.1
_SHOWN = 20
_CHECK = 'python -m training.data.check lists all of them'
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fault:
    """One wrong entry of an annotation file.

    Attributes:
        table: list at the top level of the file.
        index: place in it.
        reason: what is wrong.
    """

    table: str
    index: int
    reason: str

    def __str__(self) -> str:
        return f'{self.table}[{self.index}]: {self.reason}'


@dataclass
class FaultList:
    """The faults of one annotation file, collected while it is read.

    Attributes:
        source: names the file in complaints.
        policy: `fatal` raises the first one, `skip` collects all of them.
        found: those so far.
    """

    source: str
    policy: FaultPolicy = 'fatal'
    found: list[Fault] = field(default_factory=list)

    def add(self, table: str, index: int, reason: str) -> None:
        """One more; ValueError with file, list and index where faults are fatal."""
        fault = Fault(table, index, reason)
        if self.policy == 'fatal':
            raise ValueError(f'{self.source}: {fault}')
        self.found.append(fault)

    def close(self, entries: Mapping[str, int]) -> None:
        """The file is read: warn of what was left out.

        Args:
            entries: how many each list has.

        Raises:
            ValueError: too many entries of a list are wrong.
        """
        for table, count in entries.items():
            faults = [fault for fault in self.found if fault.table == table]
            if too_many(len(faults), count):
                raise ValueError(
                    f'{self.source}: {len(faults)} of {count} {table} are wrong, the first: '
                    f'{faults[0]}; {_CHECK}'
                )
        for fault in self.found[:_SHOWN]:
            _LOG.warning('%s: %s; left out', self.source, fault)
        if len(self.found) > _SHOWN:
            _LOG.warning('%s: %d more; %s', self.source, len(self.found) - _SHOWN, _CHECK)


def too_many(faults: int, entries: int) -> bool:
    """Whether more than a tenth (but more than one) or all of `entries` are wrong."""
    return faults > max(1, MOST_FAULTS * entries) or 0 < entries == faults


class FaultyPicture(ValueError):
    """A picture that is absent, that cannot be read, or that has another size than annotated."""


class SkippedPicture(FaultyPicture):
    """A faulty picture that was reported and counted; the caller takes another one."""


@dataclass(frozen=True)
class FaultCounts:
    """How much was left out.

    Attributes:
        entries: wrong entries of annotation files.
        pictures: different broken pictures, of those that were wanted so far.
    """

    entries: int
    pictures: int


class SetFaults:
    """The faults of one set; broken pictures are counted by all worker processes together.

    Args:
        entries: wrong entries that were left out of its annotation file.
        pictures: how many pictures it has.
        policy: what happens at a broken one.
    """

    def __init__(self, entries: int, pictures: int, policy: FaultPolicy) -> None:
        self._entries = entries
        self._policy = policy
        # Shared memory, one cell per picture: no two processes can count one of them twice.
        self._broken = torch.zeros(pictures, dtype=torch.bool)
        self._broken.share_memory_()  # type: ignore[no-untyped-call]

    @property
    def broken(self) -> Tensor:
        """(pictures,) bool, which are broken of those that were wanted so far."""
        return self._broken.clone()

    @property
    def counts(self) -> FaultCounts:
        """Those so far."""
        return FaultCounts(self._entries, int(self._broken.sum()))

    def refuse(self, index: int, complaint: str) -> NoReturn:
        """Picture `index` is broken; warns once for each, where faults are skipped.

        Raises:
            SkippedPicture: faults are skipped.
            FaultyPicture: they are fatal.
            ValueError: too many pictures are broken.
        """
        if self._policy == 'fatal':
            raise FaultyPicture(complaint)
        if not self._broken[index]:
            self._broken[index] = True
            _LOG.warning('%s; another picture is taken', complaint)
        broken = self.counts.pictures
        if too_many(broken, len(self._broken)):
            raise ValueError(
                f'{broken} of {len(self._broken)} pictures are broken; the last one: {complaint}'
            )
        raise SkippedPicture(complaint)
