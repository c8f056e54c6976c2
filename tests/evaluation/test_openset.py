"""Searches for the enrolled and for strangers, against one search at a time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marginface.evaluation import sieve
from marginface.evaluation.openset import open_set
from marginface.evaluation.verification import unit


def faces(count: int, people: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of numbers 1 and -1, whose cosines are exact and often tie, and the labels."""
    numbers = np.random.default_rng(seed)
    labels = numbers.integers(0, people, count)
    directions = np.random.default_rng(99).normal(size=(people, 16))
    return np.sign(directions[labels] + numbers.normal(size=(count, 16))).astype(np.float32), labels


def searched(probes: np.ndarray, gallery: np.ndarray, people: np.ndarray, enrolled: np.ndarray, fpir: float) -> float:
    """TPIR by trying every threshold."""
    scores = np.full((len(probes), len(gallery)), -np.inf)
    here, there = probes.any(axis=1), gallery.any(axis=1)
    scores[np.ix_(here, there)] = unit(probes[here].astype(float)) @ unit(gallery[there].astype(float)).T
    found, strangers = [], []
    for row, person in zip(scores, people, strict=True):
        if person in enrolled:
            own, others = row[enrolled == person].max(), row[enrolled != person].max(initial=-np.inf)
            found.append(own if own > others else -np.inf)
        else:
            strangers.append(row.max())
    thresholds = [t for t in np.unique([*scores.ravel(), 2]) if np.mean(np.array(strangers) >= t) <= fpir and t > -np.inf]
    return max(np.mean(np.array(found) >= t) for t in thresholds)


@given(st.integers(0, 1000), st.booleans(), st.one_of(st.floats(0, 1), st.integers(0, 6).map(lambda i: i / 6)))
@settings(max_examples=60, deadline=None)
def test_it_is_one_search_after_the_other(seed: int, failures: bool, fpir: float) -> None:
    numbers = np.random.default_rng(seed)
    probes, people = faces(int(numbers.integers(2, 60)), 12, seed)
    gallery, enrolled = faces(int(numbers.integers(1, 40)), 8, seed + 1)
    people[0], people[1] = enrolled[0], 11  # at least one of either kind
    if failures:
        probes[numbers.random(len(probes)) < 0.3] = 0
        gallery[numbers.random(len(gallery)) < 0.3] = 0
    result = open_set(probes, gallery, people, enrolled, failed="non-match" if failures else "error")
    if failures and not (probes.any(axis=1).any() and gallery.any(axis=1).any()):
        assert result.tpir(fpir) == 0
        return
    assert result.tpir(fpir) == searched(probes, gallery, people, enrolled, fpir)
    np.testing.assert_array_equal(result.probe, np.flatnonzero(np.isin(people, enrolled)))


def test_a_case_that_can_be_worked_out_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two enrolled people at 0° and 90°; three searches for them and two for strangers, at 40° and 80°."""
    monkeypatch.setattr(sieve, "BLOCK_SCORES", 1)
    degrees = np.radians([5.0, 50.0, 95.0, 130.0, 80.0])
    probes = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    result = open_set(probes, np.eye(2), [7, 7, 8, 0, 1], [7, 8])
    np.testing.assert_allclose(result.scores, np.cos(np.radians([5, 50, 5])), rtol=1e-6)
    np.testing.assert_allclose(result.others, np.cos(np.radians([85, 40, 95])), atol=1e-6)
    np.testing.assert_allclose(result.strangers, np.cos(np.radians([10, 40])), rtol=1e-6)
    assert result.tpir(0.0) == result.tpir(0.5) == pytest.approx(2 / 3)  # who is nearer to somebody else is never found
    assert result.tpir(1) == pytest.approx(2 / 3)
    assert np.cos(np.radians(40)) < result.threshold(0.5) < np.cos(np.radians(39.9))
    assert result.threshold(1) == -np.inf


@pytest.mark.parametrize("dim", [7, 512])
def test_who_looks_like_somebody_else_or_a_stranger_up_to_rounding_is_not_found_by_luck(dim: int) -> None:
    numbers = np.random.default_rng(0)
    for _ in range(30):
        probe, own = numbers.normal(size=(2, dim)).astype(np.float32)
        gallery = np.stack([own, numbers.normal(size=dim), 3 * own]).astype(np.float32)
        assert open_set([probe, -own], gallery, [0, 5], [0, 1, 2]).tpir(1) == 0
        assert open_set([probe, 0.3 * probe], gallery[:2], [0, 5], [0, 1]).tpir(0) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probe_labels": [0, 1]}, r"strangers, not 2 and 0"),
        ({"probe_labels": [5, 6]}, r"strangers, not 0 and 2"),
        ({"probe_labels": [5]}, r"probe_labels must be \(2,\) whole numbers, not \(1,\)"),
        ({"gallery_labels": [0.5, 1]}, r"gallery_labels must be \(2,\) whole numbers"),
        ({"gallery": np.eye(3)}, r"not \(2, 2\) and \(3, 3\)"),
        ({"gallery": [[1.0, 0.0], [0.0, 0.0]]}, "gallery must be finite and longer than zero; row 1"),
        ({"probes": [[1.0, 0.0], [0.0, np.nan]]}, "probes must be finite and longer than zero; row 1"),
        ({"failed": "skip"}, "failed must be 'error' or 'non-match', not 'skip'"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"probes": np.eye(2), "gallery": np.eye(2), "probe_labels": [0, 9], "gallery_labels": [0, 1]}
    with pytest.raises(ValueError, match=message):
        open_set(**arguments | change)


def test_a_rate_out_of_range_is_named() -> None:
    with pytest.raises(ValueError, match=r"fpir must lie in \[0, 1\], not 2"):
        open_set(np.eye(2), np.eye(2), [0, 9], [0, 1]).tpir(2)
