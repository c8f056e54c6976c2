"""Planted noise: what public lists say is wrong with MegaFace, done on purpose where the truth is known.

ArcFace §3.1.3 found 605 faces of FaceScrub under a wrong name, and 707 of MegaFace's distractors that show somebody of
FaceScrub.
"""

import numpy as np
from numpy.typing import NDArray

from marginface.data.types import IdentificationTest, Images, RefinementTest

Ints = NDArray[np.int64]

WRONG_NAMES = 605 / (55_742 + 52_076)  # of FaceScrub's images, as the paper counts them
DOUBLES = 707 / 530  # distractors for each of FaceScrub's people
MANY = 0.1  # of images under a wrong name, beside FaceScrub's few
DEEPEST = 10_000  # rank that Figure 8's kind of curve is drawn to
LEAST = 2  # images of a person that are left to be looked for


def planted(images: Images, shown: Ints, people: Ints, distractors: Ints, seed: int = 0) -> dict[str, IdentificationTest]:
    """People looked for among distractors, with noise of both kinds ("planted identification") and with wrong names alone.

    Of the images that are shown, those by which `DOUBLES` are put among the distractors are no longer looked for, in neither
    test. Both tests know their noise, and so are made with it and without it.

    Arguments: images (M, C, H, W); shown (S,) int64, which of them show the `people` (S,) int64 who are looked for; distractors
        (D,) int64.
    """
    numbers = np.random.default_rng(seed)
    own = numbers.permutation(len(shown))
    own = own[np.argsort(people[own], kind="stable")]
    place = np.arange(len(own)) - np.searchsorted(people[own], people[own])  # among the images of the same person
    spare = numbers.permutation(own[place >= LEAST])
    doubles = np.sort(spare[: round(DOUBLES * len(np.unique(people)))])
    kept = np.setdiff1d(np.arange(len(shown)), doubles)
    probes, names = shown[kept], people[kept].copy()
    wrong = numbers.permutation(len(kept))[: max(1, round(WRONG_NAMES * len(kept)))]
    for one in wrong:
        names[one] = numbers.choice(people[people != people[kept[one]]])
    noise = np.zeros(len(images), dtype=bool)
    noise[probes[wrong]] = True
    with_doubles = noise.copy()
    with_doubles[shown[doubles]] = True
    among = np.concatenate([distractors, shown[doubles]])
    return {
        "planted identification": IdentificationTest(images, probes, names, among, with_doubles, DEEPEST),
        "planted names": IdentificationTest(images, probes, names, distractors, noise, depth=1),
    }


def misnamed(images: Images, place: Ints, people: Ints, seed: int = 0) -> dict[str, RefinementTest]:
    """Images of people of whom some have somebody else's name: as few as in FaceScrub, and `MANY`.

    Arguments: images (M, C, H, W); place (N,) int64, which of them show the `people` (N,) int64.
    """
    found = {}
    for name, rate in (("few", WRONG_NAMES), ("many", MANY)):
        numbers = np.random.default_rng(seed)
        wrong = np.zeros(len(place), dtype=bool)
        wrong[numbers.permutation(len(place))[: max(1, round(rate * len(place)))]] = True
        labels = people.copy()
        for one in np.flatnonzero(wrong):
            labels[one] = numbers.choice(people[people != people[one]])
        found[f"planted labels {name}"] = RefinementTest(images, place, labels, wrong)
    return found
