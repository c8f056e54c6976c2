"""Image data sets by name, in memory, with the fingerprint by which a recorded run knows its data again."""

import hashlib
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

DATA_ROOT = "MARGINFACE_DATA"  # the environment variable that names the folder with mnist/, lfw/, …

CLASSIFICATION: dict[str, tuple[int, int, int]] = {"mnist": (1, 28, 28), "digits": (1, 8, 8)}  # ten classes each
SYNTHETIC = re.compile(r"synthetic/([1-9]\d*)x([1-9]\d*)/([1-9]\d*)")
MOST_SEEN = re.compile(r"lfw/([2-9]|[1-9]\d+)/([1-9]\d*)")
HALF_SPLIT = re.compile(r"lfw\+cfp/(first|second)/([1-9]\d*)")


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images and labels for training and testing.

    `label` is what a page writes beside a result on this data. Images are uint8 (N, C, H, W), labels int64 (N,).
    """

    name: str
    label: str
    num_classes: int
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def image_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.train_images, self.train_labels, self.test_images, self.test_labels)

    @property
    def train(self) -> "Dataset[Any]":
        return TensorDataset(*self.tensors("train"))

    def tensors(self, split: str) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) uint8 and labels (N,) int64 of "train" or "test"."""
        return torch.tensor(getattr(self, f"{split}_images")), torch.tensor(getattr(self, f"{split}_labels"))


class Images(Protocol):
    """Images (M, C, H, W) uint8, in an array or read when a slice of them is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class PairTest:
    """A verification protocol with its images (M, C, H, W) uint8: each of P pairs names two of them by position.

    `left` and `right` are (P,) int64, `same` (P,) bool, `fold` (P,) int64.
    """

    images: np.ndarray
    left: np.ndarray
    right: np.ndarray
    same: np.ndarray
    fold: np.ndarray


@dataclass(frozen=True, eq=False)
class TemplateTest:
    """A protocol that compares templates, as IJB-B's and IJB-C's: several images of a person as one.

    `images` (M, C, H, W) uint8; `place` (N,) int64 says which of them each of the N entries is, `template` and `medium` (N,)
    int64 what it belongs to; each of P pairs names two templates, `left` and `right` (P,) int64, `same` (P,) bool. With
    `quality` (N,), such as the detector's score, an image counts by it and by its embedding's length, without it all alike.
    """

    images: Images
    place: np.ndarray
    template: np.ndarray
    medium: np.ndarray
    left: np.ndarray
    right: np.ndarray
    same: np.ndarray
    quality: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class IdentificationTest:
    """A protocol like MegaFace's: every image of a person is looked for among strangers by each other image of the person.

    `images` (M, C, H, W) uint8; `probes` (K,) int64 says which of them are looked for, `people` (K,) int64 who is on them;
    `distractors` (D,) int64 are the strangers. `noise` (M,) bool, where there is a list of them, says which images are known
    to be wrong: the test is then measured with and without these.
    """

    images: Images
    probes: np.ndarray
    people: np.ndarray
    distractors: np.ndarray
    noise: np.ndarray | None = None


Test = PairTest | TemplateTest | IdentificationTest


@dataclass(frozen=True, eq=False)
class FaceData:
    """Faces to train on, and protocols by name, on people who are not among them.

    `train` gives (image (C, H, W) uint8, label int) by index; `image_shape` is (C, H, W).
    """

    name: str
    label: str
    num_classes: int
    image_shape: tuple[int, int, int]
    train: "Dataset[Any]"
    tests: dict[str, Test]
    fingerprint: str


def fingerprint(*arrays: np.ndarray) -> str:
    """sha256 over the types, shapes and values of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def data_root(root: str | Path | None = None) -> Path | None:
    """The data folder: the argument, else what MARGINFACE_DATA names, else None.

    Raises: ValueError if the folder so named does not exist.
    """
    named = root or os.environ.get(DATA_ROOT)
    if not named:
        return None
    path = Path(named).expanduser()
    if not path.is_dir():
        raise ValueError(f"data root {str(path)!r} ({'data_root' if root else DATA_ROOT}) is not a folder")
    return path


def load(name: str, root: str | Path | None = None, *, fetch: bool = True) -> ImageData | FaceData:
    """A data set by name.

    Arguments:
        name: "mnist"; "digits": scikit-learn's bundled 8×8 digits; "lfw+cfp/first/64" or "lfw+cfp/second/64": one half of
            the people of LFW and CFP, in grey crops of 64 pixels (see `faces.half_split`); "lfw/8/48": the 8 people of
            LFW with most images, in grey crops of 48 pixels (see `faces.load_most_seen`); "synthetic/100x20/64": 100
            procedural identities with 20 grey images each (see `data.synthetic`); or the name of a folder of faces (see
            `insightface.load`).
        root: the data folder; None means MARGINFACE_DATA, then the cache of earlier downloads.
        fetch: whether it may be downloaded when it is not at hand.
    Raises:
        ValueError for an unknown name or a damaged file, and its subclass DataMissingError where the data is not at hand and
        cannot be fetched.
    """
    from marginface.data import digits, faces, insightface, mnist, synthetic

    place = data_root(root)
    if name == "mnist":
        return mnist.load(place, fetch=fetch)
    if name == "digits":
        return digits.load()
    if match := SYNTHETIC.fullmatch(name):
        return synthetic.load(int(match[1]), int(match[2]), int(match[3]))
    if place is None:
        raise DataMissingError(f"{name} is read from a data folder: set data_root or {DATA_ROOT} to it")
    if match := HALF_SPLIT.fullmatch(name):
        return faces.load_half_split(place, match[1], int(match[2]))
    if match := MOST_SEEN.fullmatch(name):
        return faces.load_most_seen(place, int(match[1]), int(match[2]))
    return insightface.load(place, name)


def rehearsal_data(name: str) -> ImageData | FaceData:
    """Small random images of the kind and shape of a data set, the same ones every time: what can be had without having it."""
    numbers = np.random.default_rng(0)
    shape = CLASSIFICATION.get(name, (3, 112, 112))
    half, synthetic, most_seen = (pattern.fullmatch(name) for pattern in (HALF_SPLIT, SYNTHETIC, MOST_SEEN))
    if side := half[2] if half else synthetic[3] if synthetic else most_seen[2] if most_seen else None:
        shape = (1, int(side), int(side))
    images = numbers.integers(0, 256, (64, *shape), dtype=np.uint8)
    classes = 10 if name in CLASSIFICATION else min(int(most_seen[1]), 20) if most_seen else 0
    if classes:
        labels = np.arange(64) % classes
        return ImageData(name, "rehearsal", classes, images[:44], labels[:44], images[44:], labels[44:])
    train = TensorDataset(torch.tensor(images[:44]), torch.arange(44) % 11)
    left, right = np.arange(10), np.arange(10, 20)
    pairs = PairTest(images[44:], left, right, left % 2 == 0, left // 2)
    return FaceData(name, "rehearsal", 11, shape, train, {"pairs": pairs}, "")


class DataMissingError(ValueError):
    """A data set is neither on this machine nor to be had over the network."""
