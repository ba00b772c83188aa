"""Contact sheets of what a configuration shows the network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from coco_sets import HEADS_OF_ALL_KINDS, train_config, write_small_set

from training.config import TrainConfig
from training.data.build import build_training_set
from training.data.preview import draw_sample, main
from training.experiment import model_spec


def write_config(config: TrainConfig, path: Path) -> Path:
    """As a YAML file."""
    values = asdict(config)
    values['data']['train'] = list(values['data']['train'])
    path.write_text(yaml.safe_dump(_plain(values)), encoding='utf-8')
    return path


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def test_sheets_of_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = write_small_set(tmp_path)
    config = train_config(small.entry(), heads=HEADS_OF_ALL_KINDS, validation=(small.entry(),))
    path = write_config(config, tmp_path / 'config.yaml')
    output = tmp_path / 'sheets'
    arguments = ['--config', str(path), '--output', str(output), '--rows', '2']
    assert main([*arguments, '--sheets', '2']) == 0
    sheets = [cv2.imread(str(sheet)) for sheet in sorted(output.iterdir())]
    assert [sheet.shape for sheet in sheets] == [(128, 384, 3)] * 2
    assert (sheets[0] != sheets[1]).any()
    assert main([*arguments, '--sheets', '1', '--validation']) == 0
    assert main([*arguments, '--sheets', '1', 'data.crop_height=33']) == 2
    assert 'data.crop_height' in capsys.readouterr().err


def test_joints_shapes_and_arrows_are_drawn(tmp_path: Path) -> None:
    small = write_small_set(tmp_path)
    config = train_config(small.entry(), heads=HEADS_OF_ALL_KINDS)
    sample = build_training_set(config, model_spec(config))[0]
    whole = draw_sample(sample, ('person', 'car'))
    for name in ('hps', 'masks', 'tracking'):
        less = {key: value for key, value in sample.items() if not key.startswith(name)}
        assert np.any(draw_sample(less, ('person', 'car')) != whole), name
