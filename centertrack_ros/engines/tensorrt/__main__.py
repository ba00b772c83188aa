"""Build an engine ahead of time: `python -m centertrack_ros.engines.tensorrt MODEL`."""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

from centertrack_ros.engines.tensorrt.library import LIBRARIES
from centertrack_ros.engines.tensorrt.plans import PRECISIONS, build_only
from centertrack_ros.engines.tensorrt.profiles import Range
from centertrack_ros.model_spec import ModelSpec
from centertrack_ros.preprocessing import Size


def main() -> int:
    """Build a TensorRT engine of a model and keep it for the node."""
    arguments = _arguments()
    try:
        path, header = build_only(
            arguments.model,
            ModelSpec.load(arguments.model),
            precision=arguments.precision,
            device=arguments.device,
            library=arguments.library,
            batch=arguments.batch,
            image_size=arguments.image_size,
            capabilities=tuple(arguments.compute_capability),
            folder=arguments.cache,
            workspace_bytes=arguments.workspace << 20,
            report=functools.partial(print, flush=True),
        )
    except (FileNotFoundError, ImportError, RuntimeError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('interrupted; nothing written', file=sys.stderr)
        return 130
    identity = header.identity
    print(
        f'{path}\n{identity.precision}, {header.profile.text}, for {identity.target}; '
        f'{identity.library} {identity.version}; {header.size / 2**20:.1f} MiB, '
        f'built in {header.seconds:.1f} s'
    )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m centertrack_ros.engines.tensorrt', description=main.__doc__
    )
    parser.add_argument('model', type=Path, help='fp32 model, <name>.onnx')
    parser.add_argument('--precision', choices=PRECISIONS, default='auto')
    parser.add_argument('--device', default='auto', help='GPU to build for: auto or cuda[:N]')
    parser.add_argument('--library', choices=('auto', *LIBRARIES), default='auto')
    parser.add_argument(
        '--batch',
        type=_batch,
        metavar='MIN:OPT:MAX',
        help='images per call, or one number (default: 1)',
    )
    parser.add_argument(
        '--image-size',
        type=_size,
        metavar='WIDTHxHEIGHT',
        help='of the camera: an engine for this size only, the fastest (default: any size)',
    )
    parser.add_argument(
        '--compute-capability',
        type=_capability,
        action='append',
        default=[],
        metavar='8.6',
        help='GPU to build for, with tensorrt_rtx only; may be given several times '
        '(default: all GPUs that it supports)',
    )
    parser.add_argument('--workspace', type=int, default=1024, metavar='MIB')
    parser.add_argument('--cache', type=Path, help="folder (default: in the user's cache)")
    return parser.parse_args()


def _batch(text: str) -> Range:
    numbers = text.split(':')
    if len(numbers) not in (1, 3) or not all(map(str.isdecimal, numbers)):
        raise argparse.ArgumentTypeError(f'expected 4 or 1:4:8, received {text!r}')
    return Range(*map(int, numbers)) if len(numbers) == 3 else Range.only(int(text))


def _size(text: str) -> Size:
    width, _, height = text.partition('x')
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f'expected a size such as 1280x720, received {text!r}')
    return int(height), int(width)


def _capability(text: str) -> int:
    digits = text.replace('.', '', 1)
    if not digits.isdecimal():
        raise argparse.ArgumentTypeError(f'expected such as 8.6 or 86, received {text!r}')
    return int(digits)


if __name__ == '__main__':
    sys.exit(main())
