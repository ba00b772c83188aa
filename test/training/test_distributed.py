"""Two processes learn what one learns; and what happens to all when something happens to one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import process_cases
import pytest
import tiny_runs
import torch
from torch import nn

from training import distributed
from training.batch_norm import SynchronisedBatchNorm2d, synchronised_batch_norm
from training.checkpoint import Checkpoint
from training.config_file import load_config
from training.data.tiny import write_tiny_set
from training.distributed import ALONE, Processes, join

ROOT = Path(__file__).resolve().parents[2]
EQUAL = [name for name in process_cases.CASES if name != 'own statistics']


CONFIG = """
name: two
run: unused
model:
  architecture: mobilenetv3
  # Without normalised inputs the losses would be so large that rounding grows from step to step.
  channel_mean: [100, 100, 100]
  channel_std: [60, 60, 60]
  classes: [disc, square, triangle]
  heads: [hm, ltrb, reg, tracking]
  box: ltrb
  input_height: 64
  input_width: 96
  thresholds: {detection: 0.1, track: 0.3, birth: 0.3, prior: 0.3}
  licence: MIT
data:
  train: [{kind: coco, annotations: annotations.json, images: images}]
  epoch_length: 4000
optimisation: {optimiser: sgd, learning_rate: 1e-4, schedule: constant}
loop: {epochs: 1, batch_size: 4, workers: 1, log_every: 1, validate_every: 0, pictures_every: 0}
"""


def torchrun(command: Sequence[str | Path], folder: Path) -> subprocess.Popen[str]:
    """Start `command` in two processes, in `folder`."""
    return subprocess.Popen(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2',
         *map(str, command)],
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip


@pytest.fixture(scope='module')
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes found, before the second one failed."""
    folder = tmp_path_factory.mktemp('processes')
    with torchrun([process_cases.__file__, folder], folder) as launcher:
        try:
            text, _ = launcher.communicate(timeout=200)
        finally:
            launcher.terminate()
    # The other one did not wait for it for ever.
    assert launcher.returncode == 1, text
    assert 'this picture cannot be read' in text
    assert 'process 0: another process has ended' in (folder / 'lost').read_text()
    return [torch.load(folder / f'{rank}.pt') for rank in range(2)]


@pytest.fixture(scope='module')
def one() -> dict[str, Any]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    result = process_cases.everything(ALONE)
    torch.set_num_threads(threads)
    return result


def close(received: dict[str, Any], expected: dict[str, Any], **tolerances: float) -> None:
    assert received.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            received[name], value, msg=lambda text, n=name: f'{n}: {text}', **tolerances
        )


@pytest.mark.parametrize('case', EQUAL)
def test_two_processes_learn_what_one_learns(case, both, one):
    expected = one[case]
    assert not all(map(torch.equal, expected['weights'].values(), expected['average'].values()))
    for received in both:
        for step, terms in enumerate(expected['terms']):
            close(received[case]['terms'][step], terms, rtol=1e-5, atol=1e-6)
        # Weights of about 0.1, which fp32 knows to 1e-8, after several sums in another order.
        close(received[case]['weights'], expected['weights'], rtol=1e-5, atol=5e-6)
        close(received[case]['average'], expected['average'], rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize('case', list(process_cases.CASES))
def test_processes_stay_the_same(case, both):
    for part in ('weights', 'average'):
        close(both[1][case][part], both[0][case][part], rtol=0, atol=0)


@pytest.mark.parametrize('case', ['norm', 'norm without momentum'])
def test_batch_norm_is_that_of_the_whole_batch(case, both, one):
    expected = one[case]
    parts = {
        name: torch.cat([received[case].pop(name) for received in both], dim=1)
        for name in ('y', 'x gradient')
    }
    for received in both:
        close({**parts, **received[case]}, expected, rtol=1e-9, atol=1e-9)
    assert expected['0.num_batches_tracked'] == 2


def test_a_loss_that_is_not_finite_stops_all(both, one):
    assert 'step 0' in one['broken']['error']
    for received in both:
        assert 'step 0: the loss is nan' in received['broken']['error']
        assert received['broken']['unchanged']


def test_what_processes_tell_each_other(both, one):
    for received in both:
        assert received['mean'] == [0.5, 5.0]
        assert received['total'] == [1.0, 10.0]
        assert received['any'] == [True, False]
        assert received['count'] == 2
    assert (one['mean'], one['total'], one['any']) == ([0.0, 5.0], [0.0, 5.0], [False, False])


def logged_step(run: Path) -> int:
    """Last step in the log of a run."""
    log = run / 'log.jsonl'
    lines = log.read_text().split('\n')[:-1] if log.is_file() else []
    return max((json.loads(line)['step'] for line in lines), default=0)


def interrupted(folder: Path) -> str:
    """Train in two processes until torchrun is told to end; what they printed."""
    command = ['-m', 'training.train', '--config', 'config.yaml', 'run=two']
    with torchrun(command, folder) as launcher:
        try:
            while not logged_step(folder / 'two') and launcher.poll() is None:
                time.sleep(0.05)
            launcher.send_signal(signal.SIGTERM)
            return launcher.communicate(timeout=100)[0]
        finally:
            launcher.terminate()


def test_interrupted_in_two_processes_and_resumed_in_one(tmp_path, monkeypatch):
    write_tiny_set('video', tmp_path / 'set', frames=8, size=(64, 96))
    folder = tmp_path / 'set'
    (folder / 'config.yaml').write_text(CONFIG)
    text = interrupted(folder)
    half = Checkpoint.load(folder / 'two' / 'last.pt')
    assert 0 < half.step < 1000
    assert text.count(f'last.pt, step {half.step}') == 1, text
    assert logged_step(folder / 'two') == half.step

    monkeypatch.chdir(folder)
    end = half.step + 2
    ends = []
    for run in ('one', 'two'):
        config = load_config(folder / 'config.yaml', [f'run={run}'])
        ends.append(tiny_runs.train_until(end, config, monkeypatch, resume=run == 'two'))
    assert [checkpoint.step for checkpoint in ends] == [end, end]
    close(ends[1].weights, ends[0].weights, rtol=1e-4, atol=1e-5)
    assert not torch.equal(ends[0].weights['stem.weight'], half.weights['stem.weight'])


def test_shares_of_a_batch():
    assert [list(range(6))[Processes(rank, 3).share(6)] for rank in range(3)] == [
        [0, 1], [2, 3], [4, 5],
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r'loop\.batch_size: .* multiple of the 4 .* received 6'):
        Processes(0, 4).share(6)


@pytest.fixture
def environment(monkeypatch):
    """As torchrun leaves it, for the second of two processes, or with other values."""

    def change(**values: str | None) -> None:
        given = {'RANK': '1', 'WORLD_SIZE': '2', 'LOCAL_RANK': '1', 'LOCAL_WORLD_SIZE': '2'}
        for name, value in {**given, **values}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    change(RANK=None, WORLD_SIZE=None, LOCAL_RANK=None, LOCAL_WORLD_SIZE=None)
    return change


def test_without_torchrun_there_is_one_process(environment):
    processes = join('cpu')
    assert processes == ALONE
    assert processes.is_first
    module = nn.Linear(1, 1)
    assert processes.wrap(module) is module
    distributed.leave()


def test_an_incomplete_environment_is_named(environment):
    environment(RANK=None, LOCAL_RANK=None, LOCAL_WORLD_SIZE=None)
    with pytest.raises(ValueError, match=r'WORLD_SIZE without RANK, LOCAL_RANK.*torchrun'):
        join('cpu')


def test_devices(environment, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 0)
    assert join('auto').device == torch.device('cpu')
    with pytest.raises(ValueError, match=r'1 processes .* need as many GPUs, PyTorch finds 0'):
        join('cuda')
    with pytest.raises(ValueError, match="expected auto, cpu or cuda, received 'tpu'"):
        join('tpu')
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    assert join('auto').device == torch.device('cuda', 0)
    environment()
    with pytest.raises(ValueError, match=r'2 processes .* PyTorch finds 1; start fewer'):
        join('auto')


def test_only_plain_batch_norm_is_replaced():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4).eval()))
    before = dict(network.named_parameters())
    state = network.state_dict()
    assert synchronised_batch_norm(network) is network
    assert isinstance(network[1][0], SynchronisedBatchNorm2d)
    assert not network[1][0].training
    for name, parameter in network.named_parameters():
        assert parameter is before[name]
    close(network.state_dict(), state)

    class NormAndActivation(nn.BatchNorm2d):
        pass

    with pytest.raises(ValueError, match=r'0 is a NormAndActivation, which cannot be'):
        synchronised_batch_norm(nn.Sequential(NormAndActivation(4)))
