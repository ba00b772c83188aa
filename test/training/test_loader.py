"""Which batches there are, and what loader processes do about signals."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import torch
from torch.utils.data import Dataset

from training.distributed import Processes
from training.loader import BatchIndices, make_loader

ALL = slice(0, 4)


class Numbers(Dataset):
    """Item k is k, after a moment in which signals arrive."""

    def __getitem__(self, index):
        time.sleep(0.02)
        return torch.tensor(index)

    def __len__(self):
        return 400


def test_processes_share_the_batches_of_one():
    steps = range(3, 6)
    whole = list(BatchIndices(4, ALL, steps))
    assert whole == [[12, 13, 14, 15], [16, 17, 18, 19], [20, 21, 22, 23]]
    parts = [BatchIndices(4, Processes(rank, 2).share(4), steps) for rank in range(2)]
    assert [[*first, *second] for first, second in zip(*parts, strict=True)] == whole
    assert [len(part) for part in parts] == [3, 3]


def test_a_worker_survives_signals_but_not_its_parent():
    loader = make_loader(Numbers(), workers=1, indices=BatchIndices(2, slice(0, 2), range(200)))
    batches = iter(loader)
    assert next(batches).tolist() == [0, 1]
    (worker,) = batches._workers
    # From another process, as a terminal, torchrun or a scheduler sends them.
    for name in ('INT', 'TERM'):
        subprocess.run(['kill', '-s', name, str(worker.pid)], check=True)
    assert [next(batches).tolist()[0] for _ in range(20)] == list(range(2, 42, 2))
    assert worker.is_alive()
    # What multiprocessing does at the end of a program, before it waits for ever.
    os.kill(worker.pid, signal.SIGTERM)
    worker.join(timeout=20)
    assert worker.exitcode == 0
