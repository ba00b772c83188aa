"""The batches of a run, in an order that depends on nothing but the step."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.data.dataset import initialize_worker


@dataclass(frozen=True)
class BatchIndices:
    """Which items of a training set each step takes.

    Step s of the run takes items s B to (s + 1) B - 1, of which every process has its share. So
    a resumed run sees what an uninterrupted one would have seen, and N processes what one would.

    Attributes:
        batch_size: B, of all processes together.
        share: the part of this process.
        steps: of the run, that this iterates over.
    """

    batch_size: int
    share: slice
    steps: range

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[int]]:
        return (self.of_step(step) for step in self.steps)

    def of_step(self, step: int) -> list[int]:
        """Items of this process in the step after `step` finished ones."""
        return list(range(step * self.batch_size, (step + 1) * self.batch_size)[self.share])


def make_loader(
    dataset: Dataset[Any],
    *,
    workers: int,
    indices: BatchIndices | None = None,
    batch_size: int = 1,
    pin_memory: bool = False,
) -> DataLoader[dict[str, Tensor]]:
    """A loader of collated batches: those of `indices`, or all items in their order.

    Args:
        dataset: of samples.
        workers: processes; 0 = in this one.
        indices: of every batch.
        batch_size: where there are no `indices`.
        pin_memory: for copies to a GPU that nothing waits for.
    """
    if indices is not None:
        batches: dict[str, Any] = {'batch_sampler': indices}
    else:
        batches = {'batch_size': batch_size}
    return DataLoader(
        dataset,
        num_workers=workers,
        worker_init_fn=_start_worker,
        pin_memory=pin_memory,
        # Or the loader would draw from the generator of the training.
        generator=torch.Generator().manual_seed(0),
        **batches,
    )


def _start_worker(worker_id: int) -> None:
    """A worker ends when the training process says so, and not before that has saved.

    Ctrl-C, torchrun and schedulers signal all processes of a training.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    initialize_worker(worker_id)


def _end_with_parent() -> None:
    """Heed the SIGTERM of the parent alone; it waits for us at its end, whatever ended it."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
