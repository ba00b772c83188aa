"""Pascal VOC: an XML file for each image; see `voc_writer` for the way back.

VOC counts pixels from 1 and includes the last one: a COCO box `x, y, w, h` is `xmin = x + 1`,
`xmax = x + w`. Decimal arithmetic makes the way there and back exact. `difficult` objects are
ignored regions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from training.convert.annotations import AnnotationFile
from training.convert.files import checked_folder, read_lines
from training.convert.xml_lines import Node, parse_xml


def convert_voc(
    folder: Path, *, class_names: Sequence[str] = (), listed: Path | None = None
) -> AnnotationFile:
    """All XML files of a folder and the folders in it; pictures are not opened.

    Args:
        folder: `Annotations`.
        class_names: the classes in their order, others are an error; without, those of the
            files: with the numbers that `write_voc` stored, else in alphabetical order from 1.
        listed: text file with the names of the images of a split, such as
            `ImageSets/Main/train.txt`; all files without.

    Raises:
        FileNotFoundError: a file or the folder is missing.
        ValueError: a file is malformed; the text has its name and the line.
    """
    checked_folder(folder, 'XML files')
    paths = sorted(folder.rglob('*.xml'))
    if listed is not None:
        # Lists of one class go on with 1 or -1 after the name.
        names = [line.split()[0] for _, line in read_lines(listed, 'names of images')]
        paths = [folder / f'{name}.xml' for name in names]
    if not paths:
        raise FileNotFoundError(f'{folder}: expected XML files, found none')
    documents = [_Document(path) for path in paths]
    stored = not class_names and all(document.stored for document in documents)
    categories = _categories(documents, class_names, stored)
    output = AnnotationFile(categories)
    numbers = {category['name']: category['id'] for category in categories}
    for document in documents:
        document.add_to(output, numbers, stored)
    return output


class _Document:
    """One XML file; complaints name it and the line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        root = parse_xml(path)
        if root.name != 'annotation':
            raise self._error(root, f'expected <annotation>, received <{root.name}>')
        self._file_name = self._text(root, 'filename')
        size = self._child(root, 'size')
        self._size = (self._whole(size, 'height'), self._whole(size, 'width'))
        self._fields = self._stored_fields(root)
        self._objects = root.all('object')
        self.names = [self._text(node, 'name') for node in self._objects]
        self._object_fields = [self._stored_fields(node) for node in self._objects]
        self.stored = self._fields is not None and None not in self._object_fields

    def category_numbers(self) -> list[tuple[str, Any]]:
        """Names and stored category ids."""
        stored = [fields for fields in self._object_fields if fields is not None]
        return [
            (name, fields.get('category_id'))
            for name, fields in zip(self.names, stored, strict=True)
        ]

    def add_to(self, output: AnnotationFile, numbers: Mapping[str, int], stored: bool) -> None:
        """Image and objects; with their stored fields if asked for."""
        fields = self._fields if stored and self._fields is not None else {}
        try:
            image_id = output.add_image(self._file_name, self._size, **fields)
        except ValueError as error:
            raise ValueError(f'{self._path}: {error}') from error
        for node, name, kept in zip(self._objects, self.names, self._object_fields, strict=True):
            if name not in numbers:
                raise self._error(
                    node, f'name: expected one of {list(numbers)}, received {name!r}'
                )
            box = self._box(self._child(node, 'bndbox'))
            fields = dict(kept) if stored and kept is not None else {}
            fields.pop('category_id', None)
            try:
                if self._flag(node, 'difficult'):
                    output.add_region(image_id, (numbers[name],), box, **fields)
                else:
                    output.add_box(image_id, numbers[name], box, **fields)
            except ValueError as error:
                raise self._error(node, str(error)) from error

    def _box(self, node: Node) -> list[float]:
        corners = [self._decimal(node, name) for name in ('xmin', 'ymin', 'xmax', 'ymax')]
        left, top, right, bottom = corners
        exact = (left - 1, top - 1, right - left + 1, bottom - top + 1)
        return [float(value) for value in exact]

    def _decimal(self, node: Node, name: str) -> Decimal:
        text = self._text(node, name)
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal('NaN')
        if not value.is_finite():
            raise self._error(self._child(node, name), f'expected a number, received {text!r}')
        return value

    def _whole(self, node: Node, name: str) -> int:
        value = self._decimal(node, name)
        if value < 1 or value != int(value):
            raise self._error(
                self._child(node, name), f'expected a whole number from 1, received {value}'
            )
        return int(value)

    def _flag(self, node: Node, name: str) -> bool:
        found = node.all(name)
        if not found:
            return False
        if found[0].text not in ('0', '1'):
            raise self._error(found[0], f'{name}: expected 0 or 1, received {found[0].text!r}')
        return found[0].text == '1'

    def _stored_fields(self, node: Node) -> dict[str, Any] | None:
        """What `write_voc` kept, None where it wrote nothing."""
        found = node.all('coco')
        if not found:
            return None
        try:
            fields = json.loads(found[0].text)
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            raise self._error(found[0], f'expected a JSON object, received {found[0].text[:80]!r}')
        return fields

    def _text(self, node: Node, name: str) -> str:
        text = self._child(node, name).text
        if not text:
            raise self._error(self._child(node, name), f'expected text in <{name}>, received none')
        return text

    def _child(self, node: Node, name: str) -> Node:
        found = node.all(name)
        if len(found) != 1:
            raise self._error(
                node, f'expected one <{name}> in <{node.name}>, received {len(found)}'
            )
        return found[0]

    def _error(self, node: Node, reason: str) -> ValueError:
        return ValueError(f'{self._path}, line {node.line}: {reason}')


def _categories(
    documents: Sequence[_Document], class_names: Sequence[str], stored: bool
) -> list[dict[str, Any]]:
    names = list(class_names)
    if stored:
        pairs = {pair for document in documents for pair in document.category_numbers()}
        ids = {number for _, number in pairs}
        if all(isinstance(number, int) for number in ids) and len(ids) == len(
            {name for name, _ in pairs}
        ) == len(pairs):
            return [
                {'id': number, 'name': name}
                for name, number in sorted(pairs, key=lambda pair: pair[1])
            ]
    if not names:
        names = sorted({name for document in documents for name in document.names})
    return [{'id': number, 'name': name} for number, name in enumerate(names, start=1)]
