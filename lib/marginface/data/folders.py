"""Folders of people.

A folder of people has a folder for each person, with images in it or in folders below: LFW, CFP's Data/Images, ORL.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from marginface.data.images import read_image
from marginface.data.progress import track
from marginface.data.types import DataMissingError

__all__ = ["EXTENSIONS", "People", "list_people", "read_image"]

EXTENSIONS = (".jpg", ".jpeg", ".png", ".pgm", ".ppm", ".bmp")


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
