"""The output folder of a replay: complete or not there at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TRACKS_FILE = 'tracks.txt'
METRICS_FILE = 'metrics.json'
REPORT_FILE = 'report.html'
BAG_FOLDER = 'tracks_bag'
VIDEO_FILE = 'annotated.mp4'
BOXES_3D_FILE = 'boxes_3d.json'
KEYPOINTS_FILE = 'keypoints.json'
OUTPUT_NAMES = (
    TRACKS_FILE,
    METRICS_FILE,
    REPORT_FILE,
    BAG_FOLDER,
    VIDEO_FILE,
    BOXES_3D_FILE,
    KEYPOINTS_FILE,
)
# Value of `made_by` in metrics.json, by which a folder is known to be one of ours.
MADE_BY = 'centertrack_ros.replay'


@contextmanager
def staged_output(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, whose files move there when the block ends well.

    A folder that an earlier replay wrote is brought up to date: its files are replaced, those of
    other people stay. After an error or an interrupt everything is as it was before.

    Raises:
        ValueError: `folder` is a file, or holds files with our names that are not ours.
    """
    check_output(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f'.{folder.name}.partial-'))
    try:
        # mkdtemp makes folders that only their owner can enter.
        staging.chmod(0o755)
        yield staging
        check_output(folder)
        if folder.exists():
            _replace_files(staging, folder)
        else:
            staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_output(folder: Path) -> None:
    """See that a replay may write into `folder`.

    Raises:
        ValueError: it is a file, or holds files with our names that are not ours.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f'output {folder}: expected a folder, it is a file; name another one')
    foreign = [name for name in OUTPUT_NAMES if (folder / name).exists()]
    if foreign and not _is_ours(folder):
        raise ValueError(
            f'output {folder} holds {foreign} of which no replay was the author; name another '
            'folder or move them away'
        )


def _is_ours(folder: Path) -> bool:
    try:
        document = json.loads((folder / METRICS_FILE).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get('made_by') == MADE_BY


def _replace_files(staging: Path, folder: Path) -> None:
    """Swap the files of `folder` for those of `staging`; the old ones end in `staging`."""
    old = staging / 'replaced'
    old.mkdir()
    fresh = [name for name in OUTPUT_NAMES if (staging / name).exists()]
    try:
        for name in OUTPUT_NAMES:
            if (folder / name).exists():
                (folder / name).rename(old / name)
        for name in fresh:
            (staging / name).rename(folder / name)
    except OSError:
        for name in fresh:
            if (folder / name).exists() and not (staging / name).exists():
                (folder / name).rename(staging / name)
        for entry in old.iterdir():
            entry.rename(folder / entry.name)
        raise
