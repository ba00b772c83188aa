"""Heads computed only where they are read: the same rows from less work, in an exported graph.

Decoding reads all heads but the heatmaps at K cells of some ten thousand. A head of one 3x3
convolution needs nothing there but the nine feature vectors around each cell: with K = 100, a
fifteenth of the cells of a 544x416 image, less on larger ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.layers import CellMap, SeparableConv2d
from training.models.motion import Motion
from training.models.network import CenterTrackNetwork
from training.models.peaks import cell_positions

# Heads whose values are read at the peaks of `hm` alone, in `training.models.decode`; of
# `hp_offset` those of `hm_hp`.
_READ_AT_PEAKS = frozenset(
    {
        *('amodel_offset', 'conv_weight', 'dep', 'dim', 'hp_offset', 'hps', 'ltrb'),
        *('ltrb_amodal', 'nuscenes_att', 'reg', 'rot', 'tracking', 'velocity', 'wh'),
    }
)

Module = TypeVar('Module', bound=nn.Module)


def with_cell_heads(network: Module, dense: Collection[str] = ()) -> Module:
    """A copy of a network whose maps are `CellMap`s where that gives the same rows.

    Weights keep their names. Heads of any other form than one convolution of 3x3, followed by
    layers without neighbours, stay as they are.

    Args:
        network: not changed.
        dense: heads that are read at so many cells that the whole map is less work.
    """
    result = copy.deepcopy(network)
    if not isinstance(result, CenterTrackNetwork):
        return result
    for name, head in result.heads.items():
        if name in dense or name not in _READ_AT_PEAKS or _tells_of_joints(name, result):
            continue
        if isinstance(head, nn.ModuleList):
            for stack, one in enumerate(head):
                head[stack] = _deferred(one)
        else:
            result.heads[name] = _deferred(head)
    motion = getattr(result, 'motion', None)
    if isinstance(motion, Motion) and not _tells_of_joints('reg', result):
        result.motion = _MotionAtCells(motion)
    return cast('Module', result)


class _HeadAtCells(nn.Module):
    """Has the children of a head, under their names, and gives a `CellMap`."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        for name, child in head.named_children():
            self.add_module(name, child)

    def forward(self, features: Tensor) -> CellMap:
        layers = list(self.children())
        channels = [layer.out_channels for layer in _leaves(self) if isinstance(layer, nn.Conv2d)]

        @_once
        def at(index: Tensor) -> Tensor:
            x, _ = neighbourhoods(features, index)
            for layer in layers:
                x = _without_edges(layer, x)
            return x.squeeze(2).transpose(1, 2)

        return CellMap((features.shape[0], channels[-1], *features.shape[2:]), at)


class _MotionAtCells(Motion):
    """`Motion` whose offsets are computed at cells: its widest layers follow the last sum."""

    def __init__(self, motion: Motion) -> None:
        nn.Module.__init__(self)
        # The same layers under the same names.
        self.__dict__.update(motion.__dict__)

    def _maps(self, trunk: Tensor, features: Tensor) -> dict[str, Any]:
        @_once
        def at(index: Tensor) -> Tensor:
            x, inside = neighbourhoods(trunk, index)
            seen, _ = neighbourhoods(features, index)
            # The convolution pads with zeros, and outside of the map stands a bias.
            x = functional.relu(x + self.appearance(seen)) * inside
            x = self.outputs(functional.relu(_without_edges(self.hidden, x)))
            return x.squeeze(2).transpose(1, 2)

        first, maps = 0, {}
        for name, count in self._heads.items():
            shape = (trunk.shape[0], count, *trunk.shape[2:])
            maps[name] = CellMap(shape, _columns(at, first, first + count))
            first += count
        return maps


def neighbourhoods(features: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """The 3x3 cells round some cells, side by side as in one image.

    Args:
        features: (B, C, h, w).
        index: (B, M) int64, flat cells.

    Returns:
        (B, C, 3, 3M), zeros outside of the map: a 3x3 convolution of stride 3 without padding
        gives (B, C', 1, M); and (B, 1, 3, 3M), 1 inside and 0 outside of the map.
    """
    _, channels, height, width = features.shape
    column, row = cell_positions(index, width).unbind(dim=2)
    steps = torch.arange(-1, 2, device=index.device)
    rows = row[:, None, :, None] + steps[:, None, None]
    columns = column[:, None, :, None] + steps
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    flat = rows.clamp(0, height - 1) * width + columns.clamp(0, width - 1)
    # Value by value: to turn the whole map first, so that vectors lie in one piece, is 1 % faster
    # in ONNX Runtime and costs OpenVINO a tenth of the whole network.
    chosen = flat.flatten(1)[:, None].expand(-1, channels, -1)
    patches = features.flatten(2).gather(2, chosen).unflatten(2, (3, -1))
    kept = inside.flatten(2)[:, None].to(features.dtype)
    return patches * kept, kept


def _once(at: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """`at`, which is not called again for the cells of the call before."""
    last: list[tuple[Tensor, Tensor]] = []

    def remembered(index: Tensor) -> Tensor:
        if not last or last[0][0] is not index:
            last[:] = [(index, at(index))]
        return last[0][1]

    return remembered


def _columns(at: Callable[[Tensor], Tensor], first: int, last: int) -> Callable[[Tensor], Tensor]:
    return lambda index: at(index)[:, :, first:last]


def _tells_of_joints(name: str, network: CenterTrackNetwork) -> bool:
    """Whether a head is read at the many peaks of joints too (`training.models.joints`)."""
    return name == 'reg' and 'hm_hp' in network.heads and 'hp_offset' not in network.heads


def _deferred(head: nn.Module) -> nn.Module:
    if not isinstance(head, nn.Sequential | SeparableConv2d):
        return head
    first, *others = _leaves(head)
    rest_is_pointwise = all(
        layer.kernel_size == (1, 1) if isinstance(layer, nn.Conv2d) else _is_pointwise(layer)
        for layer in others
    )
    return _HeadAtCells(head) if _is_plain(first) and rest_is_pointwise else head


def _leaves(module: nn.Module) -> list[nn.Module]:
    return [layer for layer in module.modules() if not list(layer.children())]


def _is_plain(layer: nn.Module) -> bool:
    return (
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (3, 3)
        and layer.padding == (1, 1)
        and layer.stride == layer.dilation == (1, 1)
    )


def _is_pointwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.BatchNorm2d | nn.ReLU)


def _without_edges(layer: nn.Module, x: Tensor) -> Tensor:
    """`layer` of `neighbourhoods`, or of what follows them."""
    if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
        return functional.conv2d(x, layer.weight, layer.bias, stride=3, groups=layer.groups)
    if isinstance(layer, nn.Sequential | SeparableConv2d):
        for child in layer.children():
            x = _without_edges(child, x)
        return x
    return cast('Tensor', layer(x))
