"""A network leaves PyTorch and says the same in ONNX Runtime."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from centertrack_ros.engines.onnxruntime import OnnxRuntimeEngine
from centertrack_ros.factory import build_pipeline
from centertrack_ros.model_spec import ModelSpec, Thresholds
from centertrack_ros.settings import Settings
from training import export
from training.checkpoint import Checkpoint
from training.evaluation.engines import TorchEngine
from training.export import TOLERANCE, compare, export_onnx, read_frames
from training.exporting.onnx_file import read_spec
from training.exporting.options import OnnxOptions, prepare_for_target
from training.models import build_network
from training.models.graph import TrackerGraph

CLIP = Path(__file__).resolve().parents[2] / 'samples' / 'pets09_s2l1.mp4'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    spec = ModelSpec.from_dict(
        {
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
            'thresholds': {'detection': 0.1, 'track': 0.2, 'birth': 0.2, 'prior': 0.2},
            'licence': 'Apache-2.0',
        }
    )
    network = build_network(spec)
    path = tmp_path_factory.mktemp('run') / 'tiny.pt'
    Checkpoint(spec, network.state_dict(), 3, 1, 'abc', {}, {}).save(path)
    return path


def test_onnx_equals_pytorch(checkpoint, tmp_path):
    loaded = Checkpoint.load(checkpoint)
    # Random weights: every score is near 0.01.
    spec = replace(loaded.spec, thresholds=Thresholds(0.0, 0.0, 0.0, 0.0))
    graph = TrackerGraph(loaded.network(), spec)
    export_onnx(graph, spec, tmp_path / 'tiny.onnx')
    engine = OnnxRuntimeEngine(tmp_path / 'tiny.onnx', spec, device='cpu', threads=1)
    reference = TorchEngine(graph)
    worst = compare(reference, engine, spec, read_frames(CLIP, 4))
    for name, difference in worst.items():
        assert difference <= TOLERANCE, name
    # Every input reaches the outputs.
    generator = np.random.default_rng(0)
    image, other = generator.integers(0, 255, (2, 1, 96, 128, 3), dtype=np.uint8)
    empty, full = np.zeros((1, 1, 24, 32), np.float32), np.ones((1, 1, 24, 32), np.float32)
    base = engine.run(image, image, empty)
    assert np.abs(engine.run(other, image, empty).boxes - base.boxes).max() > 1e-3
    assert np.abs(engine.run(image, other, empty).tracking - base.tracking).max() > 1e-3
    assert np.abs(engine.run(image, image, full).tracking - base.tracking).max() > 1e-5


def test_the_best_row_is_compared_where_nothing_is_detected(checkpoint):
    loaded = Checkpoint.load(checkpoint)
    torch.manual_seed(1)
    first, second = loaded.network(), build_network(loaded.spec).eval()
    engines = [TorchEngine(TrackerGraph(network, loaded.spec)) for network in (first, second)]
    worst = compare(*engines, loaded.spec, read_frames(CLIP, 1))
    assert worst['boxes'] > TOLERANCE


def test_a_detector_is_tracked_too(checkpoint, tmp_path):
    """A model with neither a previous image, nor a prior heatmap, nor offsets."""
    spec = replace(
        Checkpoint.load(checkpoint).spec,
        heads={'hm': 2, 'ltrb': 4},
        previous_image=False,
        prior_heatmap=False,
    )
    torch.manual_seed(0)
    graph = TrackerGraph(build_network(spec).eval(), spec)
    assert (graph.inputs, graph.outputs) == (('image',), ('scores', 'classes', 'cells', 'boxes'))
    export_onnx(graph, spec, tmp_path / 'tiny.onnx')
    spec.save(tmp_path / 'tiny.json')
    # Random weights: every score is near 0.01.
    settings = Settings(
        model=str(tmp_path / 'tiny.onnx'),
        engine='onnxruntime',
        device='cpu',
        detection_threshold=0.0,
        track_threshold=0.0,
        birth_threshold=0.0,
    )
    pipeline = build_pipeline(settings)
    for index, frame in enumerate(read_frames(CLIP, 2)):
        result = pipeline.step(frame, index / 10)
    assert len(result.detections) == spec.max_candidates
    assert not result.detections.offsets.any()
    assert len(result.tracks) >= spec.max_candidates


def test_command_writes_model_and_spec(checkpoint, tmp_path, monkeypatch, capsys):
    arguments = ['export', str(checkpoint), '--output', str(tmp_path), '--video', str(CLIP)]
    monkeypatch.setattr(sys, 'argv', [*arguments, '--frames', '2', '--threshold', 'birth=0.5'])
    assert export.main() == 0
    assert 'largest difference' in capsys.readouterr().out
    spec = ModelSpec.load(tmp_path / 'tiny.onnx')
    assert spec.provenance['training_steps'] == '3'
    assert (spec.thresholds.track, spec.thresholds.birth) == (0.2, 0.5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['tiny.json', 'tiny.onnx']
    assert read_spec(tmp_path / 'tiny.onnx') == spec
    # Nothing of the folders that it was exported in.
    assert (
        str(Path(__file__).resolve().parents[2]).encode()
        not in (tmp_path / 'tiny.onnx').read_bytes()
    )
    # Any number of images, where nothing else is asked for.
    engine = OnnxRuntimeEngine(tmp_path / 'tiny.onnx', spec, device='cpu', threads=1)
    assert engine.max_batch is None


def test_an_exported_model_is_exported_again(checkpoint, tmp_path, monkeypatch, capsys):
    loaded = Checkpoint.load(checkpoint)
    export_onnx(TrackerGraph(loaded.network(), loaded.spec), loaded.spec, tmp_path / 'tiny.onnx')
    loaded.spec.save(tmp_path / 'tiny.json')
    common = ['export', str(tmp_path / 'tiny.onnx'), '--video', str(CLIP), '--frames', '2']
    common += ['--output', str(tmp_path / 'again')]
    for options in (['--format', 'pt2'], ['--batch', '2', '--target', 'tensorrt']):
        monkeypatch.setattr(sys, 'argv', [*common, *options])
        assert export.main() == 0, capsys.readouterr()
    # A network that was trained: of random ones half precision moves many peaks.
    common[1] = 'centertrack_mobilenetv3'
    monkeypatch.setattr(sys, 'argv', [*common, '--half', '--name', 'tiny'])
    assert export.main() == 0, capsys.readouterr()
    assert 'mean' in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / 'again').iterdir()) == [
        'tiny.fp16.onnx',
        'tiny.json',
        'tiny.onnx',
        'tiny.pt2',
    ]
    kinds = {
        entry.data_type
        for entry in onnx.load(tmp_path / 'again' / 'tiny.fp16.onnx').graph.initializer
        if entry.name.startswith('network.')
    }
    assert kinds == {onnx.TensorProto.FLOAT16}
    again = tmp_path / 'again' / 'tiny.onnx'
    assert onnx.load(again).opset_import[0].version == 18
    engine = OnnxRuntimeEngine(again, loaded.spec, device='cpu', threads=1)
    assert engine.max_batch == 2


def test_what_a_target_cannot_run_is_refused(checkpoint):
    spec = Checkpoint.load(checkpoint).spec
    names = {'architecture': 'resnet18_deformable', 'prior_heatmap_stride': 1}
    deformable = replace(spec, **names, network={'blocks': [1, 1, 1, 1]})
    network = build_network(deformable)
    with pytest.raises(ValueError, match='openvino has no operator DeformConv; expected grid_sam'):
        prepare_for_target(
            network, deformable, OnnxOptions(target='openvino', deformable='deform_conv')
        )
    many = replace(spec, max_candidates=4000)
    with pytest.raises(ValueError, match=r'tensorrt finds fewer than 3840.*4000'):
        prepare_for_target(network, many, OnnxOptions(target='tensorrt'))
    with pytest.raises(ValueError, match='batch: expected at least 1, received 0'):
        OnnxOptions(batch=0)


@pytest.mark.parametrize(
    ('source', 'error'),
    [('nothing.pt', 'nothing.pt does not exist'), ('nothing', "model 'nothing'.*shipped models")],
)
def test_a_source_that_is_not_there_is_told(source, error, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['export', source])
    with pytest.raises(FileNotFoundError, match=error):
        export.main()


def test_command_gives_the_input_another_number_of_pixels(
    checkpoint, tmp_path, monkeypatch, capsys
):
    arguments = ['export', str(checkpoint), '--output', str(tmp_path), '--video', str(CLIP)]
    monkeypatch.setattr(sys, 'argv', [*arguments, '--frames', '2', '--adaptive', '96x64'])
    assert export.main() == 0
    spec = ModelSpec.load(tmp_path / 'tiny.onnx')
    assert (spec.resize, spec.input_width, spec.input_height) == ('adaptive', 96, 64)
    monkeypatch.setattr(sys, 'argv', [*arguments, '--adaptive', '96'])
    with pytest.raises(SystemExit):
        export.main()
    assert "expected a size such as 544x416, received '96'" in capsys.readouterr().err


def test_disagreement_writes_nothing(checkpoint, tmp_path, monkeypatch, capsys):
    arguments = ['export', str(checkpoint), '--output', str(tmp_path), '--video', str(CLIP)]
    monkeypatch.setattr(sys, 'argv', [*arguments, '--frames', '2'])
    monkeypatch.setattr(export, 'TOLERANCE', -1.0)
    assert export.main() == 1
    assert 'disagree' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_rubbish_is_no_checkpoint(tmp_path):
    torch.save({'state_dict': {}}, tmp_path / 'other.pt')
    with pytest.raises(ValueError, match='not a centertrack_ros checkpoint'):
        Checkpoint.load(tmp_path / 'other.pt')
