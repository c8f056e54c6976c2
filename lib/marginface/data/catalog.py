"""Image data sets by name, in memory."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import torch
from torch.utils.data import TensorDataset

from marginface.data.files import DATA_ROOT, data_root
from marginface.data.types import DataMissingError, FaceData, ImageData, PairTest

CLASSIFICATION: dict[str, tuple[int, int, int]] = {"mnist": (1, 28, 28), "digits": (1, 8, 8)}  # ten classes each
SYNTHETIC = re.compile(r"synthetic/([1-9]\d{0,8})x([1-9]\d{0,8})/([1-9]\d{0,8})", re.ASCII)
MOST_SEEN = re.compile(r"lfw/([2-9]|[1-9]\d{1,8})/([1-9]\d{0,8})", re.ASCII)
GLYPHS = re.compile(r"glyphs/([1-9]\d{0,8})/([1-9]\d{0,8})(/choice|/overlap)?", re.ASCII)
HALF_SPLIT = re.compile(r"lfw\+cfp/(first|second)/([1-9]\d{0,8})(/choice|/overlap|/lfw|/cfp)?", re.ASCII)

SPOILED = re.compile(rf"({GLYPHS.pattern}|{HALF_SPLIT.pattern})/((?:wrong|each|tail)[1-9]\d?)", re.ASCII)


def is_known(name: str) -> bool:
    """Whether a name means a data set that `load` knows how to make or fetch, at hand or not: no folder of one's own."""
    whole, _ = unspoiled(name)
    return name in CLASSIFICATION or any(pattern.fullmatch(whole) for pattern in (SYNTHETIC, MOST_SEEN, HALF_SPLIT, GLYPHS))


def unspoiled(name: str) -> tuple[str, str]:
    """The data set that one with a spoiled training set is made of, and how, such as "wrong10"; of another itself and ""."""
    match = SPOILED.fullmatch(name)
    return (match[1], match[match.lastindex or 0]) if match else (name, "")


def other_half(name: str) -> str:
    """The half split whose people are tested in the one of that name, and the reverse; of other data the name itself."""
    whole, how = unspoiled(name)
    if not (match := HALF_SPLIT.fullmatch(whole)):
        return name
    return f"lfw+cfp/{'second' if match[1] == 'first' else 'first'}/{match[2]}{match[3] or ''}" + f"/{how}" * bool(how)


def load(name: str, root: str | Path | None = None, *, fetch: bool = True) -> ImageData | FaceData:
    """A data set by name.

    Arguments:
        name: "mnist"; "digits": scikit-learn's bundled 8×8 digits; "lfw+cfp/first/64" or "lfw+cfp/second/64": one half of the
            people of LFW and CFP, in grey crops of 64 pixels (see `faces.half_split`), and with "/choice" tested on people of
            that half, who are then not trained on, or with "/overlap" also trained on other images of those who are looked for,
            or with "/lfw" or "/cfp" trained on the images of that set alone;
            "lfw/8/48": the 8 people of LFW with most images, in grey crops of 48 pixels (see `faces.load_most_seen`);
            "synthetic/100x20/64": 100 procedural identities with 20 grey images each (see `data.synthetic`); "glyphs/1000/32":
            1,000 Chinese characters in grey images of 32 pixels, one a typeface (see `data.glyphs`), and with "/choice" tested
            on characters set aside, with "/overlap" also trained on other drawings of the tested ones; glyphs and halves
            also with "/wrong10", "/each5" or "/tail20": with a spoiled training set (see `spoiled.spoil`); or the name of a
            folder of faces (see `insightface.load`).
        root: the data folder; None means MARGINFACE_DATA, then the cache of earlier downloads.
        fetch: whether it may be downloaded, or drawn, when it is not at hand.
    Raises:
        ValueError for an unknown name or a damaged file, and its subclass DataMissingError where the data is not at hand and
        cannot be fetched.
    """
    whole, how = unspoiled(name)
    if how:
        from marginface.data import spoiled

        sound = load(whole, root, fetch=fetch)
        assert isinstance(sound, FaceData)
        return spoiled.spoil(sound, how)
    place = data_root(root)
    if name == "mnist":
        from marginface.data import mnist

        return mnist.load(place, fetch=fetch)
    if name == "digits":
        from marginface.data import digits

        return digits.load()
    if match := SYNTHETIC.fullmatch(name):
        from marginface.data import synthetic

        return synthetic.load(int(match[1]), int(match[2]), int(match[3]))
    if match := GLYPHS.fullmatch(name):
        from marginface.data import glyphs

        return glyphs.load(place, int(match[1]), int(match[2]), **variant(match[3]), draw=fetch)
    if place is None:
        raise DataMissingError(f"{name} is read from a data folder: set data_root or {DATA_ROOT} to it")
    from marginface.data import faces, insightface

    if match := HALF_SPLIT.fullmatch(name):
        return faces.load_half_split(place, match[1], int(match[2]), **variant(match[3]))
    if match := MOST_SEEN.fullmatch(name):
        return faces.load_most_seen(place, int(match[1]), int(match[2]))
    return insightface.load(place, name)


def variant(suffix: str | None) -> dict[str, Any]:
    """What the end of a name asks for, as an argument."""
    what = (suffix or "")[1:]
    return {"only": what} if what in ("lfw", "cfp") else {what: True} if what else {}


def folders(name: str, root: str | Path | None = None) -> tuple[Path, ...] | None:
    """The folders that a data set is read from, there or not; None where it is not known which."""
    name, _ = unspoiled(name)
    place = data_root(root)
    if name == "mnist":
        kept = Path(pooch.os_cache("marginface")) / "mnist"
        return (kept,) if place is None else (place / "mnist", kept)
    if HALF_SPLIT.fullmatch(name) or MOST_SEEN.fullmatch(name):
        return () if place is None else (place / "lfw", place / "cfp", place / "protocols")
    if GLYPHS.fullmatch(name):
        return (Path(pooch.os_cache("marginface")) / "glyphs",)
    return None


def rehearsal_data(name: str) -> ImageData | FaceData:
    """Small random images of the kind and shape of a data set, the same ones every time: what can be had without having it."""
    name, _ = unspoiled(name)
    numbers = np.random.default_rng(0)
    shape = CLASSIFICATION.get(name, (3, 112, 112))
    half, synthetic, most_seen, glyphs = (p.fullmatch(name) for p in (HALF_SPLIT, SYNTHETIC, MOST_SEEN, GLYPHS))
    if side := next((found[at] for found, at in ((half, 2), (glyphs, 2), (synthetic, 3), (most_seen, 2)) if found), None):
        shape = (1, int(side), int(side))
    images = numbers.integers(0, 256, (64, *shape), dtype=np.uint8)
    classes = 10 if name in CLASSIFICATION else min(int(most_seen[1]), 20) if most_seen else 0
    if classes:
        labels = np.arange(64) % classes
        return ImageData(name, "rehearsal", classes, images[:44], labels[:44], images[44:], labels[44:])
    train = TensorDataset(torch.tensor(images[:44]), torch.arange(44) % 11)
    left, right = np.arange(10), np.arange(10, 20)
    pairs = PairTest(images[44:], left, right, left % 2 == 0, left // 2)
    return FaceData(name, "rehearsal", 11, shape, train, {"pairs": pairs}, "", mirrored=glyphs is None)
