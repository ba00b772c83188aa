"""NVIDIA TensorRT 10.x and 11.x, and TensorRT for RTX: engines built from the exported ONNX."""

from centertrack_ros.engines.tensorrt.engine import TensorRtEngine
from centertrack_ros.engines.tensorrt.plans import build_only

__all__ = ['TensorRtEngine', 'build_only']
