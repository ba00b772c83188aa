"""A checkpoint of the original program comes in, is exported, and tracks in the replay."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch

from centertrack_ros.factory import build_pipeline
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.replay.command_line import main as replay
from centertrack_ros.replay.mot_files import read_mot
from centertrack_ros.settings import Settings
from training import export, import_checkpoint
from training.checkpoint import Checkpoint
from training.classes import COCO_JOINTS
from training.conformance.networks import original_state_dict
from training.conformance.vectors import Vectors
from training.models.graph import TrackerGraph
from training.presets import PRESETS

ROOT = Path(__file__).resolve().parents[2]
VECTORS = Vectors(ROOT / 'test' / 'data' / 'conformance')
CLIP = ROOT / 'samples' / 'person_indoor.mp4'
FRAMES = 6


@pytest.fixture(scope='module')
def original(tmp_path_factory):
    """A deformable DLA-34 tracker as CenterTrack saves it."""
    path = tmp_path_factory.mktemp('original') / 'mot17.pth'
    state = original_state_dict(VECTORS, 'ct_dla34_dcn_mot')
    torch.save({'epoch': 70, 'state_dict': state}, path)
    return path


@pytest.fixture(scope='module')
def imported(original, tmp_path_factory):
    path = tmp_path_factory.mktemp('imported') / 'mot17.pt'
    assert _run(import_checkpoint, original, '--architecture', 'dla34', '--preset', 'mot',
                '--input-size', '64x96', '--licence', 'MIT', '--output', path) == 0  # fmt: skip
    return path


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """A few small images: the network is a large one."""
    folder = tmp_path_factory.mktemp('images')
    capture = cv2.VideoCapture(str(CLIP))
    for index in range(FRAMES):
        cv2.imwrite(str(folder / f'{index:03d}.png'), cv2.resize(capture.read()[1], (192, 108)))
    return folder


def _run(module, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', ['x', *map(str, arguments)])
        return module.main()


def test_the_spec_is_read_off_the_weights(imported):
    spec = Checkpoint.load(imported).spec
    assert spec.heads == {'hm': 1, 'reg': 2, 'wh': 2, 'tracking': 2, 'ltrb_amodal': 4}
    assert (spec.box, spec.resize, spec.radius_rule) == ('ltrb_amodal', 'centertrack',
                                                         'centertrack')  # fmt: skip
    assert spec.previous_image
    assert spec.prior_heatmap
    assert spec.network == {'head_channels': 256, 'head_layers': 1}
    assert (spec.input_height, spec.input_width) == (64, 96)
    assert (spec.thresholds.track, spec.thresholds.prior) == (0.4, 0.5)
    assert spec.channel_mean == pytest.approx((104.01, 114.03, 119.92), abs=0.01)
    assert spec.provenance['imported_from'] == 'mot17.pth'
    assert len(spec.provenance['imported_sha256']) == 64


@pytest.mark.parametrize(('form', 'operator'), [('grid_sample', 'GridSample'),
                                                ('deform_conv', 'DeformConv')])  # fmt: skip
def test_replay_says_what_pytorch_says(imported, clip, tmp_path, capsys, form, operator):
    assert _run(export, imported, '--output', tmp_path, '--deformable', form, '--frames', '2') == 0
    operators = {node.op_type for node in onnx.load(tmp_path / 'mot17.onnx').graph.node}
    assert operators & {'GridSample', 'DeformConv'} == {operator}

    model = str(tmp_path / 'mot17.onnx')
    output = tmp_path / 'out'
    # fp32, which an engine chosen by its speed need not be.
    replay([str(clip), '--fps', '10', '--model', model, '--engine', 'onnxruntime',
            '--output', str(output)])  # fmt: skip
    assert f'{FRAMES} images' in capsys.readouterr().out

    # The same loop with PyTorch in it says the same: rows, and what became of them.
    checkpoint = Checkpoint.load(imported)
    reference = export.TorchEngine(TrackerGraph(checkpoint.network(), checkpoint.spec))
    pipeline = build_pipeline(Settings(model=model, engine='onnxruntime', device='cpu', threads=1))
    images = [cv2.imread(str(path)) for path in sorted(clip.iterdir())]
    worst = export.compare(reference, pipeline.engine, checkpoint.spec, images)
    assert worst.keys() == {'scores', 'classes', 'cells', 'boxes', 'tracking'}
    assert max(worst.values()) <= 1e-3
    pipeline.engine = reference
    for index, frame in enumerate(read_mot(output / 'tracks.txt')):
        tracks = pipeline.step(images[index], index / 10).tracks
        shown = tracks[tracks.reported]
        order, theirs = np.argsort(shown.ids), np.argsort(frame.ids)
        assert len(shown) > 5
        np.testing.assert_array_equal(frame.ids[theirs], shown.ids[order])
        np.testing.assert_allclose(frame.boxes[theirs], shown.boxes[order], atol=0.02)


def test_another_number_of_classes_is_explained(original, tmp_path, capsys):
    arguments = (original, '--architecture', 'dla34', '--preset', 'coco', '--output',
                 tmp_path / 'x.pt')  # fmt: skip
    assert _run(import_checkpoint, *arguments) == 2
    assert 'the checkpoint has 1 classes, the preset names 80' in capsys.readouterr().err
    assert not (tmp_path / 'x.pt').exists()
    assert _run(import_checkpoint, *arguments, '--initialise', 'classes') == 0
    assert 'heads.hm.2.weight: 1 classes in the checkpoint, 80 here' in capsys.readouterr().out
    assert Checkpoint.load(tmp_path / 'x.pt').spec.heads['hm'] == 80


def test_another_architecture_is_explained(original, tmp_path, capsys):
    arguments = (original, '--architecture', 'resnet18', '--preset', 'mot', '--output',
                 tmp_path / 'x.pt')  # fmt: skip
    assert _run(import_checkpoint, *arguments) == 2
    assert 'expected shape (256, 256, 3, 3), the checkpoint has' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_detector_becomes_a_tracker(tmp_path, capsys):
    path = tmp_path / 'voc.pth'
    torch.save(original_state_dict(VECTORS, 'cn_resdcn18_ctdet'), path)
    arguments = (path, '--architecture', 'resnet18_deformable', '--preset', 'voc',
                 '--output', tmp_path / 'voc.pt')  # fmt: skip
    assert _run(import_checkpoint, *arguments) == 0
    spec = Checkpoint.load(tmp_path / 'voc.pt').spec
    assert not spec.previous_image
    assert not spec.prior_heatmap
    assert spec.box == 'wh'
    assert _run(import_checkpoint, *arguments, '--tracker') == 0
    assert 'the checkpoint has no such input' in capsys.readouterr().out
    spec = Checkpoint.load(tmp_path / 'voc.pt').spec
    assert spec.previous_image
    assert spec.heads['tracking'] == 2


def test_joints_are_named(tmp_path, capsys):
    path = tmp_path / 'pose.pth'
    torch.save(original_state_dict(VECTORS, 'cn_res18_multi_pose'), path)
    arguments = (path, '--architecture', 'resnet18', '--joint-rule', 'centernet',
                 '--output', tmp_path / 'pose.pt')  # fmt: skip
    assert _run(import_checkpoint, *arguments, '--preset', 'crowdhuman') == 2
    assert 'has 17 joints, the preset names 0' in capsys.readouterr().err
    names = [f'joint_{number}' for number in range(17)]
    for preset, joints in (('coco_pose', COCO_JOINTS), ('crowdhuman', names)):
        given = ['--joints', *names] if preset == 'crowdhuman' else []
        assert _run(import_checkpoint, *arguments, '--preset', preset, *given) == 0
        assert Checkpoint.load(tmp_path / 'pose.pt').spec.joints == tuple(joints)


def test_boxes_are_needed(tmp_path, capsys):
    state = {'hm.2.bias': torch.zeros(1), 'reg.2.bias': torch.zeros(2)}
    torch.save(state, tmp_path / 'original.pth')
    assert _run(import_checkpoint, tmp_path / 'original.pth', '--architecture', 'resnet18',
                '--preset', 'mot', '--output', tmp_path / 'x.pt') == 2  # fmt: skip
    assert "found heads ['hm', 'reg']" in capsys.readouterr().err


def test_presets_make_valid_specs(spec):
    for preset in PRESETS.values():
        assert preset.thresholds.birth >= preset.thresholds.track
        assert len(set(preset.classes)) == len(preset.classes)
        made = replace(
            spec,
            classes=preset.classes,
            input_height=preset.input_height,
            input_width=preset.input_width,
            thresholds=preset.thresholds,
        )
        assert ModelSpec.from_dict(made.to_dict()) == made
