"""Which losses are computed, and how much each of them counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from training.heads import HEADS

# Losses beside those of the table -> head that they train. They count only where they are named.
# `giou` takes `ltrb` as distances (`EdgeRule`), as our own networks hold it.
EXTRA_LOSSES = {'giou': 'ltrb'}
# Trained through another head: `conv_weight` makes masks of `seg_feat`.
_WITHOUT_OWN_LOSS = 'seg_feat'


def check_loss_weights(weights: Mapping[str, float]) -> None:
    """Make sure that every name is a head or an extra loss, and no weight is negative.

    Raises:
        ValueError: otherwise.
    """
    known = sorted({*HEADS, *EXTRA_LOSSES} - {_WITHOUT_OWN_LOSS})
    for name, weight in weights.items():
        if name not in known:
            raise ValueError(f'losses: expected some of {known}, received {name!r}')
        if not weight >= 0:
            raise ValueError(f'losses.{name}: expected 0 or more, received {weight}')


def loss_weights(heads: Iterable[str], weights: Mapping[str, float]) -> dict[str, float]:
    """Weights above 0 of the losses of a network: those of the table, where `weights` has none.

    Args:
        heads: names of the network's heads.
        weights: of heads and of `EXTRA_LOSSES`; 0 leaves a loss out.

    Raises:
        ValueError: a name is unknown, or its head is not among `heads`; nothing is learnt at all.
    """
    heads = list(heads)
    for name in heads:
        if name not in HEADS:
            raise ValueError(f'heads: expected some of {sorted(HEADS)}, received {name!r}')
    check_loss_weights(weights)
    result = {name: HEADS[name].weight for name in heads} | dict(weights)
    result = {name: weight for name, weight in result.items() if weight > 0}
    for name in result:
        needed = {EXTRA_LOSSES.get(name, name)}
        if HEADS.get(name) and HEADS[name].loss == 'dice':
            needed.add('seg_feat')
        if missing := sorted(needed - set(heads)):
            raise ValueError(f'losses.{name}: the network has no head {missing}, only {heads}')
    if not result:
        raise ValueError('losses: expected at least one weight above 0, received none')
    return result
