"""PyTorch's exported programs: for GPU machines that have PyTorch and no TensorRT.

PyTorch is imported when an engine is built, and nothing of `training` is needed: the program
(`<name>.pt2`, written by `training.export --format pt2`) holds graph and weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from centertrack_ros.datatypes import Candidates, FloatArray, Image
from centertrack_ros.engines.base import (
    candidates_from_outputs,
    check_batch,
    check_inputs,
    check_outputs,
    named_inputs,
    parse_device,
)
from centertrack_ros.engines.files import check_precision, exported_program
from centertrack_ros.engines.pytorch_cuda import CudaRunner
from centertrack_ros.model_spec import ModelSpec

# Extra file of a program: names of its inputs and outputs, in order.
_NAMES_FILE = 'names.json'
_DTYPES = {'fp32': 'float32', 'fp16': 'float16', 'bf16': 'bfloat16'}


class PyTorchEngine:
    """Runs an exported `.pt2` file; see `engines.base.Engine` for the contract.

    Decoding and the samples of deformable convolutions stay in float32 at every precision: the
    program casts where they begin and end.
    """

    def __init__(
        self,
        model_path: Path,
        spec: ModelSpec,
        *,
        device: str = 'auto',
        precision: str = 'auto',
        threads: int = 0,
    ) -> None:
        """Load the program and move it to its device.

        Args:
            model_path: `.onnx` file of the model, beside which the `.pt2` lies, or this itself.
            spec: ModelSpec that lies beside it.
            device: `auto` (a GPU where there is one), `cpu` or `cuda[:N]`.
            precision: `fp32`, `bf16`, on a GPU `fp16`; `auto` is fp32 on a CPU, fp16 on a GPU.
            threads: CPU threads, 0 = as PyTorch has it. PyTorch has one number for the whole
                process: it changes for everything else there that uses PyTorch.

        Raises:
            FileNotFoundError: there is no such program.
            ImportError: PyTorch is not installed.
            RuntimeError: PyTorch cannot use the GPU asked for.
            ValueError: no such device or precision, or no program of the model that the spec
                describes.
        """
        try:
            import torch
        except ImportError as error:
            raise ImportError(
                'engine pytorch needs the package torch (pip install torch)'
            ) from error
        check_precision(precision, ('auto', *_DTYPES))
        place = _device(torch, device)
        on_cpu = place.type == 'cpu'
        if precision == 'auto':
            precision = 'fp32' if on_cpu else 'fp16'
        if on_cpu and precision == 'fp16':
            raise ValueError("precision: on a CPU expected 'fp32' or 'bf16', received 'fp16'")
        path = exported_program(model_path)
        program, names = _load(torch, path)
        self._path, self._fixed_batch = path, _check_signature(program, names, spec, path)
        self._inputs, self._outputs = names['inputs'], names['outputs']
        if threads:
            torch.set_num_threads(threads)
        dtype = getattr(torch, _DTYPES[precision])
        self._torch: Any = torch
        self._module: Any = _module(torch, program, place, dtype)
        self._dtype = dtype
        self._cuda = None if on_cpu else CudaRunner(torch, self._run_module, place)
        self.device = 'cpu' if on_cpu else f'cuda:{place.index}'
        self.precision = precision
        self.max_batch = self._fixed_batch
        self.name = f'pytorch {torch.__version__} ({self.device}, {precision})'

    def run(self, image: Image, previous_image: Image, prior_heatmap: FloatArray) -> Candidates:
        """Run the graph; see `engines.base.Engine.run`."""
        check_batch(len(image), self._fixed_batch, self._path)
        arrays = named_inputs(self._inputs, image, previous_image, prior_heatmap)
        if self._cuda is not None:
            outputs = self._cuda.run(arrays)
        else:
            tensors = (self._torch.from_numpy(array) for array in arrays.values())
            with self._torch.inference_mode():
                outputs = [output.numpy() for output in self._run_module(*tensors)]
        return candidates_from_outputs(dict(zip(self._outputs, outputs, strict=True)))

    def close(self) -> None:
        """Free the program, and what it has on a GPU."""
        if self._cuda is not None:
            self._cuda.close()
        self._module = self._cuda = None

    def _run_module(self, *inputs: Any) -> Any:
        """The program on tensors of its device, in the precision of the engine."""
        autocast = self._torch.autocast(
            inputs[0].device.type,
            dtype=None if self._dtype == self._torch.float32 else self._dtype,
            enabled=self._dtype != self._torch.float32,
            # Kept casts of weights would not be part of a CUDA graph; they are cast for good.
            cache_enabled=False,
        )
        with autocast:
            return self._module(*inputs)


def _device(torch: Any, device: str) -> Any:
    kind, index = parse_device(device, ('auto', 'cpu', 'cuda'))
    if kind == 'auto':
        kind = 'cuda' if torch.cuda.is_available() else 'cpu'
    if kind == 'cpu':
        return torch.device('cpu')
    if index >= torch.cuda.device_count():
        raise RuntimeError(
            f'device {device!r}: PyTorch {torch.__version__} finds {torch.cuda.device_count()} '
            'GPUs; install a PyTorch built for CUDA and the driver, or set device to cpu'
        )
    return torch.device('cuda', index)


def _load(torch: Any, path: Path) -> tuple[Any, dict[str, list[str]]]:
    extra = {_NAMES_FILE: ''}
    try:
        program = torch.export.load(path, extra_files=extra)
        names: dict[str, list[str]] = json.loads(extra[_NAMES_FILE])
    # PyTorch raises a dozen classes, of zip files, of pickles and of its own.
    except Exception as error:
        raise ValueError(
            f'{path} cannot be loaded by PyTorch {torch.__version__}: {error}; expected a program '
            'that `python -m training.export ... --format pt2` wrote with this version or an '
            'older one'
        ) from error
    return program, names


def _check_signature(
    program: Any, names: dict[str, list[str]], spec: ModelSpec, path: Path
) -> int | None:
    """Batch size of the program, None if it takes any."""
    user_inputs = program.graph_signature.user_inputs
    values = {node.name: node.meta.get('val') for node in program.graph.nodes}
    inputs = [values[name] for name in user_inputs]
    found = {
        name: (str(value.dtype).removeprefix('torch.'), _sizes(value)[1:])
        for name, value in zip(names['inputs'], inputs, strict=True)
    }
    check_inputs(found, spec, path)
    results = [values[name] for name in program.graph_signature.user_outputs]
    shapes = {name: _sizes(value) for name, value in zip(names['outputs'], results, strict=True)}
    check_outputs(shapes, spec, path)
    return _sizes(inputs[0])[0]


def _sizes(value: Any) -> tuple[int | None, ...]:
    """Shape of a traced tensor, None for sizes that may vary."""
    return tuple(size if isinstance(size, int) else None for size in value.shape)


def _module(torch: Any, program: Any, device: Any, dtype: Any) -> Any:
    """The program as a module on its device, weights of convolutions in `dtype`."""
    if device.type != 'cpu':
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, str(device))
    module = program.module()
    values = {
        **dict(module.named_parameters()),
        **dict(module.named_buffers()),
    }
    for node in module.graph.nodes:
        if node.target is not torch.ops.aten.conv2d.default:
            continue
        for argument in node.args[1:3]:
            if argument is not None and argument.op == 'get_attr':
                weight = values[argument.target]
                weight.data = weight.data.to(dtype)
                if weight.dim() == 4:
                    weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module
