"""Names of the processors of this machine, without any GPU library."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

_LONGEST_NAME = 256


def processor_name() -> str:
    """Name of the processor; of its architecture where the system does not tell it."""
    table = Path('/proc/cpuinfo')
    if table.is_file():
        for line in table.read_text(encoding='utf-8', errors='replace').splitlines():
            key, _, value = line.partition(':')
            # The second is what ARM has.
            if key.strip() in ('model name', 'CPU part') and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def core_count() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpu_names() -> list[str]:
    """Names of the NVIDIA GPUs, in the order of CUDA; empty without one or without its driver."""
    try:
        driver = ctypes.CDLL('libcuda.so.1')
    except OSError:
        return []
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    names = []
    for index in range(count.value):
        device, name = ctypes.c_int(), ctypes.create_string_buffer(_LONGEST_NAME)
        if driver.cuDeviceGet(ctypes.byref(device), index) != 0:
            return []
        driver.cuDeviceGetName(name, _LONGEST_NAME, device)
        names.append(name.value.decode(errors='replace'))
    return names
