"""One training in several processes: `torchrun --nproc-per-node N -m training.train ...`.

Every process computes the gradient of its part of the batch (`Processes.share`), and all make the
same step with their mean. Losses divide by counts of the whole batch (`TotalLoss(processes=...)`),
so N processes learn what one would have learnt.

Whatever communicates has to be called by all processes in the same order. The first process
validates and saves alone: with modules that are not wrapped and a loss in evaluation mode.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from training.batch_norm import synchronised_batch_norm

__all__ = ['ALONE', 'Processes', 'join', 'leave', 'synchronised_batch_norm']

# The others wait for the first process while it validates.
TIMEOUT = timedelta(hours=6)
_VARIABLES = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE')


@dataclass(frozen=True)
class Processes:
    """The processes of one training, seen from one of them.

    Attributes:
        rank: number of this process, from 0.
        count: number of all.
        device: of this process.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device('cpu'))

    @property
    def is_first(self) -> bool:
        """Whether this process validates, saves and reports."""
        return self.rank == 0

    def share(self, size: int) -> slice:
        """This process's part of a batch of `size` items.

        Raises:
            ValueError: the parts would not be equal.
        """
        if size % self.count:
            raise ValueError(
                f'loop.batch_size: expected a multiple of the {self.count} processes, '
                f'received {size}'
            )
        part = size // self.count
        return slice(self.rank * part, (self.rank + 1) * part)

    def total(self, values: Tensor) -> Tensor:
        """Sum of `values` over all processes; without gradient where there are several.

        Raises:
            ConnectionError: another process has ended.
        """
        if self.count == 1:
            return values
        values = values.detach().clone()
        try:
            distributed.all_reduce(values)
        except RuntimeError as error:
            raise ConnectionError(
                f'process {self.rank}: another process has ended, see its message ({error})'
            ) from error
        return values

    def mean(self, values: Tensor) -> Tensor:
        """Mean of `values` over all processes; without gradient where there are several."""
        return values if self.count == 1 else self.total(values) / self.count

    def any(self, here: bool) -> bool:
        """Whether it is so in one of the processes: all of them know the same."""
        if self.count == 1:
            return here
        return bool(self.total(torch.tensor(float(here), device=self.device)) > 0)

    def wrap(self, module: nn.Module, *, find_unused: bool = False) -> nn.Module:
        """`module`, whose gradients become the means over all processes as they are computed.

        Its parameters become those of the first process. Call the result to train; it shares its
        parameters with `module`.

        Args:
            module: on `device`; what `forward` returns leads to every parameter that has
                `requires_grad`.
            find_unused: some have no gradient; this costs a walk through the graph each step.
        """
        if self.count == 1:
            return module
        return DistributedDataParallel(
            module,
            device_ids=[self.device] if self.device.type == 'cuda' else None,
            # See `unify_buffers`.
            forward_sync_buffers=False,
            gradient_as_bucket_view=True,
            find_unused_parameters=find_unused,
        )

    @torch.no_grad()
    def unify_buffers(self, module: nn.Module) -> None:
        """Make running statistics of batch normalisation their means over all processes.

        Each process has seen its part of the batch only. After every step, before weights are
        averaged, so that all processes hold the same.
        """
        buffers = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
        if self.count == 1 or not buffers:
            return
        means = self.mean(torch.cat([buffer.flatten() for buffer in buffers]))
        for buffer, mean in zip(buffers, means.split([b.numel() for b in buffers]), strict=True):
            buffer.copy_(mean.view_as(buffer))


# A training in one process on the CPU.
ALONE = Processes()


def join(device: str) -> Processes:
    """Meet the other processes that `torchrun` has started; without it there are none.

    Args:
        device: `cpu`, `cuda`, or `auto`: GPUs where there are any. With several processes each
            takes the GPU of its number on the machine.

    Raises:
        ValueError: an unknown device, no GPU for this process, or an incomplete environment.
    """
    environment = _environment(os.environ)
    if environment is None:
        return Processes(device=_device(device, 0, 1))
    rank, count, local_rank, local_count = environment
    place = _device(device, local_rank, local_count)
    if place.type == 'cuda':
        torch.cuda.set_device(place)
    elif count > 1 and os.environ.get('OMP_NUM_THREADS', '1') == '1':
        # torchrun says 1 where nobody has said anything.
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // local_count))
    if count > 1:
        distributed.init_process_group(
            'nccl' if place.type == 'cuda' else 'gloo',
            timeout=TIMEOUT,
            device_id=place if place.type == 'cuda' else None,
        )
    return Processes(rank, count, place)


def leave() -> None:
    """End what `join` began; nothing where there is one process."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _environment(variables: Mapping[str, str]) -> tuple[int, int, int, int] | None:
    """Rank, count, and both on this machine; None where torchrun has not started us."""
    given = [name for name in _VARIABLES if name in variables]
    if not given:
        return None
    missing = [name for name in _VARIABLES if name not in variables]
    if missing:
        raise ValueError(
            f'environment: {", ".join(given)} without {", ".join(missing)}; start several '
            'processes with torchrun, or unset them for one'
        )
    rank, count, local_rank, local_count = (int(variables[name]) for name in _VARIABLES)
    return rank, count, local_rank, local_count


def _device(name: str, local_rank: int, local_count: int) -> torch.device:
    """The device of process `local_rank` of the `local_count` on this machine."""
    gpus = torch.cuda.device_count()
    if name == 'auto':
        name = 'cuda' if gpus else 'cpu'
    if name == 'cpu':
        return torch.device('cpu')
    if name != 'cuda':
        raise ValueError(f'loop.device: expected auto, cpu or cuda, received {name!r}')
    if local_count > gpus:
        raise ValueError(
            f'loop.device: {local_count} processes on this machine need as many GPUs, PyTorch '
            f'finds {gpus}; start fewer (torchrun --nproc-per-node) or set loop.device=cpu'
        )
    return torch.device('cuda', local_rank)
