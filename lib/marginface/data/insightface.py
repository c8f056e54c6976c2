"""A folder to train on: as InsightFace's archives have it, in record files with verification sets beside them, or of people."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from marginface.data import benchmarks
from marginface.data.align import crop_of
from marginface.data.files import printable, read_bytes
from marginface.data.folders import People, list_people
from marginface.data.images import check_size, scaled
from marginface.data.pairs import load_bin
from marginface.data.record_parts import RecordParts, record_parts
from marginface.data.recordio import RecordDataset
from marginface.data.types import DataMissingError, FaceData, PairTest

BIN_NAMES = {"lfw": "LFW", "cfp_ff": "CFP-FF", "cfp_fp": "CFP-FP", "agedb_30": "AgeDB-30", "calfw": "CALFW", "cplfw": "CPLFW"}
FOLDS = 10
NAMES = "classes.txt"  # beside record files: the people's names, a line for each label
CROP = (112, 112)  # pixels: record files of such images are InsightFace's, and cut out as theirs, unless a note says otherwise
SAMPLES, SAMPLE = 100, 2**16  # how many and of how many bytes: all of 6 MB, and something of every GB of the largest sets


def load(root: Path, name: str) -> FaceData:
    """The training set in the folder `name` of the data folder, every verification set (*.bin) beside it, and `benchmarks`.

    A large set may be in parts (see `record_parts`). Without any train.rec the folder has a folder of aligned images, all of
    one size, for each person. The fingerprint covers the index and the property file, or the names and sizes of people's
    images, and the verification sets and the benchmarks' lists; of the records' file, which is too large to be read for it,
    its size and samples are in `parts` alone.
    Raises: DataMissingError where there is no such folder; ValueError naming a damaged file, and one of two whose names differ
        in their case alone or that are one test.
    """
    folder = root / name
    train: RecordDataset | RecordParts | PeopleImages
    if (folder / "train.rec").is_file():
        train = RecordDataset(folder)
    elif record_parts(folder):
        train = RecordParts(folder)
    elif folder.is_dir():
        train = PeopleImages(list_people(folder))
    else:
        known = "mnist, digits, lfw+cfp/first/64"
        raise DataMissingError(f"unknown data set {name!r}: neither {known} nor a folder in {printable(root)}")
    image, _ = train[0]
    digest = hashlib.sha256(f"{len(train)} {train.num_classes}".encode())
    parts = train.people.listing() if isinstance(train, PeopleImages) else {}
    digest.update(json.dumps(parts).encode() if parts else b"")
    bins = _verification_sets(folder)
    record_folders = [folder] if isinstance(train, RecordDataset) else record_parts(folder)
    for path in [*(each / name for each in record_folders for name in ("train.idx", "property")), *bins.values()]:
        if path.exists():
            digest.update(read_bytes(path))
    if isinstance(train, RecordDataset):
        parts = _record_files(folder)
    elif isinstance(train, RecordParts):
        parts = {f"{each.name}/{file}": what for each in record_folders for file, what in _record_files(each).items()}
    others, lists = benchmarks.at_hand(root)
    digest.update(lists.encode())
    return FaceData(
        name=name,
        label=f"{name}, {len(train):,} images of {train.num_classes:,} people",
        num_classes=train.num_classes,
        image_shape=tuple(image.shape),
        train=train,
        tests={test: pair_test(path) for test, path in bins.items()} | others,
        fingerprint=digest.hexdigest(),
        parts=parts,
        classes=train.people.names if isinstance(train, PeopleImages) else names_beside(folder, train.num_classes),
        crop=crop_of(folder, "insightface" if record_folders and image.shape[1:] == CROP else ""),
    )


def _verification_sets(folder: Path) -> dict[str, Path]:
    """Its *.bin files by the names of the tests, in the order of the files' names."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.[bB][iI][nN]")):
        name = BIN_NAMES.get(path.stem.lower(), printable(path.stem))
        for known, other in found.items():
            if known.lower() == name.lower():
                raise ValueError(f"{printable(other)} and {printable(path.name)} are both test {known!r}: rename one of them")
        found[name] = path
    return found


def names_beside(folder: Path, classes: int) -> tuple[str, ...]:
    """People's names beside record files, none where there is no list. Raises: ValueError where they are not as many."""
    path = folder / NAMES
    if not path.exists():
        return ()
    names = tuple(os.fsdecode(line) for line in read_bytes(path).split(b"\n")[:-1])
    if len(names) != classes or len(set(names)) != classes:
        raise ValueError(f"{printable(path)}: {len(set(names))} names for {classes} people")
    return names


def _record_files(folder: Path) -> dict[str, str]:
    """Hashes of index and property, and of samples of the records, at the same places of all files of one size."""
    parts = {
        path.name: hashlib.sha256(read_bytes(path)).hexdigest()[:12]
        for path in (folder / "train.idx", folder / "property")
        if path.exists()
    }
    size, digest = (folder / "train.rec").stat().st_size, hashlib.sha256()
    with open(folder / "train.rec", "rb") as file:
        for start in np.unique(np.linspace(0, max(size - SAMPLE, 0), SAMPLES, dtype=np.int64)):
            file.seek(int(start))
            digest.update(file.read(SAMPLE))
    return parts | {"train.rec": f"{size:,} bytes ({digest.hexdigest()[:12]})"}


class PeopleImages(Dataset[tuple[Tensor, int]]):
    """A folder of people as (image (3, H, W) uint8, label) by index.

    With `size` they are scaled to size × size pixels.
    Raises: ValueError naming an image that is damaged, here for the first one, or of another size than the first one.
    """

    def __init__(self, people: People, size: int | None = None) -> None:
        self.people, self.labels, self.num_classes = people, people.labels, len(people.names)
        self.scaled, self.size = size is not None, people.read(0).shape[:2] if size is None else (size, size)

    def __len__(self) -> int:
        return len(self.people.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.people.read(index)
        if self.scaled:
            image = scaled(image, self.size[0])
        check_size(image.shape[:2], self.size, printable(self.people.root / self.people.paths[index]))
        return torch.from_numpy(image.transpose(2, 0, 1)), int(self.labels[index])


def pair_test(path: Path) -> PairTest:
    """A .bin file as a test: its pairs in ten folds of neighbours, as the public evaluation cuts them."""
    images, same = load_bin(path)
    folds = min(FOLDS, len(same))
    return PairTest(
        images=np.ascontiguousarray(images.transpose(0, 3, 1, 2)),
        left=np.arange(0, len(images), 2),
        right=np.arange(1, len(images), 2),
        same=same,
        fold=np.repeat(np.arange(folds), [len(part) for part in np.array_split(same, folds)]),
    )
