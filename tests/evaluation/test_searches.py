"""What is kept of a search, against the result that it is made from."""

import numpy as np
import pytest

from marginface.evaluation import searches
from marginface.evaluation.identification import Identification, megaface
from marginface.evaluation.searches import FARS, RANKS, Search, affordable

EACH = 4


@pytest.fixture(scope="module")
def people() -> np.ndarray:
    return np.repeat(np.arange(250), EACH)


@pytest.fixture(scope="module")
def result(people: np.ndarray) -> Identification:
    numbers = np.random.default_rng(0)
    centres = numbers.normal(size=(250, 16))
    probes = centres[people] + numbers.normal(0, 0.8, (len(people), 16))
    return megaface(probes, people, numbers.normal(size=(3000, 16)), depth=1000, fars=(1e-1, 1e-6)).raw


@pytest.fixture(scope="module")
def search(result: Identification, people: np.ndarray) -> Search:
    return Search.of_result(result, people, 1e-6, (1e-1, 1e-3, 1e-6))


def test_points_of_the_curves_are_the_results_own(search: Search, result: Identification) -> None:
    assert search.ranks.tolist() == [rank for rank in RANKS if rank <= 1000]
    np.testing.assert_array_equal(search.cmc, [result.rank_k(int(rank)) for rank in search.ranks])
    np.testing.assert_array_equal(search.tars, [result.tar_at_far(far) for far in (1e-1, 1e-3, 1e-6)])
    assert 0.1 < search.cmc[0] < search.cmc[-1]
    assert search.tars[2] < search.tars[1] < search.tars[0]


def test_counts_by_people_come_to_the_same(search: Search, result: Identification) -> None:
    assert len(search.pairs) == searches.GROUPS
    assert set(search.pairs) == {2 * EACH * (EACH - 1), 3 * EACH * (EACH - 1)}  # two or three people each
    assert search.pairs.sum() == len(result.ranks)
    assert search.first.sum() / search.pairs.sum() == result.rank_k(1)
    assert search.accepted.sum() / search.pairs.sum() == result.tar_at_far(1e-6)


def test_the_influence_of_a_group_is_what_is_missing_without_it(search: Search) -> None:
    """To first order: leaving a group out moves the share of errors by its influence, the other way."""
    for measure, right in (("rank-1", search.first), ("TAR@FAR=1e-06", search.accepted)):
        error = 1 - right.sum() / search.pairs.sum()
        without = 1 - (right.sum() - right) / (search.pairs.sum() - search.pairs)
        np.testing.assert_allclose(
            search.influence(measure), (error - without) * (1 - search.pairs / search.pairs.sum()), atol=1e-12
        )
        assert abs(search.influence(measure).sum()) < 1e-12


def test_a_record_keeps_it(search: Search) -> None:
    again = Search.of(search.arrays())
    for name, value in vars(search).items():
        np.testing.assert_allclose(getattr(again, name), value, rtol=1e-7)
    assert (again.first == search.first).all()


def test_points_are_even_on_the_logarithmic_scale() -> None:
    assert (RANKS[0], RANKS[-1], FARS[0], FARS[-1]) == (1, 10_000, 1e-1, 1e-6)
    np.testing.assert_allclose(np.diff(np.log10(FARS)), -0.2, atol=0.002)


def test_only_fars_that_can_be_told_and_held() -> None:
    assert affordable(2000, 1e-6) == (*(far for far in FARS if far >= 5e-4), 1e-6)
    assert affordable(3530 * 1_000_000, 1e-6)[0] < 0.005
    assert affordable(3530 * 1_000_000, 1e-6)[-1] == 1e-6
