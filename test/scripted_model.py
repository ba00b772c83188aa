"""A model whose objects are known: each is there when its square of the image is white.

A real ONNX file for the real engines; the K squares lie side by side in the upper left corner of
the image. Joints, depth and all else are constants, so that what comes out of a node can be
compared with numbers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from centertrack_ros.model_spec import ModelSpec, Thresholds

WIDTH, HEIGHT, STRIDE, SQUARE = 128, 96, 4, 8
SCORES = (0.9, 0.8, 0.7)
COUNT = len(SCORES)
CLASSES = ('person', 'car')
OBJECT_CLASSES = (0, 1, 0)
JOINTS = ('nose', 'left_hip', 'right_hip')
# Output cells.
BOXES = ((2, 6, 6, 16), (12, 8, 20, 14), (24, 6, 28, 18))
DEPTHS = (10.0, 20.0, 15.0)
# Height, width, length.
DIMENSIONS = ((1.75, 0.5, 0.75), (1.5, 1.75, 4.25), (1.625, 0.5, 0.625))
ALPHAS = (0.5, 1.25, 2.0)
# The last joint of each object is unsure.
JOINT_SCORES = (0.9, 0.8, 0.001)


def scene(*visible: int) -> np.ndarray:
    """An image (96, 128, 3) uint8 in which these objects are seen."""
    image = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    image[:SQUARE, : COUNT * SQUARE] = 0
    for index in visible:
        image[:SQUARE, index * SQUARE : (index + 1) * SQUARE] = 255
    return image


def write_scripted_model(folder: Path, *, joints: bool = True, boxes_3d: bool = True) -> Path:
    """Write `scripted.onnx` and its ModelSpec; returns the path of the first."""
    constants = _constants()
    heads = {'hm': len(CLASSES), 'ltrb': 4, 'reg': 2, 'tracking': 2}
    if joints:
        heads |= {'hps': 2 * len(JOINTS)}
    else:
        del constants['keypoints']
    if boxes_3d:
        heads |= {'dep': 1, 'rot': 8, 'dim': 3}
    else:
        for name in ('depth', 'dimensions', 'rotation'):
            del constants[name]
    path = folder / 'scripted.onnx'
    onnx.save(_graph(constants), path)
    ModelSpec(
        name='scripted',
        architecture='mobilenetv3',
        input_height=HEIGHT,
        input_width=WIDTH,
        resize='letterbox',
        stride=STRIDE,
        max_candidates=COUNT,
        classes=CLASSES,
        heads=heads,
        box='ltrb',
        radius_rule='centertrack',
        prior_heatmap_stride=STRIDE,
        thresholds=Thresholds(detection=0.1, track=0.2, birth=0.3, prior=0.3),
        licence='Apache-2.0',
        joints=JOINTS if joints else (),
        previous_image=False,
        prior_heatmap=False,
    ).save(path.with_suffix('.json'))
    return path


def _constants() -> dict[str, np.ndarray]:
    boxes = np.array([BOXES], np.float32)
    centers = (boxes[..., :2] + boxes[..., 2:]) / 2
    keypoints = np.zeros((1, COUNT, len(JOINTS), 3), np.float32)
    keypoints[..., :2] = centers[:, :, None] + np.arange(len(JOINTS))[:, None] * [0.25, -0.5]
    keypoints[..., 2] = JOINT_SCORES
    # The second bin, whose middle is a quarter turn.
    rotation = np.zeros((1, COUNT, 8), np.float32)
    rotation[..., 5] = 1.0
    rotation[..., 6] = np.sin(np.array(ALPHAS) - np.pi / 2)
    rotation[..., 7] = np.cos(np.array(ALPHAS) - np.pi / 2)
    return {
        'classes': np.array([OBJECT_CLASSES], np.int64),
        'cells': np.floor(centers),
        'boxes': boxes,
        'tracking': np.zeros((1, COUNT, 2), np.float32),
        'keypoints': keypoints,
        'depth': np.array([DEPTHS], np.float32),
        'dimensions': np.array([DIMENSIONS], np.float32),
        'rotation': rotation,
    }


def _graph(constants: dict[str, np.ndarray]) -> onnx.ModelProto:
    given = {
        'first': np.array([0, 0], np.int64),
        'last': np.array([SQUARE, COUNT * SQUARE], np.int64),
        'axes': np.array([1, 2], np.int64),
        'squares': np.array([1, SQUARE, COUNT, SQUARE * 3], np.int64),
        'weights': np.array([SCORES], np.float32) / 255,
    }
    nodes = [
        helper.make_node('Slice', ['image', 'first', 'last', 'axes'], ['corner']),
        helper.make_node('Cast', ['corner'], ['values'], to=TensorProto.FLOAT),
        helper.make_node('Reshape', ['values', 'squares'], ['grouped']),
        helper.make_node('ReduceMean', ['grouped'], ['means'], axes=[1, 3], keepdims=0),
        helper.make_node('Mul', ['means', 'weights'], ['scores']),
    ]
    outputs = [helper.make_tensor_value_info('scores', TensorProto.FLOAT, [1, COUNT])]
    for name, value in constants.items():
        tensor = numpy_helper.from_array(value, f'{name}_value')
        nodes.append(helper.make_node('Constant', [], [name], value=tensor))
        outputs.append(helper.make_tensor_value_info(name, tensor.data_type, value.shape))
    graph = helper.make_graph(
        nodes,
        'scripted',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, [1, HEIGHT, WIDTH, 3])],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in given.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
