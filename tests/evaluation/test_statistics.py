"""Intervals against textbook cases and against what they promise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from marginface.book.published import table
from marginface.evaluation.statistics import (
    borda,
    equivalence,
    estimate,
    friedman,
    mcnemar,
    paired_bootstrap,
    paired_difference,
    wilson,
)


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


def decisions(counts: dict[tuple[int, int], int]) -> tuple[np.ndarray, np.ndarray]:
    """Two models' decisions, from how many pairs have each (first right, second right)."""
    rows = np.repeat(np.array(list(counts), dtype=bool), list(counts.values()), axis=0)
    return rows[:, 0], rows[:, 1]


def test_mcnemar_matches_a_published_example() -> None:
    """Fagerland, Lydersen, Laake (2013), Table 1: 21 children, 1 and 7 discordant, exact p = 0.0703."""
    result = mcnemar(*decisions({(1, 1): 1, (1, 0): 1, (0, 1): 7, (0, 0): 12}))
    assert (result.only_first, result.only_second) == (1, 7)
    assert result.p_value == pytest.approx(0.0703, abs=5e-5)


def test_mcnemar_looks_at_differences_alone() -> None:
    few = mcnemar(*decisions({(1, 0): 2, (0, 1): 9}))
    assert mcnemar(*decisions({(1, 1): 5000, (1, 0): 2, (0, 1): 9, (0, 0): 70})) == few
    assert mcnemar(*decisions({(0, 1): 2, (1, 0): 9})).p_value == few.p_value
    assert mcnemar(*decisions({(1, 1): 5, (0, 0): 3})).p_value == 1


def test_the_bootstrap_agrees_with_drawing_pairs_one_by_one() -> None:
    numbers = np.random.default_rng(0)
    first, second = numbers.random((3, 400)) < 0.9, numbers.random((2, 400)) < 0.8
    result = paired_bootstrap(first, second, resamples=20_000)
    difference = first.mean(axis=0) - second.mean(axis=0)
    drawn = difference[numbers.integers(0, 400, (20_000, 400))].mean(axis=1)
    assert result.difference == pytest.approx(difference.mean())
    np.testing.assert_allclose([result.low, result.high], np.quantile(drawn, [0.025, 0.975]), atol=1e-3)


def test_the_bootstrap_is_narrower_where_models_err_alike() -> None:
    alike = paired_bootstrap(*decisions({(1, 1): 80, (1, 0): 10, (0, 0): 10}))
    unlike = paired_bootstrap(*decisions({(1, 1): 70, (1, 0): 20, (0, 1): 10}))
    assert alike.difference == unlike.difference == pytest.approx(0.1)
    assert alike.high - alike.low < unlike.high - unlike.low


def test_the_bootstrap_depends_on_its_seed_alone() -> None:
    models = decisions({(1, 1): 80, (1, 0): 10, (0, 1): 10})
    assert paired_bootstrap(*models) == paired_bootstrap(*models)
    assert paired_bootstrap(*models, resamples=20) != paired_bootstrap(*models, resamples=20, seed=1)


# Demšar (2006), Table 6: ranks of C4.5 and its variants +m, +cf, +m+cf on 14 data sets
DEMSAR = [
    [4, 3, 2, 1], [1, 2, 3, 4], [4, 1, 2, 3], [4, 1, 3, 2], [4, 2, 3, 1], [1, 2.5, 4, 2.5], [3, 2, 4, 1],
    [2.5, 2.5, 4, 1], [4, 3, 2, 1], [2.5, 2.5, 2.5, 2.5], [4, 2.5, 1, 2.5], [3, 2, 4, 1], [4, 1, 2, 3], [3, 1, 4, 2],
]  # fmt: skip


def test_friedman_and_nemenyi_match_a_published_example() -> None:
    result = friedman(-np.array(DEMSAR))
    np.testing.assert_allclose(result.mean_ranks, [3.143, 2.000, 2.893, 1.964], atol=5e-4)
    assert result.critical_difference == pytest.approx(1.25, abs=5e-3)
    assert friedman(-np.array(DEMSAR), alpha=0.1).critical_difference == pytest.approx(2.291 * (20 / 84) ** 0.5, abs=5e-4)
    uncorrected = 12 * 14 / 20 * (np.square(result.mean_ranks).sum() - 4 * 25 / 4)
    assert uncorrected == pytest.approx(9.28, abs=5e-3)  # as printed; ties make the corrected one larger
    assert result.statistic > uncorrected


def test_friedman_corrects_for_ties_as_published() -> None:
    """Hollander & Wolfe (1973), p. 140: three ways to round first base, 22 players; χ² = 11.143, p = 0.0038 in R."""
    seconds = """5.40 5.50 5.55 5.85 5.70 5.75 5.20 5.60 5.50 5.55 5.50 5.40 5.90 5.85 5.70 5.45 5.55 5.60 5.40 5.40 5.35
        5.45 5.50 5.35 5.25 5.15 5.00 5.85 5.80 5.70 5.25 5.20 5.10 5.65 5.55 5.45 5.60 5.35 5.45 5.05 5.00 4.95 5.50 5.50
        5.40 5.45 5.55 5.50 5.55 5.55 5.35 5.45 5.50 5.55 5.50 5.45 5.25 5.65 5.60 5.40 5.70 5.65 5.55 6.30 6.30 6.25"""
    result = friedman(-np.array(seconds.split(), dtype=float).reshape(22, 3))
    assert result.statistic == pytest.approx(11.143, abs=5e-4)
    assert result.p_value == pytest.approx(0.003805, abs=5e-7)


@pytest.mark.parametrize(
    ("ties", "points"),
    [("min", [2, 1, 2, 4]), ("max", [3, 1, 3, 4]), ("average", [2.5, 1, 2.5, 4]), ("dense", [2, 1, 2, 3])],
)
def test_borda_points_of_ties(ties: Any, points: list[float]) -> None:
    np.testing.assert_array_equal(borda([[99.4, 99.1, 99.4, 99.5]], ties), [points])


@pytest.mark.parametrize(
    ("number", "ties", "cells", "sums"),
    [
        (1, "max", {("LFW", 3): (4, 2)}, {}),  # 4 points for 99.23, below 99.32: the printed sum has 2
        (2, "min", {("AgeDB-30", 1): (5, 4), ("AgeDB-30", 4): (4, 5), ("CALFW", 2): (2, 1), ("CALFW", 4): (4, 3),
                    ("CALFW", 5): (1, 2), ("CALFW", 6): (5, 3)}, {1: (21, 20), 2: (25, 24), 5: (11, 12), 6: (12, 10)}),
        (3, "min", {("CALFW", 4): (2, 3)}, {1: (14, 16), 4: (16, 17), 5: (12, 13)}),
        (4, "min", {("LFW", 2): (2, 3), ("LFW", 5): (1, 2), ("LFW", 6): (2, 1)},  # 93.367, printed for 99.367
         {2: (10, 11), 5: (15, 16), 6: (22, 21)}),
        (5, "min", {}, {}),
    ],
)  # fmt: skip
def test_borda_against_the_tables_of_interface(number: int, ties: Any, cells: dict, sums: dict) -> None:
    """Where the printed points (first) and their sums differ from what the printed accuracies give (second)."""
    printed = table("interface", number)
    single, total = printed[printed["metric"] != "borda_sum"], printed[printed["metric"] == "borda_sum"]
    scores = single.pivot_table("value", "benchmark", "row", sort=False)
    points = single.pivot_table("borda_printed", "benchmark", "row", sort=False)
    ours = borda(scores, ties)
    differing = {
        (benchmark, row): (points.loc[benchmark, row], ours[b, r])
        for b, benchmark in enumerate(scores.index)
        for r, row in enumerate(scores.columns)
        if points.loc[benchmark, row] != ours[b, r]
    }
    assert differing == cells
    pairs = zip(total["row"], total["value"], ours.sum(axis=0), strict=True)
    assert {row: (theirs, mine) for row, theirs, mine in pairs if theirs != mine} == sums


def test_equivalence_is_two_one_sided_tests() -> None:
    """The paired differences of Student (1908), R's `sleep`: 1.58 ± 0.389, t = 5.35 and 2.78 at a margin of 0.5."""
    sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    sides = [stats.ttest_1samp(sleep, -3, alternative="greater").pvalue, stats.ttest_1samp(sleep, 3, alternative="less").pvalue]
    result = equivalence(sleep, margin=3)
    assert result.p_value == pytest.approx(max(sides))
    assert result.equivalent
    assert equivalence(sleep, margin=0.5).p_value == pytest.approx(0.9892, abs=5e-5)
    assert not equivalence(sleep, margin=0.5).equivalent
    assert equivalence(np.negative(sleep).tolist(), margin=3).p_value == pytest.approx(result.p_value)


def test_equivalence_agrees_with_the_90_percent_interval() -> None:
    sample = np.random.default_rng(0).normal(0.02, 0.05, 6).tolist()
    interval = estimate(sample, confidence=0.9)
    bound = max(abs(interval.low), abs(interval.high))
    assert equivalence(sample, margin=bound * 1.001).equivalent
    assert not equivalence(sample, margin=bound * 0.999).equivalent


def test_runs_that_agree_to_the_digit_are_equivalent_within_any_margin_they_keep() -> None:
    assert equivalence([0.1, 0.1, 0.1], margin=0.2).equivalent
    assert not equivalence([0.25, 0.25], margin=0.2).equivalent


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mcnemar([True], [True, False]), r"must both be \(P,\), not \(1,\) and \(2,\)"),
        (lambda: mcnemar([0.5], [0.5]), "first must be .* bool"),
        (lambda: paired_bootstrap([[True, False]], [True]), "the same pairs, not 2 and 1"),
        (lambda: paired_bootstrap([True], [True], resamples=0), "resamples >= 1"),
        (lambda: paired_bootstrap(np.zeros((1, 0), dtype=bool), [True]), "first must be"),
        (lambda: friedman([[1, 2], [2, 1]]), "three methods"),
        (lambda: friedman([[1, 2, 3]]), "two benchmarks"),
        (lambda: friedman([[1, 1, 1], [2, 2, 2]]), "nothing to rank"),
        (lambda: friedman([[1.0, np.nan, 1.0], [2.0, 2.0, 2.0]]), "scores must be finite"),
        (lambda: borda([1.0, 2.0]), r"\(benchmarks, methods\), not \(2,\)"),
        (lambda: borda([[1.0]], "ordinal"), "not 'ordinal'"),  # type: ignore[arg-type]
        *((lambda c=c: estimate([0.1, 0.2], c), f"confidence must lie in .*, not {c}") for c in (2, 1, 0, -1, np.nan)),
        (lambda: estimate([0.1], 2), "confidence must lie in"),
        (lambda: paired_difference([0.1, 0.2], [0.2, 0.1], 2), "confidence must lie in"),
        (lambda: wilson(3, 5, 1.0), "confidence must lie in"),
        (lambda: wilson(6, 5), "not 6 of 5"),
        (lambda: wilson(0, 0), "not 0 of 0"),
        (lambda: paired_bootstrap([True], [True], confidence=2), "confidence must lie in"),
        (lambda: friedman([[1, 2, 3], [1, 3, 2]], alpha=0), r"alpha must lie in \(0, 1\), not 0"),
        *((lambda a=a: equivalence([0.1, 0.2], 1, a), f"alpha must lie in .*, not {a}") for a in (2, 1, 0, -1, np.nan)),
        (lambda: equivalence([0.1], 1), "at least two differences"),
        (lambda: equivalence([0.1, 0.2], 0), "positive margin, not 2 and 0"),
        (lambda: equivalence([0.1, np.nan], 1), "finite"),
    ],
)
def test_bad_comparisons_are_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
