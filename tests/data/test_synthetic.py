"""Synthetic faces: a function of their address alone, people who can be told apart, nuisance that makes it harder."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from marginface.data import synthetic
from marginface.data.drawing import TRAITS
from marginface.data.synthetic import DRIFT_PERIOD, Synthetic, label_noise

SMALL = Synthetic(identities=1000, size=24)
CALM = dataclasses.replace(SMALL, pose=0, light=0, noise=0, occlusion=0, drift=0)


def numbers(*values: int) -> Tensor:
    return torch.tensor(values)


@pytest.mark.parametrize(("size", "channels"), [(24, 3), (24, 1), (31, 1), (112, 3)])
def test_shape_and_type(size: int, channels: int) -> None:
    images = Synthetic(10, size=size, channels=channels).images(numbers(0, 9), numbers(3, 3))
    assert images.shape == (2, channels, size, size)
    assert images.dtype == torch.uint8
    assert (images.float().std(dim=(1, 2, 3)) > 20).all(), "there is nothing to see"


@settings(deadline=None, max_examples=25)
@given(
    addresses=st.lists(st.tuples(st.integers(0, 999), st.integers(0, 10**12)), min_size=1, max_size=20),
    seed=st.integers(-(2**63), 2**63 - 1),
)
def test_an_image_is_a_function_of_its_address(addresses: list[tuple[int, int]], seed: int) -> None:
    """Whatever it is generated with, and in whatever order."""
    people = dataclasses.replace(SMALL, seed=seed)
    identity, number = torch.tensor(addresses).unbind(dim=1)
    together = people.images(identity, number)
    for row, (i, n) in enumerate(addresses):
        alone = people.images(numbers(i), numbers(n))[0]
        assert torch.equal(alone, together[row])
    order = torch.randperm(len(addresses))
    assert torch.equal(people.images(identity[order], number[order]), together[order])


def test_images_have_not_changed() -> None:
    """What was recorded on synthetic faces must stay on the same faces. Rounding may differ between machines, by one."""
    images = Synthetic(10**6, size=16, channels=1).images(numbers(0, 999_999), numbers(0, 7)).long()
    assert images[:, 0, ::5, 8].flatten().tolist() == pytest.approx(GOLDEN, abs=1)


GOLDEN = [86, 184, 137, 133, 84, 122, 121, 99]


def test_every_identity_and_every_image_is_another_one() -> None:
    people = dataclasses.replace(CALM, identities=2**40)
    far = numbers(0, 1, 2, 2**32, 2**32 + 1, 2**40 - 1)
    images = torch.cat([people.images(far, torch.zeros_like(far)), people.images(numbers(0, 0), numbers(1, 2**32))])
    assert len(images.flatten(1).unique(dim=0)) == len(images)
    other = dataclasses.replace(people, seed=1).images(far, torch.zeros_like(far))
    assert (other.float() - images[: len(far)].float()).abs().mean() > 5


def test_addresses_do_not_collide() -> None:
    """A birthday of 32 bits would: 400,000 addresses then make some 18 pairs."""
    people = synthetic._address(torch.zeros(200_000, dtype=torch.int64), torch.arange(200_000))
    below = synthetic._address(people, 1)
    assert len(torch.cat([people, below]).unique()) == 400_000


def test_random_numbers_are_distributed_as_they_should_be() -> None:
    address = synthetic._address(torch.zeros(4000, dtype=torch.int64), torch.arange(4000))
    uniform, normal = synthetic._uniforms(address, 5), synthetic._normals(address, 5)
    static = synthetic._static(address[:100], torch.Size([3, 9, 9]))
    assert uniform.min() > 0
    assert uniform.max() < 1
    assert uniform.sort(dim=0).values.sub(torch.linspace(0, 1, 4000)[:, None]).abs().max() < 1.63 / 4000**0.5  # Kolmogorov, 1 %
    for values in (normal, static):
        assert values.mean().item() == pytest.approx(0, abs=4 / values.numel() ** 0.5)
        assert values.std().item() == pytest.approx(1, abs=0.03)
    assert torch.corrcoef(normal.T).fill_diagonal_(0).abs().max() < 4 / 4000**0.5


class Faces(Dataset):
    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        identity, number = divmod(index, 4)
        return SMALL.images(numbers(identity), numbers(number))[0], identity


def test_workers_generate_the_same_images() -> None:
    def batches(workers: int) -> Iterator[Tensor]:
        return (images for images, _ in DataLoader(Faces(), batch_size=8, num_workers=workers))

    index = torch.arange(24)
    alone, shared = torch.cat(list(batches(0))), torch.cat(list(batches(2)))
    assert torch.equal(alone, shared)
    assert torch.equal(alone, SMALL.images(index // 4, index % 4))


def directions(people: Synthetic, identity: Tensor, number: Tensor) -> Tensor:
    pixels = people.images(identity, number).flatten(1).float()
    return torch.nn.functional.normalize(pixels - pixels.mean(dim=1, keepdim=True))


def separation(people: Synthetic, gap: int = 7) -> float:
    """How often raw pixels find a pair of one person more alike than a pair of two: 1/2 is chance."""
    identity, number = torch.arange(300), torch.arange(300) % 11
    one, two = directions(people, identity, number), directions(people, identity, number + gap)
    same, different = (one * two).sum(dim=1), (one * two.roll(1, 0)).sum(dim=1)
    return (same[:, None] > different).float().mean().item()


def nearest(people: Synthetic) -> float:
    """How often the nearest of 200 people in raw pixels is the right one."""
    identity = torch.arange(200)
    gallery, probes = (directions(people, identity, torch.full_like(identity, n)) for n in (0, 1))
    return ((probes @ gallery.T).argmax(dim=1) == identity).float().mean().item()


def test_people_can_be_told_apart_but_not_by_their_pixels_alone() -> None:
    assert 0.65 < separation(SMALL) < 0.85
    assert 0.03 < nearest(SMALL) < 0.4  # chance is 0.005
    assert separation(CALM) > 0.93


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "values", "gap"),
    [
        ("pose", (0.0, 0.2, 0.7), 7),
        ("light", (0.0, 0.5, 1.0), 7),
        ("noise", (0.0, 0.2, 0.8), 7),
        ("occlusion", (0.0, 0.5, 1.0), 7),
        ("drift", (0.0, 1.0, 4.0), 2 * DRIFT_PERIOD),
    ],
)
def test_more_nuisance_is_harder(field: str, values: tuple[float, ...], gap: int) -> None:
    changes: list[dict[str, Any]] = [{field: value} for value in values]
    scores = [separation(dataclasses.replace(CALM, **change), gap) for change in changes]
    assert scores[0] > scores[1] + 0.005 > scores[2] + 0.01, scores


@pytest.mark.slow
def test_a_longer_time_is_harder() -> None:
    people = dataclasses.replace(CALM, drift=2.0)
    scores = [separation(people, gap) for gap in (1, DRIFT_PERIOD // 2, 2 * DRIFT_PERIOD)]
    assert scores[0] > scores[1] + 0.02 > scores[2] + 0.04, scores


@settings(deadline=None, max_examples=50)
@given(identity=st.integers(0, 999), number=st.integers(0, 10**6), drift=st.floats(0.1, 3))
def test_drift_is_slow_and_bounded(identity: int, number: int, drift: float) -> None:
    """From one image to the next no trait moves by more than a fraction of what tells two people apart."""
    person = synthetic._address(torch.zeros(2, dtype=torch.int64), torch.full((2,), identity))
    traits = dataclasses.replace(SMALL, drift=drift)._traits(person, numbers(number, number + 1))
    for name, (mean, spread) in TRAITS.items():
        now, then = ((traits[name].flatten() - mean) / spread).tolist()
        assert abs(now - then) < 0.5
        assert abs(now) < 2.3


def test_grey_is_the_luminance_of_colour() -> None:
    colour = dataclasses.replace(SMALL, noise=0.0)
    red, green, blue = colour.images(numbers(5), numbers(0))[0].float()
    grey = dataclasses.replace(colour, channels=1).images(numbers(5), numbers(0))[0, 0].float()
    assert (grey - (0.299 * red + 0.587 * green + 0.114 * blue)).abs().max() <= 1.5


def test_noise_has_the_standard_deviation_that_it_says() -> None:
    address = numbers(1, 2, 3, 4)
    clean = CALM.images(address, address).float()
    noisy = dataclasses.replace(CALM, noise=0.05).images(address, address).float()
    inside = (clean > 30) & (clean < 225)
    assert (noisy - clean)[inside].std().item() / 255 == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize("channels", [1, 3])
def test_everything_is_drawn_on_the_device_of_the_addresses(channels: int) -> None:
    """On the meta device any mixture of devices is an error, and nothing is computed."""
    address = torch.arange(4, device="meta")
    assert dataclasses.replace(SMALL, channels=channels)._images(address, address).device.type == "meta"


def test_no_address_is_no_image() -> None:
    nothing = torch.empty(0, dtype=torch.int64)
    assert SMALL.images(nothing, nothing).shape == (0, 3, 24, 24)


@pytest.mark.parametrize(
    ("identity", "number", "message"),
    [
        (torch.tensor([1000]), torch.tensor([0]), "identity 1000 is not among 1000"),
        (torch.tensor([-1]), torch.tensor([0]), "identity must not be negative, and -1 is"),
        (torch.tensor([0]), torch.tensor([-5]), "number must not be negative, and -5 is"),
        (torch.tensor([0, 1]), torch.tensor([0]), "equally many, not 2 and 1"),
        (torch.tensor([0.0]), torch.tensor([0]), "identity must be int64"),
        (torch.tensor(3), torch.tensor(0), "identity must be int64"),
    ],
)
def test_bad_addresses_are_named(identity: Tensor, number: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SMALL.images(identity, number)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("identities", 0),
        ("size", 8),
        ("channels", 4),
        ("pose", -0.1),
        ("pose", 2.0),
        ("light", 1.5),
        ("noise", -1.0),
        ("occlusion", 1.01),
        ("drift", math.nan),
        ("drift", math.inf),
        ("seed", 2**63),
    ],
)
def test_bad_settings_are_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"Synthetic: {field}="):
        Synthetic(**{"identities": 10, field: value})  # type: ignore[arg-type]


@given(
    size=st.integers(0, 200),
    classes=st.integers(2, 30),
    rate=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_label_noise_makes_as_many_wrong_as_it_says(size: int, classes: int, rate: float, seed: int) -> None:
    labels = torch.arange(size) % classes
    before = labels.clone()
    noisy = label_noise(labels, rate, seed, classes)
    assert torch.equal(labels, before)
    assert int((noisy != labels).sum()) == round(rate * size)
    assert noisy.dtype == torch.int64
    assert torch.equal(noisy, label_noise(labels, rate, seed, classes))
    if size:
        assert int(noisy.min()) >= 0
        assert int(noisy.max()) < classes


def test_label_noise_prefers_no_class() -> None:
    wrong = label_noise(torch.zeros(30_000, dtype=torch.int64), 1.0, 0, 4)
    assert torch.bincount(wrong, minlength=4).tolist() == [0, *(pytest.approx(10_000, abs=400),) * 3]
    other = label_noise(torch.zeros(30_000, dtype=torch.int64), 1.0, 1, 4)
    assert not torch.equal(wrong, other)


@pytest.mark.parametrize(
    ("labels", "rate", "classes", "message"),
    [
        ([0, 1], -0.1, 2, "rate must be between 0 and 1, not -0.1"),
        ([0, 1], math.nan, 2, "rate must be between 0 and 1"),
        ([0, 1], 0.5, 1, "num_classes must be at least 2, not 1"),
        ([0, 2], 0.5, 2, "labels must be in 0 … 1, not 0 … 2"),
        ([-1, 0], 0.5, 2, "labels must be in 0 … 1, not -1 … 0"),
        ([0.0, 1.0], 0.5, 2, "labels must be int64"),
        ([[0], [1]], 0.5, 2, "labels must be int64"),
    ],
)
def test_bad_label_noise_is_named(labels: list, rate: float, classes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        label_noise(torch.tensor(labels), rate, 0, classes)
