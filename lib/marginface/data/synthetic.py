"""Procedurally generated identities: any number of schematic faces, each image computed from its address.

An image is a function of (seed, identity, number) and of nothing else, so that any process may generate any image, in any
order and in any batch. Every random number is a hash of that address; there is no generator whose state could differ.

A result on these images tests a pipeline. It says nothing about faces and is never set beside a printed accuracy.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from marginface.data.drawing import TRAITS, draw
from marginface.data.planted import misnamed, planted
from marginface.data.types import FaceData, IdentificationTest, ImageData, PairTest, TemplateTest, Test, fingerprint

DRIFT_PERIOD = 50  # image numbers
TESTED = 100  # identities in templates and identification
CHUNK = {"cpu": 8, "cuda": 512}  # images drawn at once: few stay in a core's cache, many keep a GPU busy

# what is hashed below a person's address, and below that of one of their images
TRAIT, WALK, SKIN, MOLES, IMAGE = range(5)
VIEW, CHANCE, BACKGROUND, STATIC = range(4)


@dataclass(frozen=True)
class Synthetic:
    """Schematic faces, as many of each identity as one asks for.

    Images of an identity differ by nuisance. 0 switches a kind off, more makes it harder:

        pose: standard deviation of the head's turn to the side, in radians; nodding, tilt, place, size and expression go
            with it.
        light: how far the lamp moves from the front and how much its strength varies; at 1 half of a face may be dark.
        noise: standard deviation of what is added to each value, on a scale on which black is 0 and white is 1.
        occlusion: the share of images with something in front of the face, 0 to 1.
        drift: how far identities change as their images are numbered on, compared with what tells them apart. Images with
            close numbers are as if taken in one year, those `DRIFT_PERIOD` apart have drifted by most of it, and from twice
            that on by all: pairs with an age gap are pairs of distant numbers.

    Background and clothes differ from image to image whatever the nuisance is.
    Raises: ValueError naming the field that makes no sense.
    """

    identities: int
    size: int = 112
    channels: int = 3
    pose: float = 0.3
    light: float = 0.5
    noise: float = 0.04
    occlusion: float = 0.2
    drift: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        valid = {
            "identities": self.identities >= 1,
            "size": self.size >= 16,
            "channels": self.channels in (1, 3),
            "pose": 0 <= self.pose <= 1,
            "light": 0 <= self.light <= 1,
            "noise": 0 <= self.noise <= 1,
            "occlusion": 0 <= self.occlusion <= 1,
            "drift": 0 <= self.drift < math.inf,
            "seed": -(2**63) <= self.seed < 2**63,
        }
        for field, ok in valid.items():
            if not ok:
                raise ValueError(f"Synthetic: {field}={getattr(self, field)!r} is out of range")

    def images(self, identity: Tensor, number: Tensor) -> Tensor:
        """The images at these addresses.

        Arguments: identity (N,) int64, each in 0 … identities - 1; number (N,) int64, from 0 on; both on one device.
        Returns: (N, channels, size, size) uint8 on that device, RGB or grey. The same on every machine but for rounding:
            another device or version of PyTorch may give a value that is off by one.
        Raises: ValueError for addresses that are no such integers.
        """
        for name, values in (("identity", identity), ("number", number)):
            if values.dtype != torch.int64 or values.ndim != 1:
                raise ValueError(f"{name} must be int64 of shape (N,), not {values.dtype} {tuple(values.shape)}")
            if len(values) and int(values.min()) < 0:
                raise ValueError(f"{name} must not be negative, and {int(values.min())} is")
        if len(identity) != len(number):
            raise ValueError(f"identity and number must be equally many, not {len(identity)} and {len(number)}")
        if len(identity) and int(identity.max()) >= self.identities:
            raise ValueError(f"identity {int(identity.max())} is not among {self.identities}")
        if not len(identity):
            return torch.empty(0, self.channels, self.size, self.size, dtype=torch.uint8, device=identity.device)
        chunk = CHUNK.get(identity.device.type, 64)
        return torch.cat([self._images(*part) for part in zip(identity.split(chunk), number.split(chunk), strict=True)])

    def _images(self, identity: Tensor, number: Tensor) -> Tensor:
        person = _address(torch.full_like(identity, self.seed), identity)
        image = _address(_address(person, IMAGE), number)
        pixels = draw(
            self._traits(person, number),
            self._view(image),
            _skin(_address(person, SKIN)),
            _moles(_address(person, MOLES)),
            _background(_address(image, BACKGROUND), self.size),
            grey=self.channels == 1,
        )
        if self.noise:
            pixels += self.noise * _static(_address(image, STATIC), pixels.shape[1:])
        return pixels.clamp_(0, 1).mul_(255).round_().to(torch.uint8)

    def _traits(self, person: Tensor, number: Tensor) -> dict[str, Tensor]:
        """What people look like at the time of each image: values of their own and a smooth walk around them."""
        values = _normals(_address(person, TRAIT), len(TRAITS))
        if self.drift:
            year, part = number // DRIFT_PERIOD, (number % DRIFT_PERIOD / DRIFT_PERIOD)[:, None]
            part = part * part * (3 - 2 * part)
            walk = _address(person, WALK)
            before, after = _normals(_address(walk, year), len(TRAITS)), _normals(_address(walk, year + 1), len(TRAITS))
            step = ((1 - part) * before + part * after) / ((1 - part) ** 2 + part**2).sqrt()
            values = (values + self.drift * step) / math.sqrt(1 + self.drift**2)
        values = values.clamp(-2.2, 2.2)[:, :, None, None]
        return {name: mean + spread * values[:, i] for i, (name, (mean, spread)) in enumerate(TRAITS.items())}

    def _view(self, image: Tensor) -> dict[str, Tensor]:
        """How the face is seen in each image."""
        pose, light = self.pose, self.light
        n = _normals(_address(image, VIEW), 15).clamp(-2.5, 2.5)[:, :, None, None].unbind(dim=1)
        u = _uniforms(_address(image, CHANCE), 12)[:, :, None, None].unbind(dim=1)
        return {
            "yaw": pose * n[0],
            "pitch": 0.4 * pose * n[1],
            "roll": 0.25 * pose * n[2],
            "dx": 0.12 * pose * n[3],
            "dy": 0.12 * pose * n[4],
            "scale": 1.1 * (0.15 * pose * n[5]).exp(),
            "blink": (1 - 0.6 * pose * n[6].abs()).clamp_min(0.4),
            "gaze": 0.06 * pose * n[7],
            "smile": 0.10 * pose * n[8],
            "wide": 1 + 0.25 * pose * n[9],
            "open": (0.08 * pose * n[10]).clamp(0, 0.07),
            "brows": 0.05 * pose * n[11],
            "light_x": 1.2 * light * n[12],
            "light_y": 0.6 * light * n[13] - 0.25,
            "ambient": torch.full_like(n[0], 1 - 0.8 * light),
            "gain": (0.3 * light * n[14]).exp().clamp_max(1.25),
            "clothes": 0.1 + 0.8 * torch.stack(u[0:3], dim=1),
            "occluder": torch.stack(u[3:6], dim=1),
            "hide": (u[6] < self.occlusion).float(),
            "hide_x": u[7] - 0.5,
            "hide_y": u[8] - 0.5,
            "hide_angle": math.pi * u[9],
            "hide_width": 0.15 + 0.3 * u[10],
            "hide_height": 0.15 + 0.3 * u[11],
        }


class SyntheticImages(Dataset[tuple[Tensor, int]]):
    """`each` images of every identity, drawn when they are asked for: image i is number i % each of identity i // each."""

    def __init__(self, source: Synthetic, each: int) -> None:
        self.source, self.each = source, each

    def __len__(self) -> int:
        return self.source.identities * self.each

    @property
    def labels(self) -> np.ndarray:
        return np.arange(len(self)) // self.each

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[tuple[Tensor, int]]:
        """A batch at once, which is what PyTorch's loader asks for: drawing one by one would take longer."""
        places = torch.tensor(indices)
        images = self.source.images(places // self.each, places % self.each)
        return list(zip(images, (places // self.each).tolist(), strict=True))


def load(identities: int, each: int, size: int, pairs: int = 300) -> FaceData:
    """Synthetic identities to train on and others to test on, in grey images of `size` pixels.

    The tests have the forms of `faces.load_half_split`'s: pairs, and templates of one image and identification of up to
    `TESTED` identities, the latter among as many strangers.
    """
    source, others, strangers = (Synthetic(identities, size, channels=1, seed=seed) for seed in (0, 1, 2))
    numbers = np.random.default_rng(0)
    left = numbers.integers(0, identities * 2, pairs)
    same = np.arange(pairs) % 2 == 0
    right = np.where(same, left ^ 1, (left + 2 * numbers.integers(1, max(identities, 2), pairs)) % (2 * identities))
    places = torch.arange(2 * identities)
    some = torch.arange(min(identities, TESTED))
    images = torch.cat([others.images(places // 2, places % 2), strangers.images(some, torch.zeros_like(some))]).numpy()
    tests: dict[str, Test] = {"synthetic pairs": PairTest(images, left, right, same, np.arange(pairs) % 10)}
    if identities > 1:
        shown = np.arange(2 * len(some))
        even, odd = (half.ravel() for half in np.mgrid[: len(shown) : 2, 1 : len(shown) : 2])
        tests["templates"] = TemplateTest(images, shown, shown, shown, even, odd, even // 2 == odd // 2)
        unknown = np.arange(len(places), len(images))
        tests["identification"] = IdentificationTest(images, shown, shown // 2, unknown)
        tests |= planted(images, shown, shown // 2, unknown)
        tests |= misnamed(images, shown, shown // 2)
    return FaceData(
        name=f"synthetic/{identities}x{each}/{size}",
        label=f"synthetic faces of {identities} identities, not real ones",
        num_classes=identities,
        image_shape=(1, size, size),
        train=SyntheticImages(source, each),
        tests=tests,
        fingerprint=fingerprint(images),
    )


def load_classes(identities: int, each: int, size: int) -> ImageData:
    """`each` grey images of synthetic identities to train on and as many others of the same identities to test on."""
    source = Synthetic(identities, size, channels=1)
    labels = torch.arange(identities).repeat_interleave(each)
    numbers = torch.arange(each).repeat(identities)
    train, test = (source.images(labels, numbers + first).numpy() for first in (0, each))
    return ImageData(
        f"synthetic classes/{identities}x{each}/{size}",
        f"synthetic faces of {identities} identities, not real ones",
        identities,
        train,
        labels.numpy(),
        test,
        labels.numpy(),
    )


def label_noise(labels: Tensor, rate: float, seed: int, num_classes: int) -> Tensor:
    """Labels of which some are wrong.

    Arguments:
        labels: (N,) int64, each in 0 … num_classes - 1.
        rate: the share to make wrong: round(rate · N) of them, chosen by `seed`, become any other class, all equally likely.
    Returns: (N,) int64 on the same device, a new tensor: the wrong ones are where it differs from `labels`.
    Raises: ValueError naming the argument that makes no sense.
    """
    if labels.dtype != torch.int64 or labels.ndim != 1:
        raise ValueError(f"labels must be int64 of shape (N,), not {labels.dtype} {tuple(labels.shape)}")
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, not {num_classes}")
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must be between 0 and 1, not {rate}")
    if len(labels) and not (int(labels.min()) >= 0 and int(labels.max()) < num_classes):
        raise ValueError(f"labels must be in 0 … {num_classes - 1}, not {int(labels.min())} … {int(labels.max())}")
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(labels), generator=generator)[: round(rate * len(labels))]
    step = torch.randint(1, num_classes, (len(chosen),), generator=generator)
    noisy = labels.cpu().clone()
    noisy[chosen] = (noisy[chosen] + step) % num_classes
    return noisy.to(labels.device)


def _address(state: Tensor, value: Tensor | int) -> Tensor:
    """The address of what lies at `value` below the address `state`, both int64. Different values have different addresses.

    This is SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014).
    """
    z = state + (torch.as_tensor(value, device=state.device) + 1) * _signed(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ ((z >> shift) & ((1 << (64 - shift)) - 1))) * _signed(factor)  # int64 shifts copy the sign: mask it off
    return z ^ ((z >> 31) & ((1 << 33) - 1))


def _signed(word: int) -> int:
    return word - (1 << 64)


def _hashes(address: Tensor, count: int) -> Tensor:
    return _address(address[:, None], torch.arange(count, device=address.device))


def _uniforms(address: Tensor, count: int) -> Tensor:
    """(N, count) float32 in (0, 1): 23 bits and a half, so that neither end is met."""
    return ((_hashes(address, count) >> 41 & 0x7FFFFF).float() + 0.5) / (1 << 23)


def _normals(address: Tensor, count: int) -> Tensor:
    return torch.erfinv(2 * _uniforms(address, count) - 1) * math.sqrt(2)


def _static(address: Tensor, shape: torch.Size) -> Tensor:
    """(N, *shape), evenly distributed with standard deviation 1; a byte of hash each."""
    values = _hashes(address, -(-shape.numel() // 8)).view(torch.uint8)[:, : shape.numel()]
    return (values.float() - 127.5).mul_(math.sqrt(3) / 127.5).unflatten(1, shape)


def _skin(address: Tensor) -> Tensor:
    """(N, 1, 28, 28): a smooth random field, about ±1."""
    return F.interpolate(_normals(address, 49).view(-1, 1, 7, 7), size=(28, 28), mode="bicubic", align_corners=True)


def _moles(address: Tensor) -> Tensor:
    """(N, 3, 3): place and radius of three moles; a negative radius is none."""
    values = _normals(address, 9).view(-1, 3, 3)
    return values * values.new_tensor([0.4, 0.3, 0.012]) + values.new_tensor([0.0, 0.2, 0.008])


def _background(address: Tensor, size: int) -> Tensor:
    """(N, 3, size, size): a colour, lighter here and darker there."""
    values = _uniforms(address, 19)
    colour, lattice = 0.45 + 0.3 * values[:, :3, None, None], 0.6 + 0.8 * values[:, 3:].view(-1, 1, 4, 4)
    light = F.interpolate(lattice, size=(size, size), mode="bilinear", align_corners=True)
    return colour * light
