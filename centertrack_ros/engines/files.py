"""Which file of a model holds which precision; all of them share one ModelSpec JSON."""

from __future__ import annotations

from pathlib import Path

PRECISIONS = ('fp32', 'fp16', 'bf16', 'int8')

_INT8 = '.int8.onnx'
_SYMMETRIC = '.int8_symmetric.onnx'
# bf16 has no file of its own: who computes in it converts the weights when loading.
_SUFFIXES = {'fp32': '.onnx', 'bf16': '.onnx', 'fp16': '.fp16.onnx', 'int8': _INT8}
_COMMANDS = {
    '.onnx': 'python -m training.export CHECKPOINT',
    '.pt2': 'python -m training.export CHECKPOINT --format pt2',
    '.fp16.onnx': 'python -m training.export CHECKPOINT --half',
    _INT8: 'python -m training.quantize {model}',
    _SYMMETRIC: 'python -m training.quantize {model}',
}


def check_precision(precision: str, allowed: tuple[str, ...] = ('auto', *PRECISIONS)) -> None:
    """Make sure that a precision is one of those allowed.

    Raises:
        ValueError: it is not; the message has both.
    """
    if precision not in allowed:
        raise ValueError(f'precision: expected one of {list(allowed)}, received {precision!r}')


def model_file(model_path: Path, *, precision: str, symmetric: bool = False) -> Path:
    """The file to load for a precision.

    Args:
        model_path: fp32 model, `<name>.onnx`; the others lie beside it.
        precision: `fp32`, `fp16`, `bf16` or `int8`; `bf16` is computed from the fp32 file.
        symmetric: of int8, the file with signed symmetric activations and float biases for
            TensorRT, instead of that with unsigned activations for ONNX Runtime and OpenVINO.

    Raises:
        FileNotFoundError: there is no such file; the message has the command that makes it.
        ValueError: unknown precision.
    """
    check_precision(precision, PRECISIONS)
    suffix = _SYMMETRIC if symmetric and precision == 'int8' else _SUFFIXES[precision]
    return _existing(model_path, suffix, f'precision {precision}')


def exported_program(model_path: Path) -> Path:
    """The program for PyTorch that lies beside `<name>.onnx`: `<name>.pt2`.

    Raises:
        FileNotFoundError: there is no such file; the message has the command that makes it.
    """
    return _existing(model_path, '.pt2', 'engine pytorch')


def is_variant(model_path: Path) -> bool:
    """Whether a file name is that of a precision other than fp32, which `precision` chooses."""
    return Path(model_path).name.endswith(('.fp16.onnx', _INT8, _SYMMETRIC))


def _existing(model_path: Path, suffix: str, what: str) -> Path:
    model_path = Path(model_path)
    path = model_path.with_suffix(suffix)
    if not path.is_file():
        command = _COMMANDS[suffix].format(model=model_path)
        raise FileNotFoundError(f'{what} needs {path}, which does not exist; made by: {command}')
    return path
