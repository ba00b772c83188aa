"""Modulated deformable convolution (DCNv2, Zhu et al. 2019), without a compiled extension.

The original is a CUDA extension that has to be built for every PyTorch; here the samples are
taken with `grid_sample`, which runs everywhere and exports to ONNX.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

ExportForm = Literal['grid_sample', 'deform_conv']


def deformable_convolution(
    x: Tensor,
    offset: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    stride: int = 1,
    padding: int = 1,
    dilation: int = 1,
) -> Tensor:
    """Convolution whose taps are displaced and weighted per output pixel.

    Samples are bilinear and taken in float32 (or float64) also under autocast: a position of some
    hundred pixels does not fit the eight bits of bfloat16. Outside of `x` everything is 0, and a
    sample between the last pixel and the outside is between its value and 0. Torchvision's
    operator does the work where it is there and no graph is traced; results and gradients are the
    same.

    Args:
        x: (B, C, H, W).
        offset: (B, 2k, H', W') for k taps in row order: channel 2t is the displacement of tap t
            downwards, 2t + 1 to the right, in pixels of `x`.
        mask: (B, k, H', W') factors of the samples.
        weight: (O, C, rows, columns), k = rows * columns.
        bias: (O,) or None.
        stride, padding, dilation: as in `torch.nn.functional.conv2d`.

    Returns:
        (B, O, H', W').

    Raises:
        ValueError: `offset` or `mask` has another shape.
    """
    size = _output_size(x, weight, stride, padding, dilation)
    taps = weight.shape[2] * weight.shape[3]
    for name, value, channels in (('offset', offset, 2 * taps), ('mask', mask, taps)):
        expected = (x.shape[0], channels, *size)
        if value.shape != expected:
            raise ValueError(f'{name}: expected shape {expected}, received {tuple(value.shape)}')
    operator = None if _is_traced() else torchvision_operator()
    if operator is None:
        samples = sample_taps(
            x, offset, mask, weight.shape[2:], stride=stride, padding=padding, dilation=dilation
        )
        return functional.conv2d(samples, weight.flatten(1)[:, :, None, None], bias)
    with _without_autocast(x):
        dtype = _sampling_dtype(x)
        output = operator(
            x.to(dtype),
            offset.to(dtype),
            weight.to(dtype),
            None if bias is None else bias.to(dtype),
            stride,
            padding,
            dilation,
            mask.to(dtype),
        )
    return output.to(_autocast_dtype(x) or x.dtype)


def sample_taps(
    x: Tensor,
    offset: Tensor,
    mask: Tensor,
    kernel_size: tuple[int, ...],
    *,
    stride: int,
    padding: int,
    dilation: int,
) -> Tensor:
    """Samples of `deformable_convolution` before they are weighted: (B, C * k, H', W').

    All taps are one call of `grid_sample`: as fast as one call per tap, and a single node when
    exported.
    """
    batch, channels, height, width = x.shape
    taps, (out_height, out_width) = mask.shape[1], mask.shape[2:]
    rows, columns = kernel_size
    with _without_autocast(x):
        dtype = _sampling_dtype(x)
        options: dict[str, Any] = {'dtype': dtype, 'device': x.device}
        first = torch.arange(out_height, **options) * stride - padding
        tap = torch.arange(rows, **options).repeat_interleave(columns) * dilation
        row = first[:, None] + tap[:, None, None] + offset[:, 0::2].to(dtype)
        first = torch.arange(out_width, **options) * stride - padding
        tap = torch.arange(columns, **options).repeat(rows) * dilation
        column = first + tap[:, None, None] + offset[:, 1::2].to(dtype)
        # Without `align_corners` -1 and 1 are the outer edges of the outer pixels, which is
        # defined for a single pixel too.
        grid = torch.stack(((2 * column + 1) / width - 1, (2 * row + 1) / height - 1), dim=-1)
        samples = functional.grid_sample(
            x.to(dtype),
            grid.reshape(batch, taps * out_height, out_width, 2),
            mode='bilinear',
            padding_mode='zeros',
            align_corners=False,
        )
        samples = samples * mask.to(dtype).reshape(batch, 1, taps * out_height, out_width)
        return samples.reshape(batch, channels * taps, out_height, out_width).to(x.dtype)


class DeformableConv2d(nn.Module):
    """`deformable_convolution` with offsets and mask from a convolution over the same input.

    Attributes:
        weight, bias: of the convolution; (O, C, k, k), (O,).
        conv_offset_mask: makes the offsets (first 2k*k channels) and the logits of the mask (last
            k*k). Zero at first, as in DCNv2: an ordinary convolution of half the input.
        export_form: see `set_deformable_export`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        padding: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.export_form: ExportForm = 'grid_sample'
        self.taps = kernel_size * kernel_size
        self.weight = nn.Parameter(
            torch.empty(out_channels, in_channels, kernel_size, kernel_size)
        )
        self.bias = nn.Parameter(torch.zeros(out_channels))
        nn.init.kaiming_normal_(self.weight, nonlinearity='relu')
        self.conv_offset_mask = nn.Conv2d(
            in_channels, 3 * self.taps, kernel_size, stride, padding, dilation
        )
        nn.init.zeros_(self.conv_offset_mask.weight)
        assert self.conv_offset_mask.bias is not None
        nn.init.zeros_(self.conv_offset_mask.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, O, H', W')."""
        with _without_autocast(x):
            positions = self.conv_offset_mask(x.to(self.conv_offset_mask.weight.dtype))
            offset, logits = positions.split((2 * self.taps, self.taps), dim=1)
            mask = logits.sigmoid()
        if torch.onnx.is_in_onnx_export() and self.export_form == 'deform_conv':
            return self._deform_conv(x, offset, mask)
        return deformable_convolution(
            x,
            offset,
            mask,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )

    def _deform_conv(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """One node of ONNX (operator set 19 and later); its layout of offsets is the same."""
        size = _output_size(x, self.weight, self.stride, self.padding, self.dilation)
        return torch.onnx.ops.symbolic(
            'DeformConv',
            (x, self.weight, offset, self.bias, mask),
            {
                'dilations': [self.dilation] * 2,
                'kernel_shape': list(self.weight.shape[2:]),
                'pads': [self.padding] * 4,
                'strides': [self.stride] * 2,
            },
            dtype=x.dtype,
            shape=(x.shape[0], self.weight.shape[0], *size),
            version=19,
        )


def set_deformable_export(network: nn.Module, form: ExportForm) -> None:
    """Choose what every deformable convolution of `network` becomes in ONNX.

    Args:
        network: changed in place.
        form: `grid_sample`: GridSample and Conv, which every runtime takes; `deform_conv`: the
            operator DeformConv, faster where it exists (not in OpenVINO nor TensorRT for RTX).

    Raises:
        ValueError: another form.
    """
    if form not in get_args(ExportForm):
        raise ValueError(f'form: expected one of {get_args(ExportForm)}, received {form!r}')
    for module in network.modules():
        if isinstance(module, DeformableConv2d):
            module.export_form = form


@functools.cache
def torchvision_operator() -> Callable[..., Tensor] | None:
    """`torchvision.ops.deform_conv2d` where it can be called, else None.

    A torchvision that was built for another PyTorch fails on import or on the first call, with
    whatever error the loader has.
    """
    try:
        from torchvision.ops import deform_conv2d

        one = torch.ones(1, 1, 1, 1)
        deform_conv2d(one, torch.zeros(1, 2, 1, 1), one)
    except (ImportError, OSError, RuntimeError, AttributeError):
        return None
    return cast('Callable[..., Tensor]', deform_conv2d)


def _is_traced() -> bool:
    """Whether a graph is being made, which has to run without torchvision or to be fused."""
    return torch.onnx.is_in_onnx_export() or torch.compiler.is_compiling()


def _output_size(
    x: Tensor, weight: Tensor, stride: int, padding: int, dilation: int
) -> tuple[int, int]:
    height, width = (
        (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel in zip(x.shape[2:], weight.shape[2:], strict=True)
    )
    return height, width


def _sampling_dtype(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _autocast_dtype(x: Tensor) -> torch.dtype | None:
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None


def _without_autocast(x: Tensor) -> AbstractContextManager[object]:
    # Entered only where it does something: it would be recorded in an exported graph.
    if _autocast_dtype(x) is None:
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)
