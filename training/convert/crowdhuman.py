"""CrowdHuman: one JSON object a line (`.odgt`), full-body boxes.

As in CenterTrack (`convert_crowdhuman_to_coco.py`), the full-body box is learnt, also where it
leaves the image, and boxes marked `ignore` are ignored regions; so are the masks, which cover
crowds, reflections and drawn people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.convert.annotations import AnnotationFile
from training.convert.files import checked_folder, image_size, located, read_lines

_PERSON = 1
_TAGS = ('person', 'mask')


def convert_crowdhuman(
    odgt: Path, images: Path, *, suffix: str = '.jpg', class_name: str = 'person'
) -> AnnotationFile:
    """All images of one annotation file; only headers of pictures are read.

    Args:
        odgt: `annotation_train.odgt` or `annotation_val.odgt`.
        images: folder of the pictures `ID.jpg`.
        suffix: of the pictures.
        class_name: name of the only category.

    Raises:
        FileNotFoundError: the file or a picture is missing.
        ValueError: a line or a picture is malformed; the text names file and line.
    """
    checked_folder(images, 'the images of CrowdHuman')
    output = AnnotationFile.numbered((class_name,))
    seen: set[str] = set()
    for number, line in read_lines(odgt, 'an annotation file of CrowdHuman'):
        with located(odgt, number):
            name, boxes = _parse_line(line)
            if name in seen:
                raise ValueError(f'expected every ID once, received {name!r} again')
            seen.add(name)
            path = images / f'{name}{suffix}'
            image_id = output.add_image(path.name, image_size(path))
            for index, box in enumerate(boxes):
                try:
                    _add_box(output, image_id, box)
                except ValueError as error:
                    raise ValueError(f'gtboxes[{index}]: {error}') from error
    return output


def _parse_line(line: str) -> tuple[str, list[Any]]:
    """ID and boxes of one image."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f'expected a JSON object, {error}') from error
    if not isinstance(row, dict) or not isinstance(row.get('ID'), str):
        raise ValueError(f'expected a JSON object with a text ID, received {line[:80]!r}')
    boxes = row.get('gtboxes')
    if not isinstance(boxes, list):
        raise ValueError(f'gtboxes: expected a list, received {boxes!r}')
    return row['ID'], boxes


def _add_box(output: AnnotationFile, image_id: int, row: Any) -> None:
    if not isinstance(row, Mapping) or row.get('tag') not in _TAGS:
        raise ValueError(f'expected an object with a tag of {_TAGS}, received {str(row)[:80]}')
    box = row.get('fbox')
    if not isinstance(box, list) or not all(isinstance(value, (int, float)) for value in box):
        raise ValueError(f'fbox: expected four numbers, received {box!r}')
    extra = row.get('extra', {})
    if not isinstance(extra, Mapping):
        raise ValueError(f'extra: expected an object, received {extra!r}')
    if row['tag'] == 'mask' or extra.get('ignore') == 1:
        output.add_region(image_id, (_PERSON,), box)
    else:
        output.add_box(image_id, _PERSON, box)
