"""Files that are read whole or not at all, and written whole or not at all."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
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


def read_bytes(path: str | Path) -> bytes:
    """The content of a file. Raises: DataMissingError naming it where it does not exist or is a folder."""
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise DataMissingError(f"{path}: there is no such file") from error


def read_lines(path: str | Path) -> list[str]:
    """The lines of a UTF-8 text file, without line ends and surrounding spaces, up to the last one that is not empty.

    Raises: ValueError naming the file where it is missing or is not text.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}: not a text file in UTF-8 (byte {error.start} is 0x{error.object[error.start]:02x})"
        ) from error
    return [line.strip() for line in text.rstrip().split("\n")] if text.strip() else []


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file that appears under its name only when the block ends well; otherwise nothing is left of it.

    Raises: OSError naming the file, for instance where the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, f"{path} was not written: {error.strerror}") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A folder to fill, which appears under its name only when the block ends well; otherwise nothing is left of it.

    Raises: ValueError where there is something of that name.
    """
    path = Path(path)
    if path.exists():
        raise ValueError(f"{path}: it exists already")
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        os.rename(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(temporary)
