"""The loop: epochs of steps, and what happens between and after them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from training.checkpoint import Checkpoint, git_commit, write_tensors
from training.data.dataset import TrackingDataset
from training.loader import BatchIndices, make_loader
from training.pictures import draw_predictions
from training.progress import ProgressLine, StepClock
from training.run_folder import RunFolder
from training.selection import Selection
from training.stopping import StopNow, StopRequest
from training.trainer import NonFiniteLossError, StepResult, Trainer
from training.validation import Validation

_PICTURES = 4


@dataclass(frozen=True)
class LoopRules:
    """How long, and how often what is done.

    Attributes:
        epochs: of the run.
        steps_per_epoch: steps of each.
        batch_size: samples per step, of all processes together.
        workers: loader processes of each process.
        log_every: steps between two lines of the log.
        save_minutes: minutes between two checkpoints.
        validate_every, pictures_every: epochs; 0 = only at the end.
    """

    epochs: int
    steps_per_epoch: int
    batch_size: int
    workers: int
    log_every: int
    save_minutes: float
    validate_every: int
    pictures_every: int

    @property
    def steps(self) -> int:
        """Of the run."""
        return self.epochs * self.steps_per_epoch

    def is_due(self, every: int, epochs: int) -> bool:
        """Whether something that is done every so many epochs follows the first `epochs`."""
        return epochs == self.epochs or (every > 0 and epochs % every == 0)


class TrainingLoop:
    """Everything that a training needs, and the order of it.

    Args:
        trainer: makes the steps; where it stands is where the loop begins.
        dataset: training samples of the run.
        validation: measures the network; None in all processes but the first.
        selection: chooses the best checkpoint.
        rules: see there.
        folder: of the run; None in all processes but the first.
        line: tells people.
        stop: ends the training.
        config: the configuration, for the checkpoints.
        bad_batch: where a batch is kept that the loss is not finite for.
    """

    def __init__(
        self,
        trainer: Trainer,
        dataset: TrackingDataset,
        validation: Validation | None,
        selection: Selection,
        rules: LoopRules,
        folder: RunFolder | None,
        line: ProgressLine,
        stop: StopRequest,
        config: Mapping[str, Any],
        bad_batch: Path,
    ) -> None:
        self._trainer = trainer
        self._processes = trainer.processes
        self._dataset = dataset
        self._validation = validation
        self._selection = selection
        self._rules = rules
        self._folder = folder
        self._line = line
        self._stop = stop
        self._config = dict(config)
        self._bad_batch = bad_batch
        self._commit = git_commit()
        self._indices = BatchIndices(
            rules.batch_size,
            self._processes.share(rules.batch_size),
            range(trainer.step, rules.steps),
        )
        self._clock = StepClock(rules.batch_size)
        self._sums: dict[str, Tensor] = {}
        self._saved = time.monotonic()

    def run(self) -> bool:
        """All epochs that are left; False: `stop` has ended the training before.

        Raises:
            NonFiniteLossError: the loss is not finite; the batch is in the run folder.
            OSError: the run folder cannot be written.
        """
        loader = make_loader(
            self._dataset,
            workers=self._rules.workers,
            indices=self._indices,
            pin_memory=self._processes.device.type == 'cuda',
        )
        batches = iter(loader)
        for epoch in range(self._selection.finished_epochs, self._rules.epochs):
            if self._processes.any(self._selection.exhausted):
                self._line.say(
                    f'no better {self._selection.metric} in {self._selection.stale} validations: '
                    'training ends here'
                )
                break
            if not (self._train_epoch(epoch, batches) and self._finish_epoch(epoch)):
                self._save()
                return False
        return True

    def _train_epoch(self, epoch: int, batches: Iterator[dict[str, Tensor]]) -> bool:
        """The steps of an epoch that are left; False: somebody wants to stop."""
        trainer = self._trainer
        self._clock.restart()
        while trainer.step < (epoch + 1) * self._rules.steps_per_epoch:
            if self._processes.any(self._stop.requested):
                return False
            start = time.perf_counter()
            batch = next(batches)
            self._clock.waited(time.perf_counter() - start)
            try:
                result = trainer.train_step(trainer.to_device(batch))
            except NonFiniteLossError as error:
                self._keep_bad_batch(batch, error)
            self._clock.stepped()
            self._report(epoch, result)
            if time.monotonic() - self._saved > 60 * self._rules.save_minutes:
                self._save()
        return True

    def _finish_epoch(self, epoch: int) -> bool:
        """Validation, pictures, checkpoint; False: somebody wants to stop."""
        number, rules = epoch + 1, self._rules
        values: dict[str, float] = {}
        if self._validation and rules.is_due(rules.validate_every, number):
            try:
                values = self._validation.measure(self._trainer, self._stop.at_once())
            except StopNow:
                self._line.say('validation was broken off; --resume begins with it')
        if self._processes.any(self._stop.requested):
            return False
        self._selection.finished_epochs = number
        if self._folder and values:
            self._take(self._folder, values, number)
        if self._folder and self._validation and rules.is_due(rules.pictures_every, number):
            samples = self._validation.samples(_PICTURES)
            for place, picture in enumerate(draw_predictions(self._trainer, samples)):
                self._folder.show(f'samples/{place}', self._trainer.step, picture)
        self._count_faults(number)
        self._save()
        return True

    def _report(self, epoch: int, result: StepResult) -> None:
        """Sum up, and log the means every so many steps."""
        for name, value in {**result.terms, 'gradient_norm': result.gradient_norm}.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value
        step = self._trainer.step
        if step % self._rules.log_every and step % self._rules.steps_per_epoch:
            self._line.advance(step)
            return
        speed = self._clock.speed()
        means = self._processes.mean(torch.stack(list(self._sums.values()))) / speed.steps
        values = dict(zip(self._sums, means.tolist(), strict=True))
        self._sums = {}
        self._line.report(step, values, speed)
        if self._folder:
            values['learning_rate'] = self._trainer.learning_rate
            values['images_per_second'] = speed.images_per_second
            values['data_wait'] = speed.data_wait
            self._folder.log('train', step, epoch + 1, values)

    def _take(self, folder: RunFolder, values: Mapping[str, float], epoch: int) -> None:
        """Note one validation; keep the checkpoint if it is the best."""
        selection = self._selection
        better = selection.take(values)
        folder.log('validation', self._trainer.step, epoch, values)
        text = '  '.join(f'{name} {value:.4g}' for name, value in values.items())
        self._line.say(f'validation after epoch {epoch}: {text}')
        if math.isnan(values.get(selection.metric, math.nan)):
            self._line.say(f'{selection.metric} is not defined here, which counts as no better')
        if better:
            self._checkpoint(resumable=False).save(folder.best)
            self._line.say(f'best {selection.metric} so far: {selection.best:.4g}, best.pt saved')

    def _count_faults(self, epoch: int) -> None:
        faults = self._dataset.faults
        # Each process knows those that it has met; several may have met the same.
        met = self._dataset.broken_pictures.to(self._processes.device, torch.float32)
        pictures = int(self._processes.total(met).count_nonzero())
        counts = {'wrong_entries': faults.entries, 'broken_pictures': pictures}
        if self._folder:
            self._folder.log('data', self._trainer.step, epoch, counts)
        if any(counts.values()):
            self._line.say(
                f'data after epoch {epoch}: {faults.entries} wrong annotations and {pictures} '
                'broken pictures were left out'
            )

    def _save(self) -> None:
        """Write `last.pt`, in the first process."""
        if self._folder:
            self._checkpoint(resumable=True).save(self._folder.last)
        self._saved = time.monotonic()

    def _checkpoint(self, *, resumable: bool) -> Checkpoint:
        trainer = self._trainer
        state = {'trainer': trainer.state_dict(), 'selection': self._selection.state_dict()}
        averages = trainer.average.state_dict()
        return Checkpoint(
            spec=trainer.spec,
            weights={name: value.cpu().contiguous() for name, value in averages.items()},
            step=trainer.step,
            seed=self._config['seed'],
            commit=self._commit,
            config=self._config,
            training_state=state if resumable else {},
        )

    def _keep_bad_batch(self, batch: Mapping[str, Tensor], error: NonFiniteLossError) -> NoReturn:
        """Save what the loss was not finite for, and say so.

        Raises:
            NonFiniteLossError: always.
        """
        step = self._trainer.step
        items = self._indices.of_step(step)
        try:
            write_tensors(self._bad_batch, {'batch': dict(batch), 'items': items, 'step': step})
            where = f'is in {self._bad_batch}'
        except OSError as failure:
            where = f'is lost: {failure}'
        raise NonFiniteLossError(
            f'{error}; items {items} of the training set; the batch {where}'
        ) from error
