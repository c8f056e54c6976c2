"""A training set in several record files: part-000/train.rec and so on, each with its index and property file.

A file that one can copy, check and fetch again is of some GB; a set of millions of people is not.
"""

import warnings
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from marginface.data.files import printable
from marginface.data.images import check_size
from marginface.data.recordio import RecordDataset, write_records
from marginface.data.types import DataMissingError, DataWarning


class RecordParts(Dataset[tuple[Any, int]]):
    """The images of all parts, one part after the other: items are (image (3, H, W) uint8 RGB, label).

    Labels are of the whole set. Where there are parts of the same people, their images are together.

    Raises: DataMissingError where there are no parts; ValueError naming a damaged file, and, when it is met, an image of
        another size than the first.
    Warns: DataWarning where fewer classes have images than there are.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        paths = record_parts(self.folder)
        if not paths:
            raise DataMissingError(f"{printable(Path(folder))}: there is no part-000/train.rec in it")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # a part has some of the classes
            self.parts = [RecordDataset(path) for path in paths]
        self._ends = np.cumsum([len(part) for part in self.parts])
        self.num_classes = max(part.num_classes for part in self.parts)
        self.size = self.parts[0][0][0].shape[1:]
        found = np.count_nonzero(np.bincount(self.labels))
        if found < self.num_classes:
            text = f"{printable(Path(folder))}: it has {self.num_classes:,} classes, but only {found:,} of them have images"
            warnings.warn(DataWarning(text), stacklevel=2)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> tuple[Any, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no image {index}, only {len(self)}")
        part, at = self._find(index % len(self))
        image, label = part[at]
        check_size(image.shape[1:], self.size, f"{printable(part.path)}, image {at}")
        return image, label

    def encoded(self, index: int) -> tuple[int, bytes]:
        """As `RecordDataset.encoded`, of a place from 0 on."""
        part, at = self._find(index)
        return part.encoded(at)

    def _find(self, index: int) -> tuple[RecordDataset, int]:
        """The part that has an image, and its place there."""
        number = int(np.searchsorted(self._ends, index, side="right"))
        part = self.parts[number]
        return part, index - (int(self._ends[number]) - len(part))

    @cached_property
    def labels(self) -> np.ndarray:
        """All labels (N,) int64."""
        return np.concatenate([part.labels for part in self.parts])


def record_parts(folder: Path) -> list[Path]:
    """The folders of the parts, in order."""
    return sorted(path.parent for path in folder.glob("part-*/train.rec"))


def has_records(folder: Path) -> bool:
    """Whether there is a set of record files in it, in one file or in parts."""
    return (folder / "train.rec").is_file() or bool(record_parts(folder))


def folder_of(source: str | Path) -> Path:
    """The folder of a set of record files that is named by it, or by its train.rec.

    Raises: ValueError for another .rec: what lies beside it (names, tests, the number of classes) is of train.rec.
    """
    path = Path(source)
    if path.suffix != ".rec" or path.is_dir():
        return path
    if path.name != "train.rec":
        raise ValueError(f"{printable(path)}: a set of record files is train.rec in a folder of its own: give it that name")
    return path.parent


def open_records(source: str | Path) -> RecordDataset | RecordParts:
    """The set of a .rec file, of a folder with train.rec, or of one with parts; errors are theirs."""
    path = Path(source)
    parts = path.is_dir() and not (path / "train.rec").is_file() and record_parts(path)
    return RecordParts(path) if parts else RecordDataset(path)


def write_record_parts(
    folder: str | Path, images: Iterable[bytes | np.ndarray], labels: Sequence[int] | np.ndarray, size: int, **options: Any
) -> list[Path]:
    """Write parts of up to `size` images; the rest is as of `recordio.write_records`. Returns: their files.

    Each part is whole or not there. Raises: ValueError where there is a part already, or one cannot be written.
    """
    if size < 1:
        raise ValueError(f"size={size} must be at least 1")
    if found := record_parts(Path(folder)):
        raise ValueError(f"{printable(found[0])}: it exists already")
    remaining, classes, written = iter(images), np.asarray(labels), []
    for number, start in enumerate(range(0, len(classes), size)):
        some = classes[start : start + size]
        part = islice(remaining, len(some))
        written.append(write_records(Path(folder) / f"part-{number:03d}", part, some, **options))
    if next(remaining, None) is not None:
        raise ValueError(f"more images than {len(classes)} labels")
    return written
