"""Which validation is the best, by metrics of every kind; and what is known to be measured."""

from __future__ import annotations

import math

import pytest
import tiny_runs
from tiny_runs import tiny_config

from training.assembly import assemble
from training.distributed import ALONE
from training.evaluation.families import FAMILIES
from training.selection import Selection

SET = '{kind: coco, annotations: set/annotations.json, images: set/images}'
SETS = f'data.validation=[{SET}]'


@pytest.mark.parametrize('metric', ['AP', 'val/AP', 'losses/MOTA', 'center_error_share'])
def test_the_highest(metric):
    selection = Selection(metric)
    assert [selection.take({metric: value}) for value in (1, 3, 3, 2)] == [
        True,
        True,
        False,
        False,
    ]
    assert (selection.best, selection.stale) == (3, 2)


@pytest.mark.parametrize(
    'metric', ['loss', 'loss_hm', 'IDSW', 'val/FP', 'center_error_m', 'val/yaw_error_deg']
)
def test_the_lowest(metric):
    selection = Selection(metric)
    assert [selection.take({metric: value}) for value in (3, 1, 1, 2)] == [
        True,
        True,
        False,
        False,
    ]
    assert (selection.best, selection.stale) == (1, 2)


def test_a_validation_without_the_metric_is_no_better():
    selection = Selection('center_error_m', patience=2)
    assert not selection.take({'boxes3d_recall': 0.0})
    assert math.isnan(selection.best)
    assert selection.take({'center_error_m': 2.0})
    assert not selection.take({'center_error_m': math.nan})
    assert selection.best == 2.0
    assert not selection.exhausted
    assert not selection.take({})
    assert selection.exhausted


@pytest.mark.parametrize(
    ('overrides', 'metric'),
    [
        ((), 'loss_wh'),
        ((SETS,), 'keypoint_AP'),
        ((SETS,), 'set/AP'),
        (('losses.reg=0',), 'loss_reg'),
    ],
)
def test_a_metric_that_is_never_measured_is_refused_before_training(
    overrides, metric, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    tiny_runs.make_workplace(tmp_path)
    with pytest.raises(ValueError, match=rf"loop\.metric: expected one of .* received '{metric}'"):
        assemble(tiny_config(*overrides, f'loop.metric={metric}'), ALONE)


def test_what_is_measured_is_known(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_runs.make_workplace(tmp_path)
    parts = assemble(tiny_config(f'data.validation=[{SET}, {SET}]'), ALONE)
    measured = parts.validation.measure(parts.trainer).keys()
    assert measured - parts.validation.names == {'loss_of_standing_still'}
    assert {'MOTA', 'set/AP50', 'set_2/HOTA'} <= measured


def test_every_family_says_what_it_measures():
    names = [name for family in FAMILIES.values() for name in family.metrics]
    assert len(set(names)) == len(names)
    assert all(family.metrics for family in FAMILIES.values())
