"""Writing whole folders or none, and the command line as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from converting import text_file

from training.convert.annotations import AnnotationFile, half_of
from training.convert.files import staged_folder

ROOT = Path(__file__).resolve().parents[3]


def test_interrupted_folder_leaves_nothing(tmp_path):
    def interrupted():
        with staged_folder(tmp_path / 'a') as staged:
            text_file(staged / 'b.txt', 'half')
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('count', [1, 2, 5, 6])
@pytest.mark.parametrize('extra', [0, 1])
def test_halves(count, extra):
    first, second = (half_of(count, half, count // 2 + extra) for half in ('first', 'second'))
    assert [*first, *second] == list(half_of(count, None, 0)) == list(range(count))
    assert len(first) == min(count // 2 + extra, count)


def test_tracks_are_counted_per_video():
    file = AnnotationFile.numbered(('person',))
    for _ in range(2):
        video = file.add_video('a')
        for frame in (1, 2):
            image_id = file.add_image('a.jpg', (4, 4), video=video, frame=frame)
            file.add_box(image_id, 1, [0, 0, 1, 1], track_id=5)
    assert (file.counts.videos, file.counts.boxes, file.counts.tracks) == (2, 4, 2)


def test_command_line_as_a_process(tmp_path):
    command = [sys.executable, '-m', 'training.convert']
    listed = subprocess.run([*command, '--help'], cwd=ROOT, capture_output=True, text=True)
    assert listed.returncode == 0
    for name in ('mot', 'kitti-tracking', 'kitti', 'crowdhuman', 'voc', 'yolo', 'bag'):
        assert f' {name} ' in listed.stdout
    assert 'coco-person-keypoints' in listed.stdout
    missing = [*command, 'mot', str(tmp_path / 'none'), '--output', str(tmp_path / 'a.json')]
    failed = subprocess.run(missing, cwd=ROOT, capture_output=True, text=True)
    assert failed.returncode == 2
    assert failed.stderr == (
        f'training.convert mot: {tmp_path / "none"} does not exist: '
        'expected the folder of MOT sequences\n'
    )
