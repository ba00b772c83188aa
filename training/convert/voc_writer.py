"""COCO-format annotations or results as Pascal VOC files, see `voc`.

What VOC has no word for (ids, polygons, tracks) is kept as JSON in elements `coco`, which other
programs pass over, so that nothing is lost on the way back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from training.convert.annotations import Counts
from training.convert.files import read_json, staged_folder

_FIELDS_OF_VOC = ('bbox', 'iscrowd', 'image_id', 'file_name', 'height', 'width', 'score')


def write_voc(annotations: Path, folder: Path, *, results: Path | None = None) -> Counts:
    """COCO-format annotations, or results, as XML files in a new folder.

    Args:
        annotations: COCO-format file.
        folder: new folder; `a/b.jpg` becomes `a/b.xml`.
        results: COCO-format results (a list with `image_id`, `category_id`, `bbox`, `score`),
            written instead of the annotations, with an element `score`.

    Raises:
        FileExistsError: the folder exists.
        FileNotFoundError: a file is missing.
        ValueError: a file is malformed; the text names file, list and index.
    """
    content = read_json(annotations, 'a COCO-format file')
    if not isinstance(content, dict):
        raise ValueError(f'{annotations}: expected an object at the top level')
    images, categories = (
        _rows(content.get(table), annotations, table, required)
        for table, required in (
            ('images', ('id', 'file_name', 'height', 'width')),
            ('categories', ('id', 'name')),
        )
    )
    required = ('image_id', 'category_id', 'bbox')
    if results is None:
        source, table, loaded = annotations, 'annotations', content.get('annotations')
    else:
        source, table, loaded = results, 'results', read_json(results, 'COCO results')
    rows = _rows(loaded, source, table, required)
    names = {category['id']: category['name'] for category in categories}
    by_image: dict[Any, list[Mapping[str, Any]]] = {image['id']: [] for image in images}
    for index, row in enumerate(rows):
        try:
            if row['image_id'] not in by_image or row['category_id'] not in names:
                raise ValueError(
                    f'expected an image and a category of {annotations}, received '
                    f'image_id {row["image_id"]!r}, category_id {row["category_id"]!r}'
                )
            _corners(row['bbox'])
        except ValueError as error:
            raise ValueError(f'{source}: {table}[{index}]: {error}') from error
        by_image[row['image_id']].append(row)
    counts = Counts()
    with staged_folder(folder) as staged:
        for image in images:
            path = staged / _xml_name(annotations, image['file_name'])
            if path.exists():
                raise ValueError(f'{annotations}: two images would become {path.name}')
            path.parent.mkdir(parents=True, exist_ok=True)
            document = _document(image, by_image[image['id']], names)
            path.write_text(document, encoding='utf-8')
            counts.images += 1
    crowds = sum(1 for row in rows if row.get('iscrowd', 0))
    counts.ignored, counts.boxes = crowds, len(rows) - crowds
    return counts


def _document(
    image: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], names: Mapping[Any, str]
) -> str:
    """The text of an XML file."""
    root = ElementTree.Element('annotation')
    ElementTree.SubElement(root, 'filename').text = image['file_name']
    size = ElementTree.SubElement(root, 'size')
    for name, value in (('width', image['width']), ('height', image['height']), ('depth', 3)):
        ElementTree.SubElement(size, name).text = str(value)
    ElementTree.SubElement(root, 'coco').text = _other_fields(image)
    for row in rows:
        node = ElementTree.SubElement(root, 'object')
        ElementTree.SubElement(node, 'name').text = names[row['category_id']]
        difficult = '1' if row.get('iscrowd', 0) else '0'
        ElementTree.SubElement(node, 'difficult').text = difficult
        box = ElementTree.SubElement(node, 'bndbox')
        for name, value in zip(
            ('xmin', 'ymin', 'xmax', 'ymax'), _corners(row['bbox']), strict=True
        ):
            ElementTree.SubElement(box, name).text = format(value, 'f')
        if 'score' in row:
            ElementTree.SubElement(node, 'score').text = repr(row['score'])
        ElementTree.SubElement(node, 'coco').text = _other_fields(row)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding='unicode') + '\n'


def _other_fields(row: Mapping[str, Any]) -> str:
    return json.dumps({key: value for key, value in row.items() if key not in _FIELDS_OF_VOC})


def _corners(box: Any) -> list[Decimal]:
    """Xmin, ymin, xmax, ymax from left, top, width, height."""
    if not isinstance(box, list) or not all(isinstance(value, (int, float)) for value in box):
        raise ValueError(f'bbox: expected four numbers, received {box!r}')
    values = [Decimal(repr(value)) for value in box]
    if len(values) != 4 or not all(value.is_finite() for value in values) or min(values[2:]) < 0:
        raise ValueError(f'bbox: expected four numbers, sizes from 0, received {box!r}')
    left, top, width, height = values
    return [left + 1, top + 1, left + width, top + height]


def _xml_name(source: Path, file_name: Any) -> Path:
    path = PurePosixPath(str(file_name))
    if path.is_absolute() or '..' in path.parts or not path.name:
        raise ValueError(
            f'{source}: file_name: expected a path inside the folder, received {file_name!r}'
        )
    return Path(path.with_suffix('.xml'))


def _rows(rows: Any, source: Path, table: str, required: Sequence[str]) -> list[Mapping[str, Any]]:
    if not isinstance(rows, list):
        raise ValueError(f'{source}: {table}: expected a list')
    for index, row in enumerate(rows):
        missing = [name for name in required if not isinstance(row, dict) or name not in row]
        if missing:
            raise ValueError(f'{source}: {table}[{index}]: expected {missing}, which are missing')
        for name in set(required) & {'id', 'image_id', 'category_id'}:
            if not isinstance(row[name], (int, str)):
                raise ValueError(
                    f'{source}: {table}[{index}]: {name}: expected a number or text, '
                    f'received {row[name]!r}'
                )
    return rows
