"""Face images at hand, aligned once and kept: LFW and CFP, and the identity-disjoint half split of both.

The papers train and test on different sets. Where only LFW and CFP are at hand, each is cut in half by the folds of its own
protocol, in which no person is in two folds: a network learns the people of one half and is tested on the other's pairs.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pooch
import torch
from torch.utils.data import TensorDataset

from marginface.data import align
from marginface.data.files import printable, read_lines, writing
from marginface.data.images import read_image
from marginface.data.pairs import Pairs, cfp_pairs, lfw_pairs, lfw_people
from marginface.data.planted import misnamed, planted
from marginface.data.progress import track
from marginface.data.types import (
    AllPairsTest,
    DataMissingError,
    FaceData,
    IdentificationTest,
    ImageData,
    PairTest,
    TemplateTest,
    Test,
    fingerprint,
)

HALVES = {"first": range(5), "second": range(5, 10)}
MOST_IMAGES = 10  # of a person in templates and among probes: one has 530, and would decide the result


@dataclass(frozen=True, eq=False)
class Faces:
    """Aligned images (N, C, S, S) uint8 and their names (N,)."""

    images: np.ndarray
    names: tuple[str, ...]

    def find(self, names: tuple[str, ...]) -> np.ndarray:
        """The positions (K,) int64 of images by name. Raises: DataMissingError naming the first that is not there."""
        places = {name: place for place, name in enumerate(self.names)}
        for name in names:
            if name not in places:
                raise DataMissingError(f"{name}: a protocol names it, but it is not among the {len(self.names)} images")
        return np.array([places[name] for name in names], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Split:
    """Who is trained on and what is tested: names of images with "lfw/" or "cfp/" before them.

    `people` gives a person's training images; someone who is in both sets is one person. `tests` are the protocols' pairs,
    `probes` the first images, ten at most, of LFW's people of the other half who have two or more, and `distractors` LFW's
    people with a single image who are not trained on. `strangers` are CFP's images of people of the other half whom LFW does
    not know. `dropped` says how many people were left out because the other set tests on them.
    """

    people: dict[str, tuple[str, ...]]
    tests: dict[str, Pairs]
    probes: dict[str, tuple[str, ...]]
    distractors: tuple[str, ...]
    dropped: dict[str, int]
    strangers: tuple[str, ...] = ()


def half_split(root: Path, half: str = "first", *, choice: bool = False, overlap: bool = False, only: str = "") -> Split:
    """Train on LFW people (with two images or more) and CFP people of five folds, test on the pairs of the other five.

    Arguments:
        root: the folder with lfw/, cfp/ and protocols/.
        half: which folds to train on, "first" (1 to 5) or "second" (6 to 10).
        choice: train on the first four of them and test on the last, so that nothing is chosen on the tested people.
        overlap: train on those who are looked for, too, in images that no test shows: ten more of those
            of LFW who have so many.
        only: train on the images of one set alone, "lfw" or "cfp"; the tests are the same.
    Raises: ValueError for another half; DataMissingError naming a file that is not there.
    """
    if half not in HALVES:
        raise ValueError(f"half={half!r} must be one of {', '.join(HALVES)}")
    protocols = root / "protocols"
    people = lfw_people(protocols / "lfw_people.txt")
    folds = tuple(HALVES[half])
    train_folds, test_folds = (folds[:-1], folds[-1:]) if choice else (folds, tuple(set(range(10)) - set(folds)))
    tests = {
        "LFW": _prefixed(lfw_pairs(protocols / "lfw_pairs.txt"), "lfw/"),
        "CFP-FF": _prefixed(cfp_pairs(root / "cfp" / "Protocol", "FF"), "cfp/"),
        "CFP-FP": _prefixed(cfp_pairs(root / "cfp" / "Protocol", "FP"), "cfp/"),
    }
    in_pairs = {*tests["LFW"].left, *tests["LFW"].right}
    cfp_folds = {name.split("/")[1]: fold for name, fold in _folds(tests["CFP-FF"])}
    in_both = dict(line.split("\t") for line in read_lines(protocols / "cfp_lfw_name_overlap.tsv"))  # CFP's name -> LFW's
    cfp_names = {f"{number:03d}": name for number, name in enumerate(read_lines(root / "cfp" / "Data" / "list_name.txt"), 1)}
    lfw_name = {person: in_both[name] for person, name in cfp_names.items() if name in in_both}

    trained: dict[str, tuple[str, ...]] = {}
    probes: dict[str, tuple[str, ...]] = {}
    dropped = {"LFW": 0, "CFP": 0}
    tested_in_cfp = {lfw_name[person] for person in lfw_name if cfp_folds[person] not in train_folds}
    for name, (fold, count) in people.items():
        if count < 2:
            continue
        if fold in test_folds:
            probes[name] = _lfw_images(name, min(count, MOST_IMAGES))
            more = tuple(image for image in _lfw_images(name, count)[MOST_IMAGES:] if image not in in_pairs)
            if overlap and more:
                trained[name] = more[:MOST_IMAGES]
        elif fold in train_folds and name in tested_in_cfp:
            dropped["LFW"] += 1
        elif fold in train_folds:
            trained[name] = _lfw_images(name, count)
    for person, fold in sorted(cfp_folds.items()):
        if fold in train_folds:
            known = lfw_name.get(person)
            if known in people and people[known][0] not in train_folds:
                dropped["CFP"] += 1
            else:
                key = known or f"cfp/{person}"
                trained[key] = trained.get(key, ()) + _cfp_images(person)
    own = {name: tuple(image for image in images if image.startswith(only)) for name, images in trained.items()}
    return Split(
        people={name: images for name, images in sorted(own.items()) if images},
        tests={name: pairs.select(np.isin(pairs.fold, test_folds)) for name, pairs in tests.items()},
        probes=probes,
        distractors=tuple(
            image for name, (_, count) in people.items() if count == 1 and name not in trained for image in _lfw_images(name, 1)
        ),
        dropped=dropped,
        strangers=tuple(
            image
            for person, fold in sorted(cfp_folds.items())
            if fold not in train_folds and lfw_name.get(person) not in people
            for image in _cfp_images(person)
        ),
    )


def load_half_split(
    root: Path, half: str, size: int, *, choice: bool = False, overlap: bool = False, only: str = ""
) -> FaceData:
    """The half split as training data and tests, in grey crops of `size` pixels: (1, size, size).

    Beside the three sets of pairs, "templates" compares the images of each person of `Split.probes` with odd numbers with
    everybody's images with even numbers, and "identification" looks for them among the distractors; "planted identification"
    and "planted names" among CFP's strangers, too, with noise (see `planted`). "planted labels" are wrong
    names of CFP's people. "LFW all pairs", "CFP-FF all pairs" and
    "CFP-FP all pairs" compare every two images of the same people and of CFP's: frontal ones, and frontal ones with profiles.
    For a choice there are these alone, since a threshold for pairs comes from other folds.
    """
    split = half_split(root, half, choice=choice, overlap=overlap, only=only)
    sets = {"lfw/": lfw(root, size), "cfp/": cfp(root, size)}
    names = tuple(prefix + name for prefix, faces in sets.items() for name in faces.names)
    every = Faces(np.concatenate([faces.images for faces in sets.values()]), names)
    images = every.images[every.find(tuple(name for names in split.people.values() for name in names))]
    labels = np.repeat(np.arange(len(split.people)), [len(names) for names in split.people.values()])
    looked_for = tuple(name for names in split.probes.values() for name in names)
    everybody = _everybody(split)
    needed = [name for pairs in split.tests.values() for name in pairs.names] + [*looked_for, *split.distractors]
    needed += [name for names in everybody.values() for name in names] + [*split.strangers]
    used = tuple(dict.fromkeys(needed))
    tested = Faces(every.images[every.find(used)], used)  # one array for all tests, so that each image is embedded once
    tests: dict[str, Test] = {}
    known_by: list[np.ndarray] = [images, labels]  # not by templates, distractors and all pairs, of which are the same images
    for name, pairs in split.tests.items() if not choice else ():
        tests[name] = PairTest(tested.images, tested.find(pairs.left), tested.find(pairs.right), pairs.same, pairs.fold)
        own = Faces(every.images[every.find(pairs.names)], pairs.names)
        known_by += [own.images, own.find(pairs.left), own.find(pairs.right), pairs.same, pairs.fold]
    if split.probes and not choice:
        tests["templates"] = _template_test(tested, split.probes)
        who = np.repeat(np.arange(len(split.probes)), [len(names) for names in split.probes.values()])
        tests["identification"] = IdentificationTest(
            tested.images, tested.find(looked_for), who, tested.find(split.distractors)
        )
        unknown = tested.find((*split.distractors, *split.strangers))
        tests |= planted(tested.images, tested.find(looked_for), who, unknown)
    for name, names in everybody.items():
        tests[f"{name} all pairs"] = _all_pairs_test(tested, names, across=name == "CFP-FP")
    if "CFP-FP" in everybody and not choice:
        everyone = np.unique([name.split("/")[1] for name in everybody["CFP-FP"]], return_inverse=True)[1]
        tests |= misnamed(tested.images, tested.find(everybody["CFP-FP"]), everyone)
    return FaceData(
        name=f"lfw+cfp/{half}/{size}" + "/choice" * choice + "/overlap" * overlap + f"/{only}" * bool(only),
        label=f"LFW and CFP, {half} half, {size} × {size} grey"
        + ", tested on people set aside for choices" * choice
        + ", and people who are looked for" * overlap
        + f", {only.upper()}'s images alone" * bool(only),
        num_classes=len(split.people),
        image_shape=(1, size, size),
        train=TensorDataset(torch.tensor(images), torch.tensor(labels)),
        tests=tests,
        fingerprint=fingerprint(*known_by),
    )


def _template_test(tested: Faces, people: dict[str, tuple[str, ...]]) -> TemplateTest:
    """Two templates a person, even template numbers of the first, third, … image; every even one against every odd one."""
    place = tested.find(tuple(name for names in people.values() for name in names))
    template = np.array([2 * who + i % 2 for who, names in enumerate(people.values()) for i in range(len(names))])
    left, right = (half.ravel() for half in np.mgrid[: len(people), : len(people)])
    return TemplateTest(tested.images, place, template, np.arange(len(place)), 2 * left, 2 * right + 1, left == right)


def _everybody(split: Split) -> dict[str, tuple[str, ...]]:
    """The images of which all pairs are tested: of LFW the probes, of CFP everybody in the test's folds."""
    found = {"LFW": tuple(name for names in split.probes.values() for name in names)}
    for test, kinds in {"CFP-FF": ("frontal",), "CFP-FP": ("frontal", "profile")}.items():
        people = sorted({name.split("/")[1] for name in split.tests[test].names})
        found[test] = tuple(name for person in people for name in _cfp_images(person) if name.split("/")[2] in kinds)
    return {test: names for test, names in found.items() if names}


def _all_pairs_test(tested: Faces, names: tuple[str, ...], across: bool) -> AllPairsTest:
    """`across` poses, frontal images with profiles, or all alike."""
    people = np.unique([name.split("/")[1] for name in names], return_inverse=True)[1]
    profile = np.array(["/profile/" in name for name in names], dtype=np.int64)
    return AllPairsTest(tested.images, people, profile if across else None, tested.find(names))


def load_most_seen(root: Path, count: int, size: int) -> ImageData:
    """The `count` people of LFW with most images, in the order of how many, in grey crops of `size` pixels: a toy example.

    All have as many images as the last of them has; those with odd numbers are to train on, with even numbers to test on.
    """
    people = lfw_people(root / "protocols" / "lfw_people.txt")
    most = sorted(people, key=lambda name: (-people[name][1], name))[:count]
    each = people[most[-1]][1]
    faces = lfw(root, size)
    splits = []
    for first in (0, 1):
        names = [image for name in most for image in _lfw_images(name, each, prefix="")[first::2]]
        splits += [faces.images[faces.find(tuple(names))], np.repeat(np.arange(count), len(names) // count)]
    label = f"the {count} people of LFW with most images, {each} of each, {size} × {size} grey"
    return ImageData(f"lfw/{count}/{size}", label, count, *splits)


def lfw(root: Path, size: int = align.TEMPLATE_SIZE, grey: bool = True) -> Faces:
    """Every image of LFW-a, aligned. Raises: DataMissingError where the folder is not there."""
    people = lfw_people(root / "protocols" / "lfw_people.txt")
    names = [image for name, (_, count) in people.items() for image in _lfw_images(name, count, prefix="")]
    return _aligned("lfw", root / "lfw", names, lambda name: align.LFW_A, size, grey)


def cfp(root: Path, size: int = align.TEMPLATE_SIZE, grey: bool = True) -> Faces:
    """Every image of CFP, aligned by its fiducials. Raises: DataMissingError where the folder is not there."""
    data = root / "cfp" / "Data"

    def landmarks(name: str) -> np.ndarray:
        path = (data / "Fiducials" / name).with_suffix(".txt")
        try:
            points = np.array([[float(value) for value in line.split(",")] for line in read_lines(path)])
            return align.cfp_landmarks(points, frontal="/frontal/" in name)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{printable(path)}: {error}") from error

    names = [name for person in range(1, 501) for name in _cfp_images(f"{person:03d}", prefix="")]
    return _aligned("cfp", data / "Images", names, landmarks, size, grey)


def _aligned(what: str, folder: Path, names: list[str], landmarks: Callable[[str], np.ndarray], size: int, grey: bool) -> Faces:
    """Every image, aligned; read from the cache where the same files were aligned by the same landmarks before.

    Files are the same by their sizes and when they were changed, as to read them takes as long as to align them.
    """
    if not folder.is_dir():
        raise DataMissingError(f"{printable(folder)}: there is no such folder")
    digest = hashlib.sha256(repr((align.TEMPLATE.tolist(), size, grey)).encode())
    for name in track(names, f"looking at {what}"):
        path = folder / name
        if not path.is_file():
            raise DataMissingError(f"{printable(path)}: there is no such file")
        found, points = path.stat(), np.asarray(landmarks(name), np.float64)
        digest.update(f"{name} {found.st_size} {found.st_mtime_ns} ".encode() + points.tobytes())
    name = f"{what}-{size}-{'grey' if grey else 'rgb'}-{digest.hexdigest()[:12]}.npy"
    cached = Path(pooch.os_cache("marginface")) / "faces" / name
    if cached.exists():
        return Faces(np.load(cached, mmap_mode="r"), tuple(names))

    def one(name: str) -> np.ndarray:
        return align.align(read_image(folder / name), landmarks(name), size, grey)

    with ThreadPoolExecutor() as pool:  # OpenCV lets go of the interpreter's lock
        images = np.stack(list(track(pool.map(one, names), f"aligning {what}", len(names))))
    cached.parent.mkdir(parents=True, exist_ok=True)
    with writing(cached) as file:
        np.save(file, images)
    return Faces(images, tuple(names))


def _prefixed(pairs: Pairs, prefix: str) -> Pairs:
    left, right = (tuple(prefix + name for name in names) for names in (pairs.left, pairs.right))
    return Pairs(left, right, pairs.same, pairs.fold)


def _folds(pairs: Pairs) -> list[tuple[str, int]]:
    return [(name, int(fold)) for names in (pairs.left, pairs.right) for name, fold in zip(names, pairs.fold, strict=True)]


def _lfw_images(name: str, count: int, prefix: str = "lfw/") -> tuple[str, ...]:
    return tuple(f"{prefix}{name}/{name}_{number:04d}.jpg" for number in range(1, count + 1))


def _cfp_images(person: str, prefix: str = "cfp/") -> tuple[str, ...]:
    numbers = {"frontal": 10, "profile": 4}
    return tuple(f"{prefix}{person}/{kind}/{n:02d}.jpg" for kind, count in numbers.items() for n in range(1, count + 1))
