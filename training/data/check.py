"""Checks a labelled set before a training does.

    python -m training.data.check --annotations FILE --images FOLDER [--classes coco]

Prints what the set holds and everything that is wrong with it, with file, list and index. Exit
status 1 if anything is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.classes import CLASS_LISTS, JOINT_LISTS, named_list
from training.data.coco_entries import required
from training.data.coco_reader import load_coco, parse_coco
from training.data.coco_records import FrameRecord, ReadingRules
from training.data.coco_video import read_record_image
from training.data.faults import Fault, FaultList


def picture_faults(records: Sequence[FrameRecord]) -> Iterator[Fault]:
    """Decodes every picture; those that are absent, unreadable or of another size."""
    for record in tqdm(records, unit='picture', disable=None):
        try:
            read_record_image(record)
        except (OSError, ValueError) as error:
            yield Fault('images', record.row, str(error))


def summary(records: Sequence[FrameRecord], class_names: Sequence[str]) -> Iterator[str]:
    """What a set holds, line by line."""
    videos = {record.video for record in records}
    boxes = sum(len(record.labels) for record in records)
    yield f'{len(records)} images in {len(videos)} videos or stills, {boxes} boxes'
    outside = sum(_outside(record) for record in records)
    if outside:
        yield f'{outside} boxes lie outside of their image: is bbox left, top, width, height?'
    width = max(map(len, ('class', *class_names)))
    yield f'{"class":{width}} {"boxes":>8} {"tracks":>8} {"ignored":>8} {"images":>8}'
    counts = np.zeros((len(class_names), 3), np.int64)
    tracks: list[set[object]] = [set() for _ in class_names]
    for record in records:
        labels = record.labels
        classes = labels.classes.tolist()
        np.add.at(counts[:, 0], classes, 1)
        np.add.at(counts[:, 1], labels.ignore_classes[labels.ignore_classes >= 0], 1)
        counts[np.unique(labels.classes), 2] += 1
        for index, track in zip(classes, labels.track_ids.tolist(), strict=True):
            tracks[index].add((record.video, track))
    for name, (count, ignored, images), ids in zip(class_names, counts, tracks, strict=True):
        yield f'{name:{width}} {count:8} {len(ids):8} {ignored:8} {images:8}'


def _outside(record: FrameRecord) -> int:
    """Boxes of which nothing is inside of the image, where its size is known."""
    if record.size is None:
        return 0
    height, width = record.size
    boxes = record.labels.boxes
    inside = (boxes[:, :2] < (width, height)).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
    return int((~inside).sum())


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--annotations', type=Path, required=True, help='COCO-format file')
    parser.add_argument('--images', type=Path, help='its pictures; without it they are not read')
    parser.add_argument(
        '--classes',
        help='names with commas between them, or coco, kitti, nuscenes, voc; all if not given',
    )
    parser.add_argument('--skip-categories', default='', help='names with commas between them')
    parser.add_argument('--joints', default='', help='names of the joints, or coco')
    parser.add_argument('--outlines', action='store_true', help='check the polygons too')
    options = parser.parse_args(arguments)
    try:
        found = _check(options)
    except (FileNotFoundError, ValueError) as error:
        print(f'training.data.check: {error}', file=sys.stderr)
        return 2
    return 1 if found else 0


def _check(options: argparse.Namespace) -> int:
    """Prints everything; the number of faults."""
    if options.images is not None and not options.images.is_dir():
        raise FileNotFoundError(f'image folder {options.images} does not exist')
    content = load_coco(options.annotations)
    faults = FaultList(str(options.annotations), 'skip')
    names = _names(options.classes or '', CLASS_LISTS)
    if not names and isinstance(content, dict) and isinstance(content.get('categories'), list):
        names = tuple(str(required(row, 'name')) for row in content['categories'])
    rules = ReadingRules(
        skipped_categories=_names(options.skip_categories, {}),
        joint_names=_names(options.joints, JOINT_LISTS),
        outlines=options.outlines,
        faults='skip',
    )
    records = parse_coco(content, faults, options.images or Path(), names, rules)
    for line in summary(records, names):
        print(line)
    found = list(faults.found)
    if options.images is not None:
        found += picture_faults(records)
    for fault in found:
        print(f'{options.annotations}: {fault}')
    print(f'{len(found)} faults')
    return len(found)


def _names(text: str, lists: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The list of this name, or the names in it."""
    if text in lists:
        return named_list(text, lists)
    return tuple(name.strip() for name in text.split(',') if name.strip())


if __name__ == '__main__':
    sys.exit(main())
