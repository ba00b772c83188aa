"""Short real trainings from the published weights on the real data."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from centertrack_ros.model_spec import DecodeRules
from training import experiment, train
from training.checkpoint import Checkpoint
from training.config import load_config
from training.rules import original_rules

CONFIG = Path(__file__).resolve().parents[2] / 'config' / 'training' / 'mobilenetv3_coco.yaml'


def _config(shared_folder: Path, run: Path, *overrides: str):
    return load_config(
        CONFIG,
        [
            f'start={shared_folder}/weights/mb3_centernet',
            f'data_root={shared_folder}/data',
            f'run={run}',
            'training_height=96',
            'training_width=128',
            'steps=4',
            'batch_size=2',
            'workers=0',
            'warmup_steps=1',
            'precision=fp32',
            'validate_every=1000',
            'log_every=1',
            *overrides,
        ],
    )


@pytest.fixture(autouse=True)
def _small_validation(monkeypatch):
    monkeypatch.setattr(experiment, 'VALIDATION_PAIRS', 2)


def test_interrupted_and_resumed_equals_uninterrupted(shared_folder, tmp_path, monkeypatch):
    whole = Checkpoint.load(train.run(_config(shared_folder, tmp_path / 'a'), resume=False))

    step = train.Trainer.train_step

    def interrupted(self, batch):
        if self.step == 2:
            raise KeyboardInterrupt
        return step(self, batch)

    config = _config(shared_folder, tmp_path / 'b')
    monkeypatch.setattr(train.Trainer, 'train_step', interrupted)
    half = Checkpoint.load(train.run(config, resume=False))
    monkeypatch.setattr(train.Trainer, 'train_step', step)
    resumed = Checkpoint.load(train.run(config, resume=True))

    assert (half.step, resumed.step) == (2, 4)
    assert whole.spec == resumed.spec == experiment.model_spec(config)
    for name, value in whole.weights.items():
        torch.testing.assert_close(resumed.weights[name], value, rtol=0, atol=0)
    assert any((tmp_path / 'a').glob('events.out.tfevents*'))


def test_one_batch_is_learnt(shared_folder, tmp_path):
    config = _config(shared_folder, tmp_path, 'steps=40', 'learning_rate=3e-3')
    trainer = train.Trainer(config)
    dataset = experiment.build_dataset(config, validation=False)
    batch = torch.utils.data.default_collate([dataset[0], dataset[1]])
    totals = [float(trainer.train_step(batch)['total']) for _ in range(40)]
    assert totals[-1] < 0.6 * totals[0]


@pytest.mark.parametrize('factor', [0, 0.1])
def test_the_detector_moves_only_when_told(shared_folder, tmp_path, factor):
    losses = 'losses={hm: 1, ltrb: 0.1, giou: 1, reg: 1, tracking: 1}'
    config = _config(shared_folder, tmp_path, f'pretrained_factor={factor}', losses)
    trainer = train.Trainer(config)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    dataset = experiment.build_dataset(config, validation=False)
    trainer.train_step(torch.utils.data.default_collate([dataset[0], dataset[1]]))
    moved = {
        name
        for name, value in trainer.network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert 'motion.heads.tracking.weight' in moved
    detector = {name for name in moved if not name.startswith('motion.')}
    assert bool(detector) == (factor > 0)


def test_non_finite_objective_stops(shared_folder, tmp_path):
    config = _config(shared_folder, tmp_path)
    trainer = train.Trainer(config)
    dataset = experiment.build_dataset(config, validation=False)
    batch = torch.utils.data.default_collate([dataset[0], dataset[1]])
    batch['prior_heatmap'] = batch['prior_heatmap'] * float('nan')
    before = trainer.network.state_dict()['stem.weight'].clone()
    with pytest.raises(FloatingPointError, match='step 0'):
        trainer.train_step(batch)
    torch.testing.assert_close(trainer.network.state_dict()['stem.weight'], before)


def test_a_run_is_not_overwritten(shared_folder, tmp_path):
    config = _config(shared_folder, tmp_path, 'steps=1')
    train.run(config, resume=False)
    with pytest.raises(FileExistsError, match='--resume'):
        train.run(config, resume=False)
    with pytest.raises(ValueError, match='learning_rate'):
        train.run(_config(shared_folder, tmp_path, 'steps=1', 'learning_rate=0.5'), resume=True)


@pytest.mark.parametrize(
    ('override', 'text'),
    [
        ('stepz=3', "unknown keys \\['stepz'\\]"),
        ('steps=many', "steps: expected int, received 'many'"),
        ('precision=fp8', "precision: expected one of .* received 'fp8'"),
        ('losses.magic=1', "losses: expected some of .*'giou'.* received 'magic'"),
        ('losses.reg=-1', 'losses.reg: expected 0 or more, received -1'),
        ('losses.reg=much', "losses.reg: expected a number, received 'much'"),
        ('steps', 'expected key=value'),
    ],
)
def test_wrong_configurations_are_named(override, text):
    with pytest.raises(ValueError, match=text):
        load_config(CONFIG, [override])


def test_overrides():
    config = load_config(CONFIG, ['learning_rate=2e-4', 'losses.tracking=2'])
    assert config.learning_rate == 2e-4
    assert config.losses['tracking'] == 2.0
    assert config.losses['reg'] == 1.0


def test_the_default_model_learns_offsets_only(shared_folder, tmp_path):
    trainer = train.Trainer(_config(shared_folder, tmp_path))
    assert trainer.loss.weights == {'reg': 1.0, 'tracking': 1.0}


def test_losses_of_heads_that_the_network_lacks(shared_folder, tmp_path):
    with pytest.raises(ValueError, match=r'losses\.wh: the network has no head'):
        train.Trainer(_config(shared_folder, tmp_path, 'losses.wh=0.1'))


def test_another_architecture_than_the_start_is_refused(shared_folder, tmp_path):
    with pytest.raises(
        ValueError, match=r"starts from a mobilenetv3, received 'mobilenetv4_small'"
    ):
        train.Trainer(_config(shared_folder, tmp_path, 'architecture=mobilenetv4_small'))


def test_one_switch_gives_the_rules_of_the_original(shared_folder, tmp_path):
    config = _config(shared_folder, tmp_path, 'compat=true', 'losses={tracking: 1, ltrb: 1}',
                     'pretrained_factor=0.1')  # fmt: skip
    spec = experiment.model_spec(config)
    assert (spec.resize, spec.radius_rule) == ('centertrack', 'centertrack')
    assert spec.decode == original_rules().decode
    trainer = train.Trainer(config)
    assert trainer.loss.original
    # What the starting detector says of boxes stays the same, in the signs of the original.
    ours = train.Trainer(_config(shared_folder, tmp_path))
    image = torch.rand(1, 3, 96, 128) * 255
    with torch.no_grad():
        theirs, own = (t.network.eval()(image)['ltrb'] for t in (trainer, ours))
    torch.testing.assert_close(theirs, own * torch.tensor([-1, -1, 1, 1])[:, None, None])
    dataset = experiment.build_dataset(config, validation=False)
    batch = torch.utils.data.default_collate([dataset[0], dataset[1]])
    known = batch['ltrb_mask'].bool()
    assert known.any()
    assert (batch['ltrb'][..., :2][known[..., :2]] <= 0).float().mean() > 0.9
    assert trainer.train_step(batch)['total'].isfinite()


def test_new_models_get_the_corrected_rules(shared_folder, tmp_path):
    config = _config(shared_folder, tmp_path, 'radius_rule=exact')
    spec = experiment.model_spec(config)
    assert (spec.resize, spec.radius_rule) == ('letterbox', 'exact')
    assert spec.decode == DecodeRules()
    assert not train.Trainer(config).loss.original


def test_the_original_knows_no_overlap_loss(shared_folder, tmp_path):
    with pytest.raises(ValueError, match=r'losses\.giou: the original has no such loss'):
        _config(shared_folder, tmp_path, 'compat=true', 'losses.giou=1')
