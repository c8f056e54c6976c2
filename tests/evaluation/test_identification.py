"""Ranks and thresholds from a stream, against all scores held at once."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marginface.evaluation import sieve
from marginface.evaluation.identification import TIE, Identification, cmc, identify, megaface, rank_k
from marginface.evaluation.verification import tar_at_far, unit


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks and several parts a block, also for a few hundred scores."""
    monkeypatch.setattr(sieve, "BLOCK_SCORES", 4096)
    monkeypatch.setattr(sieve, "PART_SCORES", 700)


def faces(count: int, people: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (count, 16) around a direction for each person, and the labels.

    All numbers are 1 or -1, so that cosines are multiples of 1/8: exact in any order of summation, and with many ties.
    """
    numbers = np.random.default_rng(seed)
    labels = numbers.integers(0, people, count)
    directions = np.random.default_rng(99).normal(size=(people, 16))
    return np.sign(directions[labels] + numbers.normal(size=(count, 16))).astype(np.float32), labels


def scores_of(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return unit(x.astype(np.float64)) @ unit(y.astype(np.float64)).T


def check(result: Identification, scores: np.ndarray, genuine: np.ndarray, impostor: np.ndarray) -> None:
    """Against the whole matrix of scores (P, M) and which of its cells are genuine and impostor pairs."""
    probe, mate = np.nonzero(genuine)
    order = np.lexsort((result.mate, result.probe))
    np.testing.assert_array_equal(result.probe[order], probe)
    np.testing.assert_array_equal(result.mate[order], mate)
    np.testing.assert_array_equal(result.scores[order], scores[genuine])
    ranks = [1 + np.sum(scores[p][impostor[p]] >= scores[p, m]) for p, m in zip(probe, mate, strict=True)]
    np.testing.assert_array_equal(result.ranks[order], np.minimum(ranks, result.depth + 1))
    assert result.impostor_pairs == impostor.sum()
    largest = np.sort(scores[impostor])[::-1][: len(result.impostors)]
    np.testing.assert_array_equal(result.impostors, largest)
    for far in (0.0, 1e-3, 0.02):
        everything = np.concatenate([result.scores, scores[impostor]])
        same = np.arange(len(everything)) < len(result.scores)
        assert result.tar_at_far(far) == tar_at_far(everything, same, far)


@pytest.mark.parametrize("depth", [1, 7, 1000, None])
def test_megaface_finds_what_the_whole_matrix_shows(depth: int | None) -> None:
    probes, labels = faces(60, 9, seed=0)
    distractors, _ = faces(3000, 500, seed=1)
    result = megaface(probes, labels, distractors, depth=depth, fars=(0.02,))
    scores = np.hstack([scores_of(probes, probes), scores_of(probes, distractors)])
    genuine, impostor = np.zeros(scores.shape, dtype=bool), np.zeros(scores.shape, dtype=bool)
    genuine[:, :60] = (labels[:, None] == labels) & ~np.eye(60, dtype=bool)
    impostor[:, 60:] = True
    check(result.raw, scores, genuine, impostor)
    np.testing.assert_array_equal(result.refined.ranks, result.raw.ranks)


@given(st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_a_gallery_with_others_and_distractors(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    probes, labels = faces(int(numbers.integers(1, 70)), 12, seed)
    gallery, names = faces(int(numbers.integers(20, 600)), 12, seed + 1)
    distractors, _ = faces(int(numbers.integers(1, 900)), 500, seed + 2)
    result = identify(probes, gallery, labels, names, distractors, depth=None, fars=(0.02,))
    scores = np.hstack([scores_of(probes, gallery), scores_of(probes, distractors)])
    genuine, impostor = np.zeros(scores.shape, dtype=bool), np.ones(scores.shape, dtype=bool)
    genuine[:, : len(gallery)] = labels[:, None] == names
    impostor &= ~genuine
    check(result, scores, genuine, impostor)


def test_refined_is_raw_without_the_noise() -> None:
    probes, labels = faces(60, 9, seed=0)
    distractors, _ = faces(3000, 500, seed=1)
    noisy_probes, noisy = np.arange(60) % 20 == 3, np.arange(3000) % 50 == 7
    distractors[noisy] = probes[np.random.default_rng(0).integers(0, 60, noisy.sum())]  # probes among the distractors
    result = megaface(probes, labels, distractors, noisy_probes, noisy, fars=(1e-3,))
    whole, alone = (
        megaface(probes, labels, distractors, fars=(1e-3,)).raw,
        megaface(probes[~noisy_probes], labels[~noisy_probes], distractors[~noisy], fars=(1e-3,)).raw,
    )
    for one, other in [(result.raw, whole), (result.refined, alone)]:
        np.testing.assert_array_equal(one.ranks, other.ranks)
        np.testing.assert_array_equal(one.impostors, other.impostors)
        assert one.impostor_pairs == other.impostor_pairs
        assert one.tar_at_far(1e-3) == other.tar_at_far(1e-3)
    assert result.refined.rank_k(1) > result.raw.rank_k(1)


def test_ties_count_against_the_probe() -> None:
    """Each mate is among the distractors, at another length, and comes before itself however its sum is rounded."""
    probes = np.random.default_rng(0).normal(size=(200, 512)).astype(np.float32)
    result = megaface(probes, np.arange(200) // 2, 0.3 * probes).raw
    scores = scores_of(probes, probes)
    ahead = [np.sum(scores[p] >= scores[p, m] - TIE) for p, m in zip(result.probe, result.mate, strict=True)]
    np.testing.assert_array_equal(result.ranks, np.add(ahead, 1))


@pytest.mark.parametrize("dim", [7, 128, 512])
def test_a_mate_whose_very_image_is_among_the_impostors_is_not_accepted_by_luck(dim: int) -> None:
    """At FAR 0 whoever is accepted is ahead of every impostor: rank 1, as the ranks have it."""
    numbers = np.random.default_rng(dim)
    for _ in range(40):
        probes = numbers.normal(size=(2, dim)).astype(np.float32)
        probes[1] = probes[0] + 0.3 * probes[1]
        strangers = np.concatenate([numbers.normal(size=(30, dim)), 0.37 * probes[1:]]).astype(np.float32)
        result = identify(probes[:1], probes[1:], [0], [0], strangers, fars=(0.0,))
        assert result.ranks[0] >= 2
        assert result.tar_at_far(0) == 0
        assert not result.scores[0] >= result.threshold(0)


@given(st.integers(0, 2**31 - 1), st.integers(-6, 6))
def test_whom_far_0_accepts_has_rank_1_against_the_highest_impostor(seed: int, ulps: int) -> None:
    impostor = np.float32(np.random.default_rng(seed).uniform(-1, 1))
    score = impostor + np.float32(TIE)
    for _ in range(abs(ulps)):
        score = np.nextafter(score, np.float32(np.sign(ulps) * np.inf))
    ahead = int(impostor >= score - np.float32(TIE))
    one, zero = np.ones(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    scores, impostors = np.full(1, score, np.float32), np.full(1, impostor, np.float32)
    result = Identification(zero, zero, scores, one + ahead, 5, 1, impostors)
    assert result.tar_at_far(0) == result.rank_k(1)


def test_it_says_how_far_it_is() -> None:
    probes, labels = faces(60, 9, seed=0)
    distractors, _ = faces(3000, 500, seed=1)
    told: list[int] = []
    identify(probes, probes, labels, labels, distractors, progress=told.append)
    assert (sum(told), len(told) > 3) == (3060, True)
    told.clear()
    megaface(probes, labels, distractors, progress=told.append)
    assert sum(told) == 3000


def test_what_is_less_alike_than_rounding_does_not_count() -> None:
    assert TIE < 1e-6
    probe, mate = [1.0, 0.0], [np.cos(0.5), np.sin(0.5)]
    result = megaface([probe, mate], [0, 0], [[np.cos(0.50001), np.sin(0.50001)]], depth=5).raw
    np.testing.assert_array_equal(result.ranks[result.probe == 0], [1])


def test_shares_of_ranks() -> None:
    probes, labels = faces(60, 9, seed=0)
    distractors, _ = faces(200, 500, seed=1)
    result = identify(probes, probes[::-1], labels, labels[::-1], distractors, depth=50)
    curve = result.cmc()
    assert len(curve) == 50
    assert (np.diff(curve) >= 0).all()
    assert curve[0] == result.rank_k() == np.mean(result.ranks == 1)
    assert curve[9] == result.rank_k(10) == np.mean(result.ranks <= 10)
    arguments = (probes, probes[::-1], labels, labels[::-1], distractors)
    np.testing.assert_array_equal(cmc(*arguments, deepest=50), curve)
    assert rank_k(*arguments, k=10) == curve[9]
    with pytest.raises(ValueError, match="from 1 to 50: nothing is known up to 51"):
        result.rank_k(51)
    with pytest.raises(ValueError, match="nothing is known up to 0"):
        result.cmc(0)


def test_a_mate_behind_all_impostors_has_the_deepest_rank() -> None:
    result = megaface([[1, 0], [-1, 0]], [0, 0], [[1, 1], [-1, 1], [0, 1]], depth=None).raw
    np.testing.assert_array_equal(result.ranks, [4, 4])
    assert result.depth == 4
    np.testing.assert_array_equal(result.cmc(), [0, 0, 0, 1])


def test_a_memory_map_in_half_precision_is_read_in_blocks(tmp_path: Any) -> None:
    probes, labels = faces(20, 5, seed=0)
    distractors, _ = faces(500, 500, seed=1)
    np.save(tmp_path / "far.npy", distractors.astype(np.float16))
    stored = np.load(tmp_path / "far.npy", mmap_mode="r")
    expected = megaface(probes, labels, distractors.astype(np.float16).astype(np.float32)).raw
    np.testing.assert_array_equal(megaface(probes, labels, stored).raw.ranks, expected.ranks)


def test_a_far_that_was_not_asked_for_is_named() -> None:
    probes, labels = faces(20, 5, seed=0)
    distractors, _ = faces(500, 500, seed=1)
    result = megaface(probes, labels, distractors, fars=(1e-3,)).raw
    assert len(result.impostors) == 11
    with pytest.raises(ValueError, match=r"FAR 0\.01 needs 101 impostor scores, 11 were kept"):
        result.tar_at_far(0.01)
    assert result.tar_at_far(1) == 1


def bad_calls() -> Iterator[Any]:
    probes, labels = faces(20, 5, seed=0)
    far, _ = faces(300, 500, seed=1)
    broken, zero = far.copy(), far.copy()
    broken[200, 3], zero[299] = np.nan, 0
    yield lambda: megaface(probes, labels, broken), "distractors must be finite and longer than zero; row 200"
    yield lambda: megaface(probes, labels, zero), "row 299 has length 0.0"
    yield lambda: megaface(probes, labels, np.full((1, 16), 1e300)), "row 0 has length inf"
    yield lambda: megaface(zero[290:], labels[:10], far), "probes must be finite and longer than zero; row 9"
    yield lambda: megaface(probes, labels[1:], far), r"labels must be \(20,\) whole numbers, not \(19,\)"
    yield lambda: megaface(probes, labels + 0.5, far), r"labels must be \(20,\) whole numbers"
    yield lambda: megaface(probes, labels, far[:, :7]), r"distractors must be \(N, 16\) as the probes are, not \(300, 7\)"
    yield lambda: megaface(probes, labels, far[:0]), "impostors"
    yield lambda: megaface(probes, np.arange(20), far), "0 pairs of one person"
    yield lambda: megaface(probes, labels, far, depth=0), "depth must be at least 1"
    yield lambda: megaface(probes, labels, far, fars=(2,)), r"far must lie in \[0, 1\]"
    yield lambda: megaface(probes, labels, far, noisy_probes=np.zeros(3, dtype=bool)), r"noisy_probes must be \(20,\) bool"
    yield lambda: megaface(probes, labels, far, noisy_distractors=np.zeros(300)), r"noisy_distractors must be \(300,\) bool"
    yield lambda: identify(probes, far[:, 0], labels, labels), r"gallery must be \(N, 16\)"
    yield lambda: identify(probes, far, labels, labels), r"gallery_labels must be \(300,\)"
    yield lambda: identify(probes, probes, labels * 0, labels * 0), "400 pairs of one person and 0 of two"


@pytest.mark.parametrize(("call", "message"), list(bad_calls()))
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
