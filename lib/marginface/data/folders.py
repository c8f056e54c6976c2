"""Folders of people, and the archives that they come in.

A folder of people has a folder for each person, with images in it or in folders below: LFW, CFP's Data/Images, ORL.
"""

import errno
import hashlib
import lzma
import os
import re
import shutil
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO

import numpy as np

from marginface.data.files import new_folder, printable
from marginface.data.images import read_image
from marginface.data.progress import track
from marginface.data.types import DataMissingError, DataWarning

__all__ = ["EXTENSIONS", "People", "extract", "list_people", "read_image"]

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".pgm", ".ppm", ".bmp")
# photographs that are not read, and are not left out without a word
UNREAD = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".tif", ".tiff", ".gif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf")
NOBODY = ("__MACOSX", "@eaDir", "#recycle", "lost+found", "$RECYCLE.BIN")  # what systems put between people's folders

# what the standard library raises for archives that are damaged
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    OverflowError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True, eq=False)
class People:
    """N images of C people: `names` (C) of people, `paths` (N) relative to `root` with "/", `labels` (N,) int64 in 0..C-1.

    People are in the order of their names and images in that of their paths, where numbers count as numbers: 2 before 10.
    """

    root: Path
    names: tuple[str, ...]
    paths: tuple[str, ...]
    labels: np.ndarray

    def listing(self) -> dict[str, str]:
        """For each person how many images there are, and a hash of their names and sizes."""
        digests = [hashlib.sha256() for _ in self.names]
        what = f"looking at {printable(self.root.name)}"
        for path, label in track(list(zip(self.paths, self.labels.tolist(), strict=True)), what):
            digests[label].update(os.fsencode(f"{path}\0{(self.root / path).stat().st_size}\0"))
        counts = np.bincount(self.labels, minlength=len(self.names))
        return {
            name: f"{count} images ({digest.hexdigest()[:12]})"
            for name, count, digest in zip(self.names, counts, digests, strict=True)
        }

    def read(self, i: int) -> np.ndarray:
        """Image i (H, W, 3) uint8 RGB. Raises: ValueError naming the file where it is damaged."""
        return read_image(self.root / self.paths[i])


def list_people(root: str | Path) -> People:
    """What is in a folder of people. Links are followed, whether to people, to folders below them or to images.

    Files that are no images, by their extensions, are left out, and so are names that start with a dot and `NOBODY`.
    Raises: DataMissingError where there is no such folder; ValueError where it has no folders, or naming one without images,
        an image that is no plain file, or a link that leads back to a folder above it.
    Warns: DataWarning where photographs of other formats are left out.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataMissingError(f"{printable(root)}: there is no such folder")
    names = sorted((entry.name for entry in os.scandir(root) if _may_be_somebody(entry)), key=_numbers_as_such)
    if not names:
        raise ValueError(f"{printable(root)}: expected a folder for each person, there are none")
    paths, labels, unread = [], [], []
    for label, name in enumerate(track(names, f"looking for people in {printable(root.name)}")):
        found = sorted(_photographs(root, name), key=_numbers_as_such)
        images = [path for path in found if path.lower().endswith(EXTENSIONS)]
        unread += [path for path in found if not path.lower().endswith(EXTENSIONS)]
        if not images:
            others = f", but {printable(unread[-1])}: convert it to one of them" if found else ""
            raise ValueError(f"{printable(root / name)}: there are no images in it ({', '.join(EXTENSIONS)}){others}")
        paths += images
        labels += [label] * len(images)
    if unread:
        kinds = ", ".join(sorted({Path(path).suffix.lower() for path in unread}))
        what = f"left out because {kinds} is not read: {len(unread)}, such as {printable(unread[0])}"
        warnings.warn(f"{printable(root)}: photographs {what}; convert them to JPEG or PNG", DataWarning, stacklevel=2)
    return People(root, tuple(names), tuple(paths), np.array(labels))


def _may_be_somebody(entry: os.DirEntry[str]) -> bool:
    return entry.name[0] != "." and entry.name not in NOBODY and entry.is_dir()


def _photographs(root: Path, person: str) -> Iterator[str]:
    """The photographs in a person's folder and below, by their extensions, as paths from `root` on."""
    waiting = [(person, (os.stat(root),))]
    while waiting:
        below, above = waiting.pop()
        here = os.stat(root / below)
        if any(os.path.samestat(here, folder) for folder in above):
            raise ValueError(f"{printable(root / below)}: a link that leads back to a folder above it")
        with os.scandir(root / below) as inside:
            entries = list(inside)
        for entry in entries:
            if _may_be_somebody(entry):
                waiting.append((f"{below}/{entry.name}", (*above, here)))
            elif entry.name[0] != "." and entry.name.lower().endswith(EXTENSIONS + UNREAD) and not entry.is_dir():
                if not entry.is_file():
                    raise ValueError(f"{printable(entry.path)}: not a plain file, but a pipe, a device or a link to nothing")
                yield f"{below}/{entry.name}"


def _numbers_as_such(name: str) -> list[tuple[int, str]]:
    """A key to sort by; the name itself comes last, so that 1 and 01 always stand in the same order."""
    return [(int(part[:18]), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)] + [(-1, name)]


def extract(archive: str | Path, to: str | Path) -> Path:
    """Unpack a .zip or a .tar (plain or compressed, told by content) into the new folder `to`, whole or not at all.

    Only files and folders come out of it, with the permissions of new files.
    Raises: DataMissingError where there is no archive. ValueError naming the archive where it is damaged, encrypted or of
        another kind, and its member where that lies outside `to` or is no plain file; or where `to` exists. OSError where
        it cannot be written.
    """
    archive, to = Path(archive), Path(to)
    if not archive.is_file():
        raise DataMissingError(f"{archive}: there is no such file")
    try:
        with new_folder(to) as temporary:
            for name, content in _members(archive):
                _write(archive, name, content, temporary)
    except DAMAGE as error:
        if str(error).startswith((str(archive), str(to))):
            raise
        raise ValueError(f"{archive}: damaged, encrypted or not an archive ({error or type(error).__name__})") from error
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # what gzip and bz2 raise for damage
            raise ValueError(f"{archive}: damaged ({error})") from error
        raise OSError(error.errno, f"{archive} was not unpacked into {to}: {error.strerror}") from error
    return to


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Names and contents of an archive's files, and names of its folders."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if info.external_attr >> 28 == 0xA:
                    raise ValueError(f"{archive}: member {info.filename!r} is a link")
                yield info.filename, None if info.is_dir() else zipped.open(info)
    else:
        with tarfile.open(archive) as tape:
            for member in tape:
                if not (member.isfile() or member.isdir()) or member.issparse():  # sparse files claim any size
                    raise ValueError(f"{archive}: member {member.name!r} is a link, a device or a sparse file")
                yield member.name, tape.extractfile(member)


def _write(archive: Path, name: str, content: IO[bytes] | None, folder: Path) -> None:
    path = PureWindowsPath(name)  # splits at both kinds of slashes and knows drives
    if path.drive or path.root or ".." in path.parts or "\0" in name:
        raise ValueError(f"{archive}: member {name!r} lies outside the folder that it is unpacked into")
    target = folder.joinpath(*path.parts)
    try:
        (target if content is None else target.parent).mkdir(parents=True, exist_ok=True)
        if content is not None:
            with content, open(target, "xb") as file:
                shutil.copyfileobj(content, file, 2**20)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ValueError(f"{archive}: member {name!r} occurs twice, or as a file and as a folder") from error
