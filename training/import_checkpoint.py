"""Weights of CenterTrack, CenterNet and their relatives as a checkpoint of this project.

`python -m training.import_checkpoint original.pth --architecture dla34 --preset mot --output
model.pt`, then `python -m training.export model.pt`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from centertrack_ros.files import file_digest
from centertrack_ros.model_spec import BoxKind, JointRule, ModelSpec
from training.arguments import picture_size
from training.checkpoint import Checkpoint, git_commit
from training.heads import HEADS
from training.models import ARCHITECTURES, build_network
from training.models.network import CenterTrackNetwork
from training.models.original_checkpoint import (
    LoadReport,
    NewPart,
    load_checkpoint,
    our_name,
    read_state_dict,
)
from training.presets import PRESETS, Preset
from training.rules import original_rules

_CANDIDATES = 100  # K of the originals
# Boxes come from the last of these that a network has, as in the originals.
_BOX_HEADS: tuple[BoxKind, ...] = ('wh', 'ltrb', 'ltrb_amodal')


def found_heads(
    network_class: type[CenterTrackNetwork], state: Mapping[str, Tensor]
) -> dict[str, int]:
    """Heads of a checkpoint and their channels: the length of the last bias of each."""
    heads = {}
    for name, value in state.items():
        first, _, rest = our_name(network_class, name).partition('.')
        head, _, leaf = rest.partition('.')
        if first == 'heads' and head in HEADS and leaf.endswith('bias'):
            heads[head] = len(value)
    return heads


def found_options(
    network_class: type[CenterTrackNetwork], state: Mapping[str, Tensor]
) -> dict[str, int | bool | str]:
    """Options of an architecture that its weights tell: width and depth of the heads."""
    convolutions = [
        value
        for name, value in state.items()
        if our_name(network_class, name).startswith('heads.wh.') and value.ndim == 4
    ]
    heads = found_heads(network_class, state)
    stacks = sum(len(value) == heads.get('wh') for value in convolutions)
    if len(convolutions) < 2 or not stacks:
        return {}
    options: dict[str, int | bool | str] = {'head_channels': len(convolutions[0])}
    if 'conv_weight' in heads:
        return {**options, 'head_style': 'condinst'}
    return {**options, 'head_layers': len(convolutions) // stacks - 1}


def imported_spec(
    state: Mapping[str, Tensor],
    *,
    name: str,
    architecture: str,
    preset: Preset,
    joint_rule: JointRule,
    licence: str,
    options: Mapping[str, int | bool | str],
) -> ModelSpec:
    """The ModelSpec under which the weights give what they gave in the original program.

    Raises:
        ValueError: unknown architecture, or a checkpoint without heads of classes and boxes, or
            with other joints than the preset's.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f'architecture: expected one of {sorted(ARCHITECTURES)}, received {architecture!r}'
        )
    network_class = ARCHITECTURES[architecture].network
    heads = found_heads(network_class, state)
    box = _box_head(heads, architecture)
    joints = _joint_names(heads, preset)
    ours = [our_name(network_class, key) for key in state]
    rules = original_rules(joint_rule)
    return ModelSpec(
        name=name,
        architecture=architecture,
        input_height=preset.input_height,
        input_width=preset.input_width,
        resize=rules.resize,
        stride=network_class.stride,
        max_candidates=_CANDIDATES,
        classes=preset.classes,
        heads=heads,
        box=box,
        radius_rule=rules.radius_rule,
        prior_heatmap_stride=network_class.prior_heatmap_stride,
        thresholds=preset.thresholds,
        licence=licence,
        joints=joints,
        previous_image=any('stems.previous_image.' in key for key in ours),
        prior_heatmap=any('stems.prior_heatmap.' in key for key in ours),
        channel_mean=_grey_levels(preset.mean),
        channel_std=_grey_levels(preset.std),
        network={**found_options(network_class, state), **options},
        decode=rules.decode,
    )


def with_tracking(spec: ModelSpec) -> ModelSpec:
    """The same model with the inputs and the head that make a detector a tracker."""
    return replace(
        spec, previous_image=True, prior_heatmap=True, heads={**spec.heads, 'tracking': 2}
    )


def import_checkpoint(
    state: Mapping[str, Tensor], spec: ModelSpec, initialise: Sequence[NewPart]
) -> tuple[Checkpoint, LoadReport]:
    """A checkpoint that can be exported, evaluated and trained on.

    Raises:
        ValueError: weights and spec do not fit each other.
    """
    torch.manual_seed(0)  # for what is initialised
    wanted = len(spec.classes)
    heads = spec.heads
    if heads['hm'] != wanted and 'classes' in initialise:
        spec = replace(spec, heads={**heads, 'hm': wanted})
    elif heads['hm'] != wanted:
        raise ValueError(
            f'the checkpoint has {heads["hm"]} classes, the preset names {wanted}; choose the '
            'preset or the --classes that it was trained with, or start its last layer anew with '
            '--initialise classes'
        )
    network = build_network(spec)
    report = load_checkpoint(network, state, initialise=initialise)
    checkpoint = Checkpoint(spec, network.state_dict(), 0, 0, git_commit(), {}, {})
    return checkpoint, report


def _box_head(heads: Mapping[str, int], architecture: str) -> BoxKind:
    boxes = [head for head in _BOX_HEADS if head in heads]
    if 'hm' not in heads or not boxes:
        raise ValueError(
            f'the checkpoint has not both hm and one of {_BOX_HEADS} under the names that '
            f'{architecture} has in the originals; found heads {sorted(heads)}'
        )
    return boxes[-1]


def _joint_names(heads: Mapping[str, int], preset: Preset) -> tuple[str, ...]:
    if 'hps' not in heads:
        return ()
    if heads['hps'] != 2 * len(preset.joints):
        raise ValueError(
            f'the checkpoint has {heads["hps"] // 2} joints, the preset names '
            f'{len(preset.joints)}; choose the preset or the --joints that it was trained with'
        )
    return preset.joints


def _grey_levels(values: tuple[float, float, float]) -> tuple[float, float, float]:
    blue, green, red = (255 * value for value in values)
    return blue, green, red


def _option(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition('=')
    if not separator:
        raise argparse.ArgumentTypeError(f'expected NAME=VALUE, received {text!r}')
    return name, yaml.safe_load(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m training.import_checkpoint', description=__doc__
    )
    parser.add_argument('original', type=Path, metavar='original.pth')
    known = sorted(name for name, entry in ARCHITECTURES.items() if entry.network.original_names)
    parser.add_argument('--architecture', required=True, choices=known)
    parser.add_argument(
        '--preset', required=True, choices=sorted(PRESETS), help='data set of the training'
    )
    parser.add_argument('--output', type=Path, required=True, metavar='model.pt')
    parser.add_argument('--name', help='of the model (default: that of the output file)')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help="instead of the preset's")
    parser.add_argument('--joints', nargs='+', metavar='NAME', help="instead of the preset's")
    parser.add_argument(
        '--input-size', type=picture_size, metavar='HxW', help="instead of the preset's"
    )
    parser.add_argument(
        '--joint-rule',
        choices=('centertrack', 'centernet'),
        default='centertrack',
        help='program whose rules for joints and for negative sizes count (default: %(default)s)',
    )
    parser.add_argument(
        '--option',
        action='append',
        default=[],
        type=_option,
        metavar='NAME=VALUE',
        help='of the architecture, where its weights do not tell',
    )
    parser.add_argument(
        '--tracker',
        action='store_true',
        help='add the inputs and the head of a tracker to a detector, to be trained',
    )
    parser.add_argument(
        '--initialise',
        nargs='+',
        default=[],
        choices=['classes'],
        help='what may start anew: the last layer of hm, for other classes',
    )
    parser.add_argument('--licence', default='not stated', help='of the weights')
    return parser


def main() -> int:
    """Command line; exit code 2 when the weights do not fit."""
    arguments = _parser().parse_args()
    preset = PRESETS[arguments.preset]
    if arguments.classes:
        preset = replace(preset, classes=tuple(arguments.classes))
    if arguments.joints:
        preset = replace(preset, joints=tuple(arguments.joints))
    if arguments.input_size:
        preset = replace(
            preset, input_height=arguments.input_size[0], input_width=arguments.input_size[1]
        )
    try:
        state = read_state_dict(arguments.original)
        spec = imported_spec(
            state,
            name=arguments.name or arguments.output.stem,
            architecture=arguments.architecture,
            preset=preset,
            joint_rule=arguments.joint_rule,
            licence=arguments.licence,
            options=dict(arguments.option),
        )
        digest = file_digest(arguments.original)
        provenance = {'imported_from': arguments.original.name, 'imported_sha256': digest}
        spec = replace(spec, provenance=provenance)
        parts = list(arguments.initialise)
        if arguments.tracker:
            spec, parts = with_tracking(spec), [*parts, 'inputs', 'heads']
        checkpoint, report = import_checkpoint(state, spec, parts)
    except (OSError, ValueError) as error:
        print(f'training.import_checkpoint: {error}', file=sys.stderr)
        return 2
    print(report)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(arguments.output)
    print(f'{arguments.output} written; next: python -m training.export {arguments.output}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
