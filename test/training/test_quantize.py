"""INT8 models: what is quantised, how close it stays, and what goes wrong."""

from __future__ import annotations

import hashlib
import json

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from centertrack_ros.datatypes import Candidates
from centertrack_ros.engines import create_engine
from centertrack_ros.factory import assemble_pipeline
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.settings import Settings
from training import quantize as command
from training.quantization.convert import quantize, with_int8_nodes
from training.quantization.errors import row_error, run_samples
from training.quantization.layers import find_layers, load_graph, pixel_tensors
from training.quantization.ranges import TensorValues, choose_range, collect_values
from training.quantization.samples import record_samples

# Of the shipped model, small enough that both tests of whole models take seconds.
QUANTIZED = ('heads.hm', 'heads.ltrb', 'lateral_4')


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """Somebody in a real video, small."""
    path = tmp_path_factory.mktemp('clip') / 'clip.avi'
    capture = cv2.VideoCapture(str(command.ROOT / 'samples' / 'person_indoor.mp4'))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10.0, (160, 96))
    capture.set(cv2.CAP_PROP_POS_FRAMES, 100)
    for _ in range(24):
        writer.write(cv2.resize(capture.read()[1], (160, 96)))
    writer.release()
    return path


@pytest.fixture(scope='module')
def samples(model_path, clip):
    spec = ModelSpec.load(model_path)
    engine = create_engine(model_path, spec, engine='onnxruntime', device='cpu', threads=1)
    return record_samples([clip], assemble_pipeline(engine, spec, Settings()), 3)


@pytest.fixture(scope='module')
def model(model_path):
    return load_graph(model_path)


@pytest.fixture(scope='module')
def values(model, samples):
    nodes = [name for layer in find_layers(model) for name in layer.nodes]
    return collect_values(model, nodes, samples.calibration, np.random.default_rng(0))


def ranges_of(values, *, symmetric):
    return {
        name: choose_range(seen, 'minmax', symmetric=symmetric) for name, seen in values.items()
    }


def test_samples_come_from_the_frame_loop(samples):
    assert len(samples.calibration) == 2
    assert len(samples.held_back) == 1
    inputs = samples.calibration[0]
    assert inputs['image'].dtype == np.uint8
    assert not np.array_equal(inputs['image'], inputs['previous_image'])
    assert inputs['prior_heatmap'].max() > 0.1  # somebody is tracked


def test_layers_leave_out_normalisation_decoding_and_the_prior(model):
    inside = {name for layer in find_layers(model) for name in layer.nodes}
    types = {node.op_type for node in model.graph.node if node.name in inside}
    assert types <= {'Conv', 'Add', 'Mul', 'Concat', 'Relu', 'GlobalAveragePool'}
    convolutions = [node for node in model.graph.node if node.op_type == 'Conv']
    left_out = [node for node in convolutions if node.name not in inside]
    # The prior heatmap, and `tracking` and `reg`, which are computed at the decoded cells.
    assert left_out[0].input[0] == 'prior_heatmap'
    late = {node.input[1].split('.')[2] for node in left_out[1:]}
    assert late <= {'appearance', 'hidden', 'outputs', 'ltrb'}
    # What comes after the last convolution computes positions.
    rows = {node.output[0]: node for node in model.graph.node}
    assert rows['boxes'].input[0] in rows
    assert not {rows[name].name for name in ('scores', 'cells', 'boxes')} & inside
    products = sum(len(layer.multiplications) for layer in find_layers(model))
    assert products == len(convolutions) - len(left_out) > 50


def test_positions_of_deformable_convolutions_stay_in_float():
    def weight(name, *shape):
        return numpy_helper.from_array(np.ones(shape, np.float32), name)

    nodes = [
        helper.make_node('Conv', ['x', 'network.first.weight'], ['a'], name='first'),
        helper.make_node('Conv', ['a', 'network.offset.weight'], ['b'], name='offset'),
        helper.make_node('Mul', ['b', 'b'], ['c'], name='grid'),
        helper.make_node('Transpose', ['c'], ['d'], name='order', perm=[0, 2, 3, 1]),
        helper.make_node('GridSample', ['a', 'd'], ['e'], name='sample'),
        helper.make_node('Conv', ['e', 'network.last.weight'], ['y'], name='last'),
    ]
    image = helper.make_tensor_value_info('x', TensorProto.UINT8, [1, 3, 8, 8])
    result = helper.make_tensor_value_info('y', TensorProto.FLOAT, [1, 2, 8, 8])
    constants = [
        weight('network.first.weight', 2, 3, 1, 1),
        weight('network.offset.weight', 2, 2, 1, 1),
        weight('network.last.weight', 2, 2, 1, 1),
    ]
    graph = helper.make_graph(nodes, 'deformable', [image], [result], constants)
    layers = find_layers(helper.make_model(graph))
    assert [name for layer in layers for name in layer.nodes] == ['first', 'last']


def test_only_chosen_layers_compute_in_int8(model, values, samples):
    chosen = [
        name for layer in find_layers(model) if layer.name in QUANTIZED for name in layer.nodes
    ]
    whole = quantize(model, list(chosen), ranges_of(values, symmetric=False), 'cpu')
    result = with_int8_nodes(model, whole, chosen, outputs=True)
    onnx.checker.check_model(result)
    written = {node.output[0]: node for node in result.graph.node}
    for node in result.graph.node:
        if node.op_type != 'Conv':
            continue
        sources = [written.get(name) for name in node.input[:2]]
        quantised = [x is not None and x.op_type == 'DequantizeLinear' for x in sources]
        assert all(quantised) if node.name in chosen else not quantised[1], node.name
    weights = {entry.name: entry for entry in result.graph.initializer}
    bytes_of = weights['network.heads.hm.pointwise.weight_quantized']
    assert bytes_of.data_type == TensorProto.INT8
    assert len(numpy_helper.to_array(weights['network.heads.hm.pointwise.weight_scale'])) == 80
    reference = run_samples(model, samples.held_back, 1)
    error = row_error(reference, run_samples(result, samples.held_back, 1), 0.1)
    assert 0.0 < error < 0.15
    plain = with_int8_nodes(model, whole, [], outputs=True)
    assert row_error(reference, run_samples(plain, samples.held_back, 1), 0.1) == 0.0
    assert 'DequantizeLinear' not in {node.op_type for node in plain.graph.node}


def test_images_are_read_as_they_are(model, values, samples):
    chosen = [name for layer in find_layers(model) if layer.name == 'stem' for name in layer.nodes]
    ranges = ranges_of(values, symmetric=False)
    ranges |= dict.fromkeys(pixel_tensors(model), (0.0, 255.0))
    whole = quantize(model, chosen, ranges, 'cpu')
    # 8 bits for its output would cost far more than those of its weights and pixels.
    result = with_int8_nodes(model, whole, chosen, outputs=False)
    written = {node.output[0]: node for node in result.graph.node}
    (stem,) = (node for node in result.graph.node if node.name in chosen)
    order = written[written[stem.input[0]].input[0]]
    assert (order.op_type, order.input[0]) == ('Transpose', 'image')
    reference = run_samples(model, samples.held_back, 1)
    assert row_error(reference, run_samples(result, samples.held_back, 1), 0.1) < 0.1


def test_tensorrt_builds_the_symmetric_model(model, values):
    tensorrt = pytest.importorskip('tensorrt_rtx', reason='needs tensorrt_rtx')
    nodes = [name for layer in find_layers(model) for name in layer.nodes]
    whole = quantize(model, nodes, ranges_of(values, symmetric=True), 'tensorrt')
    result = with_int8_nodes(model, whole, nodes, outputs=False)
    for entry in result.graph.initializer:
        if entry.name.endswith('_zero_point'):
            assert not numpy_helper.to_array(entry).any()
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network()
    parser = tensorrt.OnnxParser(network, logger)
    assert parser.parse(result.SerializeToString()), parser.get_error(0).desc()
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    for name in ('image', 'previous_image'):
        profile.set_shape(name, *[(1, 96, 160, 3)] * 3)
    profile.set_shape('prior_heatmap', *[(1, 1, 24, 40)] * 3)
    config.add_optimization_profile(profile)
    assert builder.build_serialized_network(network, config) is not None


def test_ranges_contain_zero_and_fit_the_values():
    generator = np.random.default_rng(0)
    drawn = generator.normal(1.0, 1.0, 50_000).astype(np.float32)
    seen = TensorValues(-3.0, 40.0, drawn, 1.0)
    assert choose_range(seen, 'minmax', symmetric=False) == (-3.0, 40.0)
    assert choose_range(seen, 'minmax', symmetric=True) == (-40.0, 40.0)
    low, high = choose_range(seen, 'percentile', symmetric=False)
    assert -3.5 < low < -2.0
    assert 4.0 < high < 5.5
    # One value of 40 is not worth eight times the rounding of all others.
    assert choose_range(seen, 'mse', symmetric=False)[1] < 20.0
    positive = TensorValues(2.0, 3.0, np.full(10, 2.5, np.float32), 1.0)
    assert choose_range(positive, 'percentile', symmetric=False)[0] == 0.0


def test_row_error_counts_what_is_missing_and_what_moved():
    def rows(scores, boxes):
        boxes = np.array([boxes], np.float32)
        cells = np.zeros((1, len(scores), 2), np.float32)
        classes = np.zeros((1, len(scores)), np.int64)
        return Candidates(np.array([scores], np.float32), classes, cells, boxes, cells)

    box, far, half = (0, 0, 10, 10), (50, 50, 60, 60), (0, 0, 10, 8)
    same = rows([0.8, 0.05], [box, far])
    assert row_error([same], [same], 0.1) == 0.0
    assert row_error([same], [rows([0.8, 0.05], [far, box])], 0.1) == pytest.approx(0.9375)
    assert row_error([same], [rows([0.8, 0.05], [half, far])], 0.1) == pytest.approx(0.2)
    assert row_error([same], [rows([0.4, 0.05], [box, far])], 0.1) == pytest.approx(0.5)
    # A false row counts as much as a missing one.
    assert row_error([same], [rows([0.8, 0.8], [box, far])], 0.1) == pytest.approx(0.313, abs=0.01)


def test_command_writes_a_model_that_the_engine_runs(model_path, clip, tmp_path, capsys):
    spec = ModelSpec.load(model_path)
    before = hashlib.sha256(model_path.with_suffix('.json').read_bytes()).digest()
    floating = sorted({layer.name for layer in find_layers(load_graph(model_path))})
    floating = [name for name in floating if name not in QUANTIZED]
    arguments = [str(model_path), '--images', str(clip), '--count', '3', '--threads', '1']
    arguments += ['--output', str(tmp_path), '--no-measure', '--keep-float', *floating]
    assert command.main(arguments) == 0
    assert 'float: blocks.3: asked for' in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == [f'{model_path.stem}.int8.onnx']
    assert hashlib.sha256(model_path.with_suffix('.json').read_bytes()).digest() == before
    written = onnx.load(tmp_path / f'{model_path.stem}.int8.onnx')
    told = {entry.key: entry.value for entry in written.metadata_props}
    provenance = json.loads(told[command.PROVENANCE])
    assert provenance['calibration'] == ['3 of clip.avi']
    assert set(provenance['rules']) == set(QUANTIZED)
    (tmp_path / model_path.name).symlink_to(model_path)
    engine = create_engine(
        tmp_path / model_path.name, spec, engine='onnxruntime', precision='int8', threads=1
    )
    assert (engine.device, engine.precision) == ('cpu', 'int8')
    engine.close()


def test_what_cannot_be_quantised_is_explained(model_path, clip, tmp_path, capsys):
    def fails(*arguments):
        assert command.main([*map(str, arguments), '--no-measure']) == 2
        return capsys.readouterr().err

    assert 'does not exist' in fails(tmp_path / 'none.onnx')
    images = ('--images', clip)
    assert 'measured on' in fails(model_path, *images, '--video', clip)
    assert 'expected at least 3' in fails(model_path, *images, '--count', 1)
    assert 'lower --count' in fails(model_path, *images, '--count', 300)
    assert 'fits none of' in fails(model_path, *images, '--count', 3, '--keep-float', 'head.*')
    broken = tmp_path / 'broken.onnx'
    broken.write_bytes(b'no model')
    with pytest.raises(ValueError, match='expected an ONNX file'):
        load_graph(broken)
    identity = helper.make_node('Identity', ['x'], ['y'], name='one')
    entry = helper.make_tensor_value_info('x', TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info('y', TensorProto.FLOAT, [1])
    graph = helper.make_graph([identity], 'empty', [entry], [result])
    with pytest.raises(ValueError, match='no convolution'):
        find_layers(helper.make_model(graph))


def test_a_quantised_model_is_refused(model, values, tmp_path):
    chosen = list(find_layers(model)[-1].nodes)
    onnx.save(
        quantize(model, chosen, ranges_of(values, symmetric=False), 'cpu'), tmp_path / 'q.onnx'
    )
    with pytest.raises(ValueError, match='quantised already'):
        load_graph(tmp_path / 'q.onnx')
    assert onnxruntime.InferenceSession(tmp_path / 'q.onnx', providers=['CPUExecutionProvider'])
