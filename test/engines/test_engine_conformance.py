"""Every engine gives what PyTorch gives, on the same real frames; the figures are printed.

The shipped model at a smaller input, so that PyTorch needs seconds for the clip. `gpu` engines
take part where there is a GPU, and int8 where its file is shipped.
"""

from __future__ import annotations

import importlib.util
import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from centertrack_ros.datatypes import Candidates, Tracks
from centertrack_ros.engines import create_engine
from centertrack_ros.engines.base import Engine
from centertrack_ros.engines.files import model_file
from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.replay.metrics import evaluate
from centertrack_ros.replay.mot_files import FrameBoxes, read_mot
from centertrack_ros.replay.sources import open_source
from centertrack_ros.settings import Settings
from training.evaluation.engines import TorchEngine
from training.exporting.program import export_program
from training.exporting.sources import load_source
from training.models.graph import TrackerGraph

CLIP = Path(__file__).resolve().parents[2] / 'samples' / 'pets09_s2l1.mp4'
SETTINGS = Settings(class_filter=('person',))
HEIGHT, WIDTH = 256, 352
IMAGES = 200
# Rows are compared on every so many images.
ROWS_EVERY = 10
# Score from which a row counts: below it none is tracked at first sight.
SURE = 0.35
HOTA_LOSS = 1.0
# Share of boxes that may differ by more than a pixel in half precision.
ROUNDED_BEYOND = 0.01
# Share of peaks that may move to a neighbouring cell then.
ROUNDED_MOVED = 0.05
ON_CPU = [
    ('onnxruntime', 'fp32'),
    ('openvino', 'fp32'),
    ('pytorch', 'fp32'),
    ('openvino', 'bf16'),
    ('pytorch', 'bf16'),
    ('onnxruntime', 'int8'),
    ('openvino', 'int8'),
]
ON_GPU = [
    (engine, precision)
    for engine in ('tensorrt', 'pytorch', 'onnxruntime')
    for precision in ('fp32', 'fp16', 'int8')
    if (engine, precision) != ('pytorch', 'int8')
]
CASES = [
    *(pytest.param(*case, 'cpu', id='-'.join(case)) for case in ON_CPU),
    *(
        pytest.param(*case, 'cuda', id='-'.join((*case, 'cuda')), marks=pytest.mark.gpu)
        for case in ON_GPU
    ),
]
MODULES = {'tensorrt': ('tensorrt', 'tensorrt_rtx'), 'pytorch': ('torch',)}


@dataclass(frozen=True)
class Call:
    """Inputs and output of one run of the reference."""

    inputs: tuple[np.ndarray, ...]
    rows: Candidates


@dataclass(frozen=True)
class Reference:
    """What PyTorch made of the clip."""

    calls: list[Call]
    tracks: list[Tracks]


class _Recorder:
    """An engine that keeps some of its calls."""

    def __init__(self, engine: Engine) -> None:
        self.name, self.device, self.precision = engine.name, 'cpu', 'fp32'
        self.max_batch = None
        self.calls: list[Call] = []
        self._run, self._count = engine.run, 0

    def run(self, *inputs: np.ndarray) -> Candidates:
        rows = self._run(*inputs)
        if self._count % ROWS_EVERY == 0:
            self.calls.append(Call(inputs, rows))
        self._count += 1
        return rows

    def close(self) -> None:
        pass


@pytest.fixture(scope='module')
def spec(model_path) -> ModelSpec:
    """The shipped model at a smaller input."""
    return replace(ModelSpec.load(model_path), input_height=HEIGHT, input_width=WIDTH)


@pytest.fixture(scope='module')
def frames():
    return list(open_source(CLIP))[:IMAGES]


@pytest.fixture(scope='module')
def reference(model_path, spec, frames) -> Reference:
    network = load_source(str(model_path)).network
    recorder = _Recorder(TorchEngine(TrackerGraph(network, spec)))
    tracks = _track(recorder, spec, frames)
    assert sum(map(len, tracks)) > 1000
    return Reference(recorder.calls, tracks)


def _track(engine, spec: ModelSpec, frames) -> list[Tracks]:
    pipeline = assemble_pipeline(engine, spec, SETTINGS)
    steps = (pipeline.step(frame.image, frame.stamp).tracks for frame in frames)
    return [tracks[tracks.reported] for tracks in steps]


@pytest.fixture(scope='module')
def files(model_path, tmp_path_factory) -> Path:
    """The shipped model with its files of all precisions, and a program for PyTorch."""
    folder = tmp_path_factory.mktemp('model')
    for path in model_path.parent.glob(f'{model_path.stem}.*'):
        (folder / path.name).symlink_to(path)
    source = load_source(str(model_path))
    program = folder / f'{model_path.stem}.pt2'
    if not program.exists():
        export_program(TrackerGraph(source.network, source.spec), source.spec, program)
    return folder / model_path.name


def _engine(name: str, precision: str, device: str, model_path: Path, spec: ModelSpec) -> Engine:
    modules = MODULES.get(name, (name,))
    if not any(importlib.util.find_spec(module) for module in modules):
        pytest.skip(f'{modules[0]} is not installed (an optional engine)')
    if device != 'cpu' and not torch.cuda.is_available():
        pytest.skip('needs an NVIDIA GPU')
    try:
        if name != 'pytorch':
            model_file(model_path, precision=precision, symmetric=name == 'tensorrt')
    except FileNotFoundError as error:
        pytest.skip(f'not shipped: {error}')
    try:
        return create_engine(
            model_path, spec, engine=name, device=device, precision=precision, threads=1
        )
    except RuntimeError as error:
        if device == 'cpu' and 'this processor' in str(error):
            pytest.skip(str(error))
        raise


@dataclass(frozen=True)
class Difference:
    """Between sure rows of the reference and the nearest ones of an engine.

    Attributes:
        scores: (N,) absolute.
        boxes, tracking: (N,) of the worst coordinate, pixels of the network input.
        moved: (N,) whether the peak is another cell, where scores of neighbours are almost equal.
    """

    scores: np.ndarray
    boxes: np.ndarray
    tracking: np.ndarray
    moved: np.ndarray


def _compare(engine: Engine, reference: Reference, spec: ModelSpec) -> Difference:
    found = [_compare_rows(call.rows, engine.run(*call.inputs)) for call in reference.calls]
    scores, boxes, tracking, moved = np.concatenate(found, axis=1)
    return Difference(scores, boxes * spec.stride, tracking * spec.stride, moved.astype(bool))


def _compare_rows(expected: Candidates, received: Candidates) -> np.ndarray:
    """(4, N): scores, boxes and offsets, in output cells, and whether the peak moved."""
    sure = np.flatnonzero(expected.scores[0] >= SURE)
    gaps = np.abs(expected.boxes[0][sure, None] - received.boxes[0][None]).max(axis=2)
    nearest = gaps.argmin(axis=1)
    offsets = np.abs(expected.tracking[0][sure] - received.tracking[0][nearest])
    moved = (expected.cells[0][sure] != received.cells[0][nearest]).any(axis=1)
    return np.stack(
        [
            np.abs(expected.scores[0][sure] - received.scores[0][nearest]),
            gaps.min(axis=1),
            offsets.max(axis=1),
            moved,
        ]
    )


def _print(record_property, engine: Engine, difference: Difference, tracks: str) -> None:
    """A line at the end of the test run, see `conftest.py`."""
    values = (difference.scores, difference.boxes, difference.tracking)
    figures = '  '.join(f'{rows.max():8.1e} {rows.mean():8.1e}' for rows in values)
    beyond, moved = (difference.boxes > 1).mean() * 100, difference.moved.mean() * 100
    shares = f'{beyond:6.2f} % {moved:6.2f} %'
    line = f'{engine.name:52s} {figures}  {shares}  {len(values[0]):5d}  {tracks}'
    record_property('engines', line)


def _same_ids(expected: list[Tracks], received: list[Tracks]) -> int:
    """Images with the same ids."""
    pairs = zip(expected, received, strict=True)
    return sum(first.ids.tolist() == second.ids.tolist() for first, second in pairs)


@pytest.mark.parametrize(('name', 'precision', 'device'), CASES)
def test_rows_and_tracks_of_pytorch(
    name, precision, device, files, spec, frames, reference, record_property
):
    engine = _engine(name, precision, device, files, spec)
    assert engine.precision == precision
    assert engine.device.startswith(device)
    difference = _compare(engine, reference, spec)
    # Only fp32 has to give the same tracks: for the others a part shows that they work.
    count = IMAGES if precision == 'fp32' else IMAGES // 4
    tracks = _track(engine, spec, frames[:count])
    same = _same_ids(reference.tracks[:count], tracks)
    engine.close()
    _print(record_property, engine, difference, f'{same} of {count}')
    assert len(difference.boxes) > 100
    if precision == 'fp32':
        assert same == count
        assert difference.scores.max() < 1e-4
        assert max(difference.boxes.max(), difference.tracking.max()) < 0.02
    elif precision in ('fp16', 'bf16'):
        # A peak in the next cell is the same object with the box that this cell learnt: no error
        # of arithmetic, and about one in thirty in eight bits.
        assert (difference.boxes[~difference.moved] > 1).mean() <= ROUNDED_BEYOND
        assert difference.moved.mean() <= ROUNDED_MOVED
    else:
        # How much the tracks lose is what counts: see the next test.
        assert np.median(difference.boxes) < 1


@pytest.fixture(scope='module')
def labelled(shared_folder):
    """Images of the validation clip and the people on them."""
    folder = shared_folder / 'data' / 'pets09_s2l1'
    truth = read_mot(folder / 'gt' / 'gt.txt', ground_truth=True)[:IMAGES]
    return list(itertools.islice(open_source(folder / 'vtest.avi'), IMAGES)), truth


@pytest.fixture(scope='module')
def exact_hota(labelled, files) -> float:
    """HOTA of the shipped model in fp32."""
    return _hota('onnxruntime', 'fp32', labelled, files)


def _hota(name: str, precision: str, labelled, files: Path) -> float:
    frames, truth = labelled
    spec = ModelSpec.load(files)
    engine = _engine(name, precision, 'cpu', files, spec)
    tracks = _track(engine, spec, frames)
    engine.close()
    found = [FrameBoxes(row.ids, row.boxes.astype(np.float64), row.scores) for row in tracks]
    return evaluate(truth, found)['HOTA']


@pytest.mark.parametrize(
    ('name', 'precision'), [('openvino', 'bf16'), ('onnxruntime', 'int8'), ('openvino', 'int8')]
)
def test_precisions_of_engine_auto_track_as_well_as_fp32(
    name, precision, labelled, files, exact_hota, record_property
):
    hota = _hota(name, precision, labelled, files)
    record_property(
        'engines',
        f'{name} {precision}: HOTA {hota:.1f}, in fp32 {exact_hota:.1f} ({IMAGES} images)',
    )
    assert hota >= exact_hota - HOTA_LOSS
