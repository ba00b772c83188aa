"""Labelled sequences: MOT folders, and videos with a `gt/gt.txt` beside them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from centertrack_ros.replay.mot_files import FrameBoxes, read_mot, read_mot_distractors
from centertrack_ros.replay.sources import SEQUENCE_FILE, Source, open_source

VIDEO_SUFFIXES = ('.avi', '.mp4', '.mkv', '.mov', '.webm', '.m4v')
TRUTH_FILE = Path('gt', 'gt.txt')
# Folder of the validation video in the data folder.
VIDEO = 'pets09_s2l1'


@dataclass(frozen=True)
class LabelledSequence:
    """A recording and what is to be found in it.

    Attributes:
        name: of its folder.
        path: folder of the MOT sequence, or the video file.
        source: its images with stamps and rate.
        truth: people of each image; images beyond its end have none.
        distractors: boxes of each image at which tracks count neither as right nor as wrong.
    """

    name: str
    path: Path
    source: Source
    truth: Sequence[FrameBoxes]
    distractors: Sequence[FrameBoxes]


def default_sequences(data: Path, suite: Path | None, output: Path, draw: int) -> list[Path]:
    """The PETS video and the suite of `training.data.suite`.

    Args:
        data: folder of the reference data.
        suite: written before; None writes it under `output`, once for each state of the code
            that makes it.
        output: where to.
        draw: of the suite, see `training.data.suite.build_sequence`.

    Raises:
        FileNotFoundError: the data folder does not hold the video.
    """
    video = data / VIDEO
    if not video.is_dir():
        raise FileNotFoundError(
            f'{video} does not exist: name the data folder with --data, or sequences of your own '
            'with --sequences'
        )
    if suite is None:
        # Slow to import, as it brings the whole of data synthesis.
        from training.data import suite as generator

        digest = hashlib.sha256()
        for path in sorted(Path(generator.__file__).parent.glob('*.py')):
            digest.update(path.read_bytes())
        suite = output / f'suite-{digest.hexdigest()[:12]}-{draw}'
        if not suite.is_dir():
            # Renamed when all of it is there: a suite that breaks off is not used.
            partial = output / f'.{suite.name}.{os.getpid()}'
            generator.main(['--data', str(data), '--output', str(partial), '--draw', str(draw)])
            partial.rename(suite)
    return [video, suite]


def find_sequences(paths: Iterable[Path]) -> list[LabelledSequence]:
    """Open sequences, each a MOT folder, a video, or a folder of such.

    Raises:
        FileNotFoundError: a path or its ground truth does not exist.
        ValueError: a folder holds none, a ground truth no object, or two have the same name.
    """
    sequences: dict[str, LabelledSequence] = {}
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f'{path} does not exist: expected a sequence or a folder')
        for recording in _recordings(path):
            sequence = _open(recording)
            if sequence.name in sequences:
                raise ValueError(
                    f'{recording}: expected sequences of different names, '
                    f'{sequences[sequence.name].path} is called {sequence.name!r} too'
                )
            sequences[sequence.name] = sequence
    return list(sequences.values())


def _recordings(path: Path) -> list[Path]:
    """The recordings that a path stands for."""
    if path.is_file() or _is_labelled(path):
        return [_recording(path)]
    folders = [entry for entry in sorted(path.iterdir()) if entry.is_dir() and _is_labelled(entry)]
    if not folders:
        raise ValueError(
            f'{path}: expected a video, a MOT sequence ({SEQUENCE_FILE}, img1/, {TRUTH_FILE}) or '
            'a folder of such, found none'
        )
    return [_recording(folder) for folder in folders]


def _is_labelled(folder: Path) -> bool:
    return (folder / TRUTH_FILE).is_file()


def _recording(path: Path) -> Path:
    """The video in a labelled folder, else the folder itself."""
    if path.is_file():
        return path
    videos = [entry for entry in path.iterdir() if entry.suffix.lower() in VIDEO_SUFFIXES]
    if len(videos) > 1:
        raise ValueError(f'{path}: expected one video, found {sorted(map(str, videos))}')
    return videos[0] if videos else path


def _open(recording: Path) -> LabelledSequence:
    folder = recording.parent if recording.is_file() else recording
    truth_file = folder / TRUTH_FILE
    source = open_source(recording)
    truth = read_mot(truth_file, ground_truth=True)
    if not any(map(len, truth)):
        raise ValueError(f'{truth_file}: expected ground truth, found no object in it')
    if source.count is not None and len(truth) > source.count:
        raise ValueError(
            f'{truth_file}: expected at most the {source.count} images of {recording}, received '
            f'{len(truth)}'
        )
    distractors = read_mot_distractors(truth_file)
    return LabelledSequence(folder.resolve().name, recording, source, truth, distractors)
