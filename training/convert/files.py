"""Reading files so that complaints name file and line, and writing them whole or not at all."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

_EXIF_ORIENTATION = 274
_EXIF_TURNED = (5, 6, 7, 8)


def read_lines(path: Path, what: str) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers from 1.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not text.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: expected {what}')
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f'{path}: expected {what}, it is not text: {error}') from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, line.strip()


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: expected {what}')
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path}: expected {what}, it is not JSON: {error}') from error


@contextmanager
def located(path: Path, line: int | None = None) -> Iterator[None]:
    """A ValueError from inside gets the file and the line in front."""
    try:
        yield
    except ValueError as error:
        place = str(path) if line is None else f'{path}, line {line}'
        raise ValueError(f'{place}: {error}') from error


def parse_numbers(texts: Sequence[str], what: str) -> list[float]:
    """Finite numbers; ValueError that says `what` was expected."""
    try:
        values = [float(text) for text in texts]
    except ValueError:
        values = [math.nan]
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f'expected {what}, received {" ".join(texts)[:80]!r}')
    return values


def parse_whole(value: float, what: str, least: int) -> int:
    """A whole number from `least`; ValueError otherwise."""
    if value != int(value) or value < least:
        raise ValueError(f'{what}: expected a whole number from {least}, received {value:g}')
    return int(value)


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) as OpenCV decodes it, from the header alone.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no picture.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: expected a picture')
    try:
        with Image.open(path) as image:
            width, height = image.size
            # Of a PNG without it in front, `getexif` would decode all pixels to look behind them.
            known = image.format != 'PNG' or 'exif' in image.info
            turned = known and image.getexif().get(_EXIF_ORIENTATION) in _EXIF_TURNED
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f'{path}: expected a picture, {error}') from error
    return (width, height) if turned else (height, width)


def checked_folder(path: Path, what: str) -> Path:
    """The folder; FileNotFoundError where there is none."""
    if not path.is_dir():
        raise FileNotFoundError(f'{path} does not exist: expected the folder of {what}')
    return path


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """An empty folder that gets the name `path` if all goes well, and is removed otherwise.

    Raises:
        FileExistsError: `path` exists.
    """
    if path.exists():
        raise FileExistsError(f'{path} exists already: name another folder')
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f'.{path.name}.') as staging:
        staged = Path(staging) / path.name
        staged.mkdir()
        yield staged
        staged.rename(path)
