"""From an ONNX file to a serialized engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from centertrack_ros.engines.base import check_inputs, check_outputs
from centertrack_ros.engines.tensorrt.library import (
    Library,
    allow_graphs,
    new_network,
    numpy_type,
    set_capabilities,
    set_precision,
)
from centertrack_ros.engines.tensorrt.profiles import Profile
from centertrack_ros.engines.tensorrt.progress import Report, progress_monitor
from centertrack_ros.model_spec import ModelSpec

_ADVICE = {
    'DeformConv': 'export the model with --deformable grid_sample, or use TensorRT 10.1 or later '
    'instead of TensorRT for RTX',
    'DequantizeLinear': 'TensorRT takes int8 only with symmetric activations and float biases, as '
    'training.quantize writes <name>.int8_symmetric.onnx',
}


@dataclass(frozen=True)
class BuildOptions:
    """How to build.

    Attributes:
        precision: that of the file's types; fp32 is computed without TensorFloat-32.
        capabilities: compute capabilities (86 is 8.6) to build for, TensorRT for RTX only; none
            = all that it supports.
        workspace_bytes: most memory that a kernel may use for itself, for a while.
    """

    precision: str = 'fp32'
    capabilities: tuple[int, ...] = ()
    workspace_bytes: int = 1 << 30


class ParsedModel:
    """The network of an ONNX file, which fits its ModelSpec.

    Attributes:
        path: the file.
        fixed_batch: the only batch that it takes; None = any.
    """

    def __init__(self, library: Library, path: Path, spec: ModelSpec) -> None:
        """Parse the file.

        Raises:
            FileNotFoundError: there is none.
            ValueError: TensorRT cannot read it (the message names the operator), or it is not
                the model that the spec describes.
        """
        if not path.is_file():
            raise FileNotFoundError(f'{path} does not exist')
        self.path = path
        self._library, self._spec = library, spec
        library.logger.messages.clear()
        self._builder = library.module.Builder(library.logger)
        self._network = new_network(library, self._builder)
        # Kept: the network uses its weights.
        self._parser = library.module.OnnxParser(self._network, library.logger)
        if not self._parser.parse_from_file(str(path)):
            raise ValueError(
                f'{path} cannot be loaded by {library.name} {library.version}: '
                f'{_parser_errors(self._parser) or library.errors()}'
            )
        network = self._network
        self._inputs = {
            tensor.name: tensor for tensor in map(network.get_input, range(network.num_inputs))
        }
        outputs = map(network.get_output, range(network.num_outputs))
        check_signature(
            {
                name: (numpy_type(library, tensor.dtype).name, tuple(tensor.shape))
                for name, tensor in self._inputs.items()
            },
            {tensor.name: tuple(tensor.shape) for tensor in outputs},
            spec,
            path,
        )
        batch = self._inputs['image'].shape[0]
        self.fixed_batch = None if batch < 0 else int(batch)

    def serialize(self, profile: Profile, options: BuildOptions, report: Report) -> bytes:
        """Build the engine; minutes with TensorRT, seconds with TensorRT for RTX.

        Args:
            profile: what it must take.
            options: how to build.
            report: gets a line of progress every few seconds.

        Raises:
            BaseException: what `report` raised, KeyboardInterrupt among it; the build is ended.
            RuntimeError: TensorRT could not build it.
            ValueError: the model does not take what `profile` asks for.
        """
        library = self._library
        config = self._builder.create_builder_config()
        pool = library.module.MemoryPoolType.WORKSPACE
        config.set_memory_pool_limit(pool, options.workspace_bytes)
        set_precision(library, config, options.precision)
        allow_graphs(library, config)
        set_capabilities(library, config, options.capabilities)
        config.add_optimization_profile(self._optimisation_profile(profile))
        config.progress_monitor = monitor = progress_monitor(library, report)
        library.logger.messages.clear()
        serialized = self._builder.build_serialized_network(self._network, config)
        if monitor.failure is not None:
            raise monitor.failure
        if serialized is None:
            raise RuntimeError(
                f'{self.path}: {library.name} {library.version} could not build an engine for '
                f'{profile.text}: {library.errors()}'
            )
        return bytes(serialized)

    def _optimisation_profile(self, profile: Profile) -> Any:
        result = self._builder.create_optimization_profile()
        for name, shapes in profile.input_shapes(self._spec).items():
            given = tuple(self._inputs[name].shape)
            for shape in shapes:
                if any(
                    size not in (-1, wanted) for size, wanted in zip(given, shape, strict=True)
                ):
                    raise ValueError(
                        f'{self.path}: {name} is {_described(given)}, so an engine cannot be '
                        f'built for {shape}; a dynamic batch must be chosen when the model is '
                        'exported'
                    )
            result.set_shape(name, *shapes)
        return result


def check_signature(
    inputs: dict[str, tuple[str, tuple[int, ...]]],
    outputs: dict[str, tuple[int, ...]],
    spec: ModelSpec,
    path: Path,
) -> None:
    """Make sure that a network or engine is what the spec says.

    Args:
        inputs: name -> NumPy name of the type, and shape, -1 where it varies.
        outputs: name -> shape.
        spec: ModelSpec that lies beside the model.
        path: for the message.

    Raises:
        ValueError: they differ.
    """
    found = {name: (dtype, _varying(shape[1:])) for name, (dtype, shape) in inputs.items()}
    check_inputs(found, spec, path)
    check_outputs({name: _varying(shape) for name, shape in outputs.items()}, spec, path)


def _varying(shape: tuple[int, ...]) -> tuple[int | None, ...]:
    return tuple(None if size < 0 else int(size) for size in shape)


def _described(shape: tuple[int, ...]) -> str:
    return '(' + ', '.join('any' if size < 0 else str(size) for size in shape) + ')'


def _parser_errors(parser: Any) -> str:
    lines = []
    for error in map(parser.get_error, range(parser.num_errors)):
        operator, name = error.node_operator(), error.node_name()
        where = f'operator {operator} ({name}): ' if operator else ''
        advice = f' ({_ADVICE[operator]})' if operator in _ADVICE else ''
        lines.append(f'{where}{error.desc()}{advice}')
    return '; '.join(lines)
