"""InsightFace's training sets (train.rec, train.idx, property), read and written without MXNet.

A record is a header and an encoded image. The header, 24 bytes, is a flag (uint32), a label (float32) and two ids (uint64),
little-endian; a flag above 0 is the number of float32 labels that follow, of which the first counts. There are two layouts.
In one, every record is an image. In the other, record 0 has two labels (a, b) and no image: the images are records 1 to
a - 1, and records a to b - 1 are identities, with two labels that give the range of its images. The file property says
"classes,height,width".

Source: MXNet's recordio.py and the readers of the InsightFace project.
"""

import os
import re
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from marginface.data.files import printable, quoted, read_lines, writing
from marginface.data.images import check_size, decode_image, decode_planes, encode_image
from marginface.data.progress import Meter
from marginface.data.record_file import MAGIC, pack_record, read_index, read_record, scan, write_index
from marginface.data.types import DataMissingError, DataWarning

HEADER = struct.Struct("<IfQQ")
MAX_LABEL = 2**24  # beyond it float32 skips integers
_AT_ONCE = 2**14  # records whose labels are looked at before one says how far it is
_PROPERTY = re.compile(r" *(\d{1,9}) *, *(\d{1,9}) *, *(\d{1,9}) *", re.ASCII)


class RecordDataset(Dataset[tuple[Any, int]]):
    """The images of a training set: items are (image (3, H, W) uint8 RGB, label).

    They come in the order of the index or, where record 0 gives the range of images, of their keys. A missing index is
    rebuilt, and kept beside the records where the folder can be written. Workers of a DataLoader may be forked or spawned.

    Arguments:
        source: the folder with train.rec, or a .rec file; the .idx of the same name and property are looked for beside it.
        transform: what is applied to each image, if anything.
    Raises:
        DataMissingError where there is no such file. ValueError naming the file and the record for damage of every kind, when
        it is met: here for the index, property and the labels, which are compared with each other, and in `dataset[i]` for a
        record; there also for an image of another size than the others, if there is no transform.
    Warns: DataWarning where property promises more classes than have images.
    """

    def __init__(self, source: str | Path, transform: Callable[[Tensor], Any] | None = None) -> None:
        self.path = Path(source) / "train.rec" if Path(source).is_dir() else Path(source)
        self.folder = self.path.parent
        self.transform = transform
        self._file: int | None = None
        if not self.path.is_file():
            raise DataMissingError(f"{printable(self.path)}: there is no such file")
        promised = _read_property(self.path.with_name("property"))
        self._classes = None if promised is None else promised[0]
        self._limit = MAX_LABEL if promised is None else promised[0]
        self._keys, self._starts = _read_or_rebuild_index(self.path)
        self._identities: tuple[np.ndarray, np.ndarray] | None = None
        self._leave_out_identities()
        if not len(self._keys):
            raise ValueError(f"{printable(self.path)}: there are no images in it")
        self._size: Sequence[int] | None = None  # of all images, if there is no transform that may make them equal
        if promised is not None:
            self._compare(*promised)

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{printable(self.path)}: there is no image {index}, only {len(self)}")
        key, start = int(self._keys[index]), int(self._starts[index])
        labels, encoded = self._read(key, start)
        label = float(labels[0])
        if not (0 <= label < self._limit and label.is_integer()):
            self._check(np.array([label]), np.array([key]))
        image = torch.from_numpy(decode_planes(encoded, self._name(key)))
        if self.transform is not None:
            return self.transform(image), int(label)
        self._size = self._size or image.shape[1:]
        check_size(image.shape[1:], self._size, self._name(key))
        return image, int(label)

    def encoded(self, index: int) -> tuple[int, bytes]:
        """Label and encoded image of the image at this place, not decoded. Raises: as `dataset[index]` for a damaged record."""
        key, start = int(self._keys[index]), int(self._starts[index])
        labels, content = self._read(key, start)
        self._check(np.asarray(labels[:1]), np.array([key]))
        return int(labels[0]), bytes(content)

    @property
    def num_classes(self) -> int:
        """As the file property says; without it, one more than the largest label."""
        return int(self.labels.max()) + 1 if self._classes is None else self._classes

    @cached_property
    def labels(self) -> np.ndarray:
        """All labels (N,) int64, without decoding an image; with identity records, from these and two images of each.

        Raises: ValueError naming the record of the first label that is not a class.
        """
        spans = self._spans()
        if spans is not None:
            ends = np.stack([spans[:, 0], spans[:, 1] - 1], axis=1).ravel() - 1  # keys count from 1
            values = self._labels_at(self._keys[ends], self._starts[ends], 1)
            self._check(values[:, 0], self._keys[ends])
            first, last = values[:, 0].reshape(-1, 2).T.astype(np.int64)
            if (first == last).all():
                return np.repeat(first, spans[:, 1] - spans[:, 0])
        values = self._labels_at(self._keys, self._starts, 1)[:, 0]
        self._check(values, self._keys)
        return values.astype(np.int64)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}  # a file cannot be sent to another process: it is opened again there

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            os.close(self._file)  # type: ignore[arg-type]

    def _name(self, key: int) -> str:
        return f"{printable(self.path)}, record {key}"

    def _read(self, key: int, start: int) -> tuple[Sequence[float] | np.ndarray, memoryview]:
        """Labels and encoded image of a record."""
        if self._file is None:
            self._file = os.open(self.path, os.O_RDONLY)
        content = read_record(self._file, start, self._name(key))
        if len(content) < HEADER.size:
            raise ValueError(f"{self._name(key)}: {len(content)} bytes, fewer than the {HEADER.size} of its header")
        flag, label, _, _ = HEADER.unpack_from(content)
        end = HEADER.size + 4 * flag
        if end > len(content):
            raise ValueError(f"{self._name(key)}: {flag} labels in {len(content)} bytes")
        labels = np.frombuffer(content[HEADER.size : end], "<f4") if flag else (label,)
        return labels, content[end:]

    def _check(self, labels: np.ndarray, keys: np.ndarray) -> None:
        """That labels (K,) are whole numbers from 0 to below the number of classes."""
        wrong = ~((labels >= 0) & (labels < self._limit) & (labels == np.floor(labels)))
        if wrong.any():
            i, last = int(wrong.argmax()), self._limit - 1
            raise ValueError(f"{self._name(keys[i])}: its label is {labels[i]}, expected a whole number from 0 to {last}")

    def _compare(self, classes: int, *size: int) -> None:
        """What the file property promises with what is there: the first image's height and width, and all labels."""
        path, key = self.path.with_name("property"), int(self._keys[0])
        first = decode_planes(self._read(key, int(self._starts[0]))[1], self._name(key))
        if first.shape[1:] != size:
            here, there = (" × ".join(map(str, each)) for each in (first.shape[1:], size))
            raise ValueError(
                f"{printable(path)}: it promises images of {there} pixels (height × width), but record {key} has {here}"
            )
        self._size = size
        found = np.count_nonzero(np.bincount(self.labels))
        if found < classes:
            warning = DataWarning(f"{printable(path)}: it promises {classes:,} classes, but only {found:,} of them have images")
            warnings.warn(warning, stacklevel=3)

    def _leave_out_identities(self) -> None:
        """Record 0 tells the layouts apart: without an image, its labels are the ranges of images and of identities."""
        first = np.flatnonzero(self._keys == 0)
        if not len(first):
            return
        labels, encoded = self._read(0, int(self._starts[first[0]]))
        if len(encoded) or len(labels) < 2:
            return
        if not 1 <= labels[0] <= labels[1] < np.inf:
            raise ValueError(f"{self._name(0)}: it gives the range of identities as {labels[0]} to {labels[1]}")
        images, end = int(labels[0]), int(labels[1])
        order = np.argsort(self._keys, kind="stable")
        below = np.searchsorted(self._keys[order], [1, images, end])
        if below[1] - below[0] != images - 1:
            found = below[1] - below[0]
            raise ValueError(f"{self._name(0)}: it promises records 1 to {images - 1}, but the index has {found} of them")
        chosen = order[below[0] : below[1]]
        if below[2] - below[1] == end - images:
            rest = order[below[1] : below[2]]
            self._identities = self._keys[rest], self._starts[rest]
        self._keys, self._starts = self._keys[chosen], self._starts[chosen]

    def _spans(self) -> np.ndarray | None:
        """Ranges of images (I, 2) of all identities, if each image is in just one; else None."""
        if self._identities is None:
            return None
        spans = self._labels_at(*self._identities, 2)
        spans = spans[np.argsort(spans[:, 0])]
        ends = np.append(spans[:, 0], len(self) + 1)
        whole = ends[0] == 1 and (spans[:, 1] == ends[1:]).all() and (spans[:, 0] < spans[:, 1]).all()
        return spans.astype(np.int64) if whole else None

    def _labels_at(self, keys: np.ndarray, starts: np.ndarray, count: int) -> np.ndarray:
        """The first labels (K, count) float32 of records, NaN where there are fewer: a few words of each are looked at."""
        content = np.memmap(self.path, np.uint8, "r")
        words = np.asarray(content[: len(content) // 4 * 4]).view("<u4")
        labels = np.empty((len(keys), count), np.float32)
        with Meter(f"reading the labels of {self.path.parent.name}", len(keys)) as meter:
            for start in range(0, len(keys), _AT_ONCE):
                part = slice(start, start + _AT_ONCE)
                labels[part] = self._labels_in(words, keys[part], starts[part], count)
                meter.update(len(keys[part]))
        return labels

    def _labels_in(self, words: np.ndarray, keys: np.ndarray, starts: np.ndarray, count: int) -> np.ndarray:
        def word(place: int | np.ndarray) -> np.ndarray:
            return words[np.minimum(starts // 4 + place, len(words) - 1)]

        length, flag = word(1), word(2)
        plain = (word(0) == MAGIC) & (length < 2**29) & (starts + 8 + length <= 4 * len(words))
        plain &= length >= HEADER.size + 4 * np.minimum(flag, count)
        place = np.where(flag > 0, 8, 3)
        labels = np.stack([word(place + i) for i in range(count)], axis=1).view("<f4")
        labels[np.arange(count) >= np.maximum(flag, 1)[:, None]] = np.nan
        for i in np.flatnonzero(~plain):  # in parts, or damaged
            found = self._read(int(keys[i]), int(starts[i]))[0][:count]
            labels[i] = np.nan
            labels[i, : len(found)] = found
        return labels


def _read_property(path: Path) -> tuple[int, int, int] | None:
    """Classes, height and width, or None where there is no such file."""
    if not path.exists():
        return None
    text = " ".join(read_lines(path))
    if not (found := _PROPERTY.fullmatch(text)) or not all(0 < int(number) < MAX_LABEL for number in found.groups()):
        raise ValueError(f"{printable(path)}: expected 'classes,height,width', got {quoted(text)}")
    classes, height, width = map(int, found.groups())
    return classes, height, width


def _read_or_rebuild_index(path: Path) -> tuple[np.ndarray, np.ndarray]:
    index = path.with_suffix(".idx")
    if index.exists():
        return read_index(index, path.stat().st_size)
    starts = scan(path)
    keys = np.arange(len(starts))
    with suppress(OSError):  # in a folder that cannot be written it is rebuilt each time
        write_index(index, keys, starts)
    return keys, starts


def write_records(
    folder: str | Path,
    images: Iterable[bytes | np.ndarray],
    labels: Sequence[int] | np.ndarray,
    *,
    identities: bool = False,
    kind: str = ".jpg",
    quality: int = 95,
) -> Path:
    """Write train.rec, train.idx and property into a folder, whole or not at all.

    Arguments:
        images: N encoded images, or arrays (H, W, 3) uint8 RGB or (H, W) that are encoded as `kind` (".jpg" at `quality`, or
            ".png"); a generator will do.
        labels: N classes, from 0.
        identities: write the layout with identity records; then the images of a class must follow each other.
    Returns: the path of train.rec.
    Raises: ValueError where the labels do not fit, an image cannot be encoded, or the folder has a train.rec already.
    """
    path = Path(folder) / "train.rec"
    if path.exists():
        raise ValueError(f"{printable(path)}: it exists already")
    classes = _as_classes(labels, identities)
    path.parent.mkdir(parents=True, exist_ok=True)
    starts, at, height, width = [], 0, 0, 0
    with ExitStack() as stack:
        records, index, properties = (
            stack.enter_context(writing(file)) for file in (path, path.with_suffix(".idx"), path.with_name("property"))
        )
        encoded = (image if isinstance(image, bytes) else encode_image(image, kind, quality) for image in images)
        for i, record in enumerate(_records(encoded, classes, identities)):
            if i == int(identities):  # the first image
                height, width, _ = decode_image(record[HEADER.size :], "images[0]").shape
            starts.append(at)
            at += records.write(pack_record(record))
        index.write("".join(f"{key}\t{start}\n" for key, start in enumerate(starts)).encode())
        properties.write(f"{classes.max() + 1},{height},{width}\n".encode())
    return path


def _as_classes(labels: Sequence[int] | np.ndarray, identities: bool) -> np.ndarray:
    classes = np.asarray(labels)
    if classes.ndim != 1 or not len(classes) or not np.issubdtype(classes.dtype, np.integer):
        raise ValueError(f"labels must be a list of integers, got {classes.dtype} of shape {classes.shape}")
    if classes.min() < 0 or classes.max() >= MAX_LABEL:
        raise ValueError(f"labels must be from 0 to {MAX_LABEL - 1}, got {classes.min()} to {classes.max()}")
    if identities and (1 + (np.diff(classes) != 0).sum()) != len(np.unique(classes)):
        raise ValueError("with identities, the images of a class must follow each other")
    if identities and 2 * len(classes) >= MAX_LABEL:
        raise ValueError(f"{len(classes):,} images are too many for identity records: their ranges are float32")
    return classes


def _records(images: Iterable[bytes], classes: np.ndarray, identities: bool) -> Iterator[bytes]:
    """The content of all records, in the order of their keys."""
    N, changes = len(classes), np.flatnonzero(np.diff(classes)) + 2
    firsts, ends = [1, *changes.tolist()], [*changes.tolist(), N + 1]
    if identities:
        yield HEADER.pack(2, 0, 0, 0) + np.array([N + 1, N + 1 + len(firsts)], "<f4").tobytes()
    remaining = iter(images)
    for i, label in enumerate(classes):
        image = next(remaining, None)
        if image is None:
            raise ValueError(f"{i} images for {N} labels")
        yield HEADER.pack(0, label, i + identities, 0) + image
    if next(remaining, None) is not None:
        raise ValueError(f"more images than {N} labels")
    if identities:
        for i, span in enumerate(zip(firsts, ends, strict=True)):
            yield HEADER.pack(2, 0, N + 1 + i, 0) + np.array(span, "<f4").tobytes()
