"""dcn.npz: modulated deformable convolution.

| original (`src/lib/model/networks/DCNv2/dcn_v2.py`) | ours (`training/models/deformable.py`) |
|---|---|
| `DCNv2`, `dcn_v2_conv` with given offsets and mask | `deformable_convolution` |
| `DCN` with `conv_offset_mask` | `DeformableConv2d` |

Outputs may differ by 1e-5 absolute and 1e-5 relative. A gradient is a sum of products that cancel
each other: beside 1e-4 of its value it may differ by 1e-6 of the largest value of its array (the
recorded ones differ by half of that from the same gradients in float64), and at least by 1e-6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from training.conformance.vectors import Case, Comparison, NotRecorded, Vectors, compare, owned
from training.models.deformable import DeformableConv2d, deformable_convolution

FILE = 'dcn.npz'
_INPUTS = {'x': 'input', 'offset': 'offset', 'mask': 'mask', 'weight': 'weight', 'bias': 'bias'}
_PARAMETERS = ('weight', 'bias', 'conv_offset_mask.weight', 'conv_offset_mask.bias')


def required_files(vectors: Vectors) -> Sequence[str]:
    """The one file."""
    return (FILE,)


def cases(vectors: Vectors) -> Iterable[Case]:
    """One case per call of the operator and per module."""
    arrays = vectors.arrays(FILE)
    for name in sorted({path.split('/')[0] for path in arrays}):
        if name.startswith('op_'):
            yield Case(FILE, name, owned(arrays, name), partial(_operator, vectors, name))
        elif name.startswith('module'):
            yield Case(FILE, name, owned(arrays, name), partial(_module, vectors, name))


def _operator(vectors: Vectors, name: str) -> Iterator[Comparison]:
    recorded = vectors.arrays(FILE).under(name)
    missing = {*_INPUTS.values(), 'stride_pad_dilation', 'output', 'grad_output'} - set(recorded)
    if missing:
        raise NotRecorded(f'{name}: {sorted(missing)}')
    leaves = {
        ours: torch.from_numpy(recorded.pop(theirs)).requires_grad_()
        for ours, theirs in _INPUTS.items()
    }
    stride, padding, dilation = recorded.pop('stride_pad_dilation').tolist()
    output = deformable_convolution(**leaves, stride=stride, padding=padding, dilation=dilation)
    yield _compare_outputs(f'{name}/output', output, recorded.pop('output'))
    output.backward(torch.from_numpy(recorded.pop('grad_output')))
    for ours, theirs in _INPUTS.items():
        expected = recorded.pop(f'grad_{theirs}', None)
        if expected is None:
            continue
        gradient = leaves[ours].grad
        assert gradient is not None
        yield compare(
            f'{name}/grad_{theirs}',
            gradient.numpy(),
            expected,
            absolute=1e-6 * max(1.0, float(np.abs(expected).max())),
            relative=1e-4,
        )
    if recorded:
        raise ValueError(f'{name}: no comparison for {sorted(recorded)}')


def _module(vectors: Vectors, name: str) -> Iterator[Comparison]:
    recorded = vectors.arrays(FILE).under(name)
    missing = {*_PARAMETERS, 'input', 'output'} - set(recorded)
    if missing:
        raise NotRecorded(f'{name}: {sorted(missing)}')
    out_channels, in_channels, kernel_size, _ = recorded['weight'].shape
    module = DeformableConv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    module.load_state_dict({key: torch.from_numpy(recorded.pop(key)) for key in _PARAMETERS})
    with torch.inference_mode():
        output = module(torch.from_numpy(recorded.pop('input')))
    yield _compare_outputs(f'{name}/output', output, recorded.pop('output'))
    if recorded:
        raise ValueError(f'{name}: no comparison for {sorted(recorded)}')


def _compare_outputs(name: str, received: torch.Tensor, expected: np.ndarray) -> Comparison:
    return compare(name, received.detach().numpy(), expected, absolute=1e-5, relative=1e-5)
