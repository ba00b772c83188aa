"""Networks learn tiny sets by heart from random weights, through the real commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from training import overfit
from training.data.build import build_training_set
from training.data.catalogue import SYNTHETIC
from training.data.tiny import KINDS, write_tiny_set
from training.experiment import model_spec
from training.models.mobilenetv3 import MobileNetV3CenterTrack
from training.overfit import BARS, CONFIGS, load_tiny_config


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def logged(folder: Path, kind: str) -> list[dict[str, float]]:
    lines = (folder / 'log.jsonl').read_text().splitlines()
    return [values for values in map(json.loads, lines) if values['kind'] == kind]


@pytest.mark.timeout(900)
def test_tracks_are_learnt_by_heart(workplace, capsys):
    """The whole way: set, training, evaluation; MOTA 90 or more on its 40 frames."""
    arguments = ['video', '--architecture', 'mobilenetv4_small']
    assert overfit.main(arguments) == 0
    text = capsys.readouterr().out
    assert 'data/tiny_video: 2 videos, 40 images, 200 boxes, 10 tracks' in text
    assert 'passed: MOTA' in text.splitlines()[-1]
    run = workplace / 'runs' / 'tiny_video_mobilenetv4_small'
    (measured,) = json.loads((run / 'evaluation' / 'metrics.json').read_text())['sets'].values()
    assert measured['images'] == 40
    assert measured['metrics']['MOTA'] >= 90
    assert measured['metrics']['AP50'] >= 0.95
    # The offsets are learnt too: the tracker would do with its own motion model.
    (losses,) = logged(run, 'validation')
    assert losses['loss_tracking'] < 0.5 * losses['loss_of_standing_still']


@pytest.mark.timeout(600)
@pytest.mark.parametrize('kind', ['pose', 'boxes3d'])
def test_joints_and_boxes_in_space_are_learnt(kind, workplace):
    """Some of the steps that the bar takes: terms fall, and all metrics are there."""
    write_tiny_set(kind, workplace / 'data' / f'tiny_{kind}', frames=8)
    few = ['loop.epochs=2', 'loop.validate_every=1', 'optimisation.warmup_steps=4']
    outcome = overfit.overfit(kind, '', [f'run={kind}', *few, 'data.epoch_length=64'])
    assert BARS[kind].keys() <= outcome.metrics.keys()
    assert outcome.steps == 32
    assert not outcome.passed
    first, last = logged(workplace / kind, 'validation')
    for name in ('loss', 'loss_hm', 'loss_wh', *LEARNT[kind]):
        assert last[name] < first[name], name


LEARNT = {'pose': ('loss_hps', 'loss_hm_hp'), 'boxes3d': ('loss_dep', 'loss_rot')}


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('tiny_*.yaml')), ids=lambda path: path.stem)
def test_missing_sets_are_explained(path, workplace):
    kind = next(kind for kind in ('video', 'pose', '3d') if kind in path.stem)
    architecture = path.stem.removeprefix(f'tiny_{kind}').removeprefix('_')
    config = load_tiny_config({'3d': 'boxes3d'}.get(kind, kind), architecture)
    assert config.name == path.stem
    with pytest.raises(FileNotFoundError, match=r'python -m training\.data\.tiny \w+ --output'):
        build_training_set(config, model_spec(config))


def test_every_kind_has_a_bar_and_a_command():
    assert BARS.keys() == KINDS.keys()
    assert {name for name in SYNTHETIC if name.startswith('tiny-')} == {
        f'tiny-{kind}' for kind in KINDS
    }


def test_wrong_words(workplace, capsys):
    (workplace / 'data' / 'tiny_video').mkdir(parents=True)
    assert overfit.main(['video', '--architecture', 'abacus']) == overfit.EXPLAINED
    assert "received 'abacus'" in capsys.readouterr().err


def test_a_network_without_norms_starts_with_signals_of_one_size():
    """PyTorch's own start leaves a thousandth of what differs between two images."""
    torch.manual_seed(0)
    network = MobileNetV3CenterTrack({'hm': 3, 'wh': 2, 'reg': 2, 'tracking': 2})
    sizes = {}

    def watch(name, layer):
        def note(_, __, output):
            sizes[name] = float((output[0] if isinstance(output, tuple) else output).std())

        layer.register_forward_hook(note)

    for name, layer in [*network.blocks.named_children(), *network.named_children()]:
        if name.isdigit() or name in ('stem', 'top', 'upsample_32', 'upsample_16', 'upsample_8'):
            watch(name, layer)
    images = nn.functional.interpolate(torch.randn(2, 3, 12, 16), scale_factor=8, mode='bicubic')
    with torch.no_grad():
        first, second = network(images), network(-images)
    assert len(sizes) == 20
    assert min(sizes.values()) > 0.1
    assert max(sizes.values()) < 3
    for name in ('hm', 'wh', 'reg', 'tracking'):
        assert (first[name] - second[name]).std() > 0.1, name
    assert first['hm'].mean() == pytest.approx(-4.6, abs=0.5)
