"""`losses.npz`: losses and their gradients.

| original | here |
| --- | --- |
| CenterTrack `_sigmoid` | `training.activations.clamped_sigmoid` |
| CenterTrack `GenericLoss._sigmoid_output`, `Detector._sigmoid_output` | `activations.activate` |
| CenterTrack `FastFocalLoss`, `_only_neg_loss` | `training.losses.focal_loss` (empty mask) |
| CenterTrack, CenterNet `_neg_loss`, `_not_faster_neg_loss` | `peak_focal_loss` |
| CenterTrack, CenterNet `RegWeightedL1Loss`, `RegL1Loss` | `l1_loss` |
| CenterNet `RegLoss`, `NormRegL1Loss`, `L1Loss` | `smooth_l1_`, `relative_l1_`, `mean_l1_loss` |
| CenterTrack `WeightedBCELoss` | `binary_loss` |
| CenterTrack `BinRotLoss` | `bin_rotation_loss(average_padding=True)` |
| CenterTrack `GenericLoss` | `TotalLoss(original=True)` |
| simple-CenterNet `_neg_loss`, `_reg_loss` | `peak_focal_loss`, `l1_loss` in `average_stacks` |
| CondInst `DiceLoss` | `mask_loss` |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from training import losses
from training.activations import SCORE_FLOOR, activate
from training.conformance.vectors import (
    BATCH_NAMES,
    Arrays,
    Case,
    Comparison,
    Vectors,
    compare,
    owned,
)
from training.models.layers import gather_cells

FILE = 'losses.npz'
Recorded = Mapping[str, NDArray[Any]]


def required_files(vectors: Vectors) -> Sequence[str]:
    """The one file."""
    return (FILE,)


def cases(vectors: Vectors) -> Iterable[Case]:
    """One case per recorded call; arrays of a call that is not in `RUNS` stay without one."""
    arrays = vectors.arrays(FILE)
    for prefix in dict.fromkeys('/'.join(name.split('/')[:2]) for name in arrays):
        for start, run in RUNS.items():
            if prefix.startswith(start):
                yield _case(arrays, prefix, run)
                break


def _case(arrays: Arrays, prefix: str, run: Callable[[Recorded], Iterator[Comparison]]) -> Case:
    def compute() -> Iterator[Comparison]:
        recorded = arrays.under(prefix)
        # This loss was run on the input of another case.
        if prefix.endswith('_notfaster'):
            recorded = {**arrays.under(prefix.removesuffix('_notfaster')), **recorded}
        return run(recorded)

    return Case(FILE, prefix, owned(arrays, prefix), compute)


def _leaf(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array).requires_grad_()


def _loss(name: str, received: Tensor, recorded: Recorded, relative: float = 1e-5) -> Comparison:
    return compare(name, received.detach().numpy(), recorded[name], relative=relative)


def _gradient(name: str, leaf: Tensor, recorded: Recorded) -> Comparison:
    assert leaf.grad is not None
    return compare(name, leaf.grad.numpy(), recorded[name], absolute=1e-6, relative=1e-4)


def _focal(recorded: Recorded) -> Iterator[Comparison]:
    logits = _leaf(recorded['logits'])
    heatmap, indices, classes, mask = (
        torch.from_numpy(recorded[name]) for name in ('target', 'ind', 'cat', 'mask')
    )
    scores = activate('hm', logits, score_floor=SCORE_FLOOR)
    yield compare('out', scores.detach().numpy(), recorded['out'], absolute=1e-6)
    arguments = (logits, heatmap, indices, classes)
    loss = losses.focal_loss(*arguments, mask, score_floor=SCORE_FLOOR)
    loss.backward()
    yield _loss('loss', loss, recorded, 2e-5)
    yield _gradient('grad_logits', logits, recorded)
    empty = torch.zeros_like(mask)
    negatives = -losses.focal_loss(*arguments, empty, score_floor=SCORE_FLOOR)
    yield _loss('only_neg', negatives, recorded, 2e-5)
    peaks = losses.peak_focal_loss(logits, heatmap, score_floor=SCORE_FLOOR)
    yield _loss('centernet_neg_loss', peaks, recorded, 2e-5)


def _peak_focal(recorded: Recorded) -> Iterator[Comparison]:
    logits = _leaf(recorded['logits'])
    heatmap = torch.from_numpy(recorded['target'])
    loss = losses.peak_focal_loss(logits, heatmap, score_floor=SCORE_FLOOR)
    loss.backward()
    yield _loss('loss', loss, recorded, 2e-5)
    yield _gradient('grad_logits', logits, recorded)


def _rows(
    function: Callable[[Tensor, Tensor, Tensor], Tensor], *, per_element: bool = True
) -> Callable[[Recorded], Iterator[Comparison]]:
    """Losses of (predicted, target, mask); a mask of objects becomes one of elements."""

    def run(recorded: Recorded) -> Iterator[Comparison]:
        output = _leaf(recorded['output'])
        target = torch.from_numpy(recorded['target'])
        mask = torch.from_numpy(recorded['mask']).to(target.dtype)
        if per_element and mask.ndim < target.ndim:
            mask = mask[..., None].expand_as(target)
        loss = function(gather_cells(output, torch.from_numpy(recorded['ind'])), target, mask)
        loss.backward()
        yield _loss('loss', loss, recorded)
        yield _gradient('grad' if 'grad' in recorded else 'grad_output', output, recorded)

    return run


def _rotation(recorded: Recorded) -> Iterator[Comparison]:
    output = _leaf(recorded['output'])
    indices, bins, residuals, mask = (
        torch.from_numpy(recorded[name]) for name in ('ind', 'rotbin', 'rotres', 'mask')
    )
    rows = gather_cells(output, indices)
    loss = losses.bin_rotation_loss(rows, bins, residuals, mask, average_padding=True)
    loss.backward()
    yield _loss('loss', loss, recorded)
    yield _gradient('grad', output, recorded)


def _activations(recorded: Recorded) -> Iterator[Comparison]:
    """`trainer_<head>` and `detector_depth_scale_<scale>_<head>` of the same `x`."""
    x = torch.from_numpy(recorded['x'])
    for name in recorded:
        if name == 'x':
            continue
        kind, _, rest = name.partition('_')
        if kind == 'trainer':
            values = activate(rest, x, score_floor=SCORE_FLOOR)
        else:
            scale, _, head = rest.removeprefix('depth_scale_').partition('_')
            values = activate(head, x, depth_scale=float(scale))
        yield compare(name, values.numpy(), recorded[name], absolute=1e-6, relative=1e-5)


def _total(recorded: Recorded) -> Iterator[Comparison]:
    parts: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in recorded.items():
        part, _, head = name.partition('/')
        parts.setdefault(part, {})[head] = array
    stacks = [
        {head: _leaf(array) for head, array in parts[f'out{index}'].items()}
        for index in range(sum(part.startswith('out') for part in parts))
    ]
    batch = {
        BATCH_NAMES.get(name, name): torch.from_numpy(array)
        for name, array in parts['batch'].items()
    }
    total = losses.TotalLoss(stacks[0], original=True)
    for head, weight in parts['weight'].items():
        yield compare(f'weight/{head}', total.weights[head], weight, relative=1e-6)
    terms = total(stacks, batch)
    terms['total'].backward()
    for name in parts['loss']:
        relative = 2e-5 if name in ('hm', 'hm_hp') else 1e-5
        term = terms['total' if name == 'tot' else name]
        yield _loss(f'loss/{name}', term, recorded, relative)
    for index, outputs in enumerate(stacks):
        for head in parts[f'grad{index}']:
            yield _gradient(f'grad{index}/{head}', outputs[head], recorded)


def _stacks(
    function: Callable[..., Tensor], target: str, mask: str | None = None
) -> Callable[[Recorded], Iterator[Comparison]]:
    """simple-CenterNet: one input per stack, each with its gradient."""

    def run(recorded: Recorded) -> Iterator[Comparison]:
        names = sorted(name for name in recorded if f'grad_{name}' in recorded)
        stacks = [_leaf(recorded[name]) for name in names]
        arguments = [torch.from_numpy(recorded[target])]
        if mask is not None:
            objects = torch.from_numpy(recorded[mask]).to(arguments[0].dtype)
            arguments.append(objects[..., None].expand_as(arguments[0]))
        loss = losses.average_stacks(lambda output: function(output, *arguments), stacks)
        loss.backward()
        yield _loss('loss', loss, recorded)
        for name, stack in zip(names, stacks, strict=True):
            yield _gradient(f'grad_{name}', stack, recorded)

    return run


def _dice(recorded: Recorded) -> Iterator[Comparison]:
    """The recorded targets have fewer rows than indices and mask: only those of objects."""
    features, weights = _leaf(recorded['seg_feat']), _leaf(recorded['conv_weight'])
    target = torch.from_numpy(recorded['target'])
    indices, mask = (
        torch.from_numpy(recorded[name])[:, : target.shape[1]] for name in ('ind', 'mask')
    )
    loss = losses.mask_loss(features, weights, target, indices, mask)
    loss.backward()
    yield _loss('loss', loss, recorded)
    yield _gradient('grad_seg_feat', features, recorded)
    yield _gradient('grad_conv_weight', weights, recorded)


# Beginning of the recorded name -> what runs it; the first that fits.
RUNS: dict[str, Callable[[Recorded], Iterator[Comparison]]] = {
    'centertrack/focal': _focal,
    'centertrack/regl1': _rows(losses.l1_loss),
    'centertrack/bce': _rows(losses.binary_loss),
    'centertrack/rot': _rotation,
    'centertrack/sigmoid_output': _activations,
    'centertrack/generic': _total,
    'centernet/neg_loss': _peak_focal,
    'centernet/RegL1Loss': _rows(losses.l1_loss),
    'centernet/RegWeightedL1Loss': _rows(losses.l1_loss),
    'centernet/RegLoss': _rows(losses.smooth_l1_loss, per_element=False),
    'centernet/NormRegL1Loss': _rows(losses.relative_l1_loss),
    'centernet/L1Loss': _rows(losses.mean_l1_loss),
    'simple/neg_loss': _stacks(partial(losses.peak_focal_loss, score_floor=SCORE_FLOOR), 'target'),
    'simple/reg_loss': _stacks(losses.l1_loss, 'gt_regs', 'mask'),
    'condinst/DiceLoss': _dice,
}
