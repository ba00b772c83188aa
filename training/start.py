"""The network that a training begins with, and where its weights come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from centertrack_ros.model_spec import ModelSpec
from training.checkpoint import Checkpoint
from training.classes import COCO_JOINTS
from training.config import StartConfig
from training.models import build_network, movenet_multipose
from training.models.exported_weights import read_exported_model
from training.models.mb3_centernet import load_mb3_centernet
from training.models.mobilenetv3 import grow_tracker
from training.models.movenet import grow_pose_tracker
from training.models.network import CenterTrackNetwork
from training.models.original_checkpoint import is_class_layer, load_checkpoint


@dataclass(frozen=True)
class Start:
    """A network as training begins with it.

    Attributes:
        network: with the starting weights.
        new: names of the parameters that the start did not bring.
    """

    network: CenterTrackNetwork
    new: frozenset[str]


def start_network(start: StartConfig, spec: ModelSpec) -> Start:
    """The network that `spec` describes, with the weights to start from.

    Raises:
        FileNotFoundError: the starting weights do not exist.
        ValueError: they do not fit `spec`.
    """
    if start.kind == 'mb3_centernet':
        return _grown_detector(Path(start.path), spec)
    if start.kind == 'movenet_multipose':
        return _grown_pose_network(Path(start.path), spec)
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
    if start.kind == 'original':
        source: Path | dict[str, Tensor] = path
        new: set[str] = set()
    else:
        given, weights = _own_model(start.kind, path)
        _check_like(given, spec, path)
        source, new = _rows_by_class(weights, given.classes, spec.classes, network)
    if new and 'classes' not in start.initialise:
        unknown = [name for name in spec.classes if name not in given.classes]
        raise ValueError(
            f'start: {path} does not have the classes {unknown} of the model; '
            "start.initialise=['classes'] begins those anew"
        )
    try:
        report = load_checkpoint(network, source, initialise=start.initialise)
    except ValueError as error:
        raise ValueError(f'start: {path}: {error}; see start.initialise') from error
    return Start(network, frozenset(names & (new | {name for name, _ in report.missing})))


def _own_model(kind: str, path: Path) -> tuple[ModelSpec, dict[str, Tensor]]:
    """A model of this project: what it is, and its weights."""
    if kind == 'exported':
        return read_exported_model(path)
    checkpoint = Checkpoint.load(path)
    return checkpoint.spec, checkpoint.weights


def _rows_by_class(
    weights: dict[str, Tensor],
    given: Sequence[str],
    wanted: Sequence[str],
    network: CenterTrackNetwork,
) -> tuple[dict[str, Tensor], set[str]]:
    """The weights with the rows of `hm` in the order of the model's classes.

    Returns:
        Weights in which rows of classes that the start does not have are those of `network`, and
        the names of the tensors that have such rows.
    """
    found = [(row, given.index(name)) for row, name in enumerate(wanted) if name in given]
    state, new = network.state_dict(), set()
    ordered = dict(weights)
    for name in weights:
        if name in state and is_class_layer(name, state):
            value = state[name].clone()
            for row, old_row in found:
                value[row] = weights[name][old_row]
            ordered[name] = value
            if len(found) < len(wanted):
                new.add(name)
    return ordered, new


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


def _grown_detector(folder: Path, spec: ModelSpec) -> Start:
    """The published detector, grown into the tracker that `spec` describes."""
    if spec.architecture != 'mobilenetv3':
        raise ValueError(f'start: mb3_centernet is a mobilenetv3, received {spec.architecture!r}')
    detector = load_mb3_centernet(folder, spec.classes)
    network = grow_tracker(
        detector,
        spec.heads,
        previous_image=spec.previous_image,
        prior_heatmap=spec.prior_heatmap,
    )
    _centre_boxes(network)
    if spec.decode.edges == 'offsets':
        # Its edges are distances; as offsets those to the left and to the top are negative.
        with torch.no_grad():
            for parameter in network.heads['ltrb'].pointwise.parameters():
                parameter[:2].neg_()
    return _started(network, detector)


def _grown_pose_network(folder: Path, spec: ModelSpec) -> Start:
    """The published pose network, grown into the tracker that `spec` describes."""
    for name, expected in (
        ('architecture', 'movenet'),
        ('classes', ('person',)),
        ('joints', COCO_JOINTS),
        ('channel_mean', movenet_multipose.CHANNEL_MEAN),
        ('channel_std', movenet_multipose.CHANNEL_STD),
        ('heads', {**spec.heads, **movenet_multipose.HEADS}),
    ):
        if (received := getattr(spec, name)) != expected:
            raise ValueError(
                f'start: movenet_multipose has model.{name} {expected!r}, received {received!r}'
            )
    pose = movenet_multipose.load_movenet_multipose(folder)
    network = grow_pose_tracker(
        pose,
        spec.heads,
        previous_image=spec.previous_image,
        prior_heatmap=spec.prior_heatmap,
    )
    return _started(network, pose)


def _started(network: CenterTrackNetwork, known: nn.Module) -> Start:
    """A network that begins as `known`, which is a part of it."""
    names = {name for name, _ in network.named_parameters()}
    return Start(network, frozenset(names - known.state_dict().keys()))


def _centre_boxes(network: CenterTrackNetwork) -> None:
    """Move all boxes of the published detector by half an input pixel to the right and down.

    On 128 images of COCO train2017 the medians of its four edges lie 0.3, 0.6, 0.7 and 0.1 input
    pixels too far to the left and to the top.
    """
    shift = 0.5 / network.stride
    with torch.no_grad():
        network.heads['ltrb'].pointwise.bias += torch.tensor([-shift, -shift, shift, shift])
