"""`python -m centertrack_ros.replay`, also installed as `replay`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, or say which package it lacks.

    Returns:
        Its exit code, see `command_line.main`; 2 when a package is missing.
    """
    try:
        from centertrack_ros.replay import command_line
    except ModuleNotFoundError as error:
        # ROS distributions bring none of these along, and the node needs none of them.
        print(
            f'error: the replay needs the Python package {error.name!r}: pip install rosbags tqdm '
            'matplotlib Jinja2, and pip install --no-deps trackeval',
            file=sys.stderr,
        )
        return 2
    return command_line.main(arguments)


if __name__ == '__main__':
    sys.exit(main())
