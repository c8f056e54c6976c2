"""A training set of one's own: a folder of people, a list of paths and labels, or record files; some people set aside.

people/Ada Lovelace/1.jpg  people/Ada Lovelace/2.png  people/Грейс/…      a folder for each person
photographs.csv: 1.jpg,Ada Lovelace                                       paths from the list's folder on, and who it is
train.rec  train.idx  property  [lfw.bin …]                               as InsightFace's archives are
"""

import csv
import hashlib
import json
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from marginface.data import insightface
from marginface.data.align import TEMPLATE_SIZE, crop_of
from marginface.data.damage import counted
from marginface.data.files import printable, quoted, read_lines
from marginface.data.folders import People, list_people
from marginface.data.images import read_image
from marginface.data.insightface import PeopleImages
from marginface.data.progress import Meter
from marginface.data.record_parts import folder_of, has_records
from marginface.data.types import VALIDATION, AllPairsTest, DataWarning, FaceData

LISTS = (".csv", ".tsv", ".txt", ".lst")
MOST_VALIDATED = 10_000  # images of people set aside: all their pairs are compared every so often
MOST_NAMES = 10  # in a warning


def load(source: str | Path, validate: float | None = None, size: int | None = None) -> FaceData:
    """A training set of one's own, with a test on people who are set aside.

    Arguments:
        source: a folder of people, one with train.rec (or the file) or parts, or a list (.csv, .tsv, .txt, .lst).
        validate: the share of people to set aside, of those with two images at least, and no more than have 10,000 images; who
            they are hangs on their names alone. None is 0.05, and 0 for record files, which come with tests.
        size: of the images, which are scaled to size × size pixels. None leaves them as they are, or scales them to 112 × 112
            where they differ.
    Raises: ValueError or DataMissingError where there is nothing to train on, or naming what is wrong in a list or in records,
        and for a .rec of another name.
    Warns: DataWarning for images of a folder or a list that cannot be read, which are left out, and where images are scaled.
    """
    if validate is not None and not 0 <= validate < 1:
        raise ValueError(f"validate={validate} must be a share of people, from 0 to less than 1")
    if size is not None and size < 8:
        raise ValueError(f"size={size} must be at least 8 pixels")
    source = Path(source).expanduser()
    records = folder_of(source).resolve()  # by the name that was given, whatever it is a link to
    source = source.resolve()
    if has_records(records):
        return set_aside(insightface.load(records.parent, records.name), validate or 0.0)
    return set_aside(of_people(people_in(source), source, size), 0.05 if validate is None else validate)


def people_in(source: Path) -> People:
    """The people of a folder or of a list."""
    if source.suffix.lower() in LISTS and source.is_file():
        return read_list(source)
    if source.is_file():
        raise ValueError(f"{printable(source)}: expected a folder, train.rec, or a list ({', '.join(LISTS)})")
    return list_people(source)


def read_list(path: str | Path) -> People:
    """The people in a list: a line for each image, with its path from the list's folder on and who it is.

    Fields are parted by tabs or commas, and by the last space where there is neither. A first line of titles, path and label,
    may give another order. Of three fields, as in MXNet's .lst, the first is a number, then come label and path.
    Raises: ValueError naming the file and the line.
    """
    path = Path(path)
    lines = [(i, line) for i, line in enumerate(read_lines(path), 1) if line]
    if not lines:
        raise ValueError(f"{printable(path)}: there are no images in the list")
    first = lines[0][1]
    separator = next((each for each in "\t," if each in first), " ")
    rows = [_fields(line, separator) for _, line in lines]
    titles = [title.lower() for title in rows[0]]
    width, at_path, at_label = (3, 2, 1) if len(rows[0]) == 3 else (2, 0, 1)
    if "path" in titles and "label" in titles:
        width, at_path, at_label = len(titles), titles.index("path"), titles.index("label")
        rows, lines = rows[1:], lines[1:]
    for (number, line), row in zip(lines, rows, strict=True):
        if len(row) != width or not row[at_path] or not row[at_label]:
            raise ValueError(f"{printable(path)}, line {number}: expected a path and a label, got {quoted(line)}")
    if not rows:
        raise ValueError(f"{printable(path)}: there are no images in the list")
    names = sorted({row[at_label] for row in rows}, key=lambda name: (len(name), name) if name.isdecimal() else (0, name))
    number_of = {name: i for i, name in enumerate(names)}
    labels = np.array([number_of[row[at_label]] for row in rows])
    order = np.argsort(labels, kind="stable")
    return People(path.parent, tuple(names), tuple(rows[i][at_path] for i in order), labels[order])


def _fields(line: str, separator: str) -> list[str]:
    row = line.rsplit(None, 1) if separator == " " else next(csv.reader([line], delimiter=separator))
    return [field.strip() for field in row]


@counted()
def of_people(people: People, source: Path, size: int | None = None) -> FaceData:
    """People's images as a training set, without those that cannot be read."""
    people, shapes = readable(people)
    if size is None and len(set(shapes)) > 1:
        size, sizes = TEMPLATE_SIZE, len(set(shapes))
        what = (
            f"images of {sizes} sizes are scaled to {size} × {size}; `marginface align` puts faces where networks expect them"
        )
        warnings.warn(DataWarning(f"{printable(source)}: {what}"), stacklevel=4)
    train = PeopleImages(people, size)
    parts = people.listing()
    count, height, width = len(people.paths), *(shapes[0] if size is None else (size, size))
    return FaceData(
        name=source.name,
        label=f"{printable(source.stem)}, {count:,} images of {len(people.names):,} people",
        num_classes=len(people.names),
        image_shape=(3, height, width),
        train=train,
        tests={},
        fingerprint=hashlib.sha256(json.dumps([parts, height, width]).encode()).hexdigest(),
        parts=parts,
        classes=people.names,
        crop=crop_of(source if source.is_dir() else source.parent),
    )


def readable(people: People) -> tuple[People, list[tuple[int, int]]]:
    """People without the images that cannot be read, and the height and width of each that can.

    Raises: ValueError where none can. Warns: DataWarning that counts the others and names some, with why.
    """
    shapes: list[tuple[int, int] | None] = []
    troubles: list[str] = []

    def look(path: str) -> tuple[int, int] | str:
        try:
            height, width, _ = read_image(people.root / path).shape
        except ValueError as error:
            return str(error)
        return height, width

    with (
        Meter(f"looking at the images of {printable(people.root.name)}", len(people.paths)) as meter,
        ThreadPoolExecutor() as pool,
    ):
        for found in pool.map(look, people.paths):
            shapes.append(None if isinstance(found, str) else found)
            troubles += [found] if isinstance(found, str) else []
            meter.update()
    kept = np.array([shape is not None for shape in shapes])
    if not kept.any():
        raise ValueError(f"{printable(people.root)}: none of its images can be read, such as {troubles[0]}")
    if troubles:
        more = [f"and {len(troubles) - MOST_NAMES} more"] if len(troubles) > MOST_NAMES else []
        listed = "\n  ".join([f"images left out, for they cannot be read: {len(troubles)}", *troubles[:MOST_NAMES], *more])
        warnings.warn(DataWarning(f"{printable(people.root)}: {listed}"), stacklevel=6)
    return chosen(people, kept), [shape for shape in shapes if shape is not None]


def chosen(people: People, images: np.ndarray) -> People:
    """Those images (N,) bool of people, and those people of whom there is an image left, in their order."""
    present, labels = np.unique(people.labels[images], return_inverse=True)
    paths = tuple(path for path, kept in zip(people.paths, images, strict=True) if kept)
    return People(people.root, tuple(people.names[i] for i in present), paths, labels)


def set_aside(data: FaceData, share: float) -> FaceData:
    """Data without a share of its people, who make its test `VALIDATION`."""
    if not share:
        return data
    train: Any = data.train
    labels = np.asarray(train.labels)
    aside = _who(labels, data.classes, share)
    if len(aside) < 2 or len(aside) == data.num_classes:
        raise ValueError(
            f"{data.label}: to test on people set aside takes two people with two images each, beside those to train on; "
            f"validate=0 sets nobody aside"
        )
    apart = np.isin(labels, aside)
    places, left = np.flatnonzero(apart), np.flatnonzero(~apart)
    kept = [i for i in range(data.num_classes) if i not in set(aside.tolist())]
    number_of = np.full(data.num_classes, -1)
    number_of[kept] = np.arange(len(kept))
    names = tuple(data.classes[i] for i in kept) if data.classes else ()
    if isinstance(train, PeopleImages):
        parts = {name: data.parts[name] for name in names}
    else:
        digest = hashlib.sha256(aside.tobytes()).hexdigest()[:12]
        parts = data.parts | {"people set aside": f"{len(aside):,} ({digest})"}
    return replace(
        data,
        label=f"{printable(data.name)}, {len(left):,} images of {len(kept):,} people",
        num_classes=len(kept),
        train=Some(data.train, left, number_of[labels[left]]),
        tests={VALIDATION: AllPairsTest(ImagesOf(data.train, places), labels[places])} | data.tests,
        parts=parts,
        classes=names,
    )


def _who(labels: np.ndarray, names: Sequence[str], share: float) -> np.ndarray:
    """Labels of the people to set aside: a hash of their names, or numbers, orders them, so that others change nothing."""
    counts = np.bincount(labels)
    order = sorted(
        np.flatnonzero(counts > 1).tolist(),
        key=lambda i: hashlib.sha256((names[i] if names else str(i)).encode(errors="surrogateescape")).digest(),
    )
    wanted = order[: max(2, round(share * np.count_nonzero(counts)))]
    within = np.cumsum(counts[wanted]) <= MOST_VALIDATED
    return np.array([i for i, fits in zip(wanted, within, strict=True) if fits] or wanted[:2])


class Some(Dataset[tuple[Any, int]]):
    """Some images of a data set, by their places (N,), with labels (N,) of their own."""

    def __init__(self, whole: "Dataset[Any]", places: np.ndarray, labels: np.ndarray) -> None:
        self.whole, self.places, self.labels = whole, places, labels

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.whole[int(self.places[index])][0], int(self.labels[index])


class ImagesOf:
    """Images (M, C, H, W) uint8 of a data set, by their places (M,), read when a slice of them is asked for."""

    def __init__(self, whole: "Dataset[Any]", places: np.ndarray) -> None:
        self.whole, self.places = whole, places
        self._read(int(places[0]))  # opens the file, which threads would do at once

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, part: slice, /) -> np.ndarray:
        with ThreadPoolExecutor() as pool:
            return np.stack(list(pool.map(self._read, self.places[part].tolist())))

    def _read(self, place: int) -> np.ndarray:
        image: Tensor = self.whole[place][0]
        return image.numpy()
