"""What a folder of people says of a network: all pairs of images, templates, identification, and open-set search."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marginface.evaluation.identification import identify
from marginface.evaluation.openset import open_set
from marginface.evaluation.reports import FARS, MOST_PAIRS, PairReport, Told, folds_of, pairs_among, report
from marginface.evaluation.templates import pool, template_scores

FPIRS = (1e-1, 1e-2, 1e-3)
RANKS = (1, 5)
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class PeopleReport:
    """What M images of some people say.

    pairs: every two images. templates: of each person one of the even and one of the odd images, every two of different kinds;
        None where less than two people have two images. Of either some are drawn where there are too many (`sampled`).
    ranks: the share of images, of all but each person's first, whose person's first image is among the best k of all first
        images, by k. searches: the share of people found, at each FPIR that lets a stranger through (see `open_set_tpir`).
    failed: images that could not be enrolled, which match nobody.
    """

    images: int
    people: int
    failed: int
    pairs: PairReport
    templates: PairReport | None
    ranks: dict[int, float]
    searches: dict[float, float]


def people_report(
    embeddings: ArrayLike, people: ArrayLike, fars: tuple[float, ...] = FARS, progress: Told | None = None
) -> PeopleReport:
    """The whole report on embeddings (M, d) of length 1, or zeros where an enrolment failed, of people (M,) int.

    Raises: ValueError where there are not two people, one of them with two images.
    """
    vectors, who = np.asarray(embeddings, dtype=np.float32), np.asarray(people)
    names, who = np.unique(who, return_inverse=True)
    counts = np.bincount(who)
    if len(names) < 2 or counts.max() < 2:
        raise ValueError(f"need two people and two images of one of them, not {len(names)} with {counts.max()} at most")
    there = vectors.any(axis=1)
    left, right, sampled = pairs_among(who)
    scores = pair_scores(vectors, left, right)
    of_pairs = report(
        scores,
        who[left] == who[right],
        who[left],
        who[right],
        folds=folds_of(who[left], who[right]),
        failed=~(there[left] & there[right]),
        sampled=sampled,
        fars=fars,
        progress=progress,
    )
    return PeopleReport(
        images=len(vectors),
        people=len(names),
        failed=int((~there).sum()),
        pairs=of_pairs,
        templates=_templates(vectors, who, fars, progress),
        ranks=rank_shares(vectors, who),
        searches=open_set_tpir(vectors, who),
    )


def pair_scores(vectors: NDArray[np.float32], left: Ints, right: Ints) -> NDArray[np.float64]:
    """Cosines of pairs (P,) of rows of unit vectors; -1 where one is zeros, for what failed matches nobody."""
    there = vectors.any(axis=1)
    scores = np.empty(len(left))
    for start in range(0, len(left), 2**16):
        block = slice(start, start + 2**16)
        scores[block] = np.einsum("pd,pd->p", vectors[left[block]], vectors[right[block]])
    return np.where(there[left] & there[right], np.clip(scores, -1, 1), -1.0)


def _templates(vectors: NDArray[np.float32], who: Ints, fars: tuple[float, ...], progress: Told | None) -> PairReport | None:
    """Templates of even and of odd images, each of one half with each of the other."""
    number = _number_within(who)
    template = 2 * who + number % 2
    features, names = pool(vectors, template, np.arange(len(who)), failed="non-match")
    with_two = names[names % 2 == 1] // 2
    if len(with_two) < 2:
        return None
    even, odd = drawn_people(np.unique(who), with_two, MOST_PAIRS)
    left, right = (each.ravel() for each in np.meshgrid(2 * even, 2 * odd + 1, indexing="ij"))
    same = left // 2 == right // 2
    scores = template_scores(features, names, left, right)
    there = dict(zip(names.tolist(), features.any(axis=1).tolist(), strict=True))
    failed = np.array([not (there[a] and there[b]) for a, b in zip(left.tolist(), right.tolist(), strict=True)])
    return report(
        scores,
        same,
        left // 2,
        right // 2,
        folds=folds_of(left // 2, right // 2),
        failed=failed,
        sampled=len(left) < len(np.unique(who)) * len(with_two),
        fars=fars,
        progress=progress,
    )


def drawn_people(everybody: Ints, with_two: Ints, most: int, seed: int = 0) -> tuple[Ints, Ints]:
    """Whose even and whose odd templates are compared, ascending: all, or people at random who make at most `most` pairs.

    Arguments: everybody, with_two: different people (N,) int, and those of them who have odd images. Who is among the odd is
        among the even, too, so that every template there has its own person's to be compared with.
    """
    if len(everybody) * len(with_two) <= most:
        return everybody, with_two
    numbers = np.random.default_rng(seed)
    odd = numbers.permutation(with_two)[: math.isqrt(most)]
    others = numbers.permutation(np.setdiff1d(everybody, odd))
    even = np.append(odd, others)[: most // len(odd)]
    return np.sort(even), np.sort(odd)


def _number_within(who: Ints) -> Ints:
    """The number of an image among its person's, from 0."""
    order = np.argsort(who, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(who[order]) != 0))
    number = np.empty(len(who), dtype=np.int64)
    number[order] = np.arange(len(who)) - np.repeat(starts, np.diff(np.append(starts, len(who))))
    return number


def rank_shares(vectors: NDArray[np.float32], who: Ints, ranks: tuple[int, ...] = RANKS) -> dict[int, float]:
    """Closed-set identification: people's first images are the gallery, all others are looked for. What failed is not found."""
    first = _number_within(who) == 0
    there = vectors.any(axis=1)
    probes = np.flatnonzero(~first)
    gallery = np.flatnonzero(first & there)
    looked_for = probes[there[probes] & np.isin(who[probes], who[gallery])]
    if not len(looked_for) or len(gallery) < 2:
        return dict.fromkeys(ranks, 0.0)
    found = identify(vectors[looked_for], vectors[gallery], who[looked_for], who[gallery], depth=max(ranks), fars=())
    return {k: found.rank_k(k) * len(looked_for) / len(probes) for k in ranks}


def open_set_tpir(vectors: NDArray[np.float32], who: Ints, fpirs: tuple[float, ...] = FPIRS) -> dict[float, float]:
    """Open-set search as IJB-B's and IJB-C's 1:N has it: two galleries of different people, kept apart, each searched with all.

    A person's template is of their even images; the odd ones are looked for. People alternate between the galleries. The share
    found is the mean over the galleries. A FPIR that lets no stranger through is left out.
    """
    number = _number_within(who)
    enrolled, probes = number % 2 == 0, number % 2 == 1
    templates, names = pool(vectors[enrolled], who[enrolled], np.arange(int(enrolled.sum())), failed="non-match")
    place = np.unique(who[probes], return_inverse=True)[1]  # of people who are looked for, so that galleries are of equal use
    shares: dict[float, list[float]] = {}
    for side in (0, 1):
        inside = np.unique(who[probes][place % 2 == side])
        kept = np.isin(names, inside)
        if not kept.any() or not (place % 2 != side).any():
            return {}
        found = open_set(vectors[probes], templates[kept], who[probes], names[kept], failed="non-match")
        for fpir in fpirs:
            if fpir * len(found.strangers) >= 1:
                shares.setdefault(fpir, []).append(found.tpir(fpir))
    return {fpir: float(np.mean(each)) for fpir, each in shares.items() if len(each) == 2}
