"""Photographs to embeddings: read, where wanted cut out by the detector, embedded; what fails is counted and is no error."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from marginface.data.align import crop_of, shape_of
from marginface.data.detect import detect
from marginface.data.files import printable, writing
from marginface.data.images import read_image
from marginface.data.own import people_in
from marginface.data.pairs import image_at, load_bin, people_of, read_pairs
from marginface.data.progress import Meter
from marginface.evaluation.people import pair_scores
from marginface.evaluation.reports import folds_of, pairs_among
from marginface.evaluation.verification import fold_numbers
from marginface.training.networks import Network

AT_ONCE = 256  # images read and embedded together


@dataclass(frozen=True, eq=False)
class Enrolled:
    """Embeddings (N, d) float32 of length 1, and zeros where an enrolment failed, which match nobody; `failures` says why, by
    the place of an image."""

    embeddings: np.ndarray
    failures: dict[int, str]


@dataclass(frozen=True, eq=False)
class Face:
    """An image as a network takes it, (C, H, W) uint8, and how many faces the photograph has (None where nobody looked)."""

    image: np.ndarray
    faces: int | None


class NoFaceError(ValueError):
    """A photograph in which the detector finds nobody."""


def read_face(network: Network, path: Path, find: bool) -> Face:
    """A photograph for a network: with `find` its largest face is found and cut out, else it is taken as it is.

    Raises: NoFaceError where there is no face; ValueError naming a file that cannot be read.
    """
    image = read_image(path)
    if not find:
        return Face(network.prepare(image), None)
    faces = detect(image)
    if not faces:
        raise NoFaceError(f"{printable(path)}: there is no face in it")
    return Face(network.prepare(image, faces[0].landmarks), len(faces))


def enrol(network: Network, paths: Sequence[Path], find: bool = False, what: str = "embedding images") -> Enrolled:
    """Embeddings of photographs. What cannot be read, has no face (with `find`) or gets an embedding of zeros has failed."""
    embeddings = np.zeros((len(paths), network.card.embedding_dim), dtype=np.float32)
    failures: dict[int, str] = {}

    def read(place: int) -> np.ndarray | str:
        try:
            return read_face(network, paths[place], find).image
        except ValueError as error:
            return str(error)

    threads = 1 if find else None  # the detector is not made for several
    with Meter(what, len(paths)) as meter, ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), AT_ONCE):
            places = range(start, min(start + AT_ONCE, len(paths)))
            found = list(pool.map(read, places))
            good = [place for place, image in zip(places, found, strict=True) if not isinstance(image, str)]
            failures |= {place: why for place, why in zip(places, found, strict=True) if isinstance(why, str)}
            if good:
                embeddings[good] = network.embed(np.stack([found[place - start] for place in good]))
            meter.update(len(places))
    for place in np.flatnonzero(~embeddings.any(axis=1)).tolist():
        failures.setdefault(place, f"{printable(paths[place])}: its embedding is zero")
    return Enrolled(embeddings, failures)


@dataclass(frozen=True)
class Verified:
    """The score of two pictures, in [-1, 1], and how many faces each has (None where nobody looked)."""

    score: float
    faces: tuple[int | None, int | None]


def verify(network: Network, first: Path, second: Path, find: bool = True) -> Verified:
    """How alike two pictures are. Raises: NoFaceError, or ValueError naming a picture that cannot be read."""
    faces = [read_face(network, path, find) for path in (first, second)]
    embeddings = network.embed(np.stack([face.image for face in faces]))
    score = pair_scores(embeddings, np.array([0]), np.array([1]))[0]
    return Verified(float(score), (faces[0].faces, faces[1].faces))


def check_table(path: Path) -> None:
    """That `write_table` can write it. Raises: ValueError for another ending; ModuleNotFoundError without pyarrow."""
    if path.suffix not in (".npz", ".parquet"):
        raise ValueError(f"{printable(path)}: write to .npz or .parquet")
    if path.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:  # not there, or not for this NumPy
            raise ModuleNotFoundError(f".parquet needs an optional package: pip install pyarrow ({error})") from error


def write_table(path: Path, names: Sequence[str], found: Enrolled) -> int:
    """Write names and embeddings of what was enrolled; how many that are."""
    there = [place for place in range(len(names)) if place not in found.failures]
    kept, embeddings = [names[place] for place in there], found.embeddings[there]
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as file:
        if path.suffix == ".npz":
            np.savez_compressed(file, names=np.array(kept, dtype=np.str_), embeddings=embeddings)
        else:
            pd.DataFrame({"name": kept, "embedding": list(embeddings)}).to_parquet(file)
    return len(kept)


@dataclass(frozen=True, eq=False)
class Compared:
    """Scores (P,) float64 of pairs and their answers `same` (P,) bool; `failed` (P,) bool, of which an image failed.

    left, right (P,) int64 say who is on the images, where that is known; `fold` (P,) int64. `failures` are sentences, one for
    an image.
    """

    label: str
    scores: np.ndarray
    same: np.ndarray
    failed: np.ndarray
    fold: np.ndarray
    left: np.ndarray | None
    right: np.ndarray | None
    failures: tuple[str, ...]


def compare_pairs(network: Network, path: Path, folder: Path | None, find: bool = False) -> Compared:
    """Pairs of a list (see `pairs.read_pairs`), whose images are below `folder`, or of an InsightFace .bin.

    Raises: ValueError naming what is wrong in the list, such as pairs of one kind only; DataMissingError for an image that is
        not there.
    """
    if path.suffix.lower() == ".bin":
        images, same = load_bin(path)
        _check_kinds(same, path)
        found = np.stack([network.prepare(image) for image in images])
        embeddings, failures = network.embed(found, f"embedding {printable(path.name)}"), {}
        places = np.arange(len(images)).reshape(-1, 2)
        fold, people = fold_numbers(min(10, len(same)), len(same)), None
    else:
        pairs = read_pairs(path)
        _check_kinds(pairs.same, path)
        folder = path.parent if folder is None else folder
        names = pairs.names
        enrolled = enrol(network, [image_at(folder, name) for name in names], find)
        embeddings, failures = enrolled.embeddings, enrolled.failures
        place = {name: i for i, name in enumerate(names)}
        places = np.array([(place[a], place[b]) for a, b in zip(pairs.left, pairs.right, strict=True)])
        same, fold, people = pairs.same, pairs.fold, people_of(pairs)
    left, right = people or (None, None)
    there = embeddings.any(axis=1)
    return Compared(
        label=printable(path.name),
        scores=pair_scores(embeddings, places[:, 0], places[:, 1]),
        same=same,
        failed=~there[places].all(axis=1),
        fold=fold,
        left=left,
        right=right,
        failures=tuple(failures.values()),
    )


def _check_kinds(same: np.ndarray, path: Path) -> None:
    if same.all() or not same.any():
        raise ValueError(f"{printable(path)}: it takes pairs of one person and of two, not {same.sum()} and {(~same).sum()}")


def compare_people(network: Network, source: Path, find: bool = False) -> tuple[Compared, Enrolled, np.ndarray]:
    """All pairs of a folder of people, or of a list of paths and labels; with it the embeddings, and who is on them (M,).

    Of many images pairs are drawn at random (see `reports.pairs_among`).
    Raises: ValueError naming a folder without pairs of either kind, and what `people_in` raises.
    """
    people = people_in(source)
    counts = np.unique(people.labels, return_counts=True)[1]
    if len(counts) < 2 or counts.max() < 2:
        raise ValueError(
            f"{printable(source)}: it takes two people, and two images of one of them; there are {len(counts)}, with "
            f"{counts.max()} image{'s' if counts.max() > 1 else ''} at most"
        )
    enrolled = enrol(network, [people.root / path for path in people.paths], find)
    left, right, _ = pairs_among(people.labels)
    there, who = enrolled.embeddings.any(axis=1), people.labels
    compared = Compared(
        label=printable(source.name),
        scores=pair_scores(enrolled.embeddings, left, right),
        same=who[left] == who[right],
        failed=~(there[left] & there[right]),
        fold=folds_of(who[left], who[right]),
        left=who[left],
        right=who[right],
        failures=tuple(enrolled.failures.values()),
    )
    return compared, enrolled, who


def mismatch(network: Network, folder: Path, find: bool) -> str | None:
    """What makes one doubt that images in a folder are cut out as those that a network was trained on were."""
    if find:
        return None
    (height, width), there = network.card.image_shape[1:], shape_of(folder)
    if there is not None and there[0] * width != there[1] * height:
        return (
            f"{printable(folder)} has faces of {there[0]} × {there[1]} pixels, which are squeezed into the network's "
            f"{height} × {width}: use `marginface align --size {height} --width {width}`, or --find-faces"
        )
    if network.card.crop == crop_of(folder):
        return None
    if network.card.crop:
        return (
            f"{printable(folder)} does not say how its faces were cut out, and the network was trained on faces as "
            "`marginface align` cuts them out: align them first, or use --find-faces"
        )
    return f"{printable(folder)} has aligned faces, and nobody knows how those were cut out that the network was trained on"
