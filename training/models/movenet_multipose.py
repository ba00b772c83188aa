"""Reads the weights of MoveNet multipose (a TensorFlow.js graph model) with json and numpy."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from training.models.movenet import BLOCKS, MoveNetCenterTrack
from training.models.tensorflow_js import convolution_kernel, read_graph_weights

HEADS = {'hm': 1, 'wh': 2, 'reg': 2, 'hm_hp': 17, 'hps': 34, 'hp_offset': 34}
# The graph multiplies grey levels with 1/127.5 in float16, subtracts 1 and pads with zeros.
CHANNEL_MEAN = CHANNEL_STD = (127.5, 127.5, 127.5)
# Layer of ours -> names of its kernel and its bias in the graph.
Sources: TypeAlias = dict[str, tuple[str, str | None]]
_ROOT = 'StatefulPartitionedCall'
_EXTRACTOR = f'{_ROOT}/center_net_mobile_net_v2fpn_feature_extractor/model_1'
# Head -> its name in the graph, the numbers of its two layers, whether its channels are y, x.
_HEAD_SOURCES = {
    'hm': ('center_0', 3, 4, False),
    'wh': ('box_scale_0', 4, 5, True),
    'reg': ('box_offset_0', 5, 6, True),
    'hm_hp': ('kpt_heatmap_0', 6, 7, False),
    'hps': ('kpt_regress_0', 7, 8, True),
    'hp_offset': ('kpt_offset_0', 8, 9, True),
}


def load_movenet_multipose(folder: Path) -> MoveNetCenterTrack:
    """The published pose network as a network of ours, in evaluation mode, with its six heads.

    It takes images that are normalised with `CHANNEL_MEAN` and `CHANNEL_STD`. Changed on the way,
    without effect on the result: the stem takes BGR instead of RGB, and what has two coordinates
    says x before y, width before height. Head `hp_offset` has a pair of channels for each joint.

    Args:
        folder: with `movenet-multipose.json` and `movenet-multipose.bin`.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the manifest and the size of the binary file disagree.
    """
    weights = read_graph_weights(folder / 'movenet-multipose.json')
    state: dict[str, Tensor] = {}
    for layer, (weight, bias) in (_backbone_sources() | _head_sources()).items():
        depthwise = layer.endswith('depthwise')
        state[f'{layer}.weight'] = convolution_kernel(weights[weight], depthwise=depthwise)
        if bias is not None:
            state[f'{layer}.bias'] = torch.from_numpy(weights[bias].copy())
    state['stem.weight'] = state['stem.weight'].flip(1)
    for head, (*_, has_pairs) in _HEAD_SOURCES.items():
        for name in (f'heads.{head}.2.weight', f'heads.{head}.2.bias'):
            if has_pairs:
                state[name] = state[name].unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
    network = MoveNetCenterTrack(HEADS)
    network.load_state_dict(state)
    return network.eval()


def _backbone_sources() -> Sources:
    """Our layer -> names of its kernel and bias in the graph, up to the map that heads read."""
    folded = {'stem': 'Conv1', 'top': 'Conv_1'}
    sources: Sources = {}
    for index, block in enumerate(BLOCKS):
        name = f'block_{index}' if index else 'expanded_conv'
        if block.expansion > 1:
            folded[f'blocks.{index}.expand'] = f'{name}_expand'
        folded[f'blocks.{index}.project'] = f'{name}_project'
        path = f'{_EXTRACTOR}/model/{name}_depthwise/depthwise'
        sources[f'blocks.{index}.depthwise'] = (f'{path}_weights', f'{path}_bn_offset')
    for layer, name in folded.items():
        path = f'{_EXTRACTOR}/model/{name}/Conv2D'
        sources[layer] = (f'{path}_weights', f'{path}_bn_offset')
    for number, stride in enumerate((32, 16, 8, 4)):
        sources[f'lateral_{stride}'] = _plain(f'{_EXTRACTOR}/conv2d{_suffix(number)}')
    for number, stride in enumerate((16, 8, 4)):
        path = f'{_EXTRACTOR}/separable_conv2d{_suffix(number)}/separable_conv2d'
        sources[f'merge_{stride}.depthwise'] = (f'{path}/ReadVariableOp', None)
        sources[f'merge_{stride}.pointwise'] = (f'{path}_weights', f'{path}_bn_offset')
    return sources


def _head_sources() -> Sources:
    """The same of the heads."""
    sources: Sources = {}
    for head, (name, first, second, _) in _HEAD_SOURCES.items():
        path = f'{_ROOT}/{name}/separable_conv2d_{first}'
        kernel = f'{path}/separable_conv2d/ReadVariableOp'
        sources[f'heads.{head}.0.depthwise'] = (kernel, None)
        sources[f'heads.{head}.0.pointwise'] = (f'{kernel}_1', f'{path}/BiasAdd/ReadVariableOp')
        sources[f'heads.{head}.2'] = _plain(f'{_ROOT}/{name}/conv2d_{second}')
    return sources


def _plain(path: str) -> tuple[str, str]:
    return f'{path}/Conv2D/ReadVariableOp', f'{path}/BiasAdd/ReadVariableOp'


def _suffix(number: int) -> str:
    return f'_{number}' if number else ''
