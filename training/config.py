"""Training configuration: one YAML file, `key=value` overrides, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from centertrack_ros.model_spec import RadiusRule
from training.losses import check_loss_weights


@dataclass(frozen=True)
class TrainConfig:
    """What `training.train` reads. Paths are relative to the working directory.

    Attributes:
        name: name of the model, and of the exported files.
        architecture: see `training.models`.
        start: folder of the mb3-centernet weights that training starts from.
        data_root: folder of the data sets (see `training/data`).
        run: folder for checkpoints and logs.
        seed: everything random follows from it.
        input_height, input_width: size of the exported model.
        training_height, training_width: size of the crops, multiples of 32.
        still_share: share of still images with simulated motion; the rest is synthetic video.
        smallest_scale, largest_scale: of the crops, against a letterbox that just fits.
        steps, batch_size, workers: length, images per step, loader processes.
        learning_rate: of the new layers; pretrained ones get `pretrained_factor` times as much,
            and stay as they are where it is 0.
        warmup_steps: linear warm-up; then the rate falls to zero along a cosine.
        ema_decay: averaging of the weights that are evaluated and exported.
        precision: fp32, or bf16 autocast (fp32 weights).
        save_every, validate_every, log_every: in steps.
        compat: encode, learn and decode as the original does, defects included, see
            `training.rules`; the rules that imported weights were trained with.
        radius_rule: of the gaussian peaks where `compat` is false.
        thresholds: defaults written into the ModelSpec.
        provenance: source of the starting weights and data, written into the ModelSpec.
        losses: weights of the losses that differ from those of `training.heads`, by head, and of
            the extra ones (`giou`), see `training.losses.weights`; 0 leaves a loss out.
    """

    name: str
    architecture: str
    start: str
    data_root: str
    run: str
    licence: str
    thresholds: dict[str, float]
    provenance: dict[str, str]
    seed: int = 1
    input_height: int = 480
    input_width: int = 640
    max_candidates: int = 100
    training_height: int = 256
    training_width: int = 320
    still_share: float = 0.4
    smallest_scale: float = 0.8
    largest_scale: float = 2.0
    steps: int = 4000
    batch_size: int = 8
    workers: int = 1
    learning_rate: float = 1e-3
    pretrained_factor: float = 0.2
    weight_decay: float = 1e-4
    warmup_steps: int = 200
    gradient_clip: float = 10.0
    ema_decay: float = 0.998
    precision: Literal['fp32', 'bf16'] = 'bf16'
    save_every: int = 200
    validate_every: int = 400
    log_every: int = 20
    compat: bool = False
    radius_rule: RadiusRule = 'exact'
    losses: dict[str, float] = field(default_factory=dict)


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a YAML file and apply overrides such as `steps=10` or `losses.tracking=2`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: unknown key, missing key or a value of the wrong type.
    """
    values = yaml.safe_load(path.read_text(encoding='utf-8'))
    if not isinstance(values, dict):
        raise ValueError(f'{path}: expected a mapping, received {type(values).__name__}')
    for override in overrides:
        key, separator, text = override.partition('=')
        if not separator:
            raise ValueError(f'override: expected key=value, received {override!r}')
        *parents, last = key.split('.')
        target = values
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = yaml.safe_load(text)
    try:
        config = _build(values)
        check_loss_weights(config.losses)
        if config.compat and config.losses.get('giou', 0) > 0:
            raise ValueError('losses.giou: the original has no such loss; set compat to false')
        return config
    except (TypeError, ValueError) as error:
        raise ValueError(f'{path}: {error}') from error


def _build(values: Mapping[str, Any]) -> TrainConfig:
    known = {entry.name for entry in fields(TrainConfig)}
    if unknown := sorted(values.keys() - known):
        raise ValueError(f'unknown keys {unknown}; known are {sorted(known)}')
    hints = get_type_hints(TrainConfig)
    return TrainConfig(
        **{name: _converted(name, value, hints[name]) for name, value in values.items()}
    )


def _converted(name: str, value: Any, hint: Any) -> Any:
    if hint is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3 as a string
        except ValueError as error:
            raise ValueError(f'{name}: expected a number, received {value!r}') from error
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ValueError(f'{name}: expected one of {get_args(hint)}, received {value!r}')
        return value
    kind = get_origin(hint) or hint
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f'{name}: expected {kind.__name__}, received {value!r}')
    if kind is dict:
        of = get_args(hint)[1]
        return {key: _converted(f'{name}.{key}', item, of) for key, item in value.items()}
    return value
