"""Reads the weights of mb3-centernet (a TensorFlow.js graph model) with json and numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.classes import COCO_CLASSES
from training.models.mobilenetv3 import _BLOCKS, MobileNetV3CenterTrack
from training.models.tensorflow_js import convolution_kernel, read_graph_weights

HEADS = {'hm': 80, 'ltrb': 4}
_BACKBONE = 'MobilenetV3'
_HEAD = 'CenternetHead'


def read_weights(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Tensor name (without `tower_0/`) -> values, from `centernet.json` and `centernet.bin`.

    Raises:
        FileNotFoundError, ValueError: see `read_graph_weights`.
    """
    weights = read_graph_weights(folder / 'centernet.json')
    return {name.removeprefix('tower_0/'): values for name, values in weights.items()}


def load_mb3_centernet(
    folder: Path, class_names: Sequence[str] = COCO_CLASSES
) -> MobileNetV3CenterTrack:
    """The published detector as a network of ours, in evaluation mode, with its two heads.

    Changed on the way, without effect on the result: the stem takes BGR instead of RGB, and
    `ltrb` comes in output cells instead of input pixels.

    Args:
        folder: with `centernet.json` and `centernet.bin`.
        class_names: of the network; those that COCO does not have start anew.
    """
    model = MobileNetV3CenterTrack({**HEADS, 'hm': len(class_names)})
    state = model.state_dict()
    published = _state_dict(read_weights(folder))
    for name in ('heads.hm.pointwise.weight', 'heads.hm.pointwise.bias'):
        rows = published.pop(name)
        for row, class_name in enumerate(class_names):
            if class_name in COCO_CLASSES:
                state[name][row] = rows[COCO_CLASSES.index(class_name)]
    state.update(published)
    model.load_state_dict(state)
    return model.eval()


def _state_dict(weights: dict[str, NDArray[np.float32]]) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}

    def put(target: str, weight: str, bias: str | None, *, depthwise: bool = False) -> None:
        state[f'{target}.weight'] = convolution_kernel(weights[weight], depthwise=depthwise)
        if bias is not None:
            state[f'{target}.bias'] = torch.from_numpy(weights[bias].copy())

    def put_separable(target: str, source: str, names: tuple[str, str]) -> None:
        put(f'{target}.depthwise', f'{source}/depthwise_weights', None, depthwise=True)
        put(f'{target}.pointwise', f'{source}/{names[0]}', f'{source}/{names[1]}')

    folded = ('Conv2D_weights', 'Conv2D_bn_offset')
    separable = ('separable_conv2d_weights', 'separable_conv2d_bn_offset')
    put('stem', *(f'{_BACKBONE}/Conv/{name}' for name in folded))
    state['stem.weight'] = state['stem.weight'].flip(1)
    for index, block in enumerate(_BLOCKS):
        source = f'{_BACKBONE}/expanded_conv' + (f'_{index}' if index else '')
        if block.has_expand:
            put(f'blocks.{index}.expand', *(f'{source}/expand/{name}' for name in folded))
        names = (f'{source}/depthwise/depthwise_{part}' for part in ('weights', 'bn_offset'))
        put(f'blocks.{index}.depthwise', *names, depthwise=True)
        put(f'blocks.{index}.project', *(f'{source}/project/{name}' for name in folded))
        if block.squeezed:
            for ours, theirs in (('reduce', 'Conv'), ('expand', 'Conv_1')):
                path = f'{source}/squeeze_excite/{theirs}'
                put(f'blocks.{index}.squeeze.{ours}', f'{path}/weights', f'{path}/biases')
    put('top', *(f'extern1/{name}' for name in folded))
    for stride, level in ((4, 'c2'), (8, 'c3'), (16, 'c4')):
        source = f'{_HEAD}/{level}_reverse'
        put(f'lateral_{stride}.reduce', *(f'{source}/1x1/{name}' for name in folded))
        put_separable(f'lateral_{stride}.separable', f'{source}/3x3', separable)
    for stride, level in ((8, 'c3'), (16, 'c4'), (32, 'c5')):
        for ours, theirs in (('small', 'x'), ('large', 'y')):
            source = f'{_HEAD}/{level}_upsample/branch_{theirs}_upsample_resize'
            put_separable(f'upsample_{stride}.{ours}', source, separable)
    put('gate.reduce', *(f'{_HEAD}/conv1x1_se_a/{name}' for name in folded))
    put('gate.expand', f'{_HEAD}/conv1x1_se_b/weights', None)
    for ours, theirs in (('hm', 'cls'), ('ltrb', 'wh')):
        source = f'{_HEAD}/centernet_{theirs}_output'
        put_separable(f'heads.{ours}', source, ('pointwise_weights', 'biases'))
    pixels_to_cells = float(weights['mul/y']) / MobileNetV3CenterTrack.stride
    for name in ('weight', 'bias'):
        state[f'heads.ltrb.pointwise.{name}'] *= pixels_to_cells
    _absorb_rounded_sixth(state, float(weights['extern1/hard_swish/mul_1/y']) * 6)
    return state


def _absorb_rounded_sixth(state: dict[str, Tensor], ratio: float) -> None:
    """Move the rounding of 1/6 into the weights that follow, so that plain layers can be used.

    The original writes hard-swish and hard-sigmoid with a 1/6 rounded to float16, `ratio` times
    the true one. Over fifteen blocks that moves box edges by up to 2 pixels.
    """
    # The stem's output also goes around block 0; scaling that block's branch instead and the
    # next expansion leaves the sum alone.
    state['blocks.0.depthwise.weight'] *= ratio
    state['blocks.0.project.weight'] /= ratio
    state['blocks.0.project.bias'] /= ratio
    state['blocks.1.expand.weight'] *= ratio
    for index, block in enumerate(_BLOCKS):
        if block.hard_swish:
            state[f'blocks.{index}.depthwise.weight'] *= ratio
            state[f'blocks.{index}.project.weight'] *= ratio
        if block.squeezed:
            state[f'blocks.{index}.project.weight'] *= ratio
            if block.hard_swish:
                state[f'blocks.{index}.squeeze.reduce.weight'] *= ratio
    for branch in ('small', 'large'):
        state[f'upsample_32.{branch}.depthwise.weight'] *= ratio
