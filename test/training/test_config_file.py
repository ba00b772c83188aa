"""Reading configurations: bases, overrides, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_runs
from tiny_runs import tiny_config

from training.config_file import load_config

SET = '{kind: coco, annotations: a.json, images: b}'


@pytest.fixture(autouse=True)
def _configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('config.yaml').write_text(tiny_runs.CONFIG)


def test_overrides():
    config = tiny_config(
        'optimisation.learning_rate=2e-4', 'losses.tracking=2', f'data.train=[{SET}, {SET}]'
    )
    assert config.optimisation.learning_rate == 2e-4
    assert config.losses == {'tracking': 2.0}
    assert [entry.annotations for entry in config.data.train] == ['a.json', 'a.json']


def test_a_base_is_read_first():
    Path('more').mkdir()
    Path('more/above.yaml').write_text(
        'base: ../config.yaml\nname: above\nloop: {epochs: 7}\nmodel: {classes: [disc]}\n'
    )
    config = load_config(Path('more/above.yaml'), ['loop.workers=3'])
    assert (config.name, config.loop.epochs, config.loop.workers) == ('above', 7, 3)
    # Mappings are merged, lists are replaced.
    assert config.loop.batch_size == tiny_config().loop.batch_size
    assert config.model.classes == ('disc',)
    assert config.model.heads == tiny_config().model.heads


def test_a_base_of_itself():
    Path('one.yaml').write_text('base: two.yaml')
    Path('two.yaml').write_text('base: one.yaml')
    with pytest.raises(ValueError, match='based on itself'):
        load_config(Path('one.yaml'))
    with pytest.raises(FileNotFoundError, match=r'nowhere\.yaml does not exist'):
        load_config(Path('nowhere.yaml'))


@pytest.mark.parametrize(
    ('override', 'text'),
    [
        ('loop.stepz=3', r'loop\.stepz: .*[Uu]nexpected'),
        ('loop.epochs=many', r"loop\.epochs: .*integer.*, received 'many'"),
        ('loop.epochs=0', r'loop\.epochs: .*greater than or equal to 1, received 0'),
        ('loop.precision=fp8', r"loop\.precision: .*'bf16'.*, received 'fp8'"),
        ('loop.device=gpu', r"loop\.device: .*received 'gpu'"),
        ('optimisation.ema_decay=1', r'optimisation\.ema_decay: .*less than 1'),
        ('losses.magic=1', "losses: expected some of .*'giou'.* received 'magic'"),
        ('losses.reg=-1', 'losses.reg: expected 0 or more, received -1'),
        ('losses.reg=much', r"losses\.reg: .*number.*, received 'much'"),
        ('loop.epochs', 'expected key=value'),
        ('loop.epochs={', 'not YAML'),
        ('augmentation.magic=1', r'augmentation\.magic'),
        ('data.train=[{kind: film}]', "'coco'"),
        (
            'data.train=[{kind: coco, annotations: a, images: b, weight: -1}]',
            r'weight: .*greater than or equal to 0',
        ),
        (
            'data.train=[{kind: coco, annotations: a, images: b, mosaic: 1.5}]',
            r'mosaic: .*less than or equal to 1',
        ),
        ('prior_noise.lost=1.5', 'lost: expected 0 to 1, received 1.5'),
        ('prior_noise.jitter=-1', 'jitter: expected 0 or more'),
        ('loop.metric=MOTA', r'loop\.metric: .MOTA. is measured on the sets of data\.validation'),
        ('optimisation.schedule=step', r'milestones: .*received \[\]'),
    ],
)
def test_wrong_configurations_are_named(override, text):
    with pytest.raises(ValueError, match=text):
        tiny_config(override)


def test_milestones_lie_inside_of_the_training():
    step = ('optimisation.schedule=step', 'loop.epochs=70')
    assert tiny_config(*step, 'optimisation.milestones=[60]').optimisation.milestones == (60,)
    with pytest.raises(ValueError, match=r'epochs from 1 to 69, .* received \[60, 70\]'):
        tiny_config(*step, 'optimisation.milestones=[60, 70]')
    # Another schedule does not read them: a base may have some.
    tiny_config('optimisation.milestones=[90]')


def test_the_original_knows_no_overlap_loss():
    with pytest.raises(ValueError, match=r'losses\.giou: the original has no such loss'):
        tiny_config('compat=true', 'losses.giou=1')
