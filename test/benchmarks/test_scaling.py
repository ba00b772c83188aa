"""The scaling benchmark: its crowds are what they say, and it runs from the command line."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from benchmarks.scaling import exponents, main
from benchmarks.scaling_crowd import CROWD_IMAGE, PERSON, Crowd
from centertrack_ros.decoding import decode
from centertrack_ros.factory import find_model
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import fit_transform
from centertrack_ros.settings import Settings


@pytest.mark.parametrize('count', [1, 7, 120])
def test_a_crowd_decodes_to_its_people_and_their_steps(count: int) -> None:
    spec = ModelSpec.load(find_model(Settings().model))
    transform = fit_transform(CROWD_IMAGE, spec)
    crowd = Crowd(count)
    before, after = (
        decode(
            crowd.candidates(transform, spec.stride),
            transform,
            stride=spec.stride,
            threshold=0.4,
            clip=False,
        )
        for _ in range(2)
    )
    assert len(before) == len(after) == count
    assert (np.diff(after.scores) <= 0).all()
    sizes = after.boxes[:, 2:] - after.boxes[:, :2]
    np.testing.assert_allclose(sizes, np.broadcast_to(PERSON, sizes.shape), atol=1e-2)
    # Offsets lead to where the same people were, but for a pixel or two of noise.
    led_back = after.centers + after.offsets
    distances = np.linalg.norm(led_back[:, None] - before.centers, axis=-1)
    assert distances.min(axis=1).max() < 8


def test_exponents_are_those_of_power_laws() -> None:
    rows = [{'objects': n, 'track_ms': 2.0 * n**1.5, 'decode_ms': 0.1} for n in (1, 50, 100, 400)]
    rows[0]['track_ms'] = 77.0
    assert exponents(rows, 'objects', 50) == {'track': 1.5, 'decode': 0.0}
    assert exponents(rows[:2], 'objects', 50) == {}


def test_the_command_measures_prints_and_draws(tmp_path, capsys) -> None:
    figures, plot = tmp_path / 'scaling.json', tmp_path / 'scaling.png'
    arguments = ['--engine', 'onnxruntime', '--threads', '1', '--repeats', '2']
    arguments += ['--objects', '1', '60', '--images', '320x240', '640x480', '--inputs', '0.25']
    assert main([*arguments, '--json', str(figures), '--plot', str(plot)]) == 0
    document = json.loads(figures.read_text(encoding='utf-8'))
    crowds = document['objects']
    assert [row['objects'] for row in crowds] == [1, 60]
    for row, row_before in zip(crowds[1:], crowds[:1], strict=True):
        assert row['tracks'] > row_before['tracks'] == 1
        assert 60 <= row['tracks'] < 80
    assert [row['input'] for row in document['images']] == ['544x416', '544x416']
    assert {row['width'] % 32 for row in document['network']} == {0}
    times = [row for part in ('objects', 'images', 'network') for row in document[part]]
    assert all(value > 0 for row in times for name, value in row.items() if '_ms' in name)
    printed = capsys.readouterr().out
    assert 'crowds in 1920x1080' in printed
    assert 'onnxruntime' in printed
    assert cv2.imread(str(plot)).shape[1] > 1000
