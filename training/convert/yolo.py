"""YOLO: a text file for each image with lines `class x y width height`, shares of the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from centertrack_ros.replay.sources import IMAGE_SUFFIXES
from training.convert.annotations import AnnotationFile
from training.convert.files import (
    checked_folder,
    image_size,
    located,
    parse_numbers,
    parse_whole,
    read_lines,
)

_EXPECTED = 'class, x, y, width, height'
# Six decimals are usual, so that boxes at the edge may seem to leave the image by so much.
_ROUNDING = 1e-5


def convert_yolo(images: Path, labels: Path, names: Path) -> AnnotationFile:
    """All images of a folder and the folders in it; only headers of pictures are read.

    Args:
        images: pictures; those without a text file are background.
        labels: text files at the same paths.
        names: names of the classes: one a line, or the `names` of a YAML file.

    Raises:
        FileNotFoundError: a folder or the names are missing.
        ValueError: a file is malformed, or labels have no picture; the text names file and line.
    """
    checked_folder(labels, 'the labels')
    files = {
        path.relative_to(images).with_suffix('.txt'): path
        for path in sorted(checked_folder(images, 'the images').rglob('*'))
        if path.suffix.lower() in IMAGE_SUFFIXES
    }
    texts = {path.relative_to(labels) for path in labels.rglob('*.txt')} - {Path('classes.txt')}
    lonely = sorted(texts - set(files))
    if lonely:
        raise ValueError(
            f'{labels / lonely[0]}: expected a picture {lonely[0].with_suffix("")} in {images}, '
            f'received none ({len(lonely)} such files)'
        )
    class_names = read_names(names)
    output = AnnotationFile.numbered(class_names)
    for text, path in files.items():
        size = image_size(path)
        image_id = output.add_image(path.relative_to(images).as_posix(), size)
        if text not in texts:
            continue
        for number, line in read_lines(labels / text, 'labels'):
            with located(labels / text, number):
                _add_line(output, image_id, line, size, len(class_names))
    return output


def read_names(path: Path) -> list[str]:
    """Names of the classes in their order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no names.
    """
    if path.suffix not in ('.yaml', '.yml'):
        return [line for _, line in read_lines(path, 'the names of the classes')]
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: expected the names of the classes')
    try:
        content: Any = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f'{path}: expected YAML, {error}') from error
    names = content.get('names') if isinstance(content, dict) else None
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list) or not names:
        raise ValueError(f'{path}: names: expected a list or numbers from 0, received {names!r}')
    return [str(name) for name in names]


def _add_line(
    output: AnnotationFile, image_id: int, line: str, size: tuple[int, int], class_count: int
) -> None:
    values = parse_numbers(line.split(), f'the numbers {_EXPECTED}')
    if len(values) != 5:
        raise ValueError(f'expected the 5 numbers {_EXPECTED}, received {len(values)}')
    class_index = parse_whole(values[0], 'class', 0)
    if class_index >= class_count:
        raise ValueError(f'class: expected at most {class_count - 1}, received {class_index}')
    x, y, wide, high = values[1:]
    left, top = x - wide / 2, y - high / 2
    if min(wide, high) < 0 or min(left, top) < -_ROUNDING or max(x, y) > 1 + _ROUNDING:
        raise ValueError(f'expected a box inside the image (0 to 1), received {values[1:]}')
    if max(left + wide, top + high) > 1 + _ROUNDING:
        raise ValueError(f'expected a box inside the image (0 to 1), received {values[1:]}')
    height, width = size
    box = [left * width, top * height, wide * width, high * height]
    output.add_box(image_id, class_index + 1, box)
