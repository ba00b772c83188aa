"""The table of heads knows what fits together."""

from __future__ import annotations

import pytest

from training.heads import HEADS, HEATMAP_BIAS, check_heads, head_channels, mask_weight_count


@pytest.mark.parametrize(
    'heads',
    [
        {},
        {'hm': 1, 'reg': 2, 'wh': 2, 'tracking': 2, 'ltrb_amodal': 4},
        {'hm': 5, 'wh': 10},  # a size for each class, CenterNet's cat_spec_wh
        {'hm': 1, 'hps': 34, 'hm_hp': 17, 'hp_offset': 2},
        {'hm': 1, 'hps': 34, 'hm_hp': 17, 'hp_offset': 34},  # an offset for each joint, MoveNet
        {'hm': 1, 'hps': 8},
        {'hm': 20, 'seg_feat': 8, 'conv_weight': 169},
        {'hm': 20, 'seg_feat': 4, 'conv_weight': 53},
    ],
)
def test_heads_that_fit(heads):
    check_heads(heads)


@pytest.mark.parametrize(
    ('heads', 'message'),
    [
        ({'depth': 1}, r"expected some of .* received 'depth'"),
        ({'hm': 0}, r'heads\.hm: expected 1 or more, received 0'),
        ({'reg': 4}, r'heads\.reg: expected 2, received 4'),
        ({'hm': 5, 'wh': 4}, r'heads\.wh: expected 2 or 10, received 4'),
        ({'hm_hp': 17, 'hps': 17}, r'heads\.hps: expected 34, received 17'),
        ({'hm_hp': 17, 'hp_offset': 17}, r'heads\.hp_offset: expected 2 or 34, received 17'),
        ({'seg_feat': 8, 'conv_weight': 53}, r'heads\.conv_weight: expected 169, received 53'),
    ],
)
def test_heads_that_do_not_fit(heads, message):
    with pytest.raises(ValueError, match=message):
        check_heads(heads)


def test_offsets_of_joints_are_shared_or_not():
    names = ('hm_hp', 'hp_offset')
    assert head_channels(names, 1, 17) == {'hm_hp': 17, 'hp_offset': 2}
    assert head_channels(names, 1, 17, offset_per_joint=True) == {'hm_hp': 17, 'hp_offset': 34}


def test_heatmaps_start_low_and_all_else_at_zero():
    biased = {name for name, head in HEADS.items() if head.initial_bias == HEATMAP_BIAS}
    assert biased == {'hm', 'hm_hp'}
    assert all(head.initial_bias == 0 for name, head in HEADS.items() if name not in biased)


def test_weights_of_the_mask_layers():
    assert mask_weight_count(8) == 10 * 8 + 8 + 8 * 8 + 8 + 8 + 1
