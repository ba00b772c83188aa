"""The benchmark of loader and step runs, and its figures hang together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.training import STAGES, main, timed_stages
from training.data import dataset as samples
from training.data import images


def test_small_run(shared_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        '--data', str(shared_folder / 'data'),
        '--height', '64', '--width', '96',
        '--workers', '1', '--turns', '1', '--warm-up', '2', '--samples', '4',
        'start.kind=random', 'loop.batch_size=2', 'loop.precision=fp32',
    ]  # fmt: skip
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert '64x96, batches of 2, 1 workers' in printed
    stages = {
        name: float(value)
        for name, value in re.findall(r'(\w+) ([\d.]+)', printed.split('per sample\n')[1])[:7]
    }
    assert list(stages) == ['pair', *STAGES, 'collate', 'total']
    assert stages.pop('total') == pytest.approx(sum(stages.values()), abs=0.4)
    loader = float(re.search(r'loader ([\d.]+)\n', printed).group(1))
    steps = re.findall(r'(step\b.*?) ([\d.]+): the loader gives ([\d.]+) times', printed)
    assert [name for name, _, _ in steps] == ['step', 'step, everything trained']
    for _, rate, ratio in steps:
        assert float(rate) > 0
        assert float(ratio) == pytest.approx(loader / float(rate), rel=0.05)


def test_stages_are_themselves_again(shared_folder: Path) -> None:
    before = images.read_image, samples.augment_pair
    with timed_stages() as seconds:
        assert samples.augment_pair is not before[1]
        images.read_image(next((shared_folder / 'data/coco128/images/train2017').glob('*.jpg')))
    assert (images.read_image, samples.augment_pair) == before
    assert seconds['decode'] > 0
    assert seconds['augment'] == 0
