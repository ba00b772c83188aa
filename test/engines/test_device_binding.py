"""Inputs that stay on the device of ONNX Runtime; main memory is a device like others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from centertrack_ros.engines.base import expected_inputs, expected_outputs
from centertrack_ros.engines.binding import DeviceBinding
from centertrack_ros.model_spec import ModelSpec

onnxruntime = pytest.importorskip('onnxruntime')


@pytest.fixture(scope='module')
def small(model_path):
    """The spec of the shipped model at a size that takes milliseconds."""
    return replace(ModelSpec.load(model_path), input_height=64, input_width=96)


@pytest.fixture(scope='module')
def session(model_path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model_path, options, providers=['CPUExecutionProvider'])


def _images(count: int, height: int, width: int):
    generator = np.random.default_rng(3)
    images = generator.integers(0, 256, (count, 1, height, width, 3), np.uint8)
    return list(images), generator.random((1, 1, height // 4, width // 4), np.float32)


class _Uploads(DeviceBinding):
    """Notes what is uploaded."""

    names: list[str]

    def _upload(self, name, array):
        self.names.append(name)
        super()._upload(name, array)


def _binding(session, spec):
    inputs, outputs = tuple(expected_inputs(spec)), expected_outputs(spec)
    binding = _Uploads(session, inputs, outputs, device='cpu', index=0)
    binding.names = []
    return binding


def test_same_as_without_and_nothing_is_uploaded_twice(session, small):
    binding = _binding(session, small)
    images, prior = _images(4, 64, 96)
    results = []
    for index, image in enumerate(images):
        previous = images[max(index - 1, 0)]
        given = {'image': image, 'previous_image': previous, 'prior_heatmap': prior}
        results.append((binding.run(given), session.run(None, given)))
        expected = ['image', 'previous_image', 'prior_heatmap']
        assert binding.names == (expected if index == 0 else ['image', 'prior_heatmap'])
        binding.names.clear()
    # Compared at the end: a result survives the calls after it.
    for received, expected in results:
        assert list(received) == expected_outputs(small)
        for name, array in zip(received, expected, strict=True):
            np.testing.assert_array_equal(received[name], array)
    first, last = results[0][0]['scores'], results[-1][0]['scores']
    assert not np.array_equal(first, last)


def test_another_array_is_uploaded_whatever_it_holds(session, small):
    binding = _binding(session, small)
    (first, second, third), prior = _images(3, 64, 96)
    binding.run({'image': first, 'previous_image': first, 'prior_heatmap': prior})
    binding.names.clear()
    # The same content, but what is on the device could have been another image.
    given = {'image': second, 'previous_image': third, 'prior_heatmap': prior}
    received = binding.run(given)
    assert binding.names == ['image', 'previous_image', 'prior_heatmap']
    expected = session.run(['scores', 'boxes'], given)
    np.testing.assert_array_equal(received['scores'], expected[0])
    np.testing.assert_array_equal(received['boxes'], expected[1])


def test_sizes_may_change(session, small):
    binding = _binding(session, small)
    for height, width in ((64, 96), (96, 64), (64, 96)):
        (first, second), prior = _images(2, height, width)
        for image, previous in ((first, first), (second, first)):
            given = {'image': image, 'previous_image': previous, 'prior_heatmap': prior}
            received = binding.run(given)
            (expected,) = session.run(['boxes'], given)
            np.testing.assert_array_equal(received['boxes'], expected)
