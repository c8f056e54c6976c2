"""Intervals against textbook cases and against what they promise."""

import numpy as np
import pytest

from marginface.evaluation.statistics import estimate, paired_difference, wilson


def test_a_textbook_interval() -> None:
    """Mean 10, standard deviation 2, n = 16: t(0.975, 15) = 2.131, so 10 ± 1.0655."""
    sample = np.array([8.0, 12.0] * 8)
    sample = 10 + (sample - 10) * 2 / sample.std(ddof=1)
    result = estimate(sample.tolist())
    assert (result.mean, result.std, result.runs) == (pytest.approx(10), pytest.approx(2), 16)
    assert (result.low, result.high) == (pytest.approx(8.9343, abs=1e-3), pytest.approx(11.0657, abs=1e-3))


def test_the_interval_covers_as_often_as_it_says() -> None:
    numbers = np.random.default_rng(0)
    covered = [(r := estimate(numbers.normal(3, 2, 5).tolist())).low <= 3 <= r.high for _ in range(4000)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)


def test_pairing_removes_what_the_pairs_share() -> None:
    shared = np.array([1.0, 5.0, 9.0])
    result = paired_difference((shared + np.array([0.1, 0.2, 0.3])).tolist(), shared.tolist())
    assert result.mean == pytest.approx(0.2)
    assert result.high - result.low < 1


def test_one_run_has_no_interval() -> None:
    result = estimate([0.5])
    assert result.mean == 0.5
    assert np.isnan([result.std, result.low, result.high]).all()
    assert result.format() == "0.50 [one run]"
    assert estimate([1.0, 2.0, 3.0]).format("+.1f") == "+2.0 [-0.5, +4.5]"


def test_wilson_matches_a_published_example() -> None:
    """Newcombe (1998), Table I: 81 of 263, 0.2553 to 0.3662."""
    assert wilson(81, 263) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf]])
def test_bad_values_are_named(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one finite value"):
        estimate(values)


def test_unequal_pairs_are_named() -> None:
    with pytest.raises(ValueError, match="not 1 and 2"):
        paired_difference([1.0], [1.0, 2.0])
