"""Folders of people.

A folder of people has a folder for each person, with images in it or in folders below: LFW, CFP's Data/Images, ORL.
"""

import hashlib
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from marginface.data import foreign
from marginface.data.files import printable, read_bytes
from marginface.data.images import read_image
from marginface.data.progress import track
from marginface.data.types import DataMissingError, DataWarning

__all__ = ["EXTENSIONS", "People", "list_people", "read_image"]

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".pgm", ".ppm", ".bmp")
# photographs that are not read, and are not left out without a word
UNREAD = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".tif", ".tiff", ".gif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf")
NOBODY = ("__MACOSX", "@eaDir", "#recycle", "lost+found", "$RECYCLE.BIN")  # what systems put between people's folders


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
        first = foreign.named(read_bytes(root / unread[0])) or "convert it to PNG or JPEG"
        what = f"photographs left out because {kinds} is not read: {len(unread)}, such as {printable(unread[0])}: {first}"
        warnings.warn(f"{printable(root)}: {what}", DataWarning, stacklevel=2)
    return People(root, tuple(names), tuple(paths), np.array(labels))


def pictures_in(root: str | Path) -> list[str]:
    """The images in a folder and in folders below it, as paths from it on, in the order of their names.

    Raises: DataMissingError where there is no such folder; ValueError where there are no images in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataMissingError(f"{printable(root)}: there is no such folder")
    found = [path for path in _photographs(root, ".") if path.lower().endswith(EXTENSIONS)]
    if not found:
        raise ValueError(f"{printable(root)}: there are no images in it ({', '.join(EXTENSIONS)})")
    return sorted((path.removeprefix("./") for path in found), key=_numbers_as_such)


def _may_be_somebody(entry: os.DirEntry[str]) -> bool:
    return entry.name[0] != "." and entry.name not in NOBODY and entry.is_dir()


def _photographs(root: Path, person: str) -> Iterator[str]:
    """The photographs in a person's folder and below, by their extensions, as paths from `root` on."""
    waiting: list[tuple[str, tuple[os.stat_result, ...]]] = [(person, () if person == "." else (os.stat(root),))]
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
