"""Files of a folder that somebody else wrote: kept inside it, bounded, and read once.

What is checked is what is used: `content` hands over the very bytes whose size was bounded, so a
caller can hash them and use them, and nothing that happens to the file in between counts.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from service.errors import DamagedBundle

FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW


def inside(folder: Path, name: str) -> Path:
    """Return where a file of a folder lies; raises `DamagedBundle` on a way out of it.

    A symlink may lead to another place inside. The folder itself may be a symlink.
    """
    try:
        root = folder.resolve(strict=True)
        path = (root / name).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a null byte
        raise DamagedBundle(f"{folder.name}: {name!r} cannot be found: {error}") from error
    if not path.is_relative_to(root):
        raise DamagedBundle(f"{folder.name}: {name!r} lies outside the bundle")
    return path


def content(path: Path, most: int) -> bytes:
    """Return a file's bytes; raises `DamagedBundle`, also for more than `most` of them."""
    with _opened(path) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise DamagedBundle(f"{_called(path)} has more than {most} bytes")
    return data


def measure(path: Path, most: int) -> tuple[int, str]:
    """Return a file's size and its SHA-256, empty if it has more than `most` bytes.

    Reads a block at a time; raises `DamagedBundle`.
    """
    with _opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        return size, "" if size > most else hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    """Open a plain file: nothing that waits, as a pipe does, and nothing without end."""
    try:
        with os.fdopen(os.open(path, FLAGS), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise DamagedBundle(f"{_called(path)} is not a plain file")
            yield stream
    except OSError as error:
        reason = error.strerror or str(error)
        raise DamagedBundle(f"{_called(path)} cannot be read: {reason}") from error


def _called(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
