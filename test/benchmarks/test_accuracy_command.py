"""The whole benchmark on a few images of the sample clip, with the shipped model."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.accuracy import chosen_keys, main
from benchmarks.comparison.peers import PEERS
from benchmarks.comparison.recordings import load_recording, record, save_recording
from benchmarks.comparison.rows import FIGURES
from benchmarks.comparison.scoring import compared, frames_of_class
from benchmarks.comparison.sequences import default_sequences, find_sequences
from benchmarks.comparison.variants import build_variant, variants
from centertrack_ros.engines import create_engine
from centertrack_ros.factory import find_model
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.replay.mot_files import FrameBoxes, format_mot
from centertrack_ros.replay.sources import open_source
from centertrack_ros.settings import Settings
from centertrack_ros.tracker.tuning import Tuning

CLIP = Path(__file__).resolve().parents[2] / 'samples' / 'pets09_s2l1.mp4'
IMAGES = 8


@pytest.fixture(scope='module')
def engine():
    path = find_model(Settings().model)
    made = create_engine(path, ModelSpec.load(path), threads=1)
    yield made
    made.close()


@pytest.fixture(scope='module')
def model_spec():
    return ModelSpec.load(find_model(Settings().model))


@pytest.fixture(scope='module')
def sequence_folder(engine, model_spec, tmp_path_factory):
    """A MOT sequence whose truth is what the shipped tracker says."""
    folder = tmp_path_factory.mktemp('sequences') / 'walk'
    (folder / 'img1').mkdir(parents=True)
    (folder / 'gt').mkdir()
    capture = cv2.VideoCapture(str(CLIP))
    for number in range(1, IMAGES + 1):
        cv2.imwrite(str(folder / 'img1' / f'{number:06d}.png'), capture.read()[1])
    (folder / 'seqinfo.ini').write_text(f'[Sequence]\nframeRate=10\nseqLength={IMAGES}\n')
    pipeline = build_variant(variants()['ours'], engine, model_spec, Settings())
    found = record({'ours': pipeline}, open_source(folder))['ours']
    truth = frames_of_class(found, model_spec.classes.index('person'))
    (folder / 'gt' / 'gt.txt').write_text(format_mot(truth))
    return folder


def test_table_and_json(sequence_folder, tmp_path, capsys):
    arguments = [
        '--sequences', str(sequence_folder), '--threads', '1', '--resamples', '50',
        '--trackers', 'greedy', 'no_previous_image', 'no_coast',
        '--output', str(tmp_path / 'kept'), '--json', str(tmp_path / 'figures.json'),
    ]  # fmt: skip
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert f'walk ({IMAGES} images, 10 per second)' in printed
    assert 'mean of 1 sequences' in printed
    assert '95% intervals' in printed
    content = json.loads((tmp_path / 'figures.json').read_text())
    assert content['sequences']['walk']['images'] == IMAGES
    rows = {row['title']: row for row in content['rows']}
    assert list(rows)[:2] == ['ours', "ours, original's greedy rule"]
    assert 'ours without coasting' in rows
    for row in rows.values():
        assert set(row['mean']) == set(row['sequences']['walk']) == set(FIGURES)
        assert row['mean']['HOTA'] == row['sequences']['walk']['HOTA']
        assert row['mean']['tracker_ms'] > 0
        assert 0 < row['mean']['fps'] < 1e3 / row['mean']['tracker_ms']
    ours = rows['ours']
    # The truth of a MOT file has three decimals, and so has what is compared with it.
    assert ours['mean']['HOTA'] == ours['mean']['MOTA'] == ours['mean']['IDF1'] == 100.0
    assert ours['mean']['IDSW'] == 0
    # Who is hidden is reported for a moment, and not detected.
    assert 80.0 < ours['mean']['AP50'] < 100.0
    assert ours['intervals']['HOTA'] == {'value': 100.0, 'low': 100.0, 'high': 100.0}
    assert rows["ours, original's greedy rule"]['mean']['HOTA'] < 100.0
    for row in rows.values():
        lead = row['lead_of_first']['HOTA']['value']
        assert lead == pytest.approx(100.0 - row['mean']['HOTA'], abs=2e-3)
    # A second run reads what the first one kept.
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / 'kept').rglob('*.npz')}
    assert len(kept) == len(rows)
    assert main([*arguments[:-1], str(tmp_path / 'again.json')]) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert json.loads((tmp_path / 'again.json').read_text())['rows'] == content['rows']


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ('trackers', 'supervision')),
    reason='needs trackers and supervision (requirements/test-no-deps.txt)',
)
def test_peers_defaults_and_tuned(sequence_folder, tmp_path, capsys):
    arguments = [
        '--sequences', str(sequence_folder), '--threads', '1', '--resamples', '20',
        '--trackers', 'sort', '--tune', '--detections', 'ours', 'no_offsets',
        '--output', str(tmp_path / 'kept'), '--json', str(tmp_path / 'figures.json'),
    ]  # fmt: skip
    assert main(arguments) == 0
    content = json.loads((tmp_path / 'figures.json').read_text())
    rows = {row['title']: row for row in content['rows']}
    assert list(rows) == [
        'ours', 'SORT', 'SORT, tuned', 'SORT [no_offsets]',
        'SORT, tuned [no_offsets]',
    ]  # fmt: skip
    assert rows['SORT']['mean']['AP'] == rows['ours']['mean']['AP']
    assert rows['SORT, tuned']['mean']['HOTA'] > rows['SORT']['mean']['HOTA']
    assert rows['SORT, tuned']['parameters']
    assert rows['SORT']['parameters'] == {}
    assert 'SORT, tuned: {' in capsys.readouterr().out


def test_mistakes_on_the_command_line_are_explained(tmp_path, capsys, sequence_folder):
    def error(*arguments):
        assert main(['--output', str(tmp_path / 'kept'), *arguments]) == 1
        return capsys.readouterr().err

    assert 'bytetrack' in error('--trackers', 'nonsense')
    assert '--sequences' in error('--data', str(tmp_path))
    assert 'expected a video' in error('--sequences', str(tmp_path))
    assert 'does not exist' in error('--sequences', str(tmp_path / 'nowhere'))
    twice = [str(sequence_folder), str(sequence_folder)]
    assert "is called 'walk' too" in error('--sequences', *twice)
    assert 'no such model' in error('--sequences', twice[0], '--model', 'no such model')


def test_groups_of_trackers():
    own, peers = chosen_keys(['peers'])
    assert (own, peers) == (['ours'], list(PEERS))
    own, peers = chosen_keys(['ablations', 'sort'])
    assert (own, peers) == (list(variants()), ['sort'])
    assert chosen_keys(['all']) == (list(variants()), list(PEERS))


def test_recordings_come_back_as_they_were(engine, model_spec, sequence_folder, tmp_path):
    pipeline = build_variant(variants()['ours'], engine, model_spec, Settings())
    written = record({'ours': pipeline}, open_source(sequence_folder))['ours']
    save_recording(tmp_path / 'new' / 'run.npz', written)
    read = load_recording(tmp_path / 'new' / 'run.npz')
    assert len(read) == len(written) == IMAGES
    assert read.stamps.tolist() == written.stamps.tolist()
    assert read.detector_ms.tolist() == written.detector_ms.tolist()
    for one, other in zip(
        [*read.tracks, *read.detections], [*written.tracks, *written.detections], strict=True
    ):
        for name, column in vars(other).items():
            if column is None:
                assert getattr(one, name) is None
            else:
                assert getattr(one, name).dtype == column.dtype
                np.testing.assert_array_equal(getattr(one, name), column)


class _Listener:
    """The engine, and what it was given and gave."""

    def __init__(self, engine):
        self.engine, self.name, self.device = engine, engine.name, engine.device
        self.calls = []

    def run(self, image, previous_image, prior_heatmap):
        candidates = self.engine.run(image, previous_image, prior_heatmap)
        self.calls.append((image, previous_image, prior_heatmap, candidates))
        return candidates

    def close(self):
        self.engine.close()


def _calls(key, engine, model_spec, folder):
    listener = _Listener(engine)
    pipeline = build_variant(variants()[key], listener, model_spec, Settings())
    steps = [pipeline.step(frame.image, frame.stamp) for frame in islice(open_source(folder), 4)]
    return listener.calls, steps


def test_variants_take_one_part_away(engine, model_spec, sequence_folder):
    calls, steps = _calls('ours', engine, model_spec, sequence_folder)
    assert any(call[2].any() for call in calls)
    assert any((call[0] != call[1]).any() for call in calls)
    assert any(step.detections.offsets.any() for step in steps)
    calls, _ = _calls('no_prior_heatmap', engine, model_spec, sequence_folder)
    assert not any(call[2].any() for call in calls)
    assert any((call[0] != call[1]).any() for call in calls)
    calls, _ = _calls('no_previous_image', engine, model_spec, sequence_folder)
    assert all((call[0] == call[1]).all() for call in calls)
    assert any(call[2].any() for call in calls)
    calls, steps = _calls('no_offsets', engine, model_spec, sequence_folder)
    assert any(call[3].tracking.any() for call in calls)
    assert not any(step.candidates.tracking.any() for step in steps)
    assert any(call[2].any() for call in calls)


def test_parts_of_the_tracker_have_a_variant_each():
    tunings = [row.tuning for row in variants().values() if row.tuning]
    assert {'coast': False} in tunings
    assert {'use_low_scores': False} in tunings
    assert {'turn_cost': 0.0} in tunings
    assert all(len(tuning) == 1 for tuning in tunings)
    assert all(replace(Tuning(), **tuning) != Tuning() for tuning in tunings)


def test_default_sequences_write_the_suite_once(tmp_path, monkeypatch):
    from training.data import suite

    calls = []

    def write(arguments):
        calls.append(arguments)
        Path(arguments[arguments.index('--output') + 1], 'crossing').mkdir(parents=True)

    monkeypatch.setattr(suite, 'main', write)  # it takes half a minute
    (tmp_path / 'data' / 'pets09_s2l1').mkdir(parents=True)
    given = (tmp_path / 'data', None, tmp_path / 'kept', 1)
    first, second = default_sequences(*given), default_sequences(*given)
    assert first == second
    assert len(calls) == 1
    assert (first[1] / 'crossing').is_dir()
    assert [path.name for path in (tmp_path / 'kept').iterdir()] == [first[1].name]
    assert default_sequences(*given[:3], 2)[1] != first[1]
    assert calls[1][-2:] == ['--draw', '2']
    own = default_sequences(tmp_path / 'data', tmp_path / 'own', tmp_path / 'kept', 1)
    assert own == [tmp_path / 'data' / 'pets09_s2l1', tmp_path / 'own']
    assert len(calls) == 2


def test_tracks_at_distractors_do_not_count(tmp_path):
    folder = tmp_path / 'street'
    (folder / 'img1').mkdir(parents=True)
    (folder / 'gt').mkdir()
    for number in (1, 2):
        cv2.imwrite(str(folder / 'img1' / f'{number}.png'), np.zeros((60, 80, 3), np.uint8))
    (folder / 'seqinfo.ini').write_text('[Sequence]\nframeRate=5\n')
    rows = ['1,1,0,0,20,40,1,1,1', '1,2,40,0,20,40,0,8,0.05', '1,3,0,50,9,9,0,3,1']
    (folder / 'gt' / 'gt.txt').write_text('\n'.join(rows) + '\n')
    (sequence,) = find_sequences([tmp_path])
    assert sequence.name == 'street'
    assert [len(frame) for frame in sequence.truth] == [1]
    assert [len(frame) for frame in sequence.distractors] == [1]
    boxes = np.array([[0, 0, 20, 40], [41, 0, 61, 40], [0, 50, 9, 59]], float)
    found = [FrameBoxes(np.array([1, 2, 3]), boxes, np.ones(3)), FrameBoxes.empty()]
    comparison = compared(sequence, found)
    # The car is none of the distractors: a person there is false.
    assert comparison.found[0].ids.tolist() == [1, 3]
    assert comparison.data['num_timesteps'] == 2


def test_a_video_with_truth_beside_it(tmp_path):
    (tmp_path / 'clip' / 'gt').mkdir(parents=True)
    (tmp_path / 'clip' / 'video.mp4').write_bytes(CLIP.read_bytes())
    (tmp_path / 'clip' / 'gt' / 'gt.txt').write_text('1,1,0,0,20,40,1,-1,-1,-1\n')
    (tmp_path / 'clip' / 'seqinfo.ini').write_text('[Sequence]\nframeRate=7\nimDir=img1\n')
    for path in (tmp_path, tmp_path / 'clip', tmp_path / 'clip' / 'video.mp4'):
        (sequence,) = find_sequences([path])
        assert sequence.name == 'clip'
        assert sequence.source.fps == pytest.approx(10.0)
    (tmp_path / 'clip' / 'gt' / 'gt.txt').write_text('99999,1,0,0,20,40,1,-1,-1,-1\n')
    with pytest.raises(ValueError, match='expected at most'):
        find_sequences([tmp_path])
