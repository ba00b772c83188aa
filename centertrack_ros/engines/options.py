"""Which engines could run a model here: installed libraries, files that exist, processors."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path

from centertrack_ros.engines.base import parse_device
from centertrack_ros.engines.files import exported_program, model_file
from centertrack_ros.engines.hardware import gpu_names

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Library:
    """What an engine needs: one of the modules; what they are distributed as; what to install."""

    modules: tuple[str, ...]
    distributions: tuple[str, ...]
    package: str


_LIBRARIES = {
    'onnxruntime': _Library(('onnxruntime',), ('onnxruntime', 'onnxruntime-gpu'), 'onnxruntime'),
    'openvino': _Library(('openvino',), ('openvino',), 'openvino'),
    'tensorrt': _Library(
        ('tensorrt', 'tensorrt_rtx'), ('tensorrt', 'tensorrt-rtx'), 'tensorrt or tensorrt-rtx'
    ),
    'pytorch': _Library(('torch',), ('torch',), 'torch'),
}
_GPU_ENGINES = ('tensorrt', 'pytorch', 'onnxruntime')
# The more exact first: of two that are equally fast it is taken. PyTorch is slower than the
# others on a CPU, and takes seconds to load.
_ON_CPU = (
    ('onnxruntime', 'fp32'),
    ('openvino', 'fp32'),
    ('openvino', 'bf16'),
    ('onnxruntime', 'int8'),
    ('openvino', 'int8'),
)
# `auto` is their own choice, fp16 where there is a file of it.
_ON_GPU = (
    ('tensorrt', 'auto'),
    ('pytorch', 'auto'),
    ('onnxruntime', 'auto'),
    ('tensorrt', 'int8'),
)
# Only if that precision is asked for: slower than a more exact one, or less exact than needed.
_ON_CPU_IF_ASKED = (('onnxruntime', 'fp16'),)
_ON_GPU_IF_ASKED = (
    *((engine, precision) for precision in ('fp32', 'fp16') for engine in _GPU_ENGINES),
    ('pytorch', 'bf16'),
    ('onnxruntime', 'int8'),
)


@dataclass(frozen=True)
class Option:
    """An engine that may be able to run a model; what `building.build_engine` takes."""

    engine: str
    precision: str
    device: str

    @property
    def name(self) -> str:
        """For people."""
        return f'{self.engine} {self.precision} on {self.device}'


@dataclass(frozen=True)
class Options:
    """What can be tried, and what cannot.

    Attributes:
        found: the more exact first.
        versions: library -> version, of those found.
        files: paths of the files that they load.
        missing: reasons, for people, why others are not among them.
        installed: whether there is a library for any engine that was thought of.
    """

    found: tuple[Option, ...]
    versions: dict[str, str]
    files: tuple[Path, ...]
    missing: tuple[str, ...]
    installed: bool


def find_options(model_path: Path, *, device: str, precision: str) -> Options:
    """Engines whose library is installed and whose file exists; nothing is loaded.

    With precision `auto` those count whose results are known to be good enough: fp32 and, where
    one was made, int8 on a CPU; bf16 in OpenVINO; fp16 on a GPU.

    Raises:
        ValueError: unknown device.
    """
    wanted = _wanted(device, precision, program=model_path.suffix == '.pt2')
    found: list[Option] = []
    files: list[Path] = []
    missing: list[str] = []
    versions: dict[str, str] = {}
    for option in wanted:
        library = _LIBRARIES[option.engine]
        if not any(importlib.util.find_spec(module) for module in library.modules):
            missing.append(f'{option.engine} is not installed (pip install {library.package})')
            continue
        versions[option.engine] = _version(library)
        try:
            files.append(_file_of(option, model_path))
        except FileNotFoundError as error:
            missing.append(str(error))
        else:
            found.append(option)
    return Options(
        tuple(found),
        versions,
        tuple(dict.fromkeys(files)),
        tuple(dict.fromkeys(missing)),
        installed=bool(versions),
    )


def _wanted(device: str, precision: str, *, program: bool) -> list[Option]:
    kind, _ = parse_device(device, ('auto', 'cpu', 'cuda', 'tensorrt'))
    if program:
        return [Option('pytorch', precision, device)]
    wanted: list[Option] = []
    if kind == 'tensorrt':
        return [Option('onnxruntime', precision, device)]
    if kind == 'cuda' or (kind == 'auto' and gpu_names()):
        place = device if kind == 'cuda' else 'cuda:0'
        wanted += _of_precision(_ON_GPU, _ON_GPU_IF_ASKED, precision, place)
    if kind != 'cuda':
        wanted += _of_precision(_ON_CPU, _ON_CPU_IF_ASKED, precision, 'cpu')
    return wanted


def _of_precision(
    usual: tuple[tuple[str, str], ...],
    if_asked: tuple[tuple[str, str], ...],
    precision: str,
    device: str,
) -> list[Option]:
    rows = usual if precision == 'auto' else (*usual, *if_asked)
    return [
        Option(engine, offered, device)
        for engine, offered in rows
        if precision in ('auto', offered)
    ]


def _file_of(option: Option, model_path: Path) -> Path:
    if option.engine == 'pytorch':
        return exported_program(model_path)
    if option.precision == 'auto':
        return model_file(model_path, precision='fp32')
    on_gpu = option.device != 'cpu'
    return model_file(
        model_path,
        precision=option.precision,
        symmetric=on_gpu and option.engine == 'tensorrt',
    )


def _version(library: _Library) -> str:
    for name in library.distributions:
        try:
            return f'{name} {importlib.metadata.version(name)}'
        except importlib.metadata.PackageNotFoundError:
            continue
    # Built from source, or a distribution of another name.
    return 'of unknown version'
