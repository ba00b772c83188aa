"""The sum of all losses follows the table of heads."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from training.activations import depth_from_logits
from training.heads import HEADS, mask_weight_count
from training.losses import (
    TotalLoss,
    bin_rotation_loss,
    check_loss_weights,
    focal_loss,
    giou_loss,
    l1_loss,
    loss_weights,
)
from training.models.layers import gather_cells

JOINTS, ROWS, SHAPE = 3, 4, (6, 8)
_COUNTED = {
    'size': 2,
    'class': 2,
    'joint': JOINTS,
    'joint_xy': 2 * JOINTS,
    'place': 2,
    'mask_feature': mask_weight_count(8),
}
CHANNELS = {name: head.channels or _COUNTED.get(head.per, 8) for name, head in HEADS.items()}


def outputs(seed: int = 5, **overrides: Tensor) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    maps = {
        name: torch.randn(2, count, *SHAPE, generator=generator)
        for name, count in CHANNELS.items()
    }
    return {name: value.requires_grad_() for name, value in (maps | overrides).items()}


def batch(*, empty: bool = False) -> dict[str, Tensor]:
    """Targets of every head; the last row of each image is empty, or all are."""
    generator = torch.Generator().manual_seed(6)

    def cells(rows: int) -> Tensor:
        return torch.randint(SHAPE[0] * SHAPE[1], (2, rows), generator=generator)

    def known(rows: int) -> Tensor:
        mask = torch.ones(2, rows)
        mask[:, -1] = 0
        return mask * (not empty)

    result = {
        'hm': 0.9 * torch.rand(2, 2, *SHAPE, generator=generator),
        'hm_hp': 0.9 * torch.rand(2, JOINTS, *SHAPE, generator=generator),
        'indices': cells(ROWS),
        'classes': torch.randint(2, (2, ROWS), generator=generator),
        'mask': known(ROWS),
        'joint_indices': cells(ROWS * JOINTS),
        'joint_classes': torch.arange(JOINTS).repeat(2, ROWS),
        'joint_mask': known(ROWS * JOINTS),
        'rot_bins': torch.randint(2, (2, ROWS, 2), generator=generator),
        'rot_residuals': torch.randn(2, ROWS, 2, generator=generator),
        'rot_mask': known(ROWS),
        'masks_mask': known(ROWS),
        'masks': (torch.rand(2, ROWS, *SHAPE, generator=generator) > 0.5).float(),
    }
    for name, head in HEADS.items():
        if head.place == 'map' or name in ('rot', 'conv_weight'):
            continue
        rows = ROWS * JOINTS if head.place == 'joint' else ROWS
        result[name] = torch.rand(2, rows, CHANNELS[name], generator=generator)
        result[f'{name}_mask'] = known(rows)[..., None].repeat(1, 1, CHANNELS[name])
    return result


def test_every_head_has_a_loss_and_learns_from_it() -> None:
    loss = TotalLoss(CHANNELS, {'giou': 0.5})
    assert set(loss.weights) == set(HEADS) - {'seg_feat'} | {'giou'}
    maps = outputs()
    terms = loss([maps], batch())
    assert set(terms) == {*loss.weights, 'total'}
    expected = sum(loss.weights[name] * terms[name] for name in loss.weights)
    torch.testing.assert_close(terms['total'], expected)
    terms['total'].backward()
    for name, value in maps.items():
        assert value.grad is not None, name
        assert value.grad.count_nonzero() > 0, name


def test_terms_are_the_losses_of_the_table() -> None:
    maps, targets = outputs(), batch()
    terms = TotalLoss(CHANNELS, {'giou': 1})([maps], targets)
    objects, joints = targets['indices'], targets['joint_indices']
    args = [targets[name] for name in ('hm_hp', 'joint_indices', 'joint_classes', 'joint_mask')]
    torch.testing.assert_close(terms['hm_hp'], focal_loss(maps['hm_hp'], *args))
    for name, rows in (
        ('wh', gather_cells(maps['wh'], objects)),
        ('hp_offset', gather_cells(maps['hp_offset'], joints)),
        ('dep', depth_from_logits(gather_cells(maps['dep'], objects))),
    ):
        expected = l1_loss(rows, targets[name], targets[f'{name}_mask'])
        torch.testing.assert_close(terms[name], expected)
    ltrb = gather_cells(maps['ltrb'], objects)
    torch.testing.assert_close(terms['giou'], giou_loss(ltrb, targets['ltrb'], targets['mask']))


def test_each_joint_learns_its_own_offset() -> None:
    maps = {'hp_offset': torch.randn(2, 2 * JOINTS, *SHAPE).requires_grad_()}
    targets = batch()
    targets['joint_mask'][:, 1::JOINTS] = 0
    targets['hp_offset_mask'][:, 1::JOINTS] = 0
    terms = TotalLoss(maps)([maps], targets)
    rows = gather_cells(maps['hp_offset'], targets['joint_indices']).unflatten(2, (JOINTS, 2))
    own = torch.stack([rows[:, row, row % JOINTS] for row in range(ROWS * JOINTS)], dim=1)
    expected = l1_loss(own, targets['hp_offset'], targets['hp_offset_mask'])
    torch.testing.assert_close(terms['hp_offset'], expected)
    terms['total'].backward()
    learnt = maps['hp_offset'].grad.abs().sum((0, 2, 3)) > 0
    assert learnt.tolist() == [True, True, False, False, True, True]


def test_original_clamps_scores_and_averages_empty_angles() -> None:
    saturated = torch.full((2, 2, *SHAPE), 50.0)
    maps, targets = outputs(hm=saturated), batch()
    terms = TotalLoss(('hm', 'rot'), original=True)([maps], targets)
    args = [targets[name] for name in ('hm', 'indices', 'classes', 'mask')]
    torch.testing.assert_close(terms['hm'], focal_loss(saturated, *args, score_floor=1e-4))
    rows = gather_cells(maps['rot'], targets['indices'])
    args = [rows, *(targets[f'rot_{name}'] for name in ('bins', 'residuals', 'mask'))]
    torch.testing.assert_close(terms['rot'], bin_rotation_loss(*args, average_padding=True))
    ours = TotalLoss(('hm', 'rot'))([maps], targets)
    assert ours['hm'] > terms['hm']
    torch.testing.assert_close(ours['rot'], bin_rotation_loss(*args))


def test_stacks_are_averaged() -> None:
    loss, targets = TotalLoss(('hm', 'wh')), batch()
    first, second = outputs(1), outputs(2)
    both = loss([first, second], targets)
    singles = [loss([maps], targets) for maps in (first, second)]
    for name in ('hm', 'wh', 'total'):
        torch.testing.assert_close(both[name], (singles[0][name] + singles[1][name]) / 2)


class TwoProcesses:
    """Stands for both, one after the other; the first round notes what each adds to totals."""

    count = 2

    def __init__(self) -> None:
        self.counts: list[Tensor] = []
        self.totals: list[Tensor] = []

    def total(self, values: Tensor) -> Tensor:
        if self.totals:
            return self.totals.pop(0)
        self.counts.append(values)
        return values

    def second_round(self) -> None:
        half = len(self.counts) // 2
        sums = [a + b for a, b in zip(self.counts[:half], self.counts[half:], strict=True)]
        self.totals = sums * 2


@pytest.mark.parametrize('empty_images', [(), (1,), (0, 1)])
@pytest.mark.parametrize('original', [False, True])
def test_two_processes_learn_what_one_does(empty_images: tuple[int, ...], original: bool) -> None:
    targets = batch()
    for name, values in targets.items():
        if 'mask' in name and name != 'masks':
            values[list(empty_images)] = 0
    whole = outputs()
    expected = TotalLoss(CHANNELS, {'giou': 1}, original=original)([whole], targets)
    expected['total'].backward()
    shared, halves = TwoProcesses(), outputs()
    loss = TotalLoss(CHANNELS, {'giou': 1}, original=original, processes=shared)

    def process(part: slice) -> dict[str, Tensor]:
        maps = {name: value[part] for name, value in halves.items()}
        return loss([maps], {name: value[part] for name, value in targets.items()})

    parts = [slice(0, 1), slice(1, 2)]
    for part in parts:
        process(part)
    shared.second_round()
    terms = [process(part) for part in parts]
    for name, value in expected.items():
        torch.testing.assert_close((terms[0][name] + terms[1][name]) / 2, value)
    ((terms[0]['total'] + terms[1]['total']) / 2).backward()
    for name, value in whole.items():
        torch.testing.assert_close(halves[name].grad, value.grad, msg=name)


def test_validation_alone_asks_no_other_process() -> None:
    shared = TwoProcesses()
    loss = TotalLoss(CHANNELS, processes=shared).eval()
    maps, targets = outputs(), batch()
    assert loss([maps], targets) == TotalLoss(CHANNELS)([maps], targets)
    assert not shared.counts


def test_nothing_to_learn_is_zero_but_for_the_background() -> None:
    maps = outputs()
    terms = TotalLoss(CHANNELS, {'giou': 1})([maps], batch(empty=True))
    assert {name for name, term in terms.items() if term != 0} == {'hm', 'hm_hp', 'total'}
    terms['total'].backward()
    assert all(torch.isfinite(value.grad).all() for value in maps.values())


@pytest.mark.parametrize('value', [-1e4, 1e4])
@pytest.mark.parametrize('original', [False, True])
def test_extreme_outputs_stay_finite(value: float, original: bool) -> None:
    maps = {name: torch.full_like(output, value) for name, output in outputs().items()}
    maps = outputs(**maps)
    terms = TotalLoss(CHANNELS, {'giou': 1}, original=original)([maps], batch())
    terms['total'].backward()
    assert all(torch.isfinite(term) for term in terms.values())
    assert all(torch.isfinite(output.grad).all() for output in maps.values())


def test_bf16_is_computed_in_float32() -> None:
    maps = {name: output.bfloat16() for name, output in outputs().items()}
    terms = TotalLoss(CHANNELS)([maps], batch())
    assert all(term.dtype == torch.float32 for term in terms.values())
    exact = {name: output.float() for name, output in maps.items()}
    torch.testing.assert_close(terms['total'], TotalLoss(CHANNELS)([exact], batch())['total'])


def test_weights_of_the_table_and_of_the_caller() -> None:
    weights = loss_weights(('hm', 'ltrb', 'reg', 'tracking'), {'hm': 0, 'tracking': 2.5})
    assert weights == {'ltrb': 0.1, 'reg': 1.0, 'tracking': 2.5}


@pytest.mark.parametrize(
    ('heads', 'weights', 'text'),
    [
        (('hm', 'magic'), {}, "heads: expected some of .* received 'magic'"),
        (('hm',), {'magic': 1}, "losses: expected some of .* received 'magic'"),
        (('hm',), {'wh': 0.1}, r"losses.wh: the network has no head \['wh'\], only \['hm'\]"),
        (('hm',), {'giou': 1}, r"losses.giou: the network has no head \['ltrb'\]"),
        (('hm', 'conv_weight'), {}, r"losses.conv_weight: .* no head \['seg_feat'\]"),
        (('hm', 'seg_feat'), {'seg_feat': 1}, "received 'seg_feat'"),
        (('hm',), {'hm': -1}, 'losses.hm: expected 0 or more, received -1'),
        (('hm',), {'hm': math.nan}, 'losses.hm: expected 0 or more, received nan'),
        (('hm',), {'hm': 0}, 'at least one weight above 0'),
    ],
)
def test_wrong_weights(heads: tuple[str, ...], weights: dict[str, float], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        TotalLoss(heads, weights)


def test_what_is_switched_off_need_not_be_there() -> None:
    check_loss_weights({'giou': 0, 'wh': 0})
    assert loss_weights(('hm',), {'giou': 0, 'wh': 0}) == {'hm': 1.0}
