"""Single steps of real networks on real batches."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import tiny_runs
import torch
from tiny_runs import tiny_config, tiny_trainer
from torch import nn

from centertrack_ros.model_spec import DecodeRules
from training.assembly import assemble
from training.config_file import load_config
from training.data.build import build_training_set
from training.distributed import ALONE
from training.experiment import model_spec
from training.models.graph import TrackerGraph
from training.pictures import draw_predictions
from training.rules import original_rules
from training.stopping import StopRequest
from training.trainer import NonFiniteLossError

CONFIG = Path(__file__).resolve().parents[2] / 'config' / 'training' / 'mobilenetv3_coco.yaml'


@pytest.fixture(autouse=True)
def _workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_runs.make_workplace(tmp_path)


def first_batch(*overrides, count=2):
    config = tiny_config(*overrides)
    dataset = build_training_set(config, model_spec(config))
    return torch.utils.data.default_collate([dataset[index] for index in range(count)])


def snapshot(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def changed(network, before):
    return {
        name
        for name, value in network.state_dict().items()
        if not torch.equal(value, before[name])
    }


def test_one_batch_is_learnt():
    schedule = ('optimisation.schedule=constant', 'optimisation.learning_rate=3e-3')
    trainer, batch = tiny_trainer(*schedule), first_batch()
    totals = [float(trainer.train_step(batch).terms['total']) for _ in range(25)]
    assert totals[-1] < 0.3 * totals[0]


@pytest.mark.parametrize(
    ('architecture', 'box'),
    [
        ('mobilenetv3', 'ltrb'),
        ('mobilenetv4_small', 'ltrb'),
        ('mobilenetv2', 'wh'),
        ('mobilenetv2_plain', 'wh'),
        ('mobilenetv2_deconvolution', 'wh'),
        ('resnet18', 'wh'),
        ('resnet18_deformable', 'wh'),
        ('dla34_plain', 'wh'),
        ('dla34', 'wh'),
    ],
)
@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_every_family_takes_a_step(architecture, box, precision):
    overrides = (
        f'model.architecture={architecture}',
        f'model.heads=[hm, {box}, reg, tracking]',
        f'model.box={box}',
        f'loop.precision={precision}',
    )
    trainer = tiny_trainer(*overrides)
    before = snapshot(trainer.network)
    result = trainer.train_step(first_batch(*overrides))
    assert result.terms.keys() == {'hm', box, 'reg', 'tracking', 'total'}
    assert torch.isfinite(result.terms['total'])
    assert result.gradient_norm > 0
    assert all(value.dtype in (torch.float32, torch.int64) for value in before.values())
    moved = changed(trainer.network, before)
    assert {name for name in before if name.startswith('heads.hm')} & moved
    assert len(moved) > 0.5 * len(before)


@pytest.mark.parametrize('kind', ['adamw', 'adam', 'sgd'])
def test_a_step_is_that_of_the_optimiser(kind):
    """Against the same gradient, clipped and applied by hand."""
    overrides = (
        f'optimisation.optimiser={kind}',
        'optimisation.warmup_steps=0',
        'optimisation.weight_decay=0',
        'optimisation.learning_rate=0.01',
        'optimisation.gradient_clip=0.5',
        'optimisation.ema_decay=0',
    )
    batch = first_batch(*overrides)
    trainer, other = tiny_trainer(*overrides), tiny_trainer(*overrides)
    before = snapshot(trainer.network)
    result = trainer.train_step(batch)
    # A second one that does not clip leaves its gradient to look at.
    unclipped = tiny_trainer(*overrides[:-2], 'optimisation.gradient_clip=0', overrides[-1])
    free = unclipped.train_step(batch)
    assert free.gradient_norm == pytest.approx(float(result.gradient_norm))
    assert float(result.gradient_norm) > 0.5
    gradients = {name: one.grad for name, one in unclipped.network.named_parameters()}
    flat = torch.cat([one.flatten().double() for one in gradients.values()])
    norm = torch.linalg.vector_norm(flat)
    assert float(norm) == pytest.approx(float(free.gradient_norm), rel=1e-3)
    name = 'heads.reg.2.weight' if 'heads.reg.2.weight' in gradients else next(
        key for key in gradients if key.startswith('heads.reg') and gradients[key].ndim == 4
    )  # fmt: skip
    step = trainer.network.state_dict()[name] - before[name]
    gradient = gradients[name] * float(0.5 / norm)
    if kind == 'sgd':
        torch.testing.assert_close(step, -0.01 * gradient, rtol=1e-3, atol=1e-7)
    else:  # the first step of Adam is the sign of the gradient
        clear = gradient.abs() > 1e-6
        assert clear.any()
        torch.testing.assert_close(
            step[clear], -0.01 * gradient.sign()[clear], rtol=0.02, atol=1e-5
        )
    assert other.step == 0


@pytest.mark.parametrize('rule', ['train', 'frozen'])
def test_statistics_of_batch_norm(rule):
    trainer = tiny_trainer(f'optimisation.batch_norm={rule}')
    before = snapshot(trainer.network)
    trainer.train_step(first_batch())
    moved = changed(trainer.network, before)
    assert any('running_mean' in name for name in moved) == (rule == 'train')
    assert any(name.endswith('num_batches_tracked') for name in moved) == (rule == 'train')
    with trainer.evaluating():
        pass
    modes = {m.training for m in trainer.network.modules() if isinstance(m, nn.BatchNorm2d)}
    assert modes == {rule == 'train'}
    assert trainer.network.training


def test_a_non_finite_loss_changes_no_weights():
    trainer, batch = tiny_trainer(), first_batch()
    batch['prior_heatmap'] = batch['prior_heatmap'] * float('nan')
    before = {name: one.clone() for name, one in trainer.network.named_parameters()}
    with pytest.raises(NonFiniteLossError, match=r'step 0: the loss is nan'):
        trainer.train_step(batch)
    assert trainer.step == 0
    for name, parameter in trainer.network.named_parameters():
        assert torch.equal(parameter, before[name]), name
    for name, value in trainer.average.state_dict().items():
        assert torch.isfinite(value).all(), name


def test_a_gradient_that_is_not_finite_stops_as_well():
    trainer = tiny_trainer()
    trainer.network.heads['reg'].register_full_backward_hook(
        lambda module, inputs, outputs: tuple(one * float('inf') for one in inputs)
    )
    with pytest.raises(NonFiniteLossError, match=r'norm of its gradient (nan|inf)'):
        trainer.train_step(first_batch())


def test_pictures_are_normalised_as_at_run_time():
    overrides = ('model.channel_mean=[100, 110, 120]', 'model.channel_std=[50, 60, 70]')
    trainer, batch = tiny_trainer(*overrides), first_batch(*overrides)
    with torch.no_grad(), trainer.evaluating() as objective:
        stacks = objective.stacks(batch)
        graph = TrackerGraph(trainer.network, trainer.spec)
        rows = graph(*(batch[name] for name in graph.inputs))
        expected = graph.rows(stacks[-1])
        for name, values in zip(graph.outputs, rows, strict=True):
            torch.testing.assert_close(values, expected[name], rtol=1e-4, atol=1e-4)
        image = batch['image'].double().permute(0, 3, 1, 2)
        mean, std = (
            torch.tensor(values, dtype=torch.float64)[:, None, None]
            for values in (trainer.spec.channel_mean, trainer.spec.channel_std)
        )
        maps = trainer.network(
            ((image - mean) / std).float(),
            ((batch['previous_image'].double().permute(0, 3, 1, 2) - mean) / std).float(),
            batch['prior_heatmap'],
        )
    for name, values in maps.items():
        torch.testing.assert_close(stacks[-1][name], values, rtol=1e-4, atol=1e-4)


def test_pictures_of_a_detector_without_tracking():
    overrides = (
        'model.heads=[hm, wh, reg]',
        'model.box=wh',
        'model.previous_image=false',
        'model.prior_heatmap=false',
    )
    parts = assemble(tiny_config(*overrides), ALONE)
    parts.trainer.train_step(first_batch(*overrides))
    values = parts.validation.measure(parts.trainer)
    assert values.keys() == {'loss', 'loss_hm', 'loss_wh', 'loss_reg'}
    (picture,) = draw_predictions(parts.trainer, parts.validation.samples(1))
    assert (picture.shape, picture.dtype) == ((64, 192, 3), np.uint8)


def test_a_signal_cannot_come_between_the_weights(monkeypatch):
    """It would leave the averages where the weights in training belong, and they be saved."""
    parts, stop, seen = assemble(tiny_config(), ALONE), StopRequest(), []
    exchange = parts.trainer.network.load_state_dict

    def at_a_signal(state):
        signal.raise_signal(signal.SIGTERM)
        stop.requested = False
        seen.append(exchange(state))

    parts.trainer.train_step(first_batch())
    before = snapshot(parts.trainer.network)
    monkeypatch.setattr(parts.trainer.network, 'load_state_dict', at_a_signal)
    with stop.listening():
        parts.validation.measure(parts.trainer, stop.at_once())
    assert len(seen) == 2
    assert not changed(parts.trainer.network, before)


def test_dropout_follows_from_seed_and_step():
    """What is random in a network is the same after a resume, whatever was drawn meanwhile."""
    ends = []
    for noise in (0, 3):
        trainer = tiny_trainer()
        head = trainer.network.heads['reg']
        head.append(nn.Dropout(0.5))
        for _ in range(2):
            torch.rand(noise)
            trainer.train_step(first_batch())
        ends.append(snapshot(trainer.network))
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def own_model(shared_folder, *overrides):
    """The parts of the default model's training, small."""
    return assemble(
        load_config(
            CONFIG,
            [
                f'start.path={shared_folder}/weights/mb3_centernet',
                f'data.train=[{{kind: mix, root: {shared_folder}/data}}]',
                'data.crop_height=96',
                'data.crop_width=128',
                'data.epoch_length=100',
                'loop.batch_size=2',
                'loop.workers=0',
                'loop.precision=fp32',
                *overrides,
            ],
        ),
        ALONE,
    )


@pytest.mark.parametrize('factor', [0, 0.1])
def test_the_detector_moves_only_when_told(shared_folder, factor):
    losses = 'losses={hm: 1, ltrb: 0.1, giou: 1, reg: 1, tracking: 1}'
    parts = own_model(shared_folder, f'optimisation.pretrained_factor={factor}', losses)
    trainer = parts.trainer
    before = snapshot(trainer.network)
    batch = torch.utils.data.default_collate([parts.dataset[0], parts.dataset[1]])
    trainer.train_step(batch)
    moved = changed(trainer.network, before)
    assert 'motion.outputs.weight' in moved
    detector = {name for name in moved if not name.startswith('motion.')}
    assert bool(detector) == (factor > 0)


def test_a_head_that_the_detector_lacks_is_new(shared_folder):
    trainer = own_model(
        shared_folder,
        'optimisation.pretrained_factor=0',
        'model.heads=[hm, wh, ltrb, reg, tracking]',
        'losses={wh: 1}',
    ).trainer
    trained = {name for name, value in trainer.network.named_parameters() if value.requires_grad}
    assert {name.split('.')[1] for name in trained if name.startswith('heads.')} == {'wh'}
    assert any(name.startswith('motion.previous_stem.') for name in trained)


def test_one_switch_gives_the_rules_of_the_original(shared_folder):
    factor = 'optimisation.pretrained_factor=0.1'
    losses = 'losses={hm: 0, ltrb: 1, giou: 0, reg: 0, tracking: 1}'
    adaptive = 'model.adaptive=false'  # the original crops
    original = own_model(shared_folder, 'compat=true', adaptive, losses, factor)
    trainer = original.trainer
    assert (trainer.spec.resize, trainer.spec.radius_rule) == ('centertrack', 'centertrack')
    assert trainer.spec.decode == original_rules().decode
    # What the starting detector says of boxes stays the same, in the signs of the original.
    ours = own_model(shared_folder, adaptive, factor, losses)
    assert (ours.trainer.spec.resize, ours.trainer.spec.decode) == (
        'letterbox',
        DecodeRules(box_votes=True),
    )
    image = torch.rand(1, 3, 96, 128) * 255
    with torch.no_grad():
        theirs, own = (parts.trainer.network.eval()(image)['ltrb'] for parts in (original, ours))
    torch.testing.assert_close(theirs, own * torch.tensor([-1, -1, 1, 1])[:, None, None])
    batch = torch.utils.data.default_collate([original.dataset[0], original.dataset[1]])
    known = batch['ltrb_mask'].bool()
    assert known.any()
    assert (batch['ltrb'][..., :2][known[..., :2]] <= 0).float().mean() > 0.9
    assert trainer.train_step(batch).terms['total'].isfinite()


def test_the_default_model_learns_offsets_only(shared_folder):
    parts = own_model(shared_folder)
    batch = torch.utils.data.default_collate([parts.dataset[0], parts.dataset[1]])
    assert parts.trainer.train_step(batch).terms.keys() == {'reg', 'tracking', 'total'}


def test_losses_of_heads_that_the_network_lacks():
    with pytest.raises(ValueError, match=r'losses\.wh: the network has no head'):
        tiny_trainer('losses.wh=0.1')
