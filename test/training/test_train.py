"""Whole trainings: interruption and resume, faults, what a run leaves behind."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_runs
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import tiny_config, train_until

from training import train
from training.assembly import assemble
from training.checkpoint import Checkpoint
from training.config_file import load_config
from training.data import build
from training.distributed import ALONE
from training.stopping import StopNow, StopRequest
from training.trainer import NonFiniteLossError, Trainer
from training.validation import Validation

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(build, 'VALIDATION_PAIRS', 4)
    tiny_runs.make_workplace(tmp_path)


def assert_same(received, expected, where='checkpoint'):
    """Equal to the last bit, however deep."""
    assert type(received) is type(expected), where
    if isinstance(expected, torch.Tensor):
        torch.testing.assert_close(received, expected, rtol=0, atol=0, msg=lambda m: where + m)
    elif isinstance(expected, dict):
        assert received.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_same(received[key], value, f'{where}.{key}')
    elif isinstance(expected, (list, tuple)):
        assert len(received) == len(expected), where
        for number, value in enumerate(expected):
            assert_same(received[number], value, f'{where}.{number}')
    else:
        assert received == expected or (received != received and expected != expected), where


def records(kind, run='run'):
    lines = [json.loads(line) for line in Path(run, 'log.jsonl').read_text().splitlines()]
    return [line for line in lines if line['kind'] == kind]


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    """Checkpoint and log of the training that others are compared with."""
    folder = tmp_path_factory.mktemp('whole')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(build, 'VALIDATION_PAIRS', 4)
        tiny_runs.make_workplace(folder)
        path = train.run(tiny_config())
        return Checkpoint.load(path), records('train'), records('validation')


@pytest.mark.parametrize(('step', 'workers'), [(1, (2, 0)), (3, (0, 2)), (4, (0, 0))])
def test_interrupted_and_resumed_equals_uninterrupted(step, workers, uninterrupted, monkeypatch):
    whole, steps, validations = uninterrupted
    first, second = (tiny_config(f'loop.workers={count}') for count in workers)
    half = train_until(step, first, monkeypatch)
    assert half.step == step
    end = Checkpoint.load(train.run(second, resume=True))
    assert end.step == whole.step == 8
    assert end.spec == whole.spec
    assert_same(end.weights, whole.weights)
    assert_same(end.training_state, whole.training_state)
    assert any(not torch.equal(half.weights[name], end.weights[name]) for name in end.weights)
    times = {'time', 'images_per_second', 'data_wait'}
    for ours, theirs in (('train', steps), ('validation', validations)):
        kept = [{k: v for k, v in line.items() if k not in times} for line in records(ours)]
        assert kept == [{k: v for k, v in line.items() if k not in times} for line in theirs]


def test_a_validation_that_was_broken_off_is_made_up_for(uninterrupted, monkeypatch):
    whole, _, validations = uninterrupted
    stop = StopRequest()
    measure = Validation.measure

    def broken_off(self, trainer, interruptible):
        with trainer.evaluating():
            stop.requested = True
            raise StopNow

    monkeypatch.setattr(Validation, 'measure', broken_off)
    half = Checkpoint.load(train.run(tiny_config(), stop=stop))
    assert (half.step, half.training_state['selection']['finished_epochs']) == (4, 0)
    assert not Path('run/best.pt').exists()
    monkeypatch.setattr(Validation, 'measure', measure)
    end = Checkpoint.load(train.run(tiny_config(), resume=True))
    assert_same(end.training_state, whole.training_state)
    assert [line['loss'] for line in records('validation')] == [
        line['loss'] for line in validations
    ]


def test_lost_work_is_forgotten_in_the_log(uninterrupted, monkeypatch):
    """After a power cut the log knows steps that the checkpoint does not."""
    half = train_until(2, tiny_config(), monkeypatch)
    with Path('run/log.jsonl').open('a') as file:
        file.write(json.dumps({'kind': 'train', 'step': 3, 'epoch': 1, 'total': -1}) + '\n{"kin')
    assert half.step == 2
    train.run(tiny_config(), resume=True)
    assert [line['step'] for line in records('train')] == list(range(1, 9))
    assert all(line['total'] > 0 for line in records('train'))


def test_what_a_run_leaves_behind(monkeypatch):
    config = tiny_config('loop.pictures_every=1', 'loop.workers=1', 'loop.log_every=3')
    train.run(config)
    assert load_config(Path('run/config.yaml')) == config
    (start,) = json.loads(Path('run/environment.json').read_text())
    assert start['torch'] == torch.__version__
    assert start['commit'] == Checkpoint.load(Path('run/last.pt')).commit
    assert start['command'] == sys.orig_argv
    assert [line['step'] for line in records('train')] == [3, 4, 6, 8]
    line = records('train')[0]
    assert {'hm', 'ltrb', 'reg', 'tracking', 'total', 'gradient_norm'} < line.keys()
    assert 0 <= line['data_wait'] <= 1
    assert line['images_per_second'] > 0
    assert line['learning_rate'] == 1e-3
    best = Checkpoint.load(Path('run/best.pt'))
    assert best.training_state == {}
    assert best.network()(torch.zeros(1, 3, 64, 64))['hm'].shape == (1, 3, 16, 16)
    board = EventAccumulator('run').Reload()
    assert {'train/total', 'validation/loss', 'data/broken_pictures'} <= set(
        board.Tags()['scalars']
    )
    assert len(board.Tags()['images']) == 4
    (picture,) = {(image.height, image.width) for image in board.Images('samples/0')}
    assert picture == (64, 3 * 64)


def test_logged_values_are_means_since_the_last_line():
    train.run(tiny_config('run=each', 'loop.epochs=1', 'loop.log_every=1'))
    train.run(tiny_config('run=all', 'loop.epochs=1', 'loop.log_every=100'))
    (line,) = records('train', 'all')
    every = records('train', 'each')
    assert len(every) == 4
    for name in ('total', 'hm', 'gradient_norm'):
        assert line[name] == pytest.approx(sum(one[name] for one in every) / 4, rel=1e-5)


def test_a_run_is_not_overwritten():
    with pytest.raises(FileNotFoundError, match=r'run/last.pt does not exist: .* --resume'):
        train.run(tiny_config('loop.epochs=1'), resume=True)
    train.run(tiny_config('loop.epochs=1', 'loop.validate_every=0'))
    before = Path('run/last.pt').read_bytes()
    with pytest.raises(FileExistsError, match='--resume'):
        train.run(tiny_config('loop.epochs=1'))
    changed = ('optimisation.learning_rate=0.5', 'data.train.0.weight=2', 'losses.reg=3')
    overrides = [
        'loop.epochs=1',
        'optimisation.learning_rate=0.5',
        'losses.reg=3',
        'data.train=[{kind: coco, annotations: set/annotations.json, images: set/images, '
        'weight: 2}]',
    ]
    with pytest.raises(ValueError, match='another configuration') as caught:
        train.run(tiny_config(*overrides), resume=True)
    for entry in changed:
        name = entry.partition('=')[0]
        assert f'\n  {name}: ' in str(caught.value)
    assert len(str(caught.value).splitlines()) == 4
    assert Path('run/last.pt').read_bytes() == before
    # A finished training has nothing left to do; what does not change the result may change.
    free = tiny_config('loop.epochs=1', 'loop.workers=2', 'loop.log_every=7', 'loop.patience=3')
    assert Checkpoint.load(train.run(free, resume=True)).step == 4
    Path('run/last.pt').write_bytes(before[:1000])
    with pytest.raises(ValueError, match=r'last\.pt is not a centertrack_ros checkpoint'):
        train.run(tiny_config('loop.epochs=1'), resume=True)


def test_a_loss_that_is_not_finite_leaves_the_batch(monkeypatch):
    make_step = Trainer.train_step

    def spoilt(self, batch):
        if self.step == 5:
            batch['prior_heatmap'] = batch['prior_heatmap'] * float('nan')
        return make_step(self, batch)

    monkeypatch.setattr(Trainer, 'train_step', spoilt)
    with pytest.raises(NonFiniteLossError) as caught:
        train.run(tiny_config('loop.save_minutes=0'))
    text = str(caught.value)
    assert text.startswith('step 5: the loss is nan')
    assert "'hm': nan" in text
    assert 'items [10, 11] of the training set; the batch is in run/bad_batch.pt' in text
    kept = torch.load('run/bad_batch.pt', weights_only=True)
    assert (kept['items'], kept['step']) == ([10, 11], 5)
    dataset = assemble(tiny_config(), ALONE).dataset
    for row, item in enumerate(kept['items']):
        assert torch.equal(kept['batch']['image'][row], torch.from_numpy(dataset[item]['image']))
    # The checkpoint of the step before is whole, and goes on where the data are mended.
    assert Checkpoint.load(Path('run/last.pt')).step == 5
    monkeypatch.setattr(Trainer, 'train_step', make_step)
    assert Checkpoint.load(train.run(tiny_config('loop.save_minutes=0'), resume=True)).step == 8


@pytest.mark.parametrize('name', ['last.partial', 'best.partial', 'log.jsonl'])
def test_a_full_disk(name, capsys):
    """Writes go to a device that is always full."""
    train.run(tiny_config('loop.epochs=1', 'run=other'))
    Path('run').mkdir()
    Path('run', name).symlink_to('/dev/full')
    arguments = ['--config', 'config.yaml', 'loop.epochs=1']
    assert train.main(arguments) == 2
    text = capsys.readouterr().err
    assert f'run/{name.replace("partial", "pt")}: could not be written' in text
    assert 'No space left on device' in text
    assert not list(Path('run').glob('*.partial'))
    assert not Path('run/last.pt').exists()


def test_a_full_disk_keeps_the_checkpoint_before(monkeypatch):
    train_until(2, tiny_config(), monkeypatch)
    before = Path('run/last.pt').read_bytes()
    Path('run/last.partial').symlink_to('/dev/full')
    with pytest.raises(OSError, match=r'run/last\.pt: could not be written: .*No space left'):
        train.run(tiny_config(), resume=True)
    assert Path('run/last.pt').read_bytes() == before
    assert not Path('run/last.partial').exists()


def test_early_stop(monkeypatch):
    losses = iter([3.0, 1.0, 2.0, math.nan, 0.5])
    measure = Validation.measure
    monkeypatch.setattr(
        Validation,
        'measure',
        lambda self, *given: measure(self, *given) | {'loss': next(losses)},
    )
    config = tiny_config('loop.epochs=9', 'loop.patience=2')
    last = Checkpoint.load(train.run(config))
    assert last.step == 16
    assert Checkpoint.load(Path('run/best.pt')).step == 8
    assert last.training_state['selection']['best'] == 1.0
    # Resumed, it knows that patience is at its end; with more of it the training goes on.
    assert Checkpoint.load(train.run(config, resume=True)).step == 16
    with pytest.raises(StopIteration):
        train.run(tiny_config('loop.epochs=9', 'loop.patience=3'), resume=True)
    assert Checkpoint.load(Path('run/best.pt')).step == 20


def test_best_by_a_metric():
    sets = 'data.validation=[{kind: coco, annotations: set/annotations.json, images: set/images}]'
    config = tiny_config(sets, 'loop.epochs=1', 'loop.metric=MOTA')
    last = Checkpoint.load(train.run(config))
    (line,) = records('validation')
    assert last.training_state['selection']['best'] == line['MOTA']
    assert {'loss', 'loss_hm', 'loss_of_standing_still', 'HOTA', 'AP'} <= line.keys()
    with pytest.raises(ValueError, match=r"loop\.metric: expected one of .*'HOTA'.* 'fame'"):
        train.run(tiny_config(sets, 'loop.epochs=1', 'loop.metric=fame', 'run=b'))


def test_ctrl_c_of_the_real_command(monkeypatch):
    # Long enough to be interrupted.
    overrides = ('data.epoch_length=400', 'loop.epochs=1', 'loop.workers=2')
    with subprocess.Popen(
        [sys.executable, '-m', 'training.train', '--config', 'config.yaml', *overrides],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        while 'step 2/200' not in process.stdout.readline():
            assert process.poll() is None
        # As a terminal does it: the loader processes get it as well.
        os.killpg(process.pid, signal.SIGINT)
        text, _ = process.communicate(timeout=60)
    assert process.returncode == train.INTERRUPTED
    assert 'Traceback' not in text
    half = Checkpoint.load(Path('run/last.pt'))
    assert 2 <= half.step < 200
    assert f'stopped: run/last.pt, step {half.step}; the same command with --resume' in text
    end = half.step + 2
    config = tiny_config(*overrides)
    assert train_until(end, config, monkeypatch, resume=True).step == end
    assert [line['step'] for line in records('train')] == list(range(1, end + 1))
    assert len(json.loads(Path('run/environment.json').read_text())) == 2


def test_a_second_signal_does_not_wait():
    stop = StopRequest()
    with stop.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(StopNow), stop.at_once():
            time.sleep(0)
    stop = StopRequest()
    with stop.listening(), pytest.raises(StopNow), stop.at_once():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ('overrides', 'text'),
    [
        (['loop.batch_size=16'], 'an epoch has 8 samples, less than the batch of 16: zero steps'),
        (['loop.precision=fp16'], 'fp16 is for CUDA devices'),
        (['optimisation.pretrained_factor=0', 'start.kind=checkpoint', 'start.path=x.pt'],
         'x.pt does not exist'),
        (['data.train=[{kind: coco, annotations: nowhere.json, images: set/images}]'],
         'nowhere.json'),
        (['model.architecture=vgg'], "expected one of .* received 'vgg'"),
    ],
)  # fmt: skip
def test_errors_of_the_command_line(overrides, text, capsys):
    assert train.main(['--config', 'config.yaml', *overrides]) == 2
    message = capsys.readouterr().err
    assert message.startswith('training.train: ')
    assert re.search(text, message), message
    assert not Path('run').exists()


def test_a_broken_picture_is_named_by_the_command(capfd):
    content = json.loads(Path('set/annotations.json').read_text())
    path = Path('set/images', content['images'][3]['file_name'])
    path.write_bytes(path.read_bytes()[:60])
    assert train.main(['--config', 'config.yaml', 'loop.workers=2']) == 2
    assert str(path) in capfd.readouterr().err
    capfd.readouterr()
    train.main(['--config', 'config.yaml', 'data.faults=skip', 'run=skipping'])
    assert '1 broken pictures' in capfd.readouterr().out
    assert records('data', 'skipping')[-1]['broken_pictures'] == 1


def test_config_is_plain_yaml():
    train.run(tiny_config('loop.epochs=1', 'loop.validate_every=0'))
    values = yaml.safe_load(Path('run/config.yaml').read_text())
    assert values['model']['classes'] == ['disc', 'square', 'triangle']
