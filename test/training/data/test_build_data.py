"""From a configuration to samples: sets, weights, mosaics, validation, complaints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from coco_sets import HEADS_OF_ALL_KINDS, JOINTS, SmallSet, train_config, write_small_set
from torch.utils.data import DataLoader

from training.augment import NO_AUGMENTATION
from training.config import MixedSet, TrainConfig
from training.config_file import load_config
from training.data.build import (
    VALIDATION_PAIRS,
    build_training_set,
    build_validation_pairs,
    target_settings,
)
from training.data.dataset import NO_NOISE, Sample
from training.experiment import model_spec


@pytest.fixture
def small(tmp_path: Path) -> SmallSet:
    """The set."""
    return write_small_set(tmp_path)


def plain(config: TrainConfig) -> TrainConfig:
    """Without augmentation."""
    return replace(config, augmentation=NO_AUGMENTATION, prior_noise=NO_NOISE)


def grey(sample: Sample) -> int:
    """Which picture the sample shows; 0 where several."""
    corners = sample['image'][[10, 10, 54, 54], [15, 80, 15, 80]]
    return int(corners[0, 0]) if (corners == corners[0]).all() else 0


def test_weight_zero_is_the_number_of_images(small: SmallSet) -> None:
    config = plain(train_config(small.entry()))
    dataset = build_training_set(config, model_spec(config))
    assert (dataset.epoch_length, len(dataset), dataset.item_counts) == (12, 24, (12, 0))
    for epoch in (0, 12):
        shown = sorted(grey(dataset[epoch + index]) for index in range(12))
        assert shown == list(range(10, 130, 10))


def test_sets_are_mixed_by_weight_with_mosaics(small: SmallSet, tmp_path: Path) -> None:
    (tmp_path / 'other').mkdir()
    other = write_small_set(tmp_path / 'other', images=3)
    config = plain(
        train_config(small.entry(weight=3, mosaic=0.5), other.entry(weight=1), epoch_length=16)
    )
    dataset = build_training_set(config, model_spec(config))
    assert dataset.item_counts == (6, 6, 4, 0)
    assert sum(grey(dataset[index]) == 0 for index in range(16)) == 6


def test_targets_are_those_of_the_heads(small: SmallSet) -> None:
    config = train_config(small.entry(mosaic=0.25), heads=HEADS_OF_ALL_KINDS)
    spec = model_spec(config)
    settings = target_settings(config, spec)
    assert settings.joint_count == len(JOINTS)
    assert (settings.input_height, settings.input_width) == (64, 96)
    dataset = build_training_set(config, spec)
    batch = next(iter(DataLoader(dataset, batch_size=12)))
    assert batch['image'].shape == (12, 64, 96, 3)
    for name in ('hps_mask', 'hp_offset_mask', 'dep_mask', 'rot_mask', 'masks_mask'):
        assert batch[name].any(), name


def test_fields_that_no_head_needs_are_not_read(small: SmallSet) -> None:
    small.change(lambda content: content['annotations'][0].update(depth='far', keypoints=[1]))
    flat = train_config(small.entry())
    build_training_set(flat, model_spec(flat))
    for heads in (('hm', 'reg', 'wh', 'dep'), ('hm', 'reg', 'wh', 'hps')):
        deep = train_config(small.entry(), heads=heads)
        with pytest.raises(ValueError, match=r'annotations\[0\]: (depth|keypoints)'):
            build_training_set(deep, model_spec(deep))


@pytest.mark.parametrize(
    ('head', 'key'),
    [('dep', 'depth'), ('rot', 'alpha'), ('hps', 'keypoints'), ('conv_weight', 'segmentation')],
)
def test_head_that_no_set_teaches(small: SmallSet, head: str, key: str) -> None:
    small.change(lambda content: [row.pop(key) for row in content['annotations']])
    heads = ('hm', 'reg', 'wh', head, *(('seg_feat',) if head == 'conv_weight' else ()))
    config = train_config(small.entry(), heads=heads)
    with pytest.raises(ValueError, match=f"'{head}' learns from '{key}'"):
        build_training_set(config, model_spec(config))
    idle = replace(config, losses={head: 0.0})
    assert len(build_training_set(idle, model_spec(idle))) == 24


def test_validation_is_the_previous_frame_of_the_validation_sets(small: SmallSet) -> None:
    config = train_config(small.entry(), validation=(small.entry(),))
    pairs = build_validation_pairs(config, model_spec(config))
    assert len(pairs) == 12
    for index in range(12):
        before = 10 * index if 0 < index < 6 else 10 + 10 * index
        assert grey(pairs[index]) == 10 + 10 * index
        assert pairs[index]['previous_image'].max() == before
    assert pairs[3]['tracking_mask'].any()


def test_validation_without_sets_is_another_seed_without_augmentation(small: SmallSet) -> None:
    config = train_config(small.entry())
    spec = model_spec(config)
    pairs = build_validation_pairs(config, spec)
    assert len(pairs) == VALIDATION_PAIRS
    greys = [grey(pairs[index]) for index in range(VALIDATION_PAIRS)]
    assert set(np.bincount(greys)[10::10].tolist()) == {5, 6}
    training = build_training_set(plain(config), spec)
    assert greys[:12] != [grey(training[index]) for index in range(12)]
    again = build_validation_pairs(config, spec)
    for name, value in pairs[7].items():
        np.testing.assert_array_equal(value, again[7][name])


def test_missing_files_say_what_to_do(small: SmallSet) -> None:
    absent = replace(small.entry(source='voc'), annotations='data/voc/annotations/none.json')
    config = train_config(absent)
    with pytest.raises(FileNotFoundError, match=r'data.train\[0\].*Pascal VOC'):
        build_training_set(config, model_spec(config))
    config = train_config(small.entry(), validation=(replace(absent, source=''),))
    with pytest.raises(FileNotFoundError, match=r'data.validation\[0\].*none.json'):
        build_validation_pairs(config, model_spec(config))
    folder = train_config(replace(small.entry(), images='none'))
    with pytest.raises(FileNotFoundError, match='none'):
        build_training_set(folder, model_spec(folder))


@pytest.mark.parametrize(
    ('changes', 'complaint'),
    [
        ({'weight': -1.0}, 'weights'),
        ({'mosaic': 0.01}, r'data.train\[0\].mosaic: its weight'),
    ],
)
def test_wrong_shares(small: SmallSet, changes: dict[str, float], complaint: str) -> None:
    config = train_config(small.entry(**changes))
    with pytest.raises(ValueError, match=complaint):
        build_training_set(config, model_spec(config))


def test_other_complaints(small: SmallSet, shared_folder: Path) -> None:
    config = train_config(small.entry(), crop_width=90)
    with pytest.raises(ValueError, match=r'data.crop_width: .* multiple of 32, received 90'):
        build_training_set(config, model_spec(config))
    config = train_config()
    with pytest.raises(ValueError, match=r'data.train: expected a set'):
        build_training_set(config, model_spec(config))
    own = MixedSet('mix', str(shared_folder / 'data'))
    config = train_config(own, epoch_length=8)
    config = replace(config, model=replace(config.model, classes=('person', 'forklift')))
    with pytest.raises(ValueError, match=r'model.classes: coco'):
        build_training_set(config, model_spec(config))
    small.change(lambda content: content.update(images=[], annotations=[]))
    config = train_config(small.entry())
    with pytest.raises(ValueError, match='no images'):
        build_training_set(config, model_spec(config))


def test_shipped_recipe(shared_folder: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    config = load_config(root / 'config' / 'training' / 'mobilenetv3_coco.yaml', ['loop.epochs=2'])
    own = replace(config.data.train[0], root=str(shared_folder / 'data'))
    config = replace(config, data=replace(config.data, train=(own,)))
    spec = model_spec(config)
    dataset = build_training_set(config, spec)
    # Stills 0.4 of 800, of which mosaics 0.3 and photos of streets 0.15.
    assert dataset.item_counts == (176, 96, 48, 480)
    assert dataset[900]['image'].shape == (320, 416, 3)
    batch = torch.utils.data.default_collate([dataset[0], dataset[1]])
    assert batch['hm'].shape == (2, 80, 80, 104)
    with pytest.raises(ValueError, match='epoch_length'):
        build_training_set(replace(config, data=replace(config.data, epoch_length=0)), spec)
