from __future__ import annotations

import numpy as np
import pytest
import torch

from training.models.joints import joint_extent, keypoint_rows, pose_scores

SCORE = 0.75
# The first object is in cell x 8, y 6 of a map of 20 columns; as many peaks as objects count.
INDEX = torch.tensor([[6 * 20 + 8, 40, 60]])
WINDOW = torch.tensor([4.0, 2.0, 14.0, 12.0]).expand(1, 3, 4)


def _maps(joints=2):
    maps = {
        'hps': torch.zeros(1, 2 * joints, 16, 20),
        'hm_hp': torch.zeros(1, joints, 16, 20),
        'hp_offset': torch.full((1, 2, 16, 20), 0.25),
        'reg': torch.full((1, 2, 16, 20), 0.75),
    }
    maps['hps'][0, :, 6, 8] = torch.tensor([-2.0, 1.0] * joints)  # regressed at (6, 7)
    return maps


def _rows(maps, rule, window=WINDOW):
    scores = torch.full((1, 3), SCORE)
    return keypoint_rows(maps, INDEX, scores, window, rule=rule, activated=True)[0, 0]


@pytest.mark.parametrize('rule', ['centertrack', 'centernet'])
def test_a_peak_near_by_replaces_the_regressed_joint(rule):
    maps = _maps()
    maps['hm_hp'][0, 0, 8, 7] = 0.5
    maps['hm_hp'][0, 0, 3, 12] = 0.9  # higher, but farther away
    joints = _rows(maps, rule)
    assert joints[0].tolist() == [7.25, 8.25, 0.5]
    assert joints[1].tolist() == [6, 7, SCORE]  # without any peak


@pytest.mark.parametrize(('rule', 'threshold'), [('centertrack', 0.2), ('centernet', 0.1)])
def test_low_peaks_do_not_count(rule, threshold):
    maps = _maps()
    maps['hm_hp'][0, 0, 7, 6] = threshold - 0.01
    maps['hm_hp'][0, 1, 7, 6] = threshold + 0.01
    joints = _rows(maps, rule)
    assert joints[0].tolist() == [6, 7, SCORE]
    np.testing.assert_allclose(joints[1], [6.25, 7.25, threshold + 0.01], rtol=1e-6)


@pytest.mark.parametrize(('rule', 'taken'), [('centertrack', True), ('centernet', False)])
def test_reach(rule, taken):
    maps = _maps()
    maps['hm_hp'][0, 0, 7, 8] = 0.5  # 2.26 cells away: within 0.3 times 10
    maps['hm_hp'][0, 1, 10, 8] = 0.5  # 3.95 cells away
    joints = _rows(maps, rule)
    assert joints[0, :2].tolist() == [8.25, 7.25]
    assert joints[1, :2].tolist() == ([8.25, 10.25] if taken else [6, 7])


@pytest.mark.parametrize('rule', ['centertrack', 'centernet'])
def test_peaks_outside_the_window_do_not_count(rule):
    maps = _maps()
    maps['hm_hp'][0, 0, 7, 7] = 0.5
    narrow = torch.tensor([4.0, 2.0, 7.0, 12.0]).expand(1, 3, 4)
    assert _rows(maps, rule, narrow)[0].tolist() == [6, 7, SCORE]
    # the nearest peak decides, although the one behind it is inside
    maps['hm_hp'][0, 0, 9, 6] = 0.5
    assert _rows(maps, rule, narrow)[0].tolist() == [6, 7, SCORE]


def test_window_round_the_joints():
    joints = torch.tensor([[[[2.0, 1.0], [6.0, 3.0], [4.0, 5.0]]]])
    # 25 % of 4 and 4 before, then of 5 and 5
    assert joint_extent(joints)[0, 0].tolist() == [1, 0, 7.25, 6.25]
    maps = _maps()
    maps['hps'][0, 2:, 6, 8] = 2.0  # second joint at (10, 8): the window ends at x 11.25
    maps['hm_hp'][0, 1, 8, 10] = 0.5
    maps['hm_hp'][0, 0, 7, 3] = 0.5  # 6 - 1 = 5 is where the window begins
    joints = _rows(maps, 'centertrack', None)
    assert joints[1].tolist() == [10.25, 8.25, 0.5]
    assert joints[0].tolist() == [6, 7, SCORE]


@pytest.mark.parametrize(
    ('rule', 'missing', 'offset'),
    [('centertrack', ['hp_offset'], 0.75), ('centernet', ['hp_offset'], 0.5),
     ('centertrack', ['hp_offset', 'reg'], 0.5)],
)  # fmt: skip
def test_place_inside_the_cell_without_its_head(rule, missing, offset):
    maps = _maps()
    maps['hm_hp'][0, :, 7, 6] = 0.5
    for name in missing:
        del maps[name]
    assert _rows(maps, rule)[0, :2].tolist() == [6 + offset, 7 + offset]


def test_without_joint_heatmaps():
    maps = _maps()
    del maps['hm_hp']
    assert _rows(maps, 'centertrack').tolist() == [[6, 7, SCORE]] * 2


def test_logits_and_more_objects_than_cells():
    maps = {name: torch.zeros(1, count, 2, 2) for name, count in (('hps', 2), ('hm_hp', 1))}
    maps['hm_hp'][0, 0, 1, 1] = 1.0
    index = torch.arange(4).repeat(2)[None]
    scores = torch.full((1, 8), SCORE)
    everywhere = torch.tensor([0.0, 0.0, 2.0, 2.0]).expand(1, 8, 4)
    joints = keypoint_rows(maps, index, scores, everywhere, rule='centertrack')
    expected = torch.tensor([1.5, 1.5, torch.sigmoid(torch.tensor(1.0))]).expand(1, 8, 1, 3)
    assert torch.equal(joints, expected)


def test_pose_scores():
    keypoints = torch.tensor([[[[0.0, 0.0, 0.5], [0.0, 0.0, 1.0]]]])
    assert pose_scores(keypoints, torch.tensor([[0.5]])).tolist() == [[0.375]]


def test_movenet_takes_the_highest_peak_near_ones_first():
    maps = _maps()
    maps['hm_hp'][0, :, 5, 6] = 0.2
    maps['hm_hp'][0, 0, 8, 7] = 0.9  # the shorter side of the map has 16 cells
    maps['hm_hp'][0, 1, 8, 12] = 0.9  # too far away
    joints = _rows(maps, 'movenet')
    assert joints[:, :2].tolist() == [[7.25, 8.25], [6.25, 5.25]]
    squares = np.array([1.25**2 + 1.25**2, 0.25**2 + 1.75**2])
    np.testing.assert_allclose(joints[:, 2], [0.9, 0.2] * np.exp(-squares / (0.3 * 16)), rtol=1e-6)
    # Unlike the nearest, a peak outside the window does not stand in the way of one inside.
    narrow = torch.tensor([4.0, 2.0, 7.0, 12.0]).expand(1, 3, 4)
    assert _rows(maps, 'movenet', narrow)[:, :2].tolist() == [[6.25, 5.25]] * 2


def test_movenet_knows_nothing_of_joints_without_a_peak():
    joints = _rows(_maps(), 'movenet')
    assert joints.tolist() == [[6, 7, 0]] * 2


@pytest.mark.parametrize('rule', ['centertrack', 'centernet', 'movenet'])
def test_an_offset_for_each_joint(rule):
    maps = _maps()
    maps['hp_offset'] = torch.tensor([0.25, 0.5, 0.75, 1.5])[None, :, None, None].expand(
        1, 4, 16, 20
    )
    maps['hm_hp'][0, :, 7, 6] = 0.5
    assert _rows(maps, rule)[:, :2].tolist() == [[6.25, 7.5], [6.75, 8.5]]
