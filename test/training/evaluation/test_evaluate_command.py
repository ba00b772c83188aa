"""`python -m training.evaluate` from end to end, with a small network of random weights."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
import yaml

from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.settings import Settings
from training.checkpoint import Checkpoint
from training.evaluate import main
from training.evaluation import EvaluationSet, evaluate_network, run_tracking
from training.evaluation.engines import load_checkpoint_model
from training.export import export_onnx
from training.models import build_network
from training.models.graph import TrackerGraph

FRAMES = 4
SPEC = {
    'format': 1,
    'name': 'tiny',
    'architecture': 'mobilenetv3',
    'input_height': 96,
    'input_width': 128,
    'resize': 'letterbox',
    'stride': 4,
    'max_candidates': 10,
    'classes': ['person', 'car'],
    'heads': {'hm': 2, 'ltrb': 4, 'reg': 2, 'tracking': 2},
    'box': 'ltrb',
    'radius_rule': 'centertrack',
    'prior_heatmap_stride': 4,
    'thresholds': {'detection': 0.02, 'track': 0.05, 'birth': 0.05, 'prior': 0.05},
    'licence': 'Apache-2.0',
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A checkpoint, its export, and a video whose truth is half of what the network says."""
    folder = tmp_path_factory.mktemp('evaluate')
    torch.manual_seed(0)
    spec = ModelSpec.from_dict(SPEC)
    network = build_network(spec).eval()
    _spread(network)
    Checkpoint(spec, network.state_dict(), 3, 1, 'abc', {}, {}).save(folder / 'tiny.pt')
    export_onnx(TrackerGraph(network, spec), spec, folder / 'tiny.onnx')
    spec.save(folder / 'tiny.json')
    images, generator = folder / 'images', np.random.default_rng(0)
    images.mkdir()
    (folder / 'annotations').mkdir()
    content = {
        'categories': [{'id': 1, 'name': 'person'}, {'id': 2, 'name': 'car'}],
        'videos': [{'id': 1, 'file_name': 'walk', 'fps': 5}],
        'images': [],
        'annotations': [],
    }
    for frame in range(1, FRAMES + 1):
        noise = generator.integers(0, 256, (12, 16, 3), np.uint8)
        picture = cv2.resize(noise, (120, 100), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(images / f'{frame}.png'), picture)
        content['images'].append(
            {'id': frame, 'file_name': f'{frame}.png', 'height': 100, 'width': 120,
             'video_id': 1, 'frame_id': frame}
        )  # fmt: skip
    _write(folder, content)
    evaluation_set = _load(folder, spec)
    pipeline = assemble_pipeline(
        load_checkpoint_model(folder / 'tiny.pt', device='cpu').engine, spec, Settings()
    )
    for image, result in zip(
        content['images'], run_tracking(pipeline, evaluation_set), strict=True
    ):
        classes = result.detections.classes
        for row in (
            row for index in (0, 1) for row in np.flatnonzero(classes == index)[::2].tolist()
        ):
            left, top, right, bottom = result.detections.boxes[row].tolist()
            content['annotations'].append(
                {'id': len(content['annotations']) + 1, 'image_id': image['id'],
                 'category_id': int(classes[row]) + 1, 'track_id': row + 1,
                 'bbox': [left, top, right - left, bottom - top]}
            )  # fmt: skip
    _write(folder, content)
    return folder


def _spread(network):
    """Scores of all sizes, boxes that overlap: whatever runs the network, their order is clear."""
    noise = 255 * torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = network(noise, noise, torch.zeros(1, 1, 24, 32))
        for name, wanted_mean, wanted_std in (('hm', -3, 1.5), ('ltrb', 4, 0.6)):
            last = network.heads[name].pointwise
            mean, factor = maps[name].mean((0, 2, 3)), wanted_std / maps[name].std((0, 2, 3))
            last.weight.mul_(factor[:, None, None, None])
            last.bias.copy_((last.bias - mean) * factor + wanted_mean)


def _write(folder, content, name='val.json'):
    (folder / 'annotations' / name).write_text(json.dumps(content))
    return folder / 'annotations' / name


def _load(folder, spec):
    return EvaluationSet.load(folder / 'annotations' / 'val.json', folder / 'images', spec.classes)


def _arguments(folder, *more, model='--checkpoint'):
    file = 'tiny.pt' if model == '--checkpoint' else 'tiny.onnx'
    return [model, str(folder / file), '--device', 'cpu', *map(str, more)]


def _dataset(folder):
    return '--dataset', folder / 'annotations' / 'val.json'


def _metrics(path):
    return json.loads((path / 'metrics.json').read_text())['sets']['val']


def test_checkpoint_and_export_score_alike(folder, tmp_path, capsys):
    for model in ('--checkpoint', '--onnx'):
        output = tmp_path / model.strip('-')
        more = (*_dataset(folder), '--output', output)
        assert main(_arguments(folder, *more, model=model)) == 0
    first, second = _metrics(tmp_path / 'checkpoint'), _metrics(tmp_path / 'onnx')
    assert 0 < first['metrics']['AP'] < 1
    assert 0 < first['metrics']['HOTA'] < 100
    assert first['metrics'] == pytest.approx(second['metrics'], abs=1e-4)
    assert first['classes'].keys() == second['classes'].keys() <= {'person', 'car'}
    assert first['images'] == FRAMES
    assert first['images_per_second'] > 0
    document = json.loads((tmp_path / 'checkpoint' / 'metrics.json').read_text())
    assert document['model'] == 'tiny'
    assert document['options'] == {'tracker': 'robust', 'flip': False}
    assert document['engine'].startswith('pytorch')
    report = (tmp_path / 'checkpoint' / 'report.md').read_text()
    assert f'| all | {first["metrics"]["AP"]:.3f} |' in report
    shown = capsys.readouterr().out
    assert 'tiny on val' in shown
    assert 'HOTA' in shown


def test_the_network_in_memory_scores_alike_and_stays_as_it_is(folder, tmp_path):
    assert main(_arguments(folder, *_dataset(folder), '--output', tmp_path)) == 0
    checkpoint = Checkpoint.load(folder / 'tiny.pt')
    network = checkpoint.network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    evaluation_set = _load(folder, checkpoint.spec)
    metrics = evaluate_network(network, checkpoint.spec, [evaluation_set])
    assert metrics == _metrics(tmp_path)['metrics']
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    twice = evaluate_network(network, checkpoint.spec, [evaluation_set, evaluation_set])
    assert twice['AP'] == twice['val/AP'] == twice['val_2/AP'] == metrics['AP']
    with pytest.raises(ValueError, match='received none'):
        evaluate_network(network, checkpoint.spec, [])


def test_trackers_and_tests_of_the_originals(folder, tmp_path):
    variants = {
        'centertrack': ('--tracker', 'centertrack', '--flip'),
        'scales': ('--scales', '0.5,1', '--flip', '--results', 'coco,voc'),
        'keep': ('--scales', '1', '--resolution', 'keep', '--metrics', 'detection'),
        'person': ('--classes', 'person', '--metrics', 'tracking', '--results', 'mot'),
    }
    for name, more in variants.items():
        output = tmp_path / name
        assert main(_arguments(folder, *_dataset(folder), '--output', output, *more)) == 0, name
    flipped = json.loads((tmp_path / 'centertrack' / 'metrics.json').read_text())
    assert flipped['options'] == {'tracker': 'centertrack', 'flip': True}
    assert flipped['engine'].endswith('flip test')
    scales = _metrics(tmp_path / 'scales')
    assert 'AP' in scales['metrics']
    assert 'HOTA' not in scales['metrics']
    found = json.loads((tmp_path / 'scales' / 'val' / 'coco' / 'results.json').read_text())
    assert {entry['image_id'] for entry in found} == set(range(1, FRAMES + 1))
    assert {entry['category_id'] for entry in found} <= {1, 2}
    assert (tmp_path / 'scales' / 'val' / 'voc' / 'comp4_det_test_car.txt').is_file()
    assert 'VOC_mAP' not in _metrics(tmp_path / 'keep')['metrics']
    assert list(_metrics(tmp_path / 'person')['classes']) == ['person']
    lines = (tmp_path / 'person' / 'val' / 'mot' / 'walk.txt').read_text().splitlines()
    assert all(len(line.split(',')) == 10 for line in lines)
    assert {line.split(',')[0] for line in lines} <= {'1', '2', '3', '4'}


def test_public_detections_begin_tracks(folder, tmp_path):
    public = tmp_path / 'public.json'
    content = json.loads((folder / 'annotations' / 'val.json').read_text())
    public.write_text(
        json.dumps(
            [
                {**{name: entry[name] for name in ('image_id', 'category_id', 'bbox')}, 'score': 1}
                for entry in content['annotations']
                if entry['track_id'] == 1
            ]
        )
    )
    more = ('--tracker', 'centertrack', '--metrics', 'tracking', '--output')
    data = _dataset(folder)
    assert main(_arguments(folder, *data, *more, tmp_path / 'private')) == 0
    more = ('--public-detections', public, *more)
    assert main(_arguments(folder, *data, *more, tmp_path / 'public')) == 0
    private, found = _metrics(tmp_path / 'private'), _metrics(tmp_path / 'public')
    assert found['metrics']['FP'] < private['metrics']['FP']


def test_the_validation_sets_of_a_training(folder, tmp_path, monkeypatch, capsys):
    values = {
        'name': 'tiny',
        'run': str(tmp_path / 'run'),
        'model': {
            **{name: SPEC[name] for name in ('architecture', 'box', 'licence', 'thresholds')},
            'classes': SPEC['classes'],
            'heads': list(SPEC['heads']),
            'input_height': 96,
            'input_width': 128,
        },
        'data': {
            'train': [{'kind': 'mix', 'root': 'data'}],
            'validation': [
                {'kind': 'coco', 'annotations': 'annotations/val.json', 'images': 'images'}
            ],
        },
        'loop': {'epochs': 1},
    }
    config = tmp_path / 'training.yaml'
    config.write_text(yaml.safe_dump(values))
    monkeypatch.chdir(folder)
    more = ('--config', config, '--metrics', 'detection', '--output', tmp_path / 'out')
    assert main(_arguments(folder, *more)) == 0
    assert set(_metrics(tmp_path / 'out')['metrics']) >= {'AP', 'AP50'}
    monkeypatch.chdir(tmp_path)
    assert main(_arguments(folder, *more)) == 2
    assert 'annotations/val.json does not exist' in capsys.readouterr().err
    values['data']['validation'] = []
    config.write_text(yaml.safe_dump(values))
    assert main(_arguments(folder, *more)) == 2
    assert 'data.validation' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('more', 'complaint'),
    [
        (('--scales', '0.5,1', '--metrics', 'tracking'), 'must have one scale'),
        (('--scales', '1', '--tracker', 'robust'), '--tracker: what is tracked'),
        (('--scales', '0.5,1', '--results', 'mot', '--output', 'x'), '--results mot: what'),
        (('--resolution', 'keep'), 'expected --scales'),
        (('--results', 'coco'), 'expected --output'),
        (('--metrics', 'mot'), 'expected --benchmark-truth'),
        (('--metrics', 'keypoints'), 'expected a pose model, and objects'),
        (('--metrics', 'masks'), 'the segmentation of every object, which tiny and val'),
        (('--classes', 'horse'), "received ['horse']"),
        (('--metrics', 'boxes3d,detection'), 'metrics boxes3d: expected a model with depth'),
        (('--device', 'tpu'), "received 'tpu'"),
        (('--public-detections', 'public.json'), 'expected --tracker centertrack'),
        (('--params-file', 'missing.yaml'), 'missing.yaml'),
    ],
)
def test_what_cannot_be_done_is_explained(folder, capsys, more, complaint):
    assert main(_arguments(folder, *_dataset(folder), *more)) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith('training.evaluate: ')
    assert complaint in message


def test_the_flip_test_needs_a_checkpoint(folder, capsys):
    assert main(_arguments(folder, *_dataset(folder), '--flip', model='--onnx')) == 2
    assert 'needs the maps of a --checkpoint' in capsys.readouterr().err


@pytest.mark.parametrize(
    'wrong',
    [
        ('--metrics', 'best'),
        ('--scales', 'large'),
        ('--scales', '0,1'),
        ('--scales', 'nan'),
        ('--results', ''),
        ('--tracker', 'x'),
    ],
)
def test_values_that_no_option_has(folder, wrong, capsys):
    with pytest.raises(SystemExit):
        main(_arguments(folder, *_dataset(folder), *wrong))
    assert wrong[0] in capsys.readouterr().err


def test_files_that_are_missing_or_wrong(folder, tmp_path, capsys):
    assert main(['--checkpoint', str(tmp_path / 'no.pt'), *map(str, _dataset(folder))]) == 2
    assert 'no.pt does not exist' in capsys.readouterr().err
    assert main(_arguments(folder, '--dataset', tmp_path / 'no.json')) == 2
    assert 'no.json does not exist' in capsys.readouterr().err
    content = json.loads((folder / 'annotations' / 'val.json').read_text())
    (tmp_path / 'annotations').mkdir()
    path = _write(tmp_path, content)
    assert main(_arguments(folder, '--dataset', path)) == 2
    assert 'name the folder with --images' in capsys.readouterr().err
    content['categories'].append({'id': 3, 'name': 'horse'})
    path = _write(tmp_path, content)
    more = ('--dataset', path, '--images', folder / 'images', '--metrics', 'detection')
    assert main(_arguments(folder, *more)) == 2
    assert "'horse' is no class of the model" in capsys.readouterr().err
    assert main(_arguments(folder, *more, '--skip-categories', 'horse')) == 0
    content['images'][2]['width'] = 121
    _write(tmp_path, content)
    assert main(_arguments(folder, *more, '--skip-categories', 'horse')) == 2
    assert '3.png' in capsys.readouterr().err


def test_a_missing_picture_is_found_before_any_is_evaluated(folder, tmp_path, capsys):
    content = json.loads((folder / 'annotations' / 'val.json').read_text())
    for image in content['images'][-2:]:
        image['file_name'] = f'no_{image["file_name"]}'
    (tmp_path / 'annotations').mkdir()
    path = _write(tmp_path, content)
    assert main(_arguments(folder, '--dataset', path, '--images', folder / 'images')) == 2
    message = capsys.readouterr().err
    missing = folder / 'images' / content['images'][-2]['file_name']
    pictures = f'2 of the {FRAMES} pictures of {path} are missing'
    assert message == f'training.evaluate: {missing} does not exist; {pictures}\n'


def test_a_set_without_labels_gives_its_files_and_no_metrics(folder, tmp_path, capsys):
    content = json.loads((folder / 'annotations' / 'val.json').read_text())
    content['annotations'] = []
    (tmp_path / 'annotations').mkdir()
    path = _write(tmp_path, content)
    more = ('--dataset', path, '--images', folder / 'images')
    assert main(_arguments(folder, *more)) == 2
    message = capsys.readouterr().err
    assert message.startswith(f'training.evaluate: {path}: expected labelled objects')
    assert main(_arguments(folder, *more, '--metrics', 'detection')) == 2
    assert 'expected a labelled object of a class' in capsys.readouterr().err
    files = ('--results', 'coco,mot', '--output', tmp_path / 'out')
    assert main(_arguments(folder, *more, *files)) == 0
    assert 'No metrics' in capsys.readouterr().out
    assert _metrics(tmp_path / 'out')['metrics'] == {}
    assert json.loads((tmp_path / 'out' / 'val' / 'coco' / 'results.json').read_text())
    assert (tmp_path / 'out' / 'val' / 'mot' / 'walk.txt').is_file()
    loaded = load_checkpoint_model(folder / 'tiny.pt', device='cpu')
    network = Checkpoint.load(folder / 'tiny.pt').network()
    unlabelled = EvaluationSet.load(path, folder / 'images', loaded.spec.classes)
    with pytest.raises(ValueError, match='no object of a class of the model'):
        evaluate_network(network, loaded.spec, [unlabelled])


def test_a_failed_evaluation_leaves_the_report_of_the_one_before(folder, tmp_path):
    more = (*_dataset(folder), '--output', tmp_path, '--metrics')
    assert main(_arguments(folder, *more, 'detection')) == 0
    before = (tmp_path / 'metrics.json').read_bytes()
    assert main(_arguments(folder, *more, 'masks')) == 2
    assert (tmp_path / 'metrics.json').read_bytes() == before


def test_the_spec_of_the_checkpoint_rules(folder):
    loaded = load_checkpoint_model(folder / 'tiny.pt', device='cpu', flip=True)
    assert loaded.spec == ModelSpec.from_dict(SPEC)
    assert loaded.size_multiple == 32
