"""Files that are read whole or not at all, and written whole or not at all."""

import contextlib
import os
import re
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from marginface.data.types import DataMissingError

DATA_ROOT = "MARGINFACE_DATA"  # the environment variable that names the folder with mnist/, lfw/, …


def data_root(root: str | Path | None = None) -> Path | None:
    """The data folder: the argument, else what MARGINFACE_DATA names, else None.

    Raises: ValueError if the folder so named does not exist.
    """
    named = root or os.environ.get(DATA_ROOT)
    if not named:
        return None
    path = Path(named).expanduser()
    if not path.is_dir():
        raise ValueError(f"data root {str(path)!r} ({'data_root' if root else DATA_ROOT}) is not a folder")
    return path


def data_folder() -> Path:
    """The project's data folder: beside lib/ in a clone, inside the package where it is installed without one."""
    package = Path(__file__).parents[1]
    clone = package.parents[1] / "data"
    return clone if (clone / "published").is_dir() else package / "_data"


def printable(path: str | Path) -> str:
    """The path for a message: bytes of a name that are no UTF-8 become \\xff and the like."""
    return os.fsencode(path).decode(errors="backslashreplace")


def quoted(text: str, most: int = 80) -> str:
    """A text for a message, in quotes; of a long one the start."""
    return repr(text) if len(text) <= most else f"{text[:most]!r}… ({len(text):,} characters)"


def most_unpacked(size: int) -> int:
    """How many bytes the content of a file of `size` bytes may take: no set of images and no list is packed more tightly.

    A few kilobytes can claim to be gigabytes, which would end the process.
    """
    return 2**28 + 100 * size


def read_bytes(path: str | Path) -> bytes:
    """The content of a file.

    Raises: DataMissingError naming it where it does not exist or is a folder; ValueError where it is no plain file, such as a
        named pipe, or does not fit into memory.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError(f"{printable(path)}: not a plain file, but a pipe or a device")
            return file.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise DataMissingError(f"{printable(path)}: there is no such file") from error
    except MemoryError as error:
        raise ValueError(f"{printable(path)}: too large for the memory") from error


def _without_waiting(path: str, flags: int) -> int:
    """To open a named pipe takes until somebody writes into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_lines(path: str | Path) -> list[str]:
    """The lines of a UTF-8 text file, without line ends and surrounding spaces, up to the last one that is not empty.

    Raises: ValueError naming the file where it is missing or is not text.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{printable(path)}: not a text file in UTF-8 (byte {error.start} is 0x{error.object[error.start]:02x})"
        ) from error
    return [line.strip() for line in text.rstrip().split("\n")] if text.strip() else []


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file that appears under its name only when the block ends well; otherwise nothing is left of it.

    What is left of a process that was killed while it wrote goes away when the same file is written again.
    Raises: OSError naming the file, for instance where the disk is full.
    """
    path = Path(path)
    _remove_leftovers(path)
    try:
        with _temporary(path, lambda temporary: temporary.touch(exist_ok=False)) as temporary:
            with open(temporary, "wb") as file:
                yield file
            os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, f"{printable(path)} was not written: {error.strerror}") from error


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A folder to fill, which appears under its name only when the block ends well; otherwise nothing is left of it.

    What is left of a process that was killed while it filled it goes away when the same folder is made again.
    Raises: ValueError where there is something of that name.
    """
    path = Path(path)
    if path.exists():
        raise ValueError(f"{printable(path)}: it exists already")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    with _temporary(path, Path.mkdir) as temporary:
        yield temporary
        os.rename(temporary, path)


@contextlib.contextmanager
def _temporary(path: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """A file or folder beside `path` that does not outlive the block, and is locked as long as this process writes it."""
    while True:
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        make(temporary)
        held = _lock(temporary, wait=True)
        if temporary.exists():
            break
        _unlock(held)  # somebody took it for a leftover before it was locked
    try:
        yield temporary
    finally:
        _remove(temporary)
        _unlock(held)


def _remove_leftovers(path: Path) -> None:
    """What `_temporary` made for this path and nobody writes any more: a lock ends with the process that holds it."""
    form = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{32}}\.tmp")
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(path.parent)):
            if form.fullmatch(entry.name) and (held := _lock(Path(entry.path), wait=False)) is not None:
                _remove(Path(entry.path))
                _unlock(held)


def _remove(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def _lock(path: Path, wait: bool) -> int | None:
    """A descriptor that holds the lock of a file or folder, -1 where there are no locks, None where somebody has it.

    Where there are no locks, waiting for one succeeds and a try fails: leftovers are then left.
    """
    try:
        held = os.open(path, os.O_RDONLY)
    except OSError:
        return -1 if wait else None
    try:
        import fcntl

        fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (OSError, ImportError):
        os.close(held)
        return -1 if wait else None
    return held


def _unlock(held: int | None) -> None:
    if held is not None and held >= 0:
        os.close(held)
