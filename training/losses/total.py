"""Weighted sum of the losses of all heads and stacks of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from training.activations import SCORE_FLOOR, activate
from training.distributed import ALONE, Processes
from training.heads import HEADS
from training.losses.bins import bin_rotation_loss
from training.losses.counts import own
from training.losses.focal import focal_loss
from training.losses.masks import mask_loss
from training.losses.regression import binary_loss, giou_loss, l1_loss
from training.losses.weights import EXTRA_LOSSES, loss_weights
from training.models.layers import gather_cells, pick_pairs

Outputs = Mapping[str, Tensor]
Batch = Mapping[str, Tensor]
_Stack = TypeVar('_Stack')


def average_stacks(loss: Callable[[_Stack], Tensor], stacks: Sequence[_Stack]) -> Tensor:
    """Mean of `loss` over the outputs of all stacks of a network."""
    return torch.stack([loss(outputs) for outputs in stacks]).mean()


class TotalLoss(nn.Module):
    """What a network is trained with (`GenericLoss` of CenterTrack), by `training.heads`.

    Args:
        heads: names of the network's heads.
        weights: factors that differ from the table's, and of the extra loss `giou` of the boxes
            of `ltrb`; 0 leaves a loss out.
        original: the values of CenterTrack: scores clamped to [1e-4, 1 - 1e-4], and the loss of
            `rot` averaged over empty rows.
        processes: those that share each batch in training mode: the means over them of losses
            and gradients are those of the whole batch, and all have to call `forward` together.
            In evaluation mode each process is on its own.

    Raises:
        ValueError: see `weights.loss_weights`.
    """

    def __init__(
        self,
        heads: Iterable[str],
        weights: Mapping[str, float] | None = None,
        *,
        original: bool = False,
        processes: Processes = ALONE,
    ) -> None:
        super().__init__()
        self.weights = loss_weights(heads, weights or {})
        self.original = original
        self._processes = processes

    def forward(self, stacks: Sequence[Outputs], batch: Batch) -> dict[str, Tensor]:
        """Each loss without its weight, and their weighted sum as `total`; means of the stacks.

        Args:
            stacks: per stack head name -> map (B, C, h, w), as the network returns it.
            batch: collated targets of `training.targets`: for the heads that are maps, `hm`
                (B, C, h, w) and `hm_hp` (B, J, h, w); for objects `indices` (B, M) int64,
                `classes` (B, M) int64, `mask` (B, M), for each of their heads `<head>` and
                `<head>_mask` (B, M, C), but `rot_bins` (B, M, 2) int64, `rot_residuals`
                (B, M, 2), `rot_mask` (B, M) for `rot` and `masks` (B, M, h, w), `masks_mask`
                (B, M) for `conv_weight`; for joints the same with `joint_` before the names of
                the first three and M J rows. `..mask` is 1 where something is to be learnt.
        """
        losses = {
            name: average_stacks(partial(self._loss, name, batch), stacks) for name in self.weights
        }
        if self._shares:
            # Shares add up to the loss of the batch, but gradients are averaged.
            losses = {name: loss * self._processes.count for name, loss in losses.items()}
        terms = [self.weights[name] * loss for name, loss in losses.items()]
        return {**losses, 'total': torch.stack(terms).sum()}

    @property
    def _shares(self) -> bool:
        """Whether the batch is a part of one."""
        return self.training and self._processes.count > 1

    def _loss(self, name: str, batch: Batch, outputs: Outputs) -> Tensor:
        """One loss, without its weight, of one stack."""
        total = self._processes.total if self._shares else own
        if name in EXTRA_LOSSES:
            boxes = EXTRA_LOSSES[name]
            mask = batch[f'{boxes}_mask'].amin(dim=2)
            return giou_loss(_rows(boxes, outputs, batch), batch[boxes], mask, total=total)
        head = HEADS[name]
        if head.loss == 'focal':
            kind = 'joint_' if head.per == 'joint' else ''
            return focal_loss(
                outputs[name].float(),
                batch[name],
                batch[f'{kind}indices'],
                batch[f'{kind}classes'],
                batch[f'{kind}mask'],
                score_floor=SCORE_FLOOR if self.original else 0.0,
                total=total,
            )
        if head.loss == 'dice':
            maps = (outputs['seg_feat'].float(), outputs[name].float())
            return mask_loss(
                *maps, batch['masks'], batch['indices'], batch['masks_mask'], total=total
            )
        rows = _rows(name, outputs, batch)
        if head.loss == 'bins':
            targets = (batch[f'{name}_{part}'] for part in ('bins', 'residuals', 'mask'))
            return bin_rotation_loss(rows, *targets, average_padding=self.original, total=total)
        if head.loss == 'binary':
            return binary_loss(rows, batch[name], batch[f'{name}_mask'], total=total)
        return l1_loss(activate(name, rows), batch[name], batch[f'{name}_mask'], total=total)


def _rows(name: str, outputs: Outputs, batch: Batch) -> Tensor:
    """Raw outputs (B, rows, C) float32 of head `name` at its objects or joints."""
    indices = batch['joint_indices' if HEADS[name].place == 'joint' else 'indices']
    rows = gather_cells(outputs[name].float(), indices)
    if HEADS[name].per == 'place' and rows.shape[2] > 2:
        return pick_pairs(rows, batch['joint_classes'])
    return rows
