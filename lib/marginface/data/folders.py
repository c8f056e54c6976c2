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
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO

import numpy as np

from marginface.data.files import new_folder
from marginface.data.images import read_image
from marginface.data.progress import track
from marginface.data.types import DataMissingError

__all__ = ["EXTENSIONS", "People", "extract", "list_people", "read_image"]

EXTENSIONS = (".jpg", ".jpeg", ".png", ".pgm", ".ppm", ".bmp")

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
        for path, label in track(list(zip(self.paths, self.labels.tolist(), strict=True)), f"looking at {self.root.name}"):
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
    """What is in a folder of people; files that are no images, by their extensions, and what starts with a dot are left out.

    Raises: DataMissingError where there is no such folder; ValueError where it has no folders, or naming one without images.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataMissingError(f"{root}: there is no such folder")
    names = sorted((entry.name for entry in root.iterdir() if entry.is_dir() and entry.name[0] != "."), key=_numbers_as_such)
    if not names:
        raise ValueError(f"{root}: expected a folder for each person, there are none")
    paths, labels = [], []
    for label, name in enumerate(names):
        images = sorted(_images(root / name), key=_numbers_as_such)
        if not images:
            raise ValueError(f"{root / name}: there are no images in it ({', '.join(EXTENSIONS)})")
        paths += [f"{name}/{image}" for image in images]
        labels += [label] * len(images)
    return People(root, tuple(names), tuple(paths), np.array(labels))


def _images(folder: Path) -> Iterator[str]:
    for where, _, files in os.walk(folder):
        below = Path(where).relative_to(folder).as_posix()
        for file in files:
            if file[0] != "." and file.lower().endswith(EXTENSIONS):
                yield file if below == "." else f"{below}/{file}"


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
