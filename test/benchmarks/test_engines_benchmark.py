"""The real command on a few images of the sample clip, and the figures that it makes of times."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from benchmarks.engines import REFERENCE, Combination, combinations, main
from benchmarks.speed.arguments import DEFAULT_VIDEO
from benchmarks.speed.figures import network_figures, speed_figures, text_table
from benchmarks.speed.frames import read_turn, write_turn
from benchmarks.speed.tracking_worker import TrackingWorker
from benchmarks.speed.turns import UNCOUNTED_IMAGES, Samples, speed_ratio
from centertrack_ros.factory import build_pipeline
from centertrack_ros.pipeline import STAGES
from centertrack_ros.replay.mot_files import format_mot
from centertrack_ros.replay.offline import run_offline
from centertrack_ros.replay.sources import open_source
from centertrack_ros.settings import Settings

IMAGES = 8
SETTINGS = {'engine': 'onnxruntime', 'precision': 'fp32', 'threads': 1}


def answer(step_ms, network_ms):
    return {
        'step_ms': step_ms,
        'stage_ms': {'network': network_ms},
        'objects': [1] * len(step_ms),
        'rss_mib': 1.0,
    }


@pytest.fixture(scope='module')
def first_images():
    return list(islice(open_source(DEFAULT_VIDEO), IMAGES))


@pytest.fixture(scope='module')
def documents(first_images, tmp_path_factory):
    """JSON of one run whose truth is what the same model tracks in this process."""
    folder = tmp_path_factory.mktemp('engines')
    pipeline = build_pipeline(Settings.from_mapping(SETTINGS))
    person = pipeline.spec.classes.index('person')
    tracked = run_offline(first_images, pipeline)
    pipeline.engine.close()
    frames = [
        replace(record.boxes(person), scores=record.boxes(person).scores * 0 + 1)
        for record in tracked.records
    ]
    (folder / 'gt.txt').write_text(format_mot(frames))
    # Beside the copy lies no program for PyTorch, whatever is shipped.
    for file in Path('models').glob('centertrack_mobilenetv3.*'):
        if file.name.count('.') == 1 and file.suffix in ('.onnx', '.json'):
            shutil.copy(file, folder)
    command = f'--limit {IMAGES} --engines pytorch --precisions fp32 --threads 1 --device cpu'
    paths = {'--models': 'centertrack_mobilenetv3.onnx', '--ground-truth': 'gt.txt'}
    paths['--json'] = 'out.json'
    for option, name in paths.items():
        command += f' {option} {folder / name}'
    status = main(command.split())
    assert status == 0
    return json.loads((folder / 'out.json').read_text())


def test_reference_row_is_measured_whatever_is_asked_for(documents):
    (row,) = documents['rows']
    assert (row['engine'], row['precision'], row['device']) == ('onnxruntime', 'fp32', 'cpu')
    assert row['ratio'] == 1.0
    assert row['images'] == IMAGES - UNCOUNTED_IMAGES
    assert 0 < row['p50_ms'] <= row['p95_ms']
    assert 0 < row['network_ms'] < row['p95_ms']
    assert 0 < row['other_ms'] < row['p95_ms']
    assert set(STAGES) <= row['stage_ms'].keys()
    assert row['memory_mib'] > 0
    assert documents['environment']['processor']


def test_children_track_as_this_process_does(documents):
    (row,) = documents['rows']
    assert row['hota'] == row['mota'] == row['idf1'] == 100.0
    assert row['objects'] > 0


def test_what_cannot_run_is_listed_with_its_reason(documents):
    (row,) = documents['not_run']
    assert (row['engine'], row['precision']) == ('pytorch', 'fp32')
    assert 'centertrack_mobilenetv3.pt2' in row['reason']


def test_cameras_share_the_engine(first_images, tmp_path):
    images = [frame.image for frame in first_images[:2]]
    write_turn(tmp_path / 'turn', images, [frame.stamp_ns for frame in first_images[:2]])
    found = {}
    for cameras in (1, 2):
        worker = TrackingWorker()
        worker.open(SETTINGS, cameras)
        found[cameras] = worker.run(str(tmp_path / 'turn'))
    assert found[2]['objects'] == found[1]['objects']
    for step_ms, network_ms in zip(
        found[2]['step_ms'], found[2]['stage_ms']['network'], strict=True
    ):
        assert 0 < network_ms < step_ms


def test_turns_come_back_as_they_were_written(first_images, tmp_path):
    images = [first_images[0].image, first_images[1].image[:100, :50]]
    write_turn(tmp_path / 'turn', images, [0, 2**60 + 1])
    read, stamps_ns = read_turn(tmp_path / 'turn')
    assert stamps_ns == [0, 2**60 + 1]
    for expected, received in zip(images, read, strict=True):
        assert (expected == received).all()


def test_figures_leave_out_the_first_images_of_each_turn():
    samples = Samples()
    samples.add(answer([900.0, 900.0, 10.0, 30.0], [800.0, 800.0, 9.0, 24.0]))
    samples.add(answer([900.0, 900.0, 20.0], [800.0, 800.0, 18.0]))
    figures = speed_figures(samples, cameras=2)
    assert figures['images'] == 3
    assert figures['p50_ms'] == 20.0
    assert figures['fps'] == 100.0
    assert network_figures(samples) == {
        'network_ms': 18.0,
        'other_ms': 2.0,
        'other_percent': 10.0,
    }


def test_ratio_compares_what_ran_at_the_same_time():
    own, reference = Samples(), Samples()
    # The machine is ten times as slow in the second turn.
    for factor in (1.0, 10.0, 1.0):
        own.add(answer([1.0, 1.0, 2.0 * factor], [1.0] * 3))
        reference.add(answer([1.0, 1.0, 6.0 * factor], [1.0] * 3))
    assert speed_ratio(own, reference) == pytest.approx(3.0)
    assert speed_ratio(reference, own) == pytest.approx(1 / 3)


def test_combinations():
    assert combinations(['openvino'], None) == [
        REFERENCE,
        *(Combination('openvino', precision) for precision in ('fp32', 'bf16', 'int8')),
    ]
    assert combinations(['auto'], None) == [REFERENCE, Combination('auto', 'auto')]
    assert combinations(['onnxruntime'], ['fp32']) == [REFERENCE]
    with pytest.raises(ValueError, match=r"openvino.*received \['fp16'\]"):
        combinations(['openvino'], ['fp16'])


def test_table_says_what_is_not_known():
    assert text_table(['', 'a'], [['row', 1.5], ['b', None]]) == '        a\nrow  1.50\nb       -'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--models', 'no_such_model'], 'no_such_model'),
        (['--video', 'no_such.mp4'], 'no_such.mp4'),
        (['--ground-truth', 'no_such.txt'], 'no_such.txt'),
        (['--json', 'no_such_folder/file.json'], 'no_such_folder'),
        (['--engines', 'tensorrt', '--precisions', 'bf16'], 'bf16'),
    ],
)
def test_errors_are_for_people(arguments, message, capsys):
    assert main(arguments) == 1
    assert message in capsys.readouterr().err


def test_truth_of_another_recording_is_refused_before_anything_runs(tmp_path, capsys):
    (tmp_path / 'gt.txt').write_text('795,1,10,10,20,40,1,-1,-1,-1\n')
    assert main(['--ground-truth', str(tmp_path / 'gt.txt')]) == 1
    assert 'at most 200 images' in capsys.readouterr().err


@pytest.mark.parametrize('arguments', [['--batch', '0'], ['--limit', '-1'], ['--engines', 'x']])
def test_numbers_and_names_are_checked(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert arguments[0] in capsys.readouterr().err
