"""Files: written whole or not at all, told apart, and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

# What `open` gives a new file under the usual mask; `mkstemp` lets only its owner read it.
_MODE = 0o644


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file, its folder too, so that nobody ever reads half of it.

    Two processes may do so at once; on failure an existing file stays as it was.

    Args:
        path: the file.
        content: text is written as UTF-8 with the line ends that it has.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = content.encode('utf-8') if isinstance(content, str) else content
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, 'wb') as file:
            file.write(content)
        temporary.chmod(_MODE)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def cache_folder() -> Path:
    """`centertrack_ros` in the user's cache folder (XDG Base Directory); it may not exist."""
    base = os.environ.get('XDG_CACHE_HOME')
    # Relative paths are to be ignored, the specification says.
    root = Path(base) if base and Path(base).is_absolute() else Path('~/.cache').expanduser()
    return root / 'centertrack_ros'
