"""Frames of targets.json: their labels, and how they come to the network's input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from centertrack_ros.affine import affine_matrix
from centertrack_ros.preprocessing import fixed_placement
from training.classes import COCO_JOINTS
from training.conformance.vectors import NotRecorded
from training.data.coco_reader import FrameRecord, ReadingRules, frame_records
from training.data.labels import FrameLabels, Reals
from training.targets import TargetRules, TargetSettings

RULES = TargetRules.original()


@dataclass(frozen=True)
class Placing:
    """How both frames of a sample come to the input.

    Attributes:
        record, previous: the frames; None where there is no previous one.
        to_input, to_cells: affine maps of the current frame.
        previous_to_input: that of the previous frame.
        flipped: whether both are mirrored before.
        enlargement: how much larger things are than without augmentation.
    """

    record: FrameRecord
    previous: FrameRecord | None
    to_input: Reals
    to_cells: Reals
    previous_to_input: Reals
    flipped: bool
    enlargement: float


def read_records(flavour: str, entry: Mapping[str, Any]) -> list[FrameRecord]:
    """The annotations of a flavour as we read them."""
    rules = ReadingRules(
        category_numbers={int(key): number for key, number in entry['cat_ids'].items()},
        joint_names=COCO_JOINTS if 'hps' in entry['heads'] else (),
        lenient=True,
    )
    names = [str(number) for number in range(entry['num_classes'])]
    return frame_records(entry['annotations_coco_json'], flavour, Path(), names, rules)


def target_settings(entry: Mapping[str, Any]) -> TargetSettings:
    """Shapes and rules of the targets of a flavour."""
    height, width = entry['input_hw']
    return TargetSettings(
        height,
        width,
        entry['num_classes'],
        stride=entry['down_ratio'],
        prior_heatmap_stride=1,
        max_objects=entry['max_objs'],
        heads=tuple(entry['heads']),
        joint_count=entry['num_joints'],
        rules=RULES,
    )


def place_frames(
    records: Sequence[FrameRecord], entry: Mapping[str, Any], sample: Mapping[str, Any]
) -> Placing:
    """What the recorded numbers of a sample say."""
    by_id = {record.image_id: record for record in records}
    record, previous = by_id[sample['image_id']], by_id.get(sample['pre_image_id'])
    input_size = tuple(entry['input_hw'])
    if 'forced' not in sample:
        placement = fixed_placement(image_size(record), input_size)
        stride = entry['down_ratio']
        maps = placement.matrix(), placement.matrix(stride), placement.matrix()
        return Placing(record, previous, *maps, bool(sample['flipped']), 1.0)
    current = sample['forced']['cur']
    width = sample['s_before_aug'] * current['aug_s']
    sizes = (input_size[::-1], entry['output_hw'][::-1])
    to_input, to_cells = (
        affine_matrix(current['c'], width, sample['rot_deg'], size) for size in sizes
    )
    previous_to_input = to_input
    if not sample['same_aug_pre'] or previous is record:
        other = sample['forced']['pre']
        previous_to_input = affine_matrix(
            other['c'], width * other['aug_s'], sample['rot_deg'], sizes[0]
        )
    return Placing(
        record,
        previous,
        to_input,
        to_cells,
        previous_to_input,
        bool(sample['flipped']),
        1 / current['aug_s'],
    )


def turned_labels(record: FrameRecord, placing: Placing) -> FrameLabels:
    """Labels of a frame, mirrored where its sample is."""
    if not placing.flipped:
        return record.labels
    return record.labels.flipped(image_size(record)[1], pixel_middle=RULES.pixel_middle)


def image_size(record: FrameRecord) -> tuple[int, int]:
    """Height and width."""
    if record.size is None:
        raise NotRecorded(f'height and width of image {record.image_id}')
    return record.size
