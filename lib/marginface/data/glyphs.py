"""Glyphs: Chinese characters as identities, and typefaces as the images of a person.

Thousands of identities with tens of images each, nobody's face, under free licences, and a training in a minute. What a margin
does to many classes can be rerun by anyone; poses, light and age are not in it. A result on glyphs is labelled so wherever
it is shown.
"""

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pooch
import torch
from numpy.typing import NDArray
from torch.utils.data import TensorDataset

from marginface.data import glyph_images
from marginface.data.files import writing
from marginface.data.planted import misnamed, planted
from marginface.data.progress import Meter
from marginface.data.typefaces import Typeface, locate, typefaces
from marginface.data.types import (
    AllPairsTest,
    DataMissingError,
    FaceData,
    IdentificationTest,
    PairTest,
    TemplateTest,
    Test,
    fingerprint,
)

Ints = NDArray[np.int64]

SEED = 0
COMMON, RARE = 16, 6  # groups of typefaces that have a character which is taken first, and which is taken at all
TESTED, CHOICE, STRANGERS = 600, 300, 2000  # characters for the tests, for choosing recipes, and to be told from
SIZES = range(16, 65)
BLOCK = 500  # characters drawn and kept together
SEEN, UNSEEN = 10, 5  # images of a tested character at most, each of another group of typefaces
PAIRS, FOLDS = 6000, 10
LOOKED_FOR = 3  # of them, in identification, and in each template
AMONG = 5  # images of a tested character and of a stranger where noise is planted


@dataclass(frozen=True, eq=False)
class Glyphs:
    """Drawings (N, S, S) uint8 in the order of their characters, each one's code point (N,) and typeface (N,) int64."""

    images: NDArray[np.uint8]
    code: Ints
    face: Ints


@dataclass(frozen=True)
class Characters:
    """Code points of characters by what they are for. None is in two parts, and however many are trained, the tests are one."""

    tested: Ints
    choice: Ints
    strangers: Ints
    trained: Ints

    @classmethod
    def of(cls, ordered: Ints, count: int) -> "Characters":
        """The first ones are tested, the next chosen on, then come strangers and those to train on, `count` of them."""
        parts = np.split(ordered, np.cumsum([TESTED, CHOICE, STRANGERS, count]))
        if len(parts[3]) < count:
            raise ValueError(f"glyphs: there are {len(parts[3])} characters to train on, not {count}")
        return cls(*parts[:4])


def load(
    root: Path | None, count: int, size: int, *, choice: bool = False, overlap: bool = False, draw: bool = True
) -> FaceData:
    """Glyphs to train on, and tests on other characters, in grey images (1, size, size).

    "glyphs seen" are pairs of drawings in typefaces that are trained on, genuine ones of different groups; in "glyphs unseen"
    one of the two is in a typeface that is not, as profile is to frontal. Both also as all pairs, those of seen typefaces
    across groups. "templates" compares three seen typefaces of a character with three unseen ones, "identification" looks for
    it among characters that are neither trained on nor tested. "planted identification" and "planted names" do so among more
    images, with noise, and "planted labels" of tested characters are to be found (see `planted`).

    Arguments:
        root: the data folder, in which fonts are looked for first; None is the system's fonts alone.
        count: characters to train on.
        choice: test on other characters, set aside for choosing recipes, so that nothing is chosen on the tested ones.
        overlap: train on the tested characters, too, in place of as many others: in all their drawings that no test shows.
        draw: whether to draw what is not in the cache.
    Raises: ValueError for a size or a number of characters that there is not; DataMissingError where fonts are missing.
    """
    if size not in SIZES:
        raise ValueError(f"glyphs: size={size} is not from {SIZES[0]} to {SIZES[-1]}")
    faces = typefaces()
    store = Drawings(faces, root, size, draw)
    parts = Characters.of(store.ordered, count)
    seen, unseen = (np.flatnonzero([face.unseen == kind for face in faces]) for kind in (False, True))
    glyphs = store.read(np.concatenate([parts.tested, parts.choice, parts.strangers, parts.trained]))
    tested = parts.choice if choice else parts.tested
    trained = np.concatenate([tested, parts.trained])[:count] if overlap else parts.trained
    groups = np.unique([face.group for face in faces], return_inverse=True)[1]
    tests = _tests(glyphs, tested, parts.strangers, groups, seen, unseen)
    train = _of(glyphs, trained, seen)
    if overlap:
        train = np.setdiff1d(train, _shown(glyphs, tested, seen, groups, SEEN, np.random.default_rng(SEED)))  # as in `_tests`
    images, labels = glyphs.images[train, None], np.searchsorted(np.sort(trained), glyphs.code[train])
    known_by = fingerprint(images, labels, *_known_by(tests))  # not by what follows, of which are no other characters
    return FaceData(
        name=f"glyphs/{count}/{size}" + "/choice" * choice + "/overlap" * overlap,
        label=f"glyphs, {count:,} characters, {size} × {size} grey"
        + ", tested on characters set aside for choices" * choice
        + ", the tested ones among them" * overlap,
        num_classes=count,
        image_shape=(1, size, size),
        train=TensorDataset(torch.tensor(images), torch.tensor(labels)),
        tests=_with_noise(tests, glyphs, _shown(glyphs, parts.strangers, seen, groups, AMONG, np.random.default_rng(SEED))),
        fingerprint=known_by,
        mirrored=False,
    )


def cache_folder(size: int) -> Path:
    """Where drawings are kept."""
    return Path(pooch.os_cache("marginface")) / "glyphs" / f"{size}-{_key(typefaces(), size)}"


@cache
def _key(faces: tuple[Typeface, ...], size: int) -> str:
    """What the drawings follow from."""
    listed = [(face.sha256, face.face, face.group) for face in faces]
    return hashlib.sha256(
        json.dumps([listed, size, glyph_images.VERSION, SEED, COMMON, RARE, version("pillow"), version("fonttools")]).encode()
    ).hexdigest()[:12]


class Drawings:
    """The drawings, read from the cache; what is not there is drawn and kept."""

    def __init__(self, faces: tuple[Typeface, ...], root: Path | None, size: int, draw: bool) -> None:
        self.faces, self.root, self.size, self.draw = faces, root, size, draw
        self.folder = cache_folder(size)
        self._files: list[Path] | None = None
        path = self.folder / "characters.npz"
        if not path.exists():
            self._write(path, **_characters(faces, self.files))
        with np.load(path) as found:
            self.ordered, self.owners = found["ordered"], np.unpackbits(found["owners"], axis=1, count=len(faces)).astype(bool)

    @property
    def files(self) -> list[Path]:
        """The fonts, which nobody needs for what is in the cache."""
        if not self.draw:
            raise DataMissingError(f"glyphs of {self.size} pixels have not been drawn on this machine")
        self._files = self._files or locate(self.faces, self.root)
        return self._files

    def read(self, codes: Ints) -> Glyphs:
        """The drawings of these characters."""
        blocks = sorted({int(i) // BLOCK for i in np.flatnonzero(np.isin(self.ordered, codes))})
        missing = [block for block in blocks if not self._path(block).exists()]
        with Meter("drawing glyphs, characters", BLOCK * len(missing)) as meter:
            for block in missing:
                self._write(self._path(block), **self._drawn(block, meter))
        found = []
        for block in blocks:
            with np.load(self._path(block)) as part:
                own = np.isin(part["code"], codes)
                found.append(Glyphs(part["images"][own], part["code"][own], part["face"][own].astype(np.int64)))
        images, code, face = (np.concatenate([getattr(part, name) for part in found]) for name in ("images", "code", "face"))
        return Glyphs(images, code, face)

    def _drawn(self, block: int, meter: Meter) -> dict[str, np.ndarray]:
        part = slice(block * BLOCK, (block + 1) * BLOCK)
        codes, owners = self.ordered[part], self.owners[part]
        drawn: list[list[tuple[int, NDArray[np.uint8]]]] = [[] for _ in codes]
        for number, (path, face) in enumerate(zip(self.files, self.faces, strict=True)):
            own = np.flatnonzero(owners[:, number])
            for i, image in zip(own, glyph_images.draw(path, face.face, codes[own].tolist(), self.size), strict=True):
                if image is not None:
                    drawn[i].append((number, image))
            meter.update(len(codes) * (number + 1) // len(self.faces) - len(codes) * number // len(self.faces))
        images, face_of, code = [], [], []
        for one, drawings in zip(codes, drawn, strict=True):
            stack = np.array([image for _, image in drawings], dtype=np.uint8).reshape(-1, self.size, self.size)
            kept = glyph_images.distinct(stack)
            images.append(stack[kept])
            face_of += [drawings[i][0] for i in kept]
            code += [one] * len(kept)
        return {"images": np.concatenate(images), "code": np.array(code), "face": np.array(face_of, dtype=np.uint8)}

    def _path(self, block: int) -> Path:
        return self.folder / f"{block:03d}.npz"

    def _write(self, path: Path, **arrays: np.ndarray) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with writing(path) as file:
            np.savez(file, **arrays)


def _characters(faces: Sequence[Typeface], files: Sequence[Path]) -> dict[str, np.ndarray]:
    """The characters in their order, and which typefaces have them, as bits."""
    sets = [glyph_images.ideographs(path, face.face) for path, face in zip(files, faces, strict=True)]
    every = np.array(sorted(set().union(*sets)), dtype=np.int64)
    owners = np.stack([np.isin(every, list(own)) for own in sets], axis=1)
    order = arrange(every, owners, [face.group for face in faces])
    return {"ordered": every[order], "owners": np.packbits(owners[order], axis=1)}


def arrange(codes: Ints, owners: NDArray[np.bool_], groups: Sequence[str]) -> Ints:
    """The order (K,) of characters, as places among `codes`: common ones first, and either kind in an order like chance.

    A character's place among others does not depend on which others there are. Those that too few groups of typefaces have
    are left out.

    Arguments: codes (C,); owners (C, F), which typefaces have them; groups, of the F typefaces.
    """
    names = np.array(groups)
    count = sum(owners[:, names == group].any(axis=1).astype(np.int64) for group in sorted(set(groups)))
    drawn = np.argsort([hashlib.sha256(f"{SEED} {code:x}".encode()).hexdigest() for code in codes])
    common = count[drawn] >= COMMON
    return np.concatenate([drawn[common], drawn[~common & (count[drawn] >= RARE)]])


def _of(glyphs: Glyphs, codes: Ints, faces: Ints) -> Ints:
    """Where the drawings of these characters in these typefaces are."""
    return np.flatnonzero(np.isin(glyphs.code, codes) & np.isin(glyphs.face, faces))


def _tests(glyphs: Glyphs, tested: Ints, strangers: Ints, groups: Ints, seen: Ints, unseen: Ints) -> dict[str, Test]:
    numbers = np.random.default_rng(SEED)
    shown = [_shown(glyphs, tested, of, groups, most, numbers) for of, most in ((seen, SEEN), (unseen, UNSEEN))]
    every = _of(glyphs, strangers, seen)
    first = np.flatnonzero(np.diff(glyphs.code[every], prepend=-1))
    count = np.diff(first, append=len(every))
    distractors = every[first + numbers.integers(0, count)]
    used = np.concatenate([shown[0], shown[1], distractors])
    images = glyphs.images[used, None]
    places = [np.arange(len(shown[0])), len(shown[0]) + np.arange(len(shown[1]))]
    who = np.searchsorted(np.sort(tested), glyphs.code[used[: len(used) - len(distractors)]])
    kind = groups[glyphs.face[used]]
    both = np.concatenate(places)
    tests: dict[str, Test] = {
        "glyphs seen": _pairs(images, who, places[0], places[0], numbers),
        "glyphs unseen": _pairs(images, who, places[0], places[1], numbers),
        "glyphs seen all pairs": AllPairsTest(images, who[places[0]], kind[places[0]], places[0]),
        "glyphs unseen all pairs": AllPairsTest(images, who[both], (both >= len(places[0])).astype(np.int64), both),
    }
    some = [_first(who, place, LOOKED_FOR) for place in places]
    in_both = np.intersect1d(*(who[place] for place in some))
    template = np.concatenate([2 * who[place] + odd for odd, place in enumerate(some)])
    left, right = (side.ravel() for side in np.meshgrid(2 * in_both, 2 * in_both + 1, indexing="ij"))
    entry = np.concatenate(some)
    tests["templates"] = TemplateTest(images, entry, template, np.arange(len(entry)), left, right, left + 1 == right)
    tests["identification"] = IdentificationTest(
        images, some[0], who[some[0]], np.arange(len(used) - len(distractors), len(used))
    )
    return tests


def _with_noise(tests: dict[str, Test], glyphs: Glyphs, strangers: Ints) -> dict[str, Test]:
    """The tests with more, some with strangers as distractors. All have the same images, which are embedded once."""
    seen = tests["glyphs seen all pairs"]
    assert isinstance(seen, AllPairsTest)
    assert seen.place is not None
    images = np.concatenate([np.asarray(seen.images), glyphs.images[strangers, None]])
    some = seen.place[np.arange(len(seen.people)) - np.searchsorted(seen.people, seen.people) < AMONG]
    noisy: dict[str, Test] = {}
    noisy |= planted(images, some, seen.people[some], np.arange(len(images) - len(strangers), len(images)))
    noisy |= misnamed(images, seen.place, seen.people)
    return {name: replace(test, images=images) for name, test in tests.items()} | noisy


def _shown(glyphs: Glyphs, tested: Ints, faces: Ints, groups: Ints, most: int, numbers: np.random.Generator) -> Ints:
    """Which drawings of the tested characters are shown: each of another group of typefaces, `most` of them by chance."""
    found = _of(glyphs, tested, faces)
    found = numbers.permutation(found)
    found = found[np.unique(np.stack([glyphs.code[found], groups[glyphs.face[found]]]), axis=1, return_index=True)[1]]
    found = numbers.permutation(found)
    return _first(glyphs.code, found[np.argsort(glyphs.code[found], kind="stable")], most)


def _first(who: Ints, place: Ints, most: int) -> Ints:
    """Of places in the order of who is there the first `most` of each."""
    own = who[place]
    return place[np.arange(len(place)) - np.searchsorted(own, own) < most]


def _pairs(images: NDArray[np.uint8], who: Ints, left: Ints, right: Ints, numbers: np.random.Generator) -> PairTest:
    """A fixed list, half of it of one character, in folds that share no character."""
    lists: list[list[tuple[int, int]]] = []
    folds = np.array_split(np.unique(who), FOLDS)
    for fold in folds:
        one, other = ([place[who[place] == person] for person in fold] for place in (left, right))
        same = [(a, b) for own, others in zip(one, other, strict=True) for a, b in itertools.product(own, others) if a < b]
        apart: set[tuple[int, int]] = set()
        chosen = numbers.permutation(len(same))[: PAIRS // FOLDS // 2]
        while len(apart) < len(chosen):
            first, second = numbers.choice(len(fold), 2, replace=False)
            apart.add((int(numbers.choice(one[first])), int(numbers.choice(other[second]))))
        lists += [[same[i] for i in chosen], sorted(apart)]
    sizes = [len(pairs) for pairs in lists]
    places = np.array([pair for pairs in lists for pair in pairs], dtype=np.int64)
    same_of, fold_of = np.arange(len(lists)) % 2 == 0, np.arange(len(lists)) // 2
    return PairTest(images, places[:, 0], places[:, 1], np.repeat(same_of, sizes), np.repeat(fold_of, sizes))


def _known_by(tests: dict[str, Test]) -> list[np.ndarray]:
    """The arrays of the tests, for the fingerprint; their images once."""
    found: dict[int, np.ndarray] = {}
    for test in tests.values():
        found |= {id(array): array for array in vars(test).values() if array is not None}
    return list(found.values())
