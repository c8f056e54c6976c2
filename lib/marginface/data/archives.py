"""The archives that data sets come in, unpacked so that nothing is written elsewhere and nothing without measure."""

import bz2
import errno
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PureWindowsPath
from typing import IO, Any

from marginface.data.files import most_unpacked, new_folder, printable, quoted
from marginface.data.progress import Meter
from marginface.data.types import DataMissingError

# what the standard library raises for archives that are damaged
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    MemoryError,
    OverflowError,
    RuntimeError,
    ValueError,
)
ZIP = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")  # how a file, an empty one and the first of several start
OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
COPIED = 2**20  # bytes at once
HEADER = 2**22  # bytes that a tar's own headers may have at once: names and attributes need no more
MEMBER = 512  # bytes that a member counts besides its content: a million empty files fill a disk, too


def extract(archive: str | Path, to: str | Path, most: int | None = None) -> Path:
    """Unpack a .zip or a .tar (plain or compressed, told by its first bytes) into the new folder `to`, whole or not at all.

    Only files and folders come out of it, with the permissions of new files.
    Arguments: most: bytes that may come out; None means a hundred times the archive's own and more, as no photographs need.
    Raises: DataMissingError where there is no archive. ValueError naming the archive where it is damaged, encrypted, of another
        kind or unpacks to more than `most`, and its member where that lies outside `to` or is no plain file; or where `to`
        exists. OSError where it cannot be written.
    """
    archive, to = Path(archive), Path(to)
    if not archive.is_file():
        raise DataMissingError(f"{printable(archive)}: there is no such file")
    most = most_unpacked(archive.stat().st_size) if most is None else most
    try:
        with new_folder(to) as folder, Meter(f"unpacking {archive.name}", size=True) as meter:

            def count(size: int) -> None:
                meter.update(size)
                if meter.done > most:
                    raise ValueError(
                        f"{printable(archive)}: more than {most:,} bytes come out of it, which needs most=… to be larger"
                    )

            for name, content in _members(archive):
                count(MEMBER)
                _write(archive, name, content, folder, count)
    except DAMAGE as error:
        if str(error).startswith((printable(archive), printable(to))):
            raise
        why = str(error) or type(error).__name__
        raise ValueError(f"{printable(archive)}: damaged, encrypted or not an archive ({why[:200]})") from error
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # what gzip and bz2 raise for damage
            raise ValueError(f"{printable(archive)}: damaged ({error})") from error
        raise OSError(error.errno, f"{printable(archive)} was not unpacked into {printable(to)}: {error.strerror}") from error
    return to


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Names and contents of an archive's files, and names of its folders."""
    with open(archive, "rb") as file:
        start = file.read(8)  # the end may be a member's: a .zip in a plain .tar
    if start.startswith(ZIP):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if info.external_attr >> 28 == 0xA:
                    raise ValueError(f"{printable(archive)}: member {quoted(info.filename)} is a link")
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others are unpacked without measure
                    raise ValueError(
                        f"{printable(archive)}: member {quoted(info.filename)} is packed by another method than deflate"
                    )
                yield info.filename, None if info.is_dir() else zipped.open(info)
    else:
        opener = next((opener for magic, opener in OPENERS.items() if start.startswith(magic)), open)
        with opener(archive, "rb") as plain, _tar(_Measured(plain)) as tape:
            for member in tape:
                if not (member.isfile() or member.isdir()) or member.issparse():  # sparse files claim any size
                    raise ValueError(f"{printable(archive)}: member {quoted(member.name)} is a link, a device or a sparse file")
                yield member.name, tape.extractfile(member)


def _tar(file: Any) -> tarfile.TarFile:
    return tarfile.open(fileobj=file, mode="r:")


class _Measured:
    """A file for tarfile, which reads as much at once as a header claims to be long."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.tell, self.seek = file, file.tell, file.seek

    def read(self, size: int) -> bytes:
        if size > HEADER:
            raise ValueError(f"a header of {size:,} bytes")
        return self.file.read(size)


def _write(archive: Path, name: str, content: IO[bytes] | None, folder: Path, count: Callable[[int], None]) -> None:
    path = PureWindowsPath(name)  # splits at both kinds of slashes and knows drives
    if path.drive or path.root or ".." in path.parts or "\0" in name:
        raise ValueError(f"{printable(archive)}: member {quoted(name)} lies outside the folder that it is unpacked into")
    target = folder.joinpath(*path.parts)
    try:
        (target if content is None else target.parent).mkdir(parents=True, exist_ok=True)
        if content is not None:
            with content, open(target, "xb") as file:
                while part := content.read(COPIED):
                    count(file.write(part))
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ValueError(f"{printable(archive)}: member {quoted(name)} occurs twice, or as a file and as a folder") from error
