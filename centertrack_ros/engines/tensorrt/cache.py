"""Built engines on disk: found again where they fit, and refused with a reason where not.

A file is a line of identification, a line of JSON (`Header`) and the serialized engine.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from centertrack_ros.engines.tensorrt.profiles import Profile, Range
from centertrack_ros.files import write_atomically

_LOGGER = logging.getLogger(__name__)
_MAGIC = b'centertrack_ros TensorRT engine 1\n'
_SUFFIX = '.engine'
_KERNELS = '.kernels'
# Far longer than any header: what is not a file of ours need not be read to its end.
_LONGEST_HEADER = 1 << 16


@dataclass(frozen=True)
class Identity:
    """What an engine was built from and with.

    Attributes:
        source: path of the ONNX file.
        model: SHA-256 of that file.
        library: `tensorrt` or `tensorrt_rtx`.
        version: its version.
        precision: `fp32`, `fp16` or `int8`.
        target: GPU that it was built for, or what TensorRT for RTX was told to build for.
    """

    source: str
    model: str
    library: str
    version: str
    precision: str
    target: str


@dataclass(frozen=True)
class Header:
    """What stands in front of a serialized engine.

    Attributes:
        identity: what it was built from and with.
        profile: what it takes.
        seconds: that the build took.
        size: bytes of the engine.
        digest: SHA-256 of them.
    """

    identity: Identity
    profile: Profile
    seconds: float
    size: int = 0
    digest: str = ''


def engine_path(folder: Path, identity: Identity, profile: Profile) -> Path:
    """Where an engine lies; the version is not part of the name, so that a new one replaces it."""
    stem, target = Path(identity.source).stem, _slug(identity.target)
    parts = (identity.model[:10], identity.precision, identity.library, target, profile.text)
    return folder / f'{stem}-{"-".join(parts)}{_SUFFIX}'


def write_engine(folder: Path, header: Header, serialized: bytes) -> Path:
    """Write an engine, whole or not at all, and remove what the same model file had before.

    Returns:
        Its path.
    """
    header = replace(header, size=len(serialized), digest=hashlib.sha256(serialized).hexdigest())
    path = engine_path(folder, header.identity, header.profile)
    text = json.dumps(asdict(header)).encode() + b'\n'
    write_atomically(path, _MAGIC + text + serialized)
    for stale in _stale(folder, header.identity):
        remove_engine(stale)
        _LOGGER.info('removed %s: the model file has changed since', stale)
    return path


def remove_engine(path: Path) -> None:
    """Remove an engine and the kernels compiled for it."""
    for kernels in path.parent.glob(f'{_escaped(path.name)}.*{_KERNELS}'):
        kernels.unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def kernels_path(engine: Path, gpu: str) -> Path:
    """Where the kernels lie that TensorRT for RTX compiled for an engine on a GPU."""
    return engine.with_name(f'{engine.name}.{_slug(gpu)}{_KERNELS}')


def read_header(path: Path) -> Header:
    """The header of an engine.

    Raises:
        ValueError: the file is not an engine of this project, or cut off.
    """
    with path.open('rb') as file:
        header = _read_header(file, path)
        if path.stat().st_size - file.tell() != header.size:
            raise ValueError(f'{path}: expected {header.size} bytes after the header; cut off')
        return header


def read_engine(path: Path) -> bytes:
    """The serialized engine in a file.

    Raises:
        ValueError: the file is not an engine of this project, or damaged.
    """
    with path.open('rb') as file:
        header = _read_header(file, path)
        serialized = file.read()
    if hashlib.sha256(serialized).hexdigest() != header.digest:
        raise ValueError(f'{path}: the engine in it is damaged')
    return serialized


def find_engines(
    folder: Path, identity: Identity, runs_on: Callable[[str], bool]
) -> list[tuple[Path, Profile]]:
    """Engines of a model that can be used; why the others of that model cannot is logged.

    Args:
        folder: where to look.
        identity: what is needed; its target is not compared.
        runs_on: whether an engine built for a target runs here.
    """
    found = []
    for path in sorted(folder.glob(_pattern(identity))):
        try:
            header = read_header(path)
        except (OSError, ValueError) as error:
            _LOGGER.warning('cached engine not used: %s', error)
            continue
        if Path(header.identity.source).stem != Path(identity.source).stem:
            continue  # a model whose name begins like this one's
        reasons = _differences(header.identity, identity)
        if not runs_on(header.identity.target):
            reasons.append(f'it was built for {header.identity.target}')
        if reasons:
            _LOGGER.info('cached engine %s not used: %s', path.name, '; '.join(reasons))
        else:
            found.append((path, header.profile))
    return found


def tightest(
    engines: list[tuple[Path, Profile]], batch: int, height: int, width: int
) -> Path | None:
    """Of the engines that take an input the one made for the least else; None if none does."""
    fitting = [
        (profile.batch.largest, profile.height.largest * profile.width.largest, path)
        for path, profile in engines
        if profile.covers(batch, height, width)
    ]
    return min(fitting)[2] if fitting else None


def _differences(cached: Identity, needed: Identity) -> list[str]:
    """Why an engine cannot be used, in words; the path of the model does not matter."""
    reasons = []
    if cached.model != needed.model:
        reasons.append(f'it was built from another {Path(cached.source).name}')
    if cached.precision != needed.precision:
        reasons.append(f'its precision is {cached.precision}, not {needed.precision}')
    built_with, installed = (f'{each.library} {each.version}' for each in (cached, needed))
    if built_with != installed:
        reasons.append(f'it was built with {built_with}, this is {installed}')
    return reasons


def _stale(folder: Path, identity: Identity) -> list[Path]:
    """Engines that this library built from an earlier content of the same model file."""
    result = []
    for path in folder.glob(_pattern(identity)):
        try:
            cached = read_header(path).identity
        except (OSError, ValueError):
            continue
        same = (cached.source, cached.library) == (identity.source, identity.library)
        if same and cached.model != identity.model:
            result.append(path)
    return result


def _pattern(identity: Identity) -> str:
    """For `glob`: engines of models with this name."""
    return f'{_escaped(Path(identity.source).stem)}-*{_SUFFIX}'


def _escaped(name: str) -> str:
    """A file name without special characters of `glob`."""
    return re.sub(r'([*?[])', r'[\1]', name)


def _slug(text: str) -> str:
    return re.sub(r'[^A-Za-z0-9+]+', '-', text)


def _read_header(file: IO[bytes], path: Path) -> Header:
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError(f'{path}: not an engine written by this version of centertrack_ros')
    try:
        values: dict[str, Any] = json.loads(file.readline(_LONGEST_HEADER))
        ranges = {name: Range(*sizes) for name, sizes in values.pop('profile').items()}
        identity = Identity(**values.pop('identity'))
        return Header(identity=identity, profile=Profile(**ranges), **values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f'{path}: its header is damaged ({error})') from error
