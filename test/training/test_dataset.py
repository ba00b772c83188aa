"""The dataset: sample contract, determinism for any number of workers, previous frames."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from training.augment import NO_AUGMENTATION, AugmentSettings
from training.data.backgrounds import PhotoBackgrounds
from training.data.coco_video import CocoVideoSource
from training.data.cutouts import CutoutLibrary, person_crop_entries
from training.data.dataset import (
    NO_NOISE,
    PreviousFramePairs,
    TrackingDataset,
    initialize_worker,
)
from training.data.mosaic import MosaicSource
from training.data.preview import draw_sample
from training.data.synthetic import SyntheticSettings, SyntheticSource
from training.heads import HEADS
from training.targets import PriorNoise, TargetRules, TargetSettings

CLASSES = ('person', 'car')
TARGETS = TargetSettings(input_height=96, input_width=128, class_count=2, max_objects=32)


@pytest.fixture(scope='module')
def coco(tmp_path_factory: pytest.TempPathFactory) -> CocoVideoSource:
    """A video of four frames in which a block walks to the right, and two stills."""
    folder = tmp_path_factory.mktemp('coco')
    images, annotations = [], []
    for index in range(6):
        image = np.random.default_rng(index).integers(0, 90, (90, 120, 3), np.uint8)
        left = 10 + 8 * index
        image[30:60, left : left + 12] = 250
        cv2.imwrite(str(folder / f'{index}.png'), image)
        video = {'video_id': 1, 'frame_id': index} if index < 4 else {}
        images.append({'id': index, 'file_name': f'{index}.png', **video})
        annotations.append(
            {'image_id': index, 'category_id': 1, 'track_id': 5, 'bbox': [left, 30, 12, 30]}
        )
    content = {
        'categories': [{'id': 1, 'name': 'person'}, {'id': 3, 'name': 'car'}],
        'images': images,
        'annotations': annotations,
    }
    path = folder / 'annotations.json'
    path.write_text(json.dumps(content), encoding='utf-8')
    return CocoVideoSource(path, folder, CLASSES)


@pytest.fixture(scope='module')
def dataset(coco: CocoVideoSource, data_folder: Path) -> TrackingDataset:
    """Stills, mosaics and scenes."""
    library = CutoutLibrary(person_crop_entries(data_folder / 'cutouts'))
    scenes = SyntheticSource(
        library,
        PhotoBackgrounds(coco),
        CLASSES,
        SyntheticSettings(height=96, width=128, max_things=6),
    )
    return TrackingDataset(
        [coco, MosaicSource(coco, 96, 128), scenes],
        [1, 1, 2],
        epoch_length=24,
        epochs=2,
        seed=7,
        targets=TARGETS,
        augmentation=AugmentSettings(),
        prior_noise=PriorNoise(),
    )


def test_collated_batch_has_the_shapes_of_the_contract(dataset: TrackingDataset) -> None:
    batch = next(iter(DataLoader(dataset, batch_size=4)))
    expected = {
        'image': ((4, 96, 128, 3), torch.uint8),
        'previous_image': ((4, 96, 128, 3), torch.uint8),
        'prior_heatmap': ((4, 1, 24, 32), torch.float32),
        'hm': ((4, 2, 24, 32), torch.float32),
        'indices': ((4, 32), torch.int64),
        'classes': ((4, 32), torch.int64),
        'mask': ((4, 32), torch.float32),
        'ltrb': ((4, 32, 4), torch.float32),
        'ltrb_mask': ((4, 32, 4), torch.float32),
        'reg': ((4, 32, 2), torch.float32),
        'reg_mask': ((4, 32, 2), torch.float32),
        'tracking': ((4, 32, 2), torch.float32),
        'tracking_mask': ((4, 32, 2), torch.float32),
    }
    assert {name: (tuple(value.shape), value.dtype) for name, value in batch.items()} == expected


def test_targets_are_sane_over_many_samples(dataset: TrackingDataset) -> None:
    objects = 0
    for index in range(len(dataset)):
        sample = dataset[index]
        rows = sample['mask'] > 0
        objects += int(rows.sum())
        assert all(np.isfinite(value).all() for value in sample.values())
        assert sample['hm'].min() >= 0
        assert sample['hm'].max() <= 1
        cells = sample['indices'][rows]
        assert (sample['hm'].reshape(2, -1)[sample['classes'][rows], cells] == 1).all()
        assert ((sample['reg'] >= 0) & (sample['reg'] < 1)).all()
        assert (sample['ltrb'][rows][:, :2] + sample['ltrb'][rows][:, 2:] > 0).all()
        assert (sample['tracking_mask'] <= sample['mask'][:, None]).all()
    assert objects > 30


@pytest.mark.parametrize('workers', [1, 3])
def test_same_seed_same_batches_for_any_number_of_workers(
    dataset: TrackingDataset, workers: int
) -> None:
    # Batches over the end of an epoch.
    plain = DataLoader(dataset, batch_size=5)
    parallel = DataLoader(
        dataset, batch_size=5, num_workers=workers, worker_init_fn=initialize_worker
    )
    for expected, received in zip(plain, parallel, strict=True):
        for name, value in expected.items():
            assert torch.equal(value, received[name]), name


def test_items_do_not_depend_on_what_was_made_before(
    dataset: TrackingDataset, coco: CocoVideoSource
) -> None:
    def stills() -> TrackingDataset:
        return TrackingDataset(
            [coco, MosaicSource(coco, 96, 128)],
            [2, 1],
            epoch_length=9,
            epochs=3,
            seed=7,
            targets=TARGETS,
            augmentation=AugmentSettings(),
            prior_noise=PriorNoise(),
        )

    whole = [stills()[index] for index in range(27)]
    # Two processes with halves of batches of four, resumed at item 12.
    resumed = stills()
    for index in [*range(12, 27, 4), *range(14, 27, 4)]:
        for name, value in resumed[index].items():
            np.testing.assert_array_equal(value, whole[index][name])
    pictures = {sample['image'].tobytes() for sample in whole}
    assert len(pictures) == 27
    with pytest.raises(IndexError, match='0 to 47, received 48'):
        dataset[48]


def test_an_epoch_shows_every_frame_once(coco: CocoVideoSource) -> None:
    dataset = TrackingDataset(
        [coco],
        [1],
        epoch_length=6,
        epochs=2,
        seed=3,
        targets=TARGETS,
        augmentation=NO_AUGMENTATION,
        prior_noise=NO_NOISE,
    )
    shown = [
        [dataset[index]['image'].tobytes() for index in range(6 * epoch, 6 * epoch + 6)]
        for epoch in (0, 1)
    ]
    assert len(set(shown[0])) == 6
    assert sorted(shown[0]) == sorted(shown[1])
    assert shown[0] != shown[1]


def test_other_seed_other_samples(dataset: TrackingDataset, coco: CocoVideoSource) -> None:
    other = TrackingDataset(
        [coco],
        [1],
        epoch_length=2,
        seed=8,
        targets=TARGETS,
        augmentation=AugmentSettings(),
        prior_noise=PriorNoise(),
    )
    assert (other[0]['image'] != other[1]['image']).any()
    assert (other[0]['image'] != dataset[0]['image']).any()


@pytest.mark.parametrize('weights', [[1, 2], [-1], [0]])
def test_wrong_weights(coco: CocoVideoSource, weights: list[float]) -> None:
    with pytest.raises(ValueError, match='weights'):
        TrackingDataset(
            [coco],
            weights,
            epoch_length=1,
            seed=0,
            targets=TARGETS,
            augmentation=AugmentSettings(),
            prior_noise=PriorNoise(),
        )


def test_validation_is_frames_with_their_previous_one(coco: CocoVideoSource) -> None:
    dataset = PreviousFramePairs([coco], 64, TARGETS)
    assert len(dataset) == 6
    sample = dataset[2]
    scale = 128 / 120
    cell = np.array([sample['indices'][0] % 32, sample['indices'][0] // 32])
    np.testing.assert_allclose((cell + sample['reg'][0]) * 4, [32 * scale, 45 * scale], rtol=1e-5)
    old = (cell + sample['tracking'][0]) * 4
    np.testing.assert_allclose(old, [24 * scale, 45 * scale], rtol=1e-5)
    y, x = np.unravel_index(sample['prior_heatmap'][0].argmax(), (24, 32))
    assert [x, y] == [24 * scale // 4, 45 * scale // 4]
    first = dataset[0]
    np.testing.assert_array_equal(first['image'], first['previous_image'])


def test_few_validation_pairs_are_spread_over_the_sets(coco: CocoVideoSource) -> None:
    pairs = PreviousFramePairs([coco, coco], 4, TARGETS)
    every = PreviousFramePairs([coco, coco], 12, TARGETS)
    assert (len(pairs), len(every)) == (4, 12)
    for index in range(4):
        np.testing.assert_array_equal(pairs[index]['image'], every[3 * index]['image'])


def test_mosaic_clips_boxes_to_their_tiles(coco: CocoVideoSource) -> None:
    generator = np.random.default_rng(0)
    for _ in range(10):
        pair = MosaicSource(coco, 96, 128).sample_pair(generator)
        labels = pair.current.labels
        assert pair.simulate_motion
        assert pair.current.image.shape == (96, 128, 3)
        assert len(set(labels.track_ids.tolist())) == len(labels)
        for box, shown in zip(labels.boxes, labels.visibilities, strict=True):
            left, top, right, bottom = np.round(box).astype(int)
            if shown > 0.9 and right - left > 4:
                inside = pair.current.image[top + 2 : bottom - 2, left + 2 : right - 2]
                assert inside.mean() > 200


def test_preview_draws_every_sample(dataset: TrackingDataset) -> None:
    picture = draw_sample(dataset[1], CLASSES)
    assert picture.shape == (96, 256, 3)
    empty = {**dataset[1], 'mask': np.zeros(32, np.float32)}
    assert draw_sample(empty, CLASSES).shape == (96, 256, 3)


def test_fill_and_bars(coco: CocoVideoSource) -> None:
    tall = replace(TARGETS, input_height=128, input_width=96)
    sample = PreviousFramePairs([coco], 6, tall)[0]
    assert not sample['image'][:20].any()
    assert sample['image'][30:90].any()


def test_rules_of_the_targets_reach_the_pictures(coco: CocoVideoSource) -> None:
    original = replace(TARGETS, rules=TargetRules.original())
    ours, theirs = (PreviousFramePairs([coco], 6, targets)[2] for targets in (TARGETS, original))
    # The map ends one cell earlier, and pictures are scaled about the middle of their first pixel.
    assert (ours['image'] != theirs['image']).any()
    np.testing.assert_allclose(theirs['ltrb'][0, :2], -ours['ltrb'][0, :2], atol=1e-4)
    np.testing.assert_allclose(theirs['ltrb'][0, 2:], ours['ltrb'][0, 2:], atol=1e-4)
    assert (theirs['hm'][1] == ours['hm'][1]).all()


@pytest.mark.parametrize('rules', [TargetRules(), TargetRules.original()])
def test_every_head_can_be_collated(coco: CocoVideoSource, rules: TargetRules) -> None:
    targets = replace(TARGETS, heads=tuple(HEADS), joint_count=17, rules=rules)
    dataset = PreviousFramePairs([coco], 6, targets)
    batch = next(iter(DataLoader(dataset, batch_size=3)))
    assert all(torch.isfinite(value.double()).all() for value in batch.values())
    for name, head in HEADS.items():
        if head.place == 'object' and name not in ('rot', 'conv_weight'):
            assert batch[name].shape == batch[f'{name}_mask'].shape, name
    assert batch['hm_hp'].shape == (3, 17, 24, 32)
    assert batch['joint_indices'].shape == batch['joint_classes'].shape == (3, 32 * 17)
    assert batch['hp_offset'].shape == batch['hp_offset_mask'].shape == (3, 32 * 17, 2)
    assert batch['rot_bins'].dtype == batch['joint_indices'].dtype == torch.int64
    assert batch['masks'].shape == (3, 32, 24, 32)
