"""Models for the tests of TensorRT: the shipped one in other precisions, and a small one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.transformers.float16 import convert_float_to_float16

from centertrack_ros.engines.tensorrt.library import Library, load_library
from centertrack_ros.model_spec import ModelSpec

# The brightest pixels instead of a network: quick to build, with the outputs of any detector.
_BRIGHTEST = """
<ir_version: 9, opset_import: ["" : 20]>
brightest (uint8[{batch},96,160,3] image) => (
  float[{batch},20] scores, int64[{batch},20] classes,
  float[{batch},20,2] cells, float[{batch},20,4] boxes
) {{
  three = Constant <value = int64[1] {{3}}> ()
  two = Constant <value = int64[1] {{2}}> ()
  count = Constant <value = int64[1] {{20}}> ()
  pixels = Cast <to = 1> (image)
  {extra}
  grey = ReduceMean <keepdims = 0> ({source}, three)
  flat = Flatten (grey)
  scores, classes = TopK (flat, count)
  column = Unsqueeze (scores, two)
  cells = Concat <axis = 2> (column, column)
  boxes = Concat <axis = 2> (cells, cells)
}}
"""
# Moves nothing, but is the operator that TensorRT for RTX does not have.
_DEFORMABLE = """
  channels = Transpose <perm = [0, 3, 1, 2]> (pixels)
  weight = Constant <value = float[3,3,1,1] {1, 0, 0, 0, 1, 0, 0, 0, 1}> ()
  zero = Constant <value = float {0}> ()
  one_channel = ReduceMax <keepdims = 1> (channels, first)
  flat_offset = Mul (one_channel, zero)
  offset = Concat <axis = 1> (flat_offset, flat_offset)
  moved_channels = DeformConv <kernel_shape = [1, 1]> (channels, weight, offset)
  moved = Transpose <perm = [0, 2, 3, 1]> (moved_channels)
"""


def rtx_library() -> Library:
    """TensorRT for RTX, which builds without a GPU; skips where it is not installed."""
    try:
        return load_library('tensorrt_rtx')
    except ImportError as error:
        pytest.skip(str(error))


def small_spec(spec: ModelSpec) -> ModelSpec:
    """A spec for `write_small_model`, which has one image as input."""
    heads = {'hm': 2, 'ltrb': 4, 'reg': 2}
    return replace(spec, heads=heads, previous_image=False, prior_heatmap=False)


def write_small_model(path: Path, *, batch: int | str = 'N', deformable: bool = False) -> Path:
    """Write a model that finds the 20 brightest pixels; a `batch` with a name is dynamic."""
    extra = 'first = Constant <value = int64[1] {1}> ()' + _DEFORMABLE if deformable else ''
    source = 'moved' if deformable else 'pixels'
    text = _BRIGHTEST.format(batch=batch, extra=extra, source=source)
    onnx.save(parser.parse_model(text), path)
    return path


def write_half(model: Path, path: Path) -> Path:
    """Write a copy with weights and arithmetic in float16; inputs and outputs stay."""
    half = convert_float_to_float16(onnx.load(model), keep_io_types=True)
    # The converter casts a constant that several nodes share once for each of them.
    nodes = {node.output[0]: node for node in half.graph.node}
    unique = [node for node in half.graph.node if nodes[node.output[0]] is node]
    del half.graph.node[:]
    half.graph.node.extend(unique)
    onnx.save(half, path)
    return path


def write_int8(model: Path, path: Path, convolutions: int) -> Path:
    """Write a model whose first convolutions are int8: symmetric Q/DQ, biases as they are."""
    names = [node.name for node in onnx.load(model).graph.node if node.op_type == 'Conv']
    quantize_static(
        model,
        path,
        _Noise(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        nodes_to_quantize=names[:convolutions],
        extra_options={
            'ActivationSymmetric': True,
            'WeightSymmetric': True,
            'QuantizeBias': False,
        },
    )
    return path


class _Noise(CalibrationDataReader):
    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        images = generator.integers(0, 256, (2, 1, 64, 96, 3), dtype=np.uint8)
        prior = generator.random((1, 1, 16, 24), dtype=np.float32)
        inputs = {'image': images[0], 'previous_image': images[1], 'prior_heatmap': prior}
        self._inputs = iter([inputs])

    def get_next(self):
        return next(self._inputs, None)
