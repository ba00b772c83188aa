"""From a training configuration to the parts of a training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from centertrack_ros.model_spec import ModelSpec
from training.config import OptimisationConfig, TrainConfig
from training.data.build import build_training_set, build_validation_pairs
from training.data.dataset import TrackingDataset
from training.distributed import Processes
from training.evaluation import EvaluationSet, evaluate_network, known_metrics
from training.experiment import config_rules, model_spec
from training.loop import LoopRules
from training.losses import TotalLoss, loss_weights
from training.optimisation import Schedule, linear_rule
from training.selection import LOSS, Selection
from training.start import start_network
from training.trainer import OptimiserRules, StepRules, Trainer
from training.validation import Validation

# Weight decay where the configuration says nothing: Adam adds it to the gradient, where it does
# not do what it is meant for.
_WEIGHT_DECAY = {'adamw': 1e-4, 'adam': 0.0, 'sgd': 1e-4}


@dataclass(frozen=True)
class Parts:
    """A training before its first step.

    Attributes:
        trainer: network and optimiser.
        dataset: training samples of all epochs.
        validation: measures the network; None in all processes but the first.
        selection: chooses the best checkpoint.
        rules: of the loop.
    """

    trainer: Trainer
    dataset: TrackingDataset
    validation: Validation | None
    selection: Selection
    rules: LoopRules


def assemble(config: TrainConfig, processes: Processes) -> Parts:
    """All parts of the training that `config` describes.

    Raises:
        FileNotFoundError: data or the start are not there.
        ValueError: the configuration does not fit the data, the start or the processes.
    """
    loop = config.loop
    processes.share(loop.batch_size)  # ValueError where it cannot be shared
    spec = model_spec(config)
    dataset = build_training_set(config, spec)
    steps = dataset.epoch_length // loop.batch_size
    if not steps:
        raise ValueError(
            f'an epoch has {dataset.epoch_length} samples, less than the batch of '
            f'{loop.batch_size}: zero steps per epoch; lower loop.batch_size or raise '
            'data.epoch_length'
        )
    trainer = make_trainer(config, spec, processes, steps)
    selection = Selection(loop.metric, loop.patience)
    validation = make_validation(config, spec, processes) if processes.is_first else None
    if validation:
        selection.check(validation.names)
    return Parts(
        trainer=trainer,
        dataset=dataset,
        validation=validation,
        selection=selection,
        rules=LoopRules(
            epochs=loop.epochs,
            steps_per_epoch=steps,
            batch_size=loop.batch_size,
            workers=loop.workers,
            log_every=loop.log_every,
            save_minutes=loop.save_minutes,
            validate_every=loop.validate_every,
            pictures_every=loop.pictures_every,
        ),
    )


def make_trainer(
    config: TrainConfig, spec: ModelSpec, processes: Processes, steps_per_epoch: int
) -> Trainer:
    """The trainer of `config` before its first step.

    Raises:
        FileNotFoundError, ValueError: see `start_network` and `Trainer`.
    """
    # Initial weights; all processes have the same.
    torch.manual_seed(config.seed)
    start = start_network(config.start, spec)
    loss = TotalLoss(
        spec.heads,
        config.losses,
        original=config_rules(config).original_losses,
        processes=processes,
    )
    loop, optimisation = config.loop, config.optimisation
    return Trainer(
        start.network,
        start.new,
        spec,
        loss,
        processes,
        OptimiserRules(
            kind=optimisation.optimiser,
            schedule=make_schedule(optimisation, loop.epochs, steps_per_epoch),
            learning_rate=linear_rule(
                optimisation.learning_rate, loop.batch_size, optimisation.reference_batch
            ),
            pretrained_factor=optimisation.pretrained_factor,
            weight_decay=_weight_decay(optimisation),
            ema_decay=optimisation.ema_decay,
        ),
        StepRules(
            precision=loop.precision,
            gradient_clip=optimisation.gradient_clip,
            batch_norm=optimisation.batch_norm,
            channels_last=loop.channels_last,
            compile=loop.compile,
        ),
        seed=config.seed,
    )


def make_schedule(optimisation: OptimisationConfig, epochs: int, steps_per_epoch: int) -> Schedule:
    """The schedule in steps instead of epochs."""
    return Schedule(
        kind=optimisation.schedule,
        total_steps=epochs * steps_per_epoch,
        warmup_steps=optimisation.warmup_steps,
        milestones=tuple(epoch * steps_per_epoch for epoch in optimisation.milestones),
        step_factor=optimisation.step_factor,
    )


def make_validation(config: TrainConfig, spec: ModelSpec, processes: Processes) -> Validation:
    """Measures the loss, and the metrics of the validation sets where there are any.

    Raises:
        FileNotFoundError, ValueError: see `build_validation_pairs`.
    """
    part = processes.share(config.loop.batch_size)
    pairs = build_validation_pairs(config, spec)
    sets = _validation_sets(config, spec)
    terms = loss_weights(spec.heads, config.losses)
    return Validation(
        pairs,
        batch_size=part.stop - part.start,
        workers=config.loop.workers,
        metrics=partial(evaluate_network, sets=sets) if sets else None,
        names={LOSS, *(f'{LOSS}_{term}' for term in terms), *known_metrics(spec, sets)},
    )


def _weight_decay(optimisation: OptimisationConfig) -> float:
    given = optimisation.weight_decay
    return _WEIGHT_DECAY[optimisation.optimiser] if given is None else given


def _validation_sets(config: TrainConfig, spec: ModelSpec) -> list[EvaluationSet]:
    return [
        EvaluationSet.load(
            Path(entry.annotations),
            Path(entry.images),
            spec.classes,
            joint_names=spec.joints,
            outlines='conv_weight' in spec.heads,
            skipped_categories=entry.skip_categories,
            faults=config.data.faults,
        )
        for entry in config.data.validation
    ]
