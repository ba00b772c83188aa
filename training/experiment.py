"""From a training configuration to its model: ModelSpec, network, starting weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from centertrack_ros.model_spec import ModelSpec, Thresholds
from training.checkpoint import Checkpoint
from training.classes import CLASS_LISTS, JOINT_LISTS, named_list
from training.config import ModelConfig, StartConfig, TrainConfig
from training.heads import head_channels
from training.models import ARCHITECTURES, build_network
from training.models.mb3_centernet import load_mb3_centernet
from training.models.mobilenetv3 import grow_tracker
from training.models.network import CenterTrackNetwork
from training.models.original_checkpoint import load_checkpoint
from training.rules import CORRECTED, Rules, original_rules

# The part of a mobilenetv3 that the starting detector does not have.
_MOTION_PART = 'motion.'


@dataclass(frozen=True)
class Start:
    """A network as training begins with it.

    Attributes:
        network: with the starting weights.
        new: names of the parameters that the start did not bring.
    """

    network: CenterTrackNetwork
    new: frozenset[str]


def config_rules(config: TrainConfig) -> Rules:
    """The rules that `config` asks for."""
    if config.compat:
        return original_rules()
    return replace(CORRECTED, radius_rule=config.model.radius_rule)


def model_spec(config: TrainConfig) -> ModelSpec:
    """The ModelSpec of the model that `config` trains.

    Raises:
        ValueError: unknown architecture, head, or list of classes or joints.
    """
    rules, model = config_rules(config), config.model
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
        resize=rules.resize,
        stride=network_class.stride,
        max_candidates=model.max_candidates,
        classes=classes,
        heads=head_channels(model.heads, len(classes), len(joints)),
        box=model.box,
        radius_rule=rules.radius_rule,
        prior_heatmap_stride=network_class.prior_heatmap_stride,
        thresholds=Thresholds(**model.thresholds),
        licence=model.licence,
        joints=joints,
        previous_image=model.previous_image,
        prior_heatmap=model.prior_heatmap,
        channel_mean=model.channel_mean,
        channel_std=model.channel_std,
        network=dict(model.network),
        decode=rules.decode,
        provenance=dict(model.provenance),
    )


def start_network(start: StartConfig, spec: ModelSpec) -> Start:
    """The network that `spec` describes, with the weights to start from.

    Raises:
        FileNotFoundError: the starting weights do not exist.
        ValueError: they do not fit `spec`.
    """
    if start.kind == 'mb3_centernet':
        return _grown_detector(Path(start.path), spec)
    network = build_network(spec)
    names = {name for name, _ in network.named_parameters()}
    if start.kind == 'random':
        return Start(network, frozenset(names))
    path = Path(start.path)
    if not path.is_file():
        raise FileNotFoundError(
            f'start.path: {path} does not exist; the comments in the configuration say where it '
            'comes from, and start.kind=random does without it'
        )
    source: Path | dict[str, Tensor] = path
    if start.kind == 'checkpoint':
        checkpoint = Checkpoint.load(path)
        _check_like(checkpoint.spec, spec, path)
        source = checkpoint.weights
    try:
        report = load_checkpoint(network, source, initialise=start.initialise)
    except ValueError as error:
        raise ValueError(f'start: {path}: {error}; see start.initialise') from error
    return Start(network, frozenset(names & {name for name, _ in report.missing}))


def _check_like(given: ModelSpec, wanted: ModelSpec, path: Path) -> None:
    """Make sure that the weights of one model mean the same in another.

    Raises:
        ValueError: otherwise.
    """
    pairs = {
        'architecture': (given.architecture, wanted.architecture),
        'channel_mean': (given.channel_mean, wanted.channel_mean),
        'channel_std': (given.channel_std, wanted.channel_std),
    }
    if 'ltrb' in given.heads and 'ltrb' in wanted.heads:
        pairs['edges of ltrb (see compat)'] = (given.decode.edges, wanted.decode.edges)
    for name, (received, expected) in pairs.items():
        if received != expected:
            raise ValueError(
                f'start.path: {path}: the model has {name} {expected!r}, the checkpoint '
                f'{received!r}'
            )


def _names(model: ModelConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Classes and joints."""
    return named_list(model.classes, CLASS_LISTS), named_list(model.joints, JOINT_LISTS)


def _grown_detector(folder: Path, spec: ModelSpec) -> Start:
    """The published detector, grown into the tracker that `spec` describes."""
    if spec.architecture != 'mobilenetv3':
        raise ValueError(f'start: mb3_centernet is a mobilenetv3, received {spec.architecture!r}')
    network = grow_tracker(
        load_mb3_centernet(folder, spec.classes),
        spec.heads,
        previous_image=spec.previous_image,
        prior_heatmap=spec.prior_heatmap,
    )
    if spec.decode.edges == 'offsets':
        # Its edges are distances; as offsets those to the left and to the top are negative.
        with torch.no_grad():
            for parameter in network.heads['ltrb'].pointwise.parameters():
                parameter[:2].neg_()
    names = (name for name, _ in network.named_parameters())
    return Start(network, frozenset(name for name in names if name.startswith(_MOTION_PART)))
