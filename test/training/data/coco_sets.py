"""A small labelled set on disk and a configuration that learns from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from training.config import CocoSet, DataConfig, LoopConfig, ModelConfig, TrainConfig

Content = dict[str, Any]
JOINTS = ('nose', 'left_hand', 'right_hand')
HEADS_OF_ALL_KINDS = (
    'hm', 'reg', 'wh', 'tracking', 'hps', 'hm_hp', 'hp_offset', 'dep', 'rot', 'dim',
    'amodel_offset', 'conv_weight', 'seg_feat',
)  # fmt: skip


@dataclass(frozen=True)
class SmallSet:
    """Where the files of a set are."""

    folder: Path
    annotations: Path

    @property
    def content(self) -> Content:
        """The parsed annotation file."""
        content: Content = json.loads(self.annotations.read_text(encoding='utf-8'))
        return content

    def change(self, edit: Callable[[Content], object]) -> None:
        """Edit the annotation file."""
        content = self.content
        edit(content)
        self.annotations.write_text(json.dumps(content), encoding='utf-8')

    def entry(self, **values: Any) -> CocoSet:
        """As a configuration names it."""
        return CocoSet('coco', str(self.annotations), str(self.folder), **values)


def write_small_set(folder: Path, images: int = 12) -> SmallSet:
    """A video of the first six images, then stills; two boxes in each, with all fields.

    Every picture has a grey of its own: 10 more than the one before.
    """
    content: Content = {
        'categories': [{'id': 1, 'name': 'person'}, {'id': 3, 'name': 'car'}],
        'images': [],
        'annotations': [],
    }
    for index in range(images):
        name = f'{index:02d}.png'
        cv2.imwrite(str(folder / name), np.full((48, 64, 3), 10 + 10 * index, np.uint8))
        video = {'video_id': 1, 'frame_id': index} if index < 6 else {}
        content['images'].append(
            {'id': index, 'file_name': name, 'width': 64, 'height': 48, **video}
        )
        for track, (category, left, side) in enumerate(((1, 4 + index, 16), (3, 36, 20))):
            content['annotations'].append(_annotation(index, category, track + 1, left, side))
    path = folder / 'annotations.json'
    path.write_text(json.dumps(content), encoding='utf-8')
    return SmallSet(folder, path)


def train_config(
    *sets: CocoSet, heads: tuple[str, ...] = ('hm', 'reg', 'wh', 'tracking'), **data: Any
) -> TrainConfig:
    """A training on crops of 96x64 for two epochs."""
    pose = {'hps', 'hm_hp', 'hp_offset'} & set(heads)
    return TrainConfig(
        name='small',
        run='runs/small',
        model=ModelConfig(
            architecture='mobilenetv3',
            classes=('person', 'car'),
            heads=heads,
            box='wh',
            input_height=128,
            input_width=160,
            thresholds={'detection': 0.1, 'track': 0.35, 'birth': 0.5, 'prior': 0.3},
            licence='MIT',
            joints=JOINTS if pose else (),
        ),
        data=DataConfig(
            **{'train': sets, 'crop_height': 64, 'crop_width': 96, 'max_objects': 16, **data}
        ),
        loop=LoopConfig(epochs=2),
    )


def _annotation(image: int, category: int, track: int, left: int, side: int) -> Content:
    right, top = left + side, 10
    bottom = top + side
    return {
        'image_id': image,
        'category_id': category,
        'track_id': track,
        'bbox': [left, top, side, side],
        'keypoints': [left + 4, top + 4, 2, left + 2, top + 8, 1, right - 2, top + 8, 2],
        'segmentation': [[left, top, right, top, right, bottom, left, bottom]],
        'depth': 10.0,
        'dim': [1.5, 1.6, 4.0],
        'alpha': 0.5,
        'amodel_center': [left + side / 2, top + side / 2],
    }
