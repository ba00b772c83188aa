"""Weights of the original programs into networks of ours: strict, with a report.

Reads the `.pth` files of CenterTrack, CenterNet, CenterNet-CondInst and simple-CenterNet. Each
architecture lists how the originals name its tensors (`original_names`) and which of theirs
have no influence on the result (`without_effect`).
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from training.heads import HEADS
from training.models.network import CenterTrackNetwork

# What may stay as it was initialised because the checkpoint does not have it.
NewPart = Literal['inputs', 'heads', 'classes', 'neck']

HEAD_ALIASES = {'hmap': 'hm', 'regs': 'reg', 'w_h_': 'wh'}  # simple-CenterNet
_NECK = 'neck.'
_COUNTER = '.num_batches_tracked'
_INPUTS = re.compile(r'(^|\.)(previous_image|prior_heatmap|previous_stem|prior_stem)\.')
# Some heads of mobilenetv3 are those of its motion part.
_HEAD = re.compile(r'(motion\.)?heads\.[^.]+\.')


@dataclass(frozen=True)
class LoadReport:
    """What became of every tensor.

    Attributes:
        taken: tensors whose name is the same here.
        renamed: original name and ours.
        dropped: original name and why it has no place here.
        missing: our name and why it keeps its initial value.
    """

    taken: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    dropped: tuple[tuple[str, str], ...]
    missing: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        lines = [f'{len(self.taken)} tensors taken, {len(self.renamed)} renamed']
        for title, entries in (('dropped', self.dropped), ('missing', self.missing)):
            lines.append(f'{len(entries)} {title}')
            lines += [f'  {name}: {reason}' for name, reason in entries]
        return '\n'.join(lines)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of an original checkpoint, whether or not wrapped for several GPUs.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no state dict, or other things than tensors and numbers, which would
            run code when they are read.
    """
    try:
        document = torch.load(path, map_location='cpu', weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'{path}: expected a file of torch.save with tensors: {reason}'
        ) from error
    state = document.get('state_dict', document) if isinstance(document, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(
            f'{path}: expected a state dict of tensors, or a dictionary with the key state_dict'
        )
    return {name.removeprefix('module.'): value for name, value in state.items()}


def load_checkpoint(
    network: CenterTrackNetwork,
    source: Path | Mapping[str, Tensor],
    *,
    initialise: Collection[NewPart] = (),
) -> LoadReport:
    """Fill `network` with the weights of an original checkpoint.

    Args:
        network: architecture, heads and inputs as in the checkpoint, or more.
        source: the file, or its state dict.
        initialise: parts that may keep their initial values: `inputs`, where the checkpoint is a
            detector's and the network has a previous image or a prior heatmap; `heads`, heads
            that the checkpoint has not, and those that only the checkpoint has are dropped;
            `classes`, the last layer of `hm` where the number of classes differs; `neck`, where
            the checkpoint is a backbone that was trained to classify.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a tensor is left over, missing, or of another shape; the network is as before.
    """
    unknown = sorted(set(initialise) - set(get_args(NewPart)))
    if unknown:
        raise ValueError(f'initialise: expected some of {get_args(NewPart)}, received {unknown}')
    originals = read_state_dict(source) if isinstance(source, Path) else source
    wanted = network.state_dict()
    values: dict[str, Tensor] = {}
    old_name: dict[str, str] = {}
    dropped: list[tuple[str, str]] = []
    left: list[str] = []
    for name, value in originals.items():
        reason = _without_effect(network, name)
        ours = our_name(type(network), name)
        if ours in old_name:
            raise ValueError(f'{name} and {old_name[ours]} would both become {ours}')
        if ours in wanted:
            values[ours], old_name[ours] = value, name
        elif reason is not None:
            dropped.append((name, reason))
        elif 'heads' in initialise and _is_other_head(network, ours):
            dropped.append((name, 'the model has no such head'))
        else:
            left.append(name)
    missing = _check_shapes(wanted, values, initialise)
    missing |= {
        name: _why_new(name)
        for name in wanted
        if name not in values and name not in missing and _may_be_new(name, values, initialise)
    }
    absent = sorted(set(wanted) - set(values) - set(missing))
    if left or absent:
        raise ValueError(_mismatch(left, absent))
    network.load_state_dict({**wanted, **{n: v for n, v in values.items() if n not in missing}})
    names = [(old_name[name], name) for name in values if name not in missing]
    return LoadReport(
        taken=tuple(ours for theirs, ours in names if theirs == ours),
        renamed=tuple((theirs, ours) for theirs, ours in names if theirs != ours),
        dropped=tuple(dropped),
        missing=tuple(missing.items()),
    )


def our_name(network: type[CenterTrackNetwork], name: str) -> str:
    """Name in `network` of a tensor that the originals call `name`."""
    for pattern, replacement in network.original_names:
        name = re.sub(pattern, replacement, name)
    first, _, rest = name.partition('.')
    head = HEAD_ALIASES.get(first, first)
    return f'heads.{head}.{rest}' if head in HEADS else name


def _without_effect(network: CenterTrackNetwork, name: str) -> str | None:
    for pattern, reason in network.without_effect:
        if re.search(pattern, name):
            return reason
    return None


def _check_shapes(
    wanted: Mapping[str, Tensor], values: Mapping[str, Tensor], initialise: Collection[NewPart]
) -> dict[str, str]:
    """Names of the tensors that may keep their initial values, and why.

    Raises:
        ValueError: shapes differ where they must not.
    """
    missing = {}
    for name, value in values.items():
        expected, received = tuple(wanted[name].shape), tuple(value.shape)
        if expected == received:
            continue
        only_classes = is_class_layer(name, wanted) and expected[1:] == received[1:]
        if only_classes and 'classes' in initialise:
            missing[name] = f'{received[0]} classes in the checkpoint, {expected[0]} here'
        elif only_classes:
            raise ValueError(
                f'{name}: the checkpoint has {received[0]} classes, the model {expected[0]}; name '
                "as many classes, or start this layer anew with initialise=('classes',) "
                '(--initialise classes)'
            )
        else:
            raise ValueError(f'{name}: expected shape {expected}, the checkpoint has {received}')
    return missing


def is_class_layer(name: str, wanted: Mapping[str, Tensor]) -> bool:
    """Whether a tensor is of the last layer of a head `hm`, which has a channel per class."""
    if not name.startswith('heads.hm.'):
        return False
    layer = name.rpartition('.')[0]
    head = layer.rpartition('.')[0] + '.'
    last = [other for other in wanted if other.startswith(head)][-1]
    return last.rpartition('.')[0] == layer


def _is_other_head(network: CenterTrackNetwork, name: str) -> bool:
    head = _HEAD.match(name)
    return head is not None and not any(own.startswith(head[0]) for own in network.state_dict())


def _may_be_new(name: str, values: Mapping[str, Tensor], initialise: Collection[NewPart]) -> bool:
    if _INPUTS.search(name):
        return 'inputs' in initialise
    if name.endswith(_COUNTER) and name.removesuffix(_COUNTER) + '.weight' in values:
        # PyTorch did not have it before 0.4.1, and it counts for nothing at a fixed momentum.
        return True
    if name.startswith(_NECK):
        return 'neck' in initialise and not any(other.startswith(_NECK) for other in values)
    head = _HEAD.match(name)
    if head is None:
        return False
    return 'heads' in initialise and not any(other.startswith(head[0]) for other in values)


def _why_new(name: str) -> str:
    if _INPUTS.search(name):
        return 'the checkpoint has no such input'
    if _HEAD.match(name):
        return 'new head'
    return 'new neck' if name.startswith(_NECK) else 'written by an older PyTorch'


def _mismatch(left: list[str], absent: list[str]) -> str:
    parts = []
    if left:
        parts.append(f'{len(left)} tensors of the checkpoint have no place here: {left[:8]}')
    if absent:
        parts.append(f'{len(absent)} tensors are not in the checkpoint: {absent[:8]}')
        if any(_INPUTS.search(name) for name in absent):
            parts.append("a detector becomes a tracker with initialise=('inputs',)")
        if any(_HEAD.match(name) for name in absent):
            parts.append("heads that it never had start anew with initialise=('heads',)")
        if any(name.startswith(_NECK) for name in absent):
            parts.append("a backbone alone needs initialise=('neck', 'heads', 'inputs')")
    return '; '.join(parts)
