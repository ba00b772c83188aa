"""Every configuration is built: model, losses, targets, and its data in miniature."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from miniature_data import write_miniature

from training.checkpoint import Checkpoint
from training.config_file import load_config
from training.convert.__main__ import main
from training.data.build import build_training_set, build_validation_pairs, target_settings
from training.data.catalogue import CATALOGUE
from training.evaluation.sets import EvaluationSet
from training.experiment import config_rules, model_spec
from training.losses import TotalLoss
from training.models import build_network
from training.presets import PRESETS
from training.start import start_network
from training.targets import TargetRules

FOLDER = Path(__file__).resolve().parents[2] / 'config' / 'training'
CONFIGS = sorted(FOLDER.glob('*.yaml'))
# Those that need no download are run by other tests.
EXPERIMENTS = [
    path
    for path in CONFIGS
    if not path.stem.startswith('tiny_')
    and path.stem not in ('mobilenetv3_coco', 'movenet_pose', 'demo_3d')
]
# Of CenterTrack's and CenterNet's experiments folders; exdet's networks are not here.
ORIGINALS = {
    'coco_pose_tracking', 'coco_tracking', 'crowdhuman', 'kitti_tracking_full',
    'kitti_tracking_half', 'kitti_tracking_half_scratch', 'mot17_full', 'mot17_full_scratch',
    'mot17_half', 'mot17_half_scratch', 'nuscenes_3d_detection', 'nuscenes_3d_tracking',
    'coco_detection', 'coco_detection_2x', 'coco_detection_hourglass104',
    'coco_detection_resnet101', 'coco_detection_resnet18', 'voc_dla34_384', 'voc_dla34_512',
    'voc_resnet101_384', 'voc_resnet101_512', 'voc_resnet18_384', 'voc_resnet18_512',
    'kitti_3d_3dop', 'kitti_3d_subcnn', 'coco_pose', 'coco_pose_3x', 'coco_pose_hourglass104',
    'coco_pose_hourglass104_3x', 'coco_instances',
}  # fmt: skip
TASKS = {'mot17': 'mot', 'crowdhuman': 'crowdhuman', 'kitti_tracking': 'kitti_tracking',
         'kitti_3d': 'kitti_3d', 'nuscenes': 'nuscenes', 'coco_pose': 'coco_pose', 'coco': 'coco',
         'voc': 'voc'}  # fmt: skip


def named(paths):
    return [pytest.param(path, id=path.stem) for path in paths]


@pytest.fixture(scope='module')
def miniatures(tmp_path_factory):
    """A working directory with all data sets and annotation files."""
    root = tmp_path_factory.mktemp('miniatures')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for source, entry in CATALOGUE.items():
            write_miniature(source, root)
            for command in entry.commands:
                assert main(shlex.split(command)) == 0
    return root


def test_every_experiment_of_the_originals_is_there():
    assert {path.stem for path in CONFIGS} >= ORIGINALS
    for path in EXPERIMENTS:
        assert load_config(path).name == path.stem


def test_names_and_runs_are_unique():
    """Two trainings in one folder would overwrite each other's checkpoints."""
    configs = [load_config(path) for path in CONFIGS]
    assert len({config.name for config in configs}) == len(configs)
    assert len({config.run for config in configs}) == len(configs)


@pytest.mark.parametrize('path', named(CONFIGS))
def test_model_losses_and_targets_are_built(path):
    config = load_config(path)
    spec = model_spec(config)
    with torch.device('meta'):
        network = build_network(spec)
    assert sum(value.numel() for value in network.parameters()) > 10_000
    TotalLoss(spec.heads, config.losses, original=config_rules(config).original_losses)
    settings = target_settings(config, spec)
    assert settings.input_width % network.size_multiple == 0
    assert set(settings.heads) == set(spec.heads)
    assert config.loop.metric == 'loss' or config.data.validation


@pytest.mark.parametrize('path', named(path for path in CONFIGS if path.stem in ORIGINALS))
def test_experiments_have_the_numbers_of_the_originals(path):
    config = load_config(path)
    spec = model_spec(config)
    task = next(task for name, task in TASKS.items() if path.stem.startswith(name))
    preset = PRESETS[task]
    assert spec.classes == preset.classes
    assert spec.joints == preset.joints
    if path.stem.startswith('voc'):
        assert f'_{spec.input_width}' in path.stem
    else:
        assert (spec.input_height, spec.input_width) == (preset.input_height, preset.input_width)
    np.testing.assert_allclose(spec.channel_mean, np.multiply(255, preset.mean), atol=1e-4)
    np.testing.assert_allclose(spec.channel_std, np.multiply(255, preset.std), atol=1e-4)
    if path.stem == 'kitti_tracking_half_scratch':
        assert spec.thresholds.prior == 0.5
    else:
        assert spec.thresholds == preset.thresholds
    tracks = 'tracking' in path.stem or path.stem.startswith(('mot17', 'crowdhuman'))
    assert ('tracking' in spec.heads) == spec.previous_image == spec.prior_heatmap == tracks
    assert config.augmentation.framing == 'centertrack'
    assert 0 < config.optimisation.milestones[-1] < config.loop.epochs


@pytest.mark.parametrize('path', named(path for path in CONFIGS if path.stem in ORIGINALS))
def test_the_rules_of_the_originals_are_one_override_away(path):
    config = load_config(path, ['compat=true'])
    spec = model_spec(config)
    assert (spec.resize, spec.radius_rule) == ('centertrack', 'centertrack')
    assert target_settings(config, spec).rules == TargetRules.original()
    assert config_rules(config).original_losses


@pytest.mark.parametrize(
    ('name', 'rate', 'batch'),
    [('coco_tracking', 5e-4, 128), ('crowdhuman', 2.5e-4, 64), ('mot17_half', 1.25e-4, 32),
     ('kitti_tracking_half', 1.25e-4, 16), ('nuscenes_3d_detection', 5e-4, 128),
     ('nuscenes_3d_tracking', 2.5e-4, 64), ('coco_detection', 5e-4, 128),
     ('coco_detection_resnet101', 3.75e-4, 96), ('coco_detection_resnet18', 5e-4, 114),
     ('coco_detection_hourglass104', 2.5e-4, 24), ('coco_instances', 1.25e-4, 20),
     ('coco_pose', 5e-4, 128), ('coco_pose_hourglass104', 2.5e-4, 24),
     ('voc_dla34_512', 1.25e-4, 32), ('kitti_3d_3dop', 1.25e-4, 16)],
)  # fmt: skip
def test_rates_of_the_originals(name, rate, batch):
    config = load_config(FOLDER / f'{name}.yaml')
    optimisation = config.optimisation
    assert config.loop.batch_size == batch
    assert optimisation.learning_rate * batch / optimisation.reference_batch == pytest.approx(rate)


@pytest.mark.parametrize('path', named(EXPERIMENTS))
def test_missing_data_are_explained(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config(path)
    entries = [*config.data.train, *config.data.validation]
    assert all(entry.source in CATALOGUE for entry in entries)
    source = CATALOGUE[config.data.train[0].source]
    with pytest.raises(FileNotFoundError) as error:
        build_training_set(config, model_spec(config))
    message = str(error.value)
    assert config.data.train[0].annotations in message
    assert f'Download {source.download}' in message or source.title == 'own data'
    assert source.home in message
    assert f'put it into {source.folder}' in message
    assert 'python -m training.convert' in message or source.title == 'COCO 2017'


@pytest.mark.parametrize('path', named(EXPERIMENTS))
def test_data_are_what_the_catalogue_makes(path):
    """Annotation files are outputs of its commands or part of the download."""
    config = load_config(path)
    for entry in (*config.data.train, *config.data.validation):
        source = CATALOGUE[entry.source]
        provided = [f'{source.folder}/{name}' for name in source.provided]
        assert entry.annotations in [*source.outputs(), *provided]
        assert entry.images == source.folder or entry.images.startswith(f'{source.folder}/')


@pytest.mark.parametrize('path', named(EXPERIMENTS))
def test_data_are_built(path, miniatures, monkeypatch):
    monkeypatch.chdir(miniatures)
    config = load_config(path)
    spec = model_spec(config)
    dataset = build_training_set(config, spec)
    assert len(dataset) == dataset.epoch_length * config.loop.epochs
    sample = dataset[0]
    assert sample['image'].shape[:2] == (spec.input_height, spec.input_width)
    assert sample['hm'].shape[0] == len(spec.classes)
    learnt = [dataset[index]['mask'].sum() for index in range(min(3, len(dataset)))]
    assert sum(learnt) > 0
    for name in {'dep', 'rot', 'hps', 'tracking'} & set(spec.heads):
        assert f'{name}_mask' in sample
    if 'conv_weight' in spec.heads:
        assert sample['masks'].any()
    assert 'mask' in build_validation_pairs(config, spec)[0]
    for entry in config.data.validation:
        loaded = EvaluationSet.load(
            Path(entry.annotations), Path(entry.images), spec.classes, joint_names=spec.joints
        )
        assert len(loaded) > 0
        # Motion can only be measured on videos.
        assert config.loop.metric not in ('MOTA', 'HOTA') or loaded.has_motion


@pytest.mark.parametrize('path', named(EXPERIMENTS))
def test_starts_refer_to_each_other(path):
    """A start from another run names a run of another configuration here, with all it lacks."""
    config = load_config(path)
    if config.start.kind != 'checkpoint':
        return
    runs = {load_config(other).run: other for other in CONFIGS}
    before = load_config(runs[str(Path(config.start.path).parent)])
    spec, earlier = model_spec(config), model_spec(before)
    assert earlier.architecture == spec.architecture
    parts = set(config.start.initialise)
    assert ('heads' in parts) == (set(spec.heads) != set(earlier.heads))
    assert ('classes' in parts) == (spec.classes != earlier.classes)
    assert ('inputs' in parts) == (spec.previous_image != earlier.previous_image)
    assert re.search(rf'train\s+(#\s+)?{Path(runs[before.run]).name}', _headers(path))


@pytest.mark.parametrize(
    'name', ['mot17_half', 'kitti_tracking_half', 'nuscenes_3d_tracking', 'coco_pose']
)
def test_start_takes_what_the_run_before_left(name, tmp_path, monkeypatch):
    """For real: the weights of the configuration before fit, with the parts that may be new."""
    monkeypatch.chdir(tmp_path)
    config = load_config(FOLDER / f'{name}.yaml')
    path = Path(config.start.path)
    with pytest.raises(FileNotFoundError, match=r'best\.pt does not exist; .* start.kind=random'):
        start_network(config.start, model_spec(config))
    earlier = model_spec(load_config(FOLDER / f'{path.parent.name}.yaml'))
    torch.manual_seed(1)
    weights = build_network(earlier).state_dict()
    path.parent.mkdir(parents=True)
    Checkpoint(earlier, weights, 0, 0, '', {}, {}).save(path)
    start = start_network(config.start, model_spec(config))
    state = start.network.state_dict()
    taken = [key for key in state if key in weights and key not in start.new]
    # A class of several is a row of theirs.
    rows = [key for key in taken if state[key].shape != weights[key].shape]
    assert all(key.startswith('heads.hm.') for key in rows)
    assert all(torch.equal(state[key], weights[key]) for key in taken if key not in rows)
    parts = {key.split('.')[0] for key in start.new}
    assert parts == ({'stems'} if 'inputs' in config.start.initialise else set()) | (
        {'heads'} if set(config.start.initialise) & {'heads', 'classes'} else set()
    )
    assert len(start.new) < len(state) / 4


def _headers(path):
    """Comments at the top of a file and of those that it is based on."""
    text = path.read_text(encoding='utf-8')
    base = re.search(r'^base: (.*)$', text, re.MULTILINE)
    own = ''.join(line for line in text.splitlines(keepends=True) if line.startswith('#'))
    return own + (_headers(path.parent / base[1]) if base else '')
