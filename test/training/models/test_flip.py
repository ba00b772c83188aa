from __future__ import annotations

import numpy as np
import pytest
import torch

from training.heads import HEADS
from training.models.decode import candidate_rows
from training.models.flip import activate_maps, merge_flipped

PAIRS = ((1, 2),)
JOINTS = 3


def _random_maps(batch, seed=0):
    generator = torch.Generator().manual_seed(seed)
    numbers = {'class': 3, 'joint': JOINTS, 'joint_xy': 2 * JOINTS}
    return {
        name: torch.randn(
            batch, head.channels or numbers.get(head.per, 2), 4, 6, generator=generator
        )
        for name, head in HEADS.items()
    }


def _mirrored(maps):
    """What an ideal network says of the mirror image."""
    result = {name: values.flip(3) for name, values in maps.items()}
    result['amodel_offset'] = result['amodel_offset'] * torch.tensor([-1.0, 1.0])[:, None, None]
    result['hm_hp'] = result['hm_hp'][:, [0, 2, 1]]
    signs = torch.tensor([-1.0, 1.0] * JOINTS)[:, None, None]
    result['hps'] = result['hps'][:, [0, 1, 4, 5, 2, 3]] * signs
    return result


def test_a_mirror_image_that_agrees_changes_nothing():
    maps = activate_maps(_random_maps(2))
    pair = {name: torch.cat([maps[name], values]) for name, values in _mirrored(maps).items()}
    merged = merge_flipped(pair, PAIRS)
    assert merged.keys() == HEADS.keys()
    for name, values in merged.items():
        np.testing.assert_allclose(values, maps[name], rtol=1e-6, err_msg=name)


def test_scores_are_averaged_after_the_sigmoid():
    logits = torch.tensor([0.0, 4.0]).view(2, 1, 1, 1).repeat(1, 1, 1, 3)
    merged = merge_flipped(activate_maps({'hm': logits}))['hm']
    np.testing.assert_allclose(merged[0, 0, 0], (0.5 + torch.sigmoid(torch.tensor(4.0))) / 2)


def test_which_heads_are_averaged():
    maps = _random_maps(2)
    merged = merge_flipped(maps, PAIRS)
    mirrored = {name: values[1:] for name, values in _mirrored(maps).items()}
    averaged = {'hm', 'wh', 'dep', 'dim', 'amodel_offset', 'hps', 'hm_hp'}
    for name, values in merged.items():
        expected = maps[name][:1]
        if name in averaged:
            expected = (expected + mirrored[name]) / 2
        np.testing.assert_allclose(values, expected, atol=1e-6, err_msg=name)


def test_merged_maps_are_decoded():
    maps = {'hm': torch.full((2, 1, 4, 6), -4.0), 'wh': torch.zeros(2, 2, 4, 6)}
    maps['hm'][0, 0, 2, 1] = maps['hm'][1, 0, 2, 4] = 2.0
    maps['wh'][0, :, 2, 1], maps['wh'][1, :, 2, 4] = 2.0, 4.0
    merged = merge_flipped(activate_maps(maps))
    rows = candidate_rows(merged, 1, box='wh', activated=True)
    assert rows['boxes'].tolist() == [[[0, 1, 3, 4]]]
    np.testing.assert_allclose(rows['scores'], torch.sigmoid(torch.tensor([[2.0]])))


def test_odd_batch_and_unknown_joint():
    with pytest.raises(ValueError, match='hm: expected maps of images and of their mirror'):
        merge_flipped({'hm': torch.zeros(3, 1, 4, 6)})
    with pytest.raises(ValueError, match='joint_pairs: expected joints below 2'):
        merge_flipped({'hm_hp': torch.zeros(2, 2, 4, 6)}, [(1, 2)])
