"""Inference engines behind one contract, chosen by name, file, device and precision."""

from __future__ import annotations

from pathlib import Path

from centertrack_ros.engines.base import Engine
from centertrack_ros.engines.building import build_engine
from centertrack_ros.engines.files import check_precision
from centertrack_ros.engines.selection import fastest_engine
from centertrack_ros.model_spec import ModelSpec


def create_engine(
    model_path: Path,
    spec: ModelSpec,
    *,
    engine: str = 'auto',
    device: str = 'auto',
    precision: str = 'auto',
    threads: int,
) -> Engine:
    """Build the engine called `engine`; each imports its library only when it is built.

    `auto` takes the fastest of those that are installed, measured once on this machine
    (`engines.selection`).

    Args:
        model_path: exported model, the fp32 file; those of other precisions lie beside it.
        spec: ModelSpec that lies beside it.
        engine: `auto`, `onnxruntime`, `openvino`, `tensorrt` or `pytorch`.
        device: `auto`, `cpu`, `cuda[:N]`, or `tensorrt[:N]` for that provider of ONNX Runtime.
        precision: `auto`, `fp32`, `fp16`, `bf16` or `int8`. With a named engine `auto` is fp32 on
            a CPU and fp16 on a GPU; with engine `auto` it is the fastest that is accurate enough.
        threads: CPU threads, 0 = all cores.

    Raises:
        FileNotFoundError: there is no file of that precision; the message says how to make it.
        ImportError: the library is missing; the message names the package to install.
        RuntimeError: the device cannot be used.
        ValueError: unknown engine or precision, one that cannot do the other, or model and spec
            do not fit.
    """
    check_precision(precision)
    if engine != 'auto':
        return build_engine(
            model_path, spec, engine=engine, device=device, precision=precision, threads=threads
        )
    return fastest_engine(model_path, spec, device=device, precision=precision, threads=threads)
