"""From a training configuration to the ModelSpec of its model."""

from __future__ import annotations

from dataclasses import fields, replace

from centertrack_ros.model_spec import ModelSpec, Thresholds
from training.classes import CLASS_LISTS, JOINT_LISTS, named_list
from training.config import ModelConfig, TrainConfig
from training.heads import head_channels
from training.models import ARCHITECTURES
from training.rules import CORRECTED, Rules, original_rules


def config_rules(config: TrainConfig) -> Rules:
    """The rules that `config` asks for."""
    if config.compat:
        return original_rules()
    model = config.model
    decode = replace(CORRECTED.decode, joints=model.joint_rule, box_votes=model.box_votes)
    return replace(CORRECTED, radius_rule=model.radius_rule, decode=decode)


def model_spec(config: TrainConfig) -> ModelSpec:
    """The ModelSpec of the model that `config` trains.

    Raises:
        ValueError: unknown architecture, head, threshold, or list of classes or joints.
    """
    rules, model = config_rules(config), config.model
    if model.adaptive and rules.resize != 'letterbox':
        raise ValueError(
            f'model.adaptive: expected false where rules say resize {rules.resize!r}, '
            'received true'
        )
    if model.architecture not in ARCHITECTURES:
        raise ValueError(
            f'model.architecture: expected one of {sorted(ARCHITECTURES)}, '
            f'received {model.architecture!r}'
        )
    network_class = ARCHITECTURES[model.architecture].network
    classes, joints = _names(model)
    return ModelSpec(
        name=config.name,
        architecture=model.architecture,
        input_height=model.input_height,
        input_width=model.input_width,
        resize='adaptive' if model.adaptive else rules.resize,
        stride=network_class.stride,
        max_candidates=model.max_candidates,
        classes=classes,
        heads=head_channels(
            model.heads, len(classes), len(joints), offset_per_joint=model.offset_per_joint
        ),
        box=model.box,
        radius_rule=rules.radius_rule,
        prior_heatmap_stride=network_class.prior_heatmap_stride,
        thresholds=_thresholds(model),
        licence=model.licence,
        joints=joints,
        previous_image=model.previous_image,
        prior_heatmap=model.prior_heatmap,
        channel_mean=model.channel_mean,
        channel_std=model.channel_std,
        network=dict(model.network),
        decode=rules.decode,
        trained_focal_length=model.trained_focal_length,
        provenance=dict(model.provenance),
    )


def _thresholds(model: ModelConfig) -> Thresholds:
    names = [field.name for field in fields(Thresholds)]
    if sorted(model.thresholds) != sorted(names):
        raise ValueError(f'model.thresholds: expected {names}, received {list(model.thresholds)}')
    return Thresholds(**model.thresholds)


def _names(model: ModelConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Classes and joints."""
    return named_list(model.classes, CLASS_LISTS), named_list(model.joints, JOINT_LISTS)
