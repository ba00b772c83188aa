"""Trains a CenterTrack network.

`python -m training.train --config config/training/mobilenetv3_coco.yaml [key=value ...]`

Ctrl-C saves a checkpoint; the same command with `--resume` goes on from the last one.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from training.checkpoint import Checkpoint, git_commit
from training.config import TrainConfig, load_config
from training.data.dataset import initialize_worker
from training.experiment import build_dataset, config_rules, model_spec, start_network
from training.losses import TotalLoss, l1_loss
from training.models.graph import to_float

# The part that the starting detector does not have.
NEW_PART = 'motion.'
Batch = Mapping[str, Tensor]


class Trainer:
    """Everything that changes during a training: network, average, optimiser, step."""

    def __init__(self, config: TrainConfig) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.spec = model_spec(config)
        network = start_network(config, self.spec)
        self.network = network.to(memory_format=torch.channels_last).train()
        original = config_rules(config).original_losses
        self.loss = TotalLoss(self.spec.heads, config.losses, original=original)
        self.average = {name: value.clone() for name, value in network.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            _parameter_groups(self.network, config), weight_decay=config.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, self._rate)
        self.step = 0

    def _rate(self, step: int) -> float:
        if step < self.config.warmup_steps:
            return (step + 1) / self.config.warmup_steps
        done = (step - self.config.warmup_steps) / max(
            1, self.config.steps - self.config.warmup_steps
        )
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        """One optimiser step; returns the terms of the loss.

        Raises:
            FloatingPointError: the loss is not finite; nothing was changed.
        """
        with torch.autocast('cpu', torch.bfloat16, enabled=self.config.precision == 'bf16'):
            terms = self._terms(batch)
        total = terms['total']
        if not torch.isfinite(total):
            values = {name: round(float(term.detach()), 4) for name, term in terms.items()}
            raise FloatingPointError(f'step {self.step}: the loss is {total}: {values}')
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        # A young average follows quickly, or it would still hold the start after a short run.
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)
        return {name: term.detach() for name, term in terms.items()}

    def _terms(self, batch: Batch) -> dict[str, Tensor]:
        images = (to_float(batch[name]) for name in ('image', 'previous_image'))
        return self.loss(self.network.forward_stacks(*images, batch['prior_heatmap']), batch)

    @torch.no_grad()
    def validate(self, loader: DataLoader[Any]) -> dict[str, float]:
        """Mean terms of the averaged weights, and the tracking error of always answering zero."""
        raw = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        self.network.eval()
        sums: dict[str, float] = {}
        for batch in loader:
            terms = self._terms(batch)
            offsets = batch['tracking']
            still = l1_loss(torch.zeros_like(offsets), offsets, batch['tracking_mask'])
            for name, term in {**terms, 'tracking_of_zero': still}.items():
                sums[name] = sums.get(name, 0.0) + float(term) / len(loader)
        self.network.load_state_dict(raw)
        self.network.train()
        return sums

    def checkpoint(self) -> Checkpoint:
        """The present state."""
        return Checkpoint(
            spec=self.spec,
            weights={name: value.contiguous() for name, value in self.average.items()},
            step=self.step,
            seed=self.config.seed,
            commit=git_commit(),
            config=asdict(self.config),
            training_state={
                'network': self.network.state_dict(),
                'optimiser': self.optimiser.state_dict(),
                'schedule': self.schedule.state_dict(),
                'random': torch.get_rng_state(),
            },
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on exactly where `checkpoint` was made.

        Raises:
            ValueError: it belongs to another training.
        """
        changed = {
            name
            for name, value in asdict(self.config).items()
            if checkpoint.config.get(name) != value and name not in ('workers', 'run')
        }
        if changed:
            raise ValueError(
                f'the checkpoint was made with other values of {sorted(changed)}; resume with the '
                'same configuration or start a new run'
            )
        state = checkpoint.training_state
        self.network.load_state_dict(state['network'])
        self.optimiser.load_state_dict(state['optimiser'])
        self.schedule.load_state_dict(state['schedule'])
        torch.set_rng_state(state['random'])
        self.average = {name: value.clone() for name, value in checkpoint.weights.items()}
        self.step = checkpoint.step


def _parameter_groups(network: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    new, pretrained = [], []
    for name, parameter in network.named_parameters():
        if name.startswith(NEW_PART):
            new.append(parameter)
        elif config.pretrained_factor > 0:
            pretrained.append(parameter)
        else:
            parameter.requires_grad_(False)
    return [
        {'params': new, 'lr': config.learning_rate},
        {'params': pretrained, 'lr': config.learning_rate * config.pretrained_factor},
    ]


def run(config: TrainConfig, *, resume: bool) -> Path:
    """Train to the end or until Ctrl-C; returns the path of the last checkpoint.

    Raises:
        FileExistsError: the run folder holds a checkpoint and `resume` is False.
    """
    folder = Path(config.run)
    folder.mkdir(parents=True, exist_ok=True)
    last = folder / 'last.pt'
    trainer = Trainer(config)
    if resume and last.is_file():
        trainer.resume(Checkpoint.load(last))
    elif last.is_file():
        raise FileExistsError(f'{last} exists: add --resume to go on, or choose another run=...')
    items = range(trainer.step * config.batch_size, config.steps * config.batch_size)
    batches = DataLoader(
        build_dataset(config, validation=False),
        batch_size=config.batch_size,
        # An item depends on the seed and its number alone, so a resumed run sees what an
        # uninterrupted one would have seen.
        sampler=items,
        num_workers=config.workers,
        worker_init_fn=initialize_worker,
    )
    validation = DataLoader(build_dataset(config, validation=True), batch_size=config.batch_size)
    with SummaryWriter(str(folder)) as writer:
        try:
            _train(trainer, batches, validation, writer, last)
        except KeyboardInterrupt:
            tqdm.write('interrupted')
        finally:
            trainer.checkpoint().save(last)
            tqdm.write(f'{last}: step {trainer.step}')
    return last


def _train(
    trainer: Trainer,
    batches: DataLoader[Any],
    validation: DataLoader[Any],
    writer: SummaryWriter,
    last: Path,
) -> None:
    config = trainer.config
    progress = tqdm(total=config.steps, initial=trainer.step, unit='step', smoothing=0.05)
    for batch in batches:
        terms = trainer.train_step(batch)
        progress.update()
        if trainer.step % config.log_every == 0:
            for name, term in terms.items():
                writer.add_scalar(f'train/{name}', float(term), trainer.step)
            progress.set_postfix(
                {
                    name: f'{float(terms[name]):.3f}'
                    for name in ('total', 'tracking')
                    if name in terms
                }
            )
        if trainer.step % config.validate_every == 0 or trainer.step == config.steps:
            results = trainer.validate(validation)
            for name, value in results.items():
                writer.add_scalar(f'validation/{name}', value, trainer.step)
            values = '  '.join(f'{name} {value:.3f}' for name, value in results.items())
            tqdm.write(f'step {trainer.step}  {values}')
        if trainer.step % config.save_every == 0:
            trainer.checkpoint().save(last)
    progress.close()


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--config', type=Path, required=True)
    parser.add_argument('--resume', action='store_true', help='go on from the last checkpoint')
    parser.add_argument('overrides', nargs='*', metavar='key=value')
    arguments = parser.parse_args()
    # A scheduler's polite end, and Ctrl-C where the shell started us in the background.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        run(load_config(arguments.config, arguments.overrides), resume=arguments.resume)
    except (FileNotFoundError, FileExistsError, ValueError) as error:
        print(f'training.train: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
