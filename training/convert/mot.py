"""MOTChallenge and DanceTrack sequences: `seqinfo.ini`, `img1/`, `gt/gt.txt`.

The rules for classes and visibility follow CenterTrack (`convert_mot_to_coco.py`), where the
classes near to a person (2 on a vehicle, 7 standing for long, 8 distractor, 12 reflection) are
ignored regions.
"""

from __future__ import annotations

import configparser
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from centertrack_ros.replay.mot_files import MIN_COLUMNS, MOT16_COLUMNS, MOT16_PEDESTRIAN
from centertrack_ros.replay.sources import SEQUENCE_FILE
from training.convert.annotations import AnnotationFile, Half, half_of
from training.convert.files import (
    checked_folder,
    image_size,
    located,
    parse_numbers,
    parse_whole,
    read_lines,
)

NEAR_PERSON_CLASSES = (2, 7, 8, 12)
MIN_VISIBILITY = 0.25
_EXPECTED = 'frame, id, left, top, width, height and more numbers'
_PERSON = 1
_NO_CLASS = -1


@dataclass(frozen=True)
class MotRules:
    """Which rows of `gt.txt` count.

    Attributes:
        object_classes: classes of MOT16 and later that are learnt.
        ignore_classes: classes that become ignored regions; all others are skipped.
        min_visibility: rows that are less visible are skipped.
        flagged_only: whether ignored regions too need confidence 1, as in CenterTrack, which so
            loses those of MOT17; objects always need it.
    """

    object_classes: Sequence[int] = (MOT16_PEDESTRIAN,)
    ignore_classes: Sequence[int] = NEAR_PERSON_CLASSES
    min_visibility: float = MIN_VISIBILITY
    flagged_only: bool = False


@dataclass(frozen=True)
class SequenceInfo:
    """What `seqinfo.ini` says.

    Attributes:
        image_folder: name of the folder of images.
        length: number of images.
        size: (height, width) in pixels; None where it does not say.
        suffix: of the image files.
        frame_rate: images per second; None where it does not say.
    """

    image_folder: str
    length: int
    size: tuple[int, int] | None
    suffix: str
    frame_rate: float | None


def convert_mot(
    root: Path,
    *,
    pattern: str = '*',
    half: Half | None = None,
    labels: bool = True,
    class_name: str = 'person',
    rules: MotRules | None = None,
) -> AnnotationFile:
    """All sequences in a folder, in the order of their names; file names are relative to it.

    Args:
        root: folder of sequence folders, or one sequence folder.
        pattern: which sequences, such as `*-FRCNN` of MOT17, which has each one three times.
        half: the first n // 2 + 1 images of each sequence or the rest, as CenterTrack halves
            them; frames count from 1 in both.
        labels: False for test sets, which have no `gt.txt`.
        class_name: name of the only category.
        rules: which rows count.

    Raises:
        FileNotFoundError: there is no sequence, or a part of one is missing.
        ValueError: a file is malformed; the text has its name and the line.
    """
    checked_folder(root, 'MOT sequences')
    if (root / SEQUENCE_FILE).is_file():
        folders = [root]
    else:
        folders = sorted(path.parent for path in root.glob(f'{pattern}/{SEQUENCE_FILE}'))
    if not folders:
        raise FileNotFoundError(f'{root}: expected folders {pattern} with {SEQUENCE_FILE}')
    output = AnnotationFile.numbered((class_name,))
    for folder in folders:
        _add_sequence(output, root, folder, half, labels, rules or MotRules())
    return output


def read_sequence_info(path: Path) -> SequenceInfo:
    """Read a `seqinfo.ini`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has no section [Sequence], or a number is missing or none.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist: expected a {SEQUENCE_FILE}')
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding='utf-8')
        section = parser['Sequence']
        length = int(section['seqLength'])
        sizes = [int(section[name]) for name in ('imHeight', 'imWidth') if name in section]
        rate = float(section['frameRate']) if 'frameRate' in section else None
    except (configparser.Error, KeyError, ValueError) as error:
        raise ValueError(
            f'{path}: expected a section [Sequence] with whole numbers seqLength, imHeight and '
            f'imWidth, and a number frameRate, received {error!r}'
        ) from error
    if min([length, *sizes]) < 1:
        raise ValueError(f'{path}: expected numbers from 1, received {[length, *sizes]}')
    if rate is not None and not 0 < rate < math.inf:
        raise ValueError(f'{path}: expected a frameRate above 0, received {rate}')
    size = (sizes[0], sizes[1]) if len(sizes) == 2 else None
    folder = section.get('imDir', fallback='img1')
    return SequenceInfo(folder, length, size, section.get('imExt', fallback='.jpg'), rate)


def _add_sequence(
    output: AnnotationFile,
    root: Path,
    folder: Path,
    half: Half | None,
    labels: bool,
    rules: MotRules,
) -> None:
    info = read_sequence_info(folder / SEQUENCE_FILE)
    files = _image_files(folder / info.image_folder, info)
    size = info.size or image_size(files[0])
    rate = {} if info.frame_rate is None else {'fps': info.frame_rate}
    video = output.add_video(folder.name, **rate)
    chosen = half_of(info.length, half, info.length // 2 + 1)
    image_ids = {
        index + 1: output.add_image(
            files[index].relative_to(root).as_posix(), size, video=video, frame=frame
        )
        for frame, index in enumerate(chosen, start=1)
    }
    if not labels:
        return
    path = folder / 'gt' / 'gt.txt'
    for number, line in read_lines(path, 'the ground truth of a sequence'):
        with located(path, number):
            row = parse_numbers(line.replace(',', ' ').split(), _EXPECTED)
            if len(row) < MIN_COLUMNS:
                raise ValueError(f'expected {_EXPECTED}, received {line[:80]!r}')
            frame = parse_whole(row[0], 'frame', 1)
            if frame > info.length:
                raise ValueError(f'frame: expected at most {info.length}, received {frame}')
            if frame in image_ids:
                _add_row(output, image_ids[frame], row, rules)


def _image_files(folder: Path, info: SequenceInfo) -> list[Path]:
    """Images 1 to the last, however many digits their names have."""
    checked_folder(folder, 'the images of a sequence')
    found = {path for path in folder.iterdir() if path.suffix == info.suffix}
    numbers = {int(path.stem): path for path in found if path.stem.isdecimal()}
    if sorted(numbers) != list(range(1, info.length + 1)) or len(numbers) != len(found):
        raise ValueError(
            f'{folder}: expected images numbered 1 to {info.length} ({info.suffix}), as '
            f'{SEQUENCE_FILE} says, received {len(found)} images'
        )
    return [numbers[number] for number in range(1, info.length + 1)]


def _add_row(output: AnnotationFile, image_id: int, row: list[float], rules: MotRules) -> None:
    track_id = parse_whole(row[1], 'id', 0)
    flagged = len(row) == MIN_COLUMNS or row[6] != 0
    # Rows of MOT15 go on with three world coordinates, all rows of later sets with these two.
    visibility, ignored = 1.0, False
    if len(row) == MOT16_COLUMNS and row[7] != _NO_CLASS:
        kind, visibility = int(row[7]), row[8]
        if not 0 <= visibility <= 1:
            raise ValueError(f'visibility: expected 0 to 1, received {visibility:g}')
        ignored = kind in rules.ignore_classes
        if not ignored and kind not in rules.object_classes:
            output.skip(f'class {kind}')
            return
    if not flagged and (rules.flagged_only or not ignored):
        output.skip('confidence 0')
    elif visibility < rules.min_visibility:
        output.skip(f'visibility below {rules.min_visibility:g}')
    elif ignored:
        output.add_region(image_id, (_PERSON,), row[2:6], track_id=track_id)
    else:
        fields = {'track_id': track_id, 'visibility': visibility}
        output.add_box(image_id, _PERSON, row[2:6], **fields)
