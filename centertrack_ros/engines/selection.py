"""Engine `auto`: the fastest of those that can run a model here, measured once and remembered."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from centertrack_ros.engines.base import Engine
from centertrack_ros.engines.building import build_engine
from centertrack_ros.engines.choices import Choice, load_choice, save_choice
from centertrack_ros.engines.hardware import core_count, gpu_names, processor_name
from centertrack_ros.engines.measuring import measure, warm_up
from centertrack_ros.engines.options import Option, Options, find_options
from centertrack_ros.files import file_digest
from centertrack_ros.model_spec import ModelSpec

_LOGGER = logging.getLogger(__name__)
# A more exact engine is taken even if it is slower by so much: no measurement is better.
_EQUALLY_FAST = 1.05
_Loaded = dict[Option, Engine]


def fastest_engine(
    model_path: Path, spec: ModelSpec, *, device: str, precision: str, threads: int
) -> Engine:
    """Build the fastest engine; the first time, all that can run the model are measured.

    What was chosen stands in `engines.choices.cache_file` and is taken until a library, the
    processor, or a file of the model changes: the same engine every time, and so the same tracks.

    Args:
        model_path: fp32 model; those of other precisions lie beside it.
        spec: ModelSpec that lies beside it.
        device: `auto`, `cpu`, `cuda[:N]` or `tensorrt[:N]`.
        precision: `auto`, or the only one that is allowed.
        threads: CPU threads, 0 = all cores.

    Raises:
        FileNotFoundError: there is no file of that precision.
        ImportError: no library that could run it is installed; the message names packages.
        RuntimeError: none of several can run it; the message has all reasons.
        ValueError: unknown device, or model and spec do not fit.
    """
    model_path = Path(model_path)
    options = find_options(model_path, device=device, precision=precision)
    if not options.found:
        raise _nothing_found(options, device, precision)
    if len(options.found) == 1:
        (option,) = options.found
        _LOGGER.info('engine auto: %s, the only one%s', option.name, _beside(options))
        return _build(option, model_path, spec, threads)
    question, conditions = _question(model_path, device, precision, threads), _conditions(options)
    choice = load_choice(question, conditions)
    engine = choice and _build_remembered(choice, model_path, spec, threads)
    if engine:
        return engine
    engines = _build_all(options, model_path, spec, threads)
    milliseconds = measure({option.name: engine for option, engine in engines.items()}, spec)
    option = _fastest(tuple(engines), milliseconds)
    _LOGGER.info(
        'engine auto: %s, measured now: %s%s',
        option.name,
        _figures(milliseconds),
        _beside(options),
    )
    for other in engines.keys() - {option}:
        engines[other].close()
    save_choice(
        question,
        conditions,
        Choice(option.engine, option.precision, option.device, milliseconds),
    )
    return engines[option]


def remember(
    model_path: Path,
    choice: Choice,
    *,
    device: str = 'auto',
    precision: str = 'auto',
    threads: int = 0,
) -> None:
    """Have `fastest_engine` take `choice` without measuring, as if it had been measured."""
    options = find_options(Path(model_path), device=device, precision=precision)
    question = _question(Path(model_path), device, precision, threads)
    save_choice(question, _conditions(options), choice)


def _nothing_found(options: Options, device: str, precision: str) -> Exception:
    text = f'no engine for device {device!r}, precision {precision!r}'
    if not options.missing:
        return ValueError(f'{text}: no engine computes in it there')
    reasons = '; '.join(options.missing)
    if options.installed:
        return FileNotFoundError(f'{text}: {reasons}')
    return ImportError(f'{text}: {reasons}')


def _question(model_path: Path, device: str, precision: str, threads: int) -> str:
    return f'{model_path.stem} {_identity(model_path)}, {device}, {precision}, {threads} threads'


def _conditions(options: Options) -> dict[str, str]:
    """All that can make another engine the fastest."""
    files = {path.name: _identity(path) for path in options.files}
    return {
        **options.versions,
        **files,
        'processor': f'{processor_name()}, {core_count()} cores',
        'graphics': ', '.join(gpu_names()) or 'none',
    }


def _identity(path: Path) -> str:
    return file_digest(path)[:16]


def _build(option: Option, model_path: Path, spec: ModelSpec, threads: int) -> Engine:
    return build_engine(
        model_path,
        spec,
        engine=option.engine,
        device=option.device,
        precision=option.precision,
        threads=threads,
    )


def _build_remembered(
    choice: Choice, model_path: Path, spec: ModelSpec, threads: int
) -> Engine | None:
    option = Option(choice.engine, choice.precision, choice.device)
    try:
        engine = _build(option, model_path, spec, threads)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        _LOGGER.warning('engine auto: measured again, since %s fails: %s', option.name, error)
        return None
    figures = _figures(choice.milliseconds)
    _LOGGER.info('engine auto: %s, measured at an earlier start: %s', option.name, figures)
    return engine


def _build_all(options: Options, model_path: Path, spec: ModelSpec, threads: int) -> _Loaded:
    """Those that can be built and run; the others are logged.

    Raises:
        RuntimeError, ValueError: there are none; the latter if that is the model's fault.
    """
    engines: _Loaded = {}
    errors: dict[str, Exception] = {}
    for option in options.found:
        try:
            engine = _build(option, model_path, spec, threads)
            warm_up(engine, spec)
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            _LOGGER.warning('engine auto: %s is left out: %s', option.name, error)
            errors[option.name] = error
        else:
            engines[option] = engine
    if engines:
        return engines
    reasons = '; '.join(f'{name}: {error}' for name, error in errors.items())
    text = f'no engine can run {model_path} on {options.found[0].device}: {reasons}'
    if all(isinstance(error, ValueError) for error in errors.values()):
        raise ValueError(text)
    raise RuntimeError(text)


def _fastest(options: tuple[Option, ...], milliseconds: Mapping[str, float]) -> Option:
    limit = min(milliseconds.values()) * _EQUALLY_FAST
    return next(option for option in options if milliseconds[option.name] <= limit)


def _figures(milliseconds: Mapping[str, float]) -> str:
    rows = sorted(milliseconds.items(), key=lambda row: row[1])
    return ', '.join(f'{name} {value:.1f} ms' for name, value in rows)


def _beside(options: Options) -> str:
    return f'; not tried: {"; ".join(options.missing)}' if options.missing else ''
