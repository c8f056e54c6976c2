"""Noise that is planted: as much as the public lists say, where it is said to be, and nowhere else."""

from pathlib import Path

import numpy as np
import pytest

from marginface.data.lists import noise_list
from marginface.data.planted import DOUBLES, MANY, WRONG_NAMES, misnamed, planted

EACH = np.array([2, 3, 5, 2, 9] * 40)  # images of 200 people
PEOPLE = np.repeat(np.arange(len(EACH)), EACH)
STRANGERS = 500 + np.arange(2000, 2600)
IMAGES = np.zeros((3200, 1, 1, 1), dtype=np.uint8)


@pytest.fixture
def both() -> tuple[dict[int, int], list]:
    shown = 100 + np.arange(len(PEOPLE))
    return dict(zip(shown.tolist(), PEOPLE.tolist(), strict=True)), [*planted(IMAGES, shown, PEOPLE, STRANGERS).values()]


def test_the_lists_are_as_long_as_the_rates_say(shared: Path) -> None:
    faces, strangers = (noise_list(shared / "protocols" / f"{name}_noises.txt") for name in ("facescrub", "megaface"))
    assert len(faces) / (55_742 + 52_076) == WRONG_NAMES
    assert len(strangers) / 530 == DOUBLES


def test_doubles_are_of_people_who_are_looked_for_and_are_not_looked_for_themselves(both: tuple) -> None:
    who, (noisy, names) = both
    doubles = noisy.distractors[len(STRANGERS) :]
    assert noisy.distractors[: len(STRANGERS)].tolist() == STRANGERS.tolist() == names.distractors.tolist()
    assert len(set(doubles.tolist())) == len(doubles) == round(DOUBLES * len(EACH))
    assert set(doubles.tolist()) | set(noisy.probes.tolist()) == set(who)
    assert not set(doubles.tolist()) & set(noisy.probes.tolist())
    assert noisy.probes.tolist() == names.probes.tolist()
    left = np.bincount([who[place] for place in noisy.probes.tolist()])
    assert left.min() == 2
    assert (left < EACH).sum() > len(EACH) / 4, "by chance, and not of a few people alone"


def test_the_wrong_names_are_those_that_are_called_noise(both: tuple) -> None:
    who, (noisy, names) = both
    assert noisy.people.tolist() == names.people.tolist()
    wrong = np.array([who[place] for place in noisy.probes.tolist()]) != noisy.people
    assert wrong.sum() == round(WRONG_NAMES * len(noisy.probes))
    assert names.noise[names.probes].tolist() == wrong.tolist()
    assert names.noise.sum() == wrong.sum()
    assert noisy.noise.sum() == wrong.sum() + len(noisy.distractors) - len(STRANGERS)
    assert set(np.flatnonzero(noisy.noise & ~names.noise)) == set(noisy.distractors[len(STRANGERS) :])


def test_who_has_two_images_has_no_double() -> None:
    pairs = np.repeat(np.arange(4), 2)
    noisy = planted(IMAGES, np.arange(8), pairs, STRANGERS)["planted identification"]
    assert noisy.distractors.tolist() == STRANGERS.tolist()
    assert noisy.noise is not None
    assert noisy.noise.sum() == 1


def test_the_order_of_the_images_and_the_seed_decide_nothing_else() -> None:
    shown = np.arange(len(PEOPLE))
    one, same, other = (planted(IMAGES, shown, PEOPLE, STRANGERS, seed)["planted names"] for seed in (0, 0, 1))
    assert one.probes.tolist() == same.probes.tolist() != other.probes.tolist()
    assert one.people.tolist() == same.people.tolist()


def test_some_have_somebody_elses_name() -> None:
    place = np.arange(len(PEOPLE)) + 7
    for test, rate in zip(misnamed(IMAGES, place, PEOPLE).values(), (WRONG_NAMES, MANY), strict=True):
        assert test.place.tolist() == place.tolist()
        assert (test.labels != PEOPLE).tolist() == test.wrong.tolist()
        assert test.wrong.sum() == round(rate * len(PEOPLE))
        assert set(test.labels.tolist()) <= set(PEOPLE.tolist())
