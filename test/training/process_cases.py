"""Short trainings that `test_distributed.py` runs in one and in two processes.

`python -m torch.distributed.run --nproc-per-node 2 process_cases.py FOLDER` writes what process r
found to FOLDER/r.pt; then process 1 fails, and process 0 writes what it sees of that.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from centertrack_ros.model_spec import ModelSpec, Thresholds
from training.batch_norm import synchronised_batch_norm
from training.distributed import Processes, join
from training.heads import HEADS, head_channels
from training.losses import TotalLoss
from training.models import ARCHITECTURES, build_network
from training.optimisation import Schedule
from training.trainer import NonFiniteLossError, OptimiserRules, StepRules, Trainer

BATCH, ROWS, CLASSES, JOINTS, STEPS = 4, 3, 2, 3, 4
SIZE, MAP = (64, 96), (16, 24)


@dataclass(frozen=True)
class Case:
    """A training of some steps.

    Attributes:
        architecture, options: of the network.
        heads: of the network.
        objects: rows that are learnt, of each image of the batch.
        losses: weights that differ from the table's.
        original: values of the original program.
        batch_norm: see `StepRules`.
        new: beginning of the names of the parameters that are trained.
    """

    architecture: str
    options: dict[str, Any] = field(default_factory=dict)
    heads: tuple[str, ...] = tuple(HEADS)
    objects: tuple[int, ...] = (3, 1, 0, 2)
    losses: dict[str, float] = field(default_factory=dict)
    original: bool = False
    batch_norm: str = 'train'
    new: str = ''


_RESNET = Case(
    'resnet18',
    {
        'blocks': (1, 1, 1, 1),
        'widths': (8, 16, 16, 24),
        'neck_channels': (24, 16, 16),
        'head_channels': 16,
    },
    batch_norm='synchronised',
    losses={'giou': 1.0},
)
CASES = {
    'resnet': _RESNET,
    'no objects anywhere': replace(_RESNET, objects=(0, 0, 0, 0), losses={'hm': 100.0}),
    'original': replace(_RESNET, original=True, losses={}),
    # A head without a loss gets no gradient.
    'mobilenetv3': Case(
        'mobilenetv3',
        heads=('hm', 'ltrb', 'reg', 'tracking', 'hps', 'hm_hp', 'hp_offset'),
        losses={'ltrb': 0, 'giou': 2.0, 'reg': 0},
    ),
    'frozen detector': Case(
        'mobilenetv3',
        heads=('hm', 'ltrb', 'reg', 'tracking'),
        losses={'hm': 0, 'ltrb': 0, 'reg': 1.0, 'tracking': 1.0},
        new='motion.',
    ),
    'own statistics': replace(_RESNET, batch_norm='train'),
}


def make_trainer(case: Case, processes: Processes) -> Trainer:
    """With the same weights in every process."""
    torch.manual_seed(0)
    spec = ModelSpec(
        name='small', architecture=case.architecture, input_height=SIZE[0], input_width=SIZE[1],
        resize='letterbox', stride=4, max_candidates=10, classes=('person', 'car'),
        heads=head_channels(case.heads, CLASSES, JOINTS), box='ltrb', radius_rule='exact',
        prior_heatmap_stride=ARCHITECTURES[case.architecture].network.prior_heatmap_stride,
        thresholds=Thresholds(0.1, 0.3, 0.3, 0.3), licence='MIT', joints=('a', 'b', 'c'),
        channel_mean=(100.0, 110.0, 120.0), channel_std=(70.0, 70.0, 70.0), network=case.options,
    )  # fmt: skip
    network = build_network(spec)
    names = (name for name, _ in network.named_parameters())
    new = frozenset(name for name in names if name.startswith(case.new))
    loss = TotalLoss(case.heads, case.losses, original=case.original, processes=processes)
    return Trainer(
        network,
        new,
        spec,
        loss,
        processes,
        # Adam would make steps of full length of rounding errors where a gradient is 0.
        OptimiserRules(
            'sgd', Schedule('constant', STEPS), 0.02, pretrained_factor=0, ema_decay=0.9
        ),
        StepRules(gradient_clip=5.0, batch_norm=case.batch_norm),
    )


def make_batch(case: Case, step: int) -> dict[str, Tensor]:
    """Random images and targets of the whole batch."""
    generator = torch.Generator().manual_seed(step)

    def known(rows: int) -> Tensor:
        counts = torch.tensor(case.objects) * rows // ROWS
        return (torch.arange(rows) < counts[:, None]).float()

    def numbers(*shape: int) -> Tensor:
        return torch.rand(BATCH, *shape, generator=generator)

    def choices(end: int, *shape: int) -> Tensor:
        return torch.randint(end, (BATCH, *shape), generator=generator)

    cells, joints = MAP[0] * MAP[1], ROWS * JOINTS
    stride = ARCHITECTURES[case.architecture].network.prior_heatmap_stride
    batch = {
        'image': choices(256, *SIZE, 3).byte(),
        'previous_image': choices(256, *SIZE, 3).byte(),
        'prior_heatmap': numbers(1, SIZE[0] // stride, SIZE[1] // stride),
        'hm': 0.9 * numbers(CLASSES, *MAP),
        'hm_hp': 0.9 * numbers(JOINTS, *MAP),
        'indices': choices(cells, ROWS),
        'classes': choices(CLASSES, ROWS),
        'mask': known(ROWS),
        'joint_indices': choices(cells, joints),
        'joint_classes': torch.arange(JOINTS).repeat(BATCH, ROWS),
        'joint_mask': known(joints),
        'rot_bins': choices(2, ROWS, 2),
        'rot_residuals': numbers(ROWS, 2),
        'rot_mask': known(ROWS),
        'masks': choices(2, ROWS, *MAP).float(),
        'masks_mask': known(ROWS),
    }
    for name, channels in head_channels(case.heads, CLASSES, JOINTS).items():
        if HEADS[name].place == 'map' or name in ('rot', 'conv_weight'):
            continue
        rows = joints if HEADS[name].place == 'joint' else ROWS
        batch[name] = 4 * numbers(rows, channels)
        batch[f'{name}_mask'] = known(rows)[..., None].repeat(1, 1, channels)
    return batch


def train(case: Case, processes: Processes) -> dict[str, Any]:
    """Weights, averages, and the terms of every step."""
    trainer = make_trainer(case, processes)
    part = processes.share(BATCH)
    history = []
    for step in range(STEPS):
        batch = {name: value[part] for name, value in make_batch(case, step).items()}
        terms = trainer.train_step(batch).terms
        history.append({name: processes.mean(term) for name, term in terms.items()})
    return {
        'weights': trainer.network.state_dict(),
        'average': dict(trainer.average.state_dict()),
        'terms': history,
    }


def break_one(processes: Processes) -> dict[str, Any]:
    """The last process gets a picture that is not a number; what every process says to that."""
    trainer = make_trainer(CASES['mobilenetv3'], processes)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    part = processes.share(BATCH)
    batch = {name: value[part] for name, value in make_batch(CASES['mobilenetv3'], 0).items()}
    if processes.rank == processes.count - 1:
        batch['prior_heatmap'] = batch['prior_heatmap'] * float('nan')
    try:
        trainer.train_step(batch)
    except NonFiniteLossError as error:
        after = trainer.network.state_dict()
        same = all(torch.equal(value, after[name]) for name, value in before.items())
        return {'error': str(error), 'unchanged': same}
    return {'error': '', 'unchanged': False}


def normalise(processes: Processes, momentum: float | None) -> dict[str, Tensor]:
    """Two batches through a layer, in float64: results, gradients, statistics."""
    generator = torch.Generator().manual_seed(7)
    layer = nn.BatchNorm2d(3, momentum=momentum, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(3, generator=generator))
        layer.bias.copy_(torch.randn(3, generator=generator))
    network = nn.Sequential(layer)
    if processes.count > 1:
        network = synchronised_batch_norm(network)
    part = processes.share(BATCH)
    shape = (2, 2, BATCH, 3, 5, 6)
    values, factors = 100 + torch.randn(shape, dtype=torch.float64, generator=generator)
    x = values[:, part].requires_grad_()
    y = torch.stack([network(batch) for batch in x])
    # Not linear: one process's values matter to the other's gradient.
    (y.square() * factors[:, part]).sum().backward()
    assert x.grad is not None
    network.eval()
    return {
        'y': y.detach(),
        'x gradient': x.grad,
        'weight gradient': processes.total(network[0].weight.grad),
        'bias gradient': processes.total(network[0].bias.grad),
        'evaluated': network(values[0]).detach(),
        **network.state_dict(),
    }


def everything(processes: Processes) -> dict[str, Any]:
    """What is compared."""
    rank = float(processes.rank)
    return {
        **{name: train(case, processes) for name, case in CASES.items()},
        'broken': break_one(processes),
        'norm': normalise(processes, 0.1),
        'norm without momentum': normalise(processes, None),
        'mean': processes.mean(torch.tensor([rank, 5.0])).tolist(),
        'total': processes.total(torch.tensor([rank, 5.0])).tolist(),
        'any': [processes.any(processes.rank == 1), processes.any(False)],
        'count': processes.count,
    }


def main() -> None:
    """What one of two processes does."""
    processes = join('cpu')
    # As many as the process that is compared with: the order of sums depends on it.
    torch.set_num_threads(1)
    result = everything(processes)
    torch.save(result, Path(sys.argv[1]) / f'{processes.rank}.pt')
    processes.any(False)
    if processes.rank == 1:
        raise OSError('this picture cannot be read')
    try:
        processes.any(False)
    except ConnectionError as error:
        Path(sys.argv[1], 'lost').write_text(str(error))
        raise


if __name__ == '__main__':
    main()
