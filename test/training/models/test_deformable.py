from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional

from training.models.deformable import (
    DeformableConv2d,
    deformable_convolution,
    sample_taps,
    set_deformable_export,
    torchvision_operator,
)


def _arguments(
    batch=1, channels=3, out_channels=4, size=(7, 9), kernel=3, spread=1.5, dtype=torch.float32,
    stride=1, padding=1, dilation=1,
):  # fmt: skip
    generator = torch.Generator().manual_seed(7)
    height, width = (
        (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1 for length in size
    )
    taps = kernel * kernel

    def normal(*shape):
        return torch.randn(*shape, generator=generator).to(dtype)

    return {
        'x': normal(batch, channels, *size),
        'offset': spread * normal(batch, 2 * taps, height, width),
        'mask': normal(batch, taps, height, width).sigmoid(),
        'weight': normal(out_channels, channels, kernel, kernel) / taps,
        'bias': normal(out_channels),
    }


def _reference(x, offset, mask, weight, bias, *, stride, padding, dilation):
    """The definition, sample by sample."""
    out = bias[None, :, None, None].expand(x.shape[0], -1, *mask.shape[2:]).clone()
    height, width = x.shape[2:]
    for b, row, column in np.ndindex(x.shape[0], *mask.shape[2:]):
        for tap in range(mask.shape[1]):
            i, j = divmod(tap, weight.shape[3])
            y = row * stride - padding + i * dilation + offset[b, 2 * tap, row, column].item()
            z = column * stride - padding + j * dilation + offset[b, 2 * tap + 1, row, column]
            z, value = z.item(), torch.zeros(x.shape[1], dtype=x.dtype)
            for yy in (int(np.floor(y)), int(np.floor(y)) + 1):
                for zz in (int(np.floor(z)), int(np.floor(z)) + 1):
                    if 0 <= yy < height and 0 <= zz < width:
                        value += (1 - abs(y - yy)) * (1 - abs(z - zz)) * x[b, :, yy, zz]
            out[b, :, row, column] += weight[:, :, i, j] @ value * mask[b, tap, row, column]
    return out


@pytest.mark.parametrize(
    ('options', 'geometry'),
    [
        ({}, (1, 1, 1)),
        ({'batch': 2, 'spread': 6}, (1, 1, 1)),
        ({'size': (8, 5)}, (2, 1, 1)),
        ({'size': (9, 8)}, (1, 2, 2)),
        ({'kernel': 1}, (1, 0, 1)),
        ({'kernel': 5, 'size': (1, 6)}, (1, 2, 1)),
    ],
    ids=['plain', 'far', 'stride', 'dilation', 'one tap', 'one row'],
)
def test_follows_the_definition(options, geometry):
    steps = dict(zip(('stride', 'padding', 'dilation'), geometry, strict=True))
    arguments = _arguments(**options, **steps, dtype=torch.float64)
    expected = _reference(**arguments, **steps)
    torch.testing.assert_close(deformable_convolution(**arguments, **steps), expected)
    single = {name: value.float() for name, value in arguments.items()}
    received = deformable_convolution(**single, **steps)
    torch.testing.assert_close(received, expected.float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('stride', [1, 2])
def test_integer_offsets_pick_pixels(stride):
    arguments = _arguments(size=(37, 53), stride=stride)
    arguments['mask'].fill_(1)
    arguments['offset'] = torch.full_like(arguments['offset'], 2.0)
    shifted = functional.pad(arguments['x'], (0, 2, 0, 2))[:, :, 2:, 2:]
    expected = functional.conv2d(shifted, arguments['weight'], arguments['bias'], stride, 1)
    received = deformable_convolution(**arguments, stride=stride, padding=1, dilation=1)
    # The first row and column see pixels where the shifted image has its padding.
    inner = (..., slice(1, None), slice(1, None))
    torch.testing.assert_close(received[inner], expected[inner], atol=2e-5, rtol=1e-5)


def test_gradients_are_those_of_the_function():
    arguments = _arguments(size=(4, 5), out_channels=2, channels=2, dtype=torch.float64)
    leaves = [value.requires_grad_() for value in arguments.values()]

    def function(*values):
        named = dict(zip(arguments, values, strict=True))
        return deformable_convolution(**named, stride=1, padding=1, dilation=1)

    assert torch.autograd.gradcheck(function, leaves)


def test_equals_torchvision():
    operator = torchvision_operator()
    if operator is None:
        pytest.skip('torchvision or its operator deform_conv2d does not load')
    steps = {'stride': 2, 'padding': 2, 'dilation': 2}
    arguments = _arguments(batch=2, size=(10, 11), spread=3, **steps)
    ours = {name: value.clone().requires_grad_() for name, value in arguments.items()}
    theirs = {name: value.clone().requires_grad_() for name, value in arguments.items()}
    samples = sample_taps(ours['x'], ours['offset'], ours['mask'], (3, 3), **steps)
    weight = ours['weight'].flatten(1)[:, :, None, None]
    result = functional.conv2d(samples, weight, ours['bias'])
    expected = deformable_convolution(**theirs, **steps)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)
    result.square().sum().backward()
    expected.square().sum().backward()
    for name, value in ours.items():
        torch.testing.assert_close(value.grad, theirs[name].grad, atol=1e-4, rtol=1e-4)


def _provide_torchvision(monkeypatch, operator):
    """Something that is imported as `torchvision.ops.deform_conv2d`."""
    package, operators = ModuleType('torchvision'), ModuleType('torchvision.ops')
    operators.deform_conv2d = operator
    monkeypatch.setitem(sys.modules, 'torchvision', package)
    monkeypatch.setitem(sys.modules, 'torchvision.ops', operators)
    torchvision_operator.cache_clear()


@pytest.fixture
def fresh_search():
    torchvision_operator.cache_clear()
    yield
    torchvision_operator.cache_clear()


@pytest.mark.usefixtures('fresh_search')
def test_calls_torchvision_where_it_works(monkeypatch):
    calls = []

    # Torchvision's signature.
    def deform_conv2d(
        input, offset, weight, bias=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1), mask=None
    ):
        if mask is None:
            return input
        calls.append([value.dtype for value in (input, offset, weight, bias, mask)])
        geometry = {'stride': stride, 'padding': padding, 'dilation': dilation}
        samples = sample_taps(input, offset, mask, weight.shape[2:], **geometry)
        return functional.conv2d(samples, weight.flatten(1)[:, :, None, None], bias)

    module = _moving_module(stride=2, padding=2, dilation=2)
    x = torch.randn(2, 4, 9, 12)
    with torch.no_grad():
        monkeypatch.setattr(
            torchvision_operator.__module__ + '.torchvision_operator', lambda: None
        )
        expected = module(x)
        monkeypatch.undo()
        _provide_torchvision(monkeypatch, deform_conv2d)
        torch.testing.assert_close(module(x), expected)
        with torch.autocast('cpu', torch.bfloat16):
            rounded = module(x.bfloat16())
    assert calls == [[torch.float32] * 5] * 2
    assert rounded.dtype == torch.bfloat16


@pytest.mark.usefixtures('fresh_search')
def test_does_without_a_broken_torchvision(monkeypatch):
    def deform_conv2d(*_, **__):
        raise RuntimeError("Couldn't load custom C++ ops")

    _provide_torchvision(monkeypatch, deform_conv2d)
    assert torchvision_operator() is None
    assert _moving_module()(torch.randn(1, 4, 5, 5)).shape == (1, 6, 5, 5)


def test_starts_as_half_a_convolution():
    torch.manual_seed(0)
    module = DeformableConv2d(3, 5)
    with torch.no_grad():
        module.bias.uniform_()
    x = torch.randn(2, 3, 6, 8)
    expected = functional.conv2d(x / 2, module.weight, module.bias, padding=1)
    torch.testing.assert_close(module(x), expected, atol=1e-5, rtol=1e-5)
    module(x).square().sum().backward()
    assert all(value.grad.abs().sum() > 0 for value in module.parameters())


def _moving_module(in_channels=4, out_channels=6, **options):
    torch.manual_seed(3)
    module = DeformableConv2d(in_channels, out_channels, **options)
    nn.init.normal_(module.conv_offset_mask.weight, std=0.3)
    nn.init.normal_(module.conv_offset_mask.bias, std=1.0)
    return module


def test_samples_in_float32_under_autocast(monkeypatch):
    module = _moving_module(8, 6)
    # Wide enough for bfloat16 to miss whole pixels, and steep, so that a miss would show.
    x = (torch.arange(480.0).remainder(2) * 2 - 1).expand(1, 8, 6, 480).clone()
    grids = []
    original = functional.grid_sample

    def recorded(values, grid, **options):
        grids.append(grid.dtype)
        return original(values, grid, **options)

    monkeypatch.setattr(functional, 'grid_sample', recorded)
    monkeypatch.setattr('training.models.deformable.torchvision_operator', lambda: None)
    with torch.no_grad():
        positions = module.conv_offset_mask(x)
        samples = sample_taps(
            x, positions[:, :18], positions[:, 18:].sigmoid(), (3, 3),
            stride=1, padding=1, dilation=1,
        )  # fmt: skip
        rounded = [
            value.bfloat16().float() for value in (samples, module.weight.flatten(1), module.bias)
        ]
        # Factors rounded, sums in float32: all that autocast may do.
        expected = functional.conv2d(rounded[0], rounded[1][:, :, None, None], rounded[2])
        with torch.autocast('cpu', torch.bfloat16):
            received = module(x)
            from_half = module(x.bfloat16())  # x itself is exact in bfloat16
    assert grids == [torch.float32] * 3
    for result in (received, from_half):
        assert result.dtype == torch.bfloat16
        torch.testing.assert_close(result.float(), expected, atol=1e-4, rtol=2**-8)


@pytest.mark.parametrize(
    ('form', 'operators', 'absent'),
    [('grid_sample', {'GridSample'}, 'DeformConv'), ('deform_conv', {'DeformConv'}, 'GridSample')],
)
@pytest.mark.parametrize('options', [{}, {'stride': 2, 'dilation': 2, 'padding': 2}])
def test_exports_in_both_forms(form, operators, absent, options, tmp_path):
    network = nn.Sequential(_moving_module(**options), nn.ReLU()).eval()
    set_deformable_export(network, form)
    x = torch.randn(2, 4, 11, 14)
    path = tmp_path / 'network.onnx'
    program = torch.onnx.export(network, (x,), dynamo=True, opset_version=20, verbose=False)
    assert program is not None
    program.save(path)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    counts = [node.op_type for node in model.graph.node]
    assert operators <= set(counts)
    assert absent not in counts
    assert counts.count(next(iter(operators))) == 1
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    (received,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        expected = network(x).numpy()
    np.testing.assert_allclose(received, expected, atol=1e-4)


def test_refuses_what_does_not_fit():
    arguments = _arguments()
    with pytest.raises(ValueError, match=r'offset: expected shape \(1, 18, 7, 9\)'):
        deformable_convolution(**{**arguments, 'offset': arguments['offset'][:, :9]})
    with pytest.raises(ValueError, match='mask: expected shape'):
        deformable_convolution(**{**arguments, 'mask': arguments['mask'][..., :1]})
    with pytest.raises(ValueError, match='form: expected one of'):
        set_deformable_export(nn.Sequential(), 'plugin')
